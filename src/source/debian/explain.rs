//! Failures of the solver as a person would tell them.
//!
//! A failed plan is full of consequences; what is wanted is the cause. So the
//! telling starts at what was requested, follows what needs what down to the
//! relation that is not met, and from there on looks for the *obstacle*: a name
//! that no archive has, a version that does not exist, an exclusion, a conflict.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::index::{Name, PackageId, Universe};
use super::solve::{Alternative, Field, Group, Plan, real_providers};
use crate::error::{Error, Kind};

/// How many independent failures are told at once.
const MAX_TOLD: usize = 3;
/// How many versions or names are listed before the rest is only counted.
const MAX_LISTED: usize = 5;
/// How alike a name must be to be hinted at (1 is equal).
const ALIKE: f64 = 0.75;

/// A requested package or version that does not exist.
pub(super) fn not_found(universe: &Universe, name: &str, version: Option<&str>) -> Error {
    let error = |text: String| Error::new(Kind::Resolve, text);
    let versions: Vec<&str> = universe
        .versions(name)
        .map(super::package::Package::version)
        .collect();
    if let Some(version) = version
        && !versions.is_empty()
    {
        return error(format!("`{name}` has no version `{version}`"))
            .hint(format!("there is {}", listed(&versions)));
    }
    let mut providers: Vec<&str> = universe
        .find(name)
        .into_iter()
        .flat_map(|number| real_providers(universe, number))
        .map(|id| universe.package_by_id(id).name())
        .collect();
    providers.sort_unstable();
    providers.dedup();
    if !providers.is_empty() {
        return error(format!(
            "`{name}` is a virtual package of which no provider was chosen"
        ))
        .hint(format!("request one of {}", listed(&providers)));
    }
    let error = error(format!("no archive has a package `{name}`"));
    match nearest(universe, name)[..] {
        [] => error.hint("check its spelling, or add the archive that has it"),
        ref names => error.hint(format!("did you mean {}?", names.join(" or "))),
    }
}

/// Up to three names that look like `name`, in backticks, the most similar first.
fn nearest(universe: &Universe, name: &str) -> Vec<String> {
    let mut found: Vec<(f64, &str)> = universe
        .packages()
        .iter()
        .map(super::package::Package::name)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .map(|other| (strsim::normalized_damerau_levenshtein(name, other), other))
        .filter(|(alike, _)| *alike >= ALIKE)
        .collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    found
        .iter()
        .take(3)
        .map(|(_, other)| format!("`{other}`"))
        .collect()
}

/// Names or versions in backticks, the first few.
fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words
        .iter()
        .take(MAX_LISTED)
        .map(|word| format!("`{word}`"))
        .collect();
    match words.len().saturating_sub(MAX_LISTED) {
        0 => quoted.join(", "),
        more => format!("{} and {more} more", quoted.join(", ")),
    }
}

/// Packages that do not go together.
pub(super) fn failure(plan: &Plan<'_>) -> Error {
    let teller = Teller::new(plan);
    let mut told: Vec<String> = Vec::new();
    let mut hints: BTreeSet<String> = BTreeSet::new();
    let mut pairs: BTreeSet<(Name, Name)> = BTreeSet::new();
    for name in plan.names().filter(|&name| plan.is_requested(name)) {
        let Some(obstacle) = plan.installed(name).and_then(|id| teller.unmet(id)) else {
            continue;
        };
        if let Obstacle::Conflict { with, .. } = obstacle
            && !pairs.insert((name.min(with), name.max(with)))
        {
            continue;
        }
        if told.len() < MAX_TOLD {
            told.push(format!(
                "`{}` {}",
                teller.name(name),
                teller.clause(&obstacle)
            ));
            teller.hints(&obstacle, &mut hints);
        }
    }
    if told.is_empty() {
        told.push("the requested packages cannot be installed together".to_owned());
    }
    let error = Error::new(Kind::Resolve, told.join("\n"));
    hints.into_iter().fold(error, Error::hint)
}

/// Why a package cannot be installed along with the plan.
enum Obstacle {
    /// No archive has it, nor anything that provides it.
    Missing { target: Name },
    /// There are versions, but not such as are needed.
    Versions {
        target: Name,
        usable: Option<PackageId>,
    },
    /// The request excludes it.
    Excluded { target: Name },
    /// It and `with`, which is to be installed, exclude each other.
    Conflict { with: Name, breaks: bool },
    /// It needs a group of which nothing can be had.
    Needs {
        group: String,
        each: Vec<(String, Obstacle)>,
    },
    /// Everything could be had, but apt's way of choosing does not find it.
    NotFound { group: String },
}

struct Teller<'p, 'u> {
    plan: &'p Plan<'u>,
    /// What would be installed for certain: the requested packages, and of the
    /// others those that nothing is wrong with.
    sound: Vec<bool>,
}

impl<'p, 'u> Teller<'p, 'u> {
    fn new(plan: &'p Plan<'u>) -> Self {
        let sound = plan
            .names()
            .map(|name| plan.installed(name).is_some())
            .collect();
        let mut teller = Self { plan, sound };
        loop {
            let mut changed = false;
            for name in plan.names() {
                if !plan.is_requested(name)
                    && teller
                        .sound(name)
                        .is_some_and(|id| teller.open(id).is_some())
                {
                    teller.sound[name as usize] = false;
                    changed = true;
                }
            }
            if !changed {
                return teller;
            }
        }
    }

    /// The version of a name that would be installed for certain.
    fn sound(&self, name: Name) -> Option<PackageId> {
        self.plan
            .installed(name)
            .filter(|_| self.sound[name as usize])
    }

    /// The first group of a package that is not met by what is certain.
    fn open(&self, id: PackageId) -> Option<&Group<'u>> {
        let owner = self.universe().owner(id);
        let mut groups = self.plan.groups(id).iter();
        groups.find(|group| group.field.is_critical() && !self.is_met(owner, group))
    }

    fn is_met(&self, owner: Name, group: &Group<'u>) -> bool {
        let negative = group.field.is_negative();
        group.alternatives.iter().any(|&alternative| {
            let mut targets = self
                .plan
                .targets(owner, alternative, negative, |name| self.sound(name));
            targets.next().is_some() != negative
        })
    }

    fn universe(&self) -> &'u Universe {
        self.plan.universe
    }

    fn name(&self, name: Name) -> &'u str {
        self.universe().name(name)
    }

    /// The version of a name that would be installed.
    fn choice(&self, name: Name) -> Option<PackageId> {
        self.plan
            .installed(name)
            .or_else(|| self.universe().candidate_id(name))
    }

    /// What is wrong with a broken package that is to be installed.
    fn unmet(&self, id: PackageId) -> Option<Obstacle> {
        let owner = self.universe().owner(id);
        let group = self.open(id)?;
        if group.field.is_negative() {
            return self.conflict(owner, group);
        }
        let mut seen = BTreeSet::from([id]);
        let obstacle = self.group(owner, group, &mut seen);
        Some(obstacle.unwrap_or_else(|| Obstacle::NotFound {
            group: self.text(group),
        }))
    }

    /// What of the plan a negative group hits.
    fn conflict(&self, owner: Name, group: &Group<'u>) -> Option<Obstacle> {
        let alternative = *group.alternatives.first()?;
        let sound = |name| self.sound(name);
        let hit = self.plan.targets(owner, alternative, true, sound).next()?;
        Some(Obstacle::Conflict {
            with: self.universe().owner(hit),
            breaks: group.field == Field::Breaks,
        })
    }

    /// Why nothing can meet a positive group; none if something could.
    fn group(
        &self,
        owner: Name,
        group: &Group<'u>,
        seen: &mut BTreeSet<PackageId>,
    ) -> Option<Obstacle> {
        let mut each = Vec::new();
        for &alternative in &group.alternatives {
            let obstacle = self.alternative(owner, alternative, seen)?;
            each.push((self.relation(alternative), obstacle));
        }
        Some(Obstacle::Needs {
            group: self.text(group),
            each,
        })
    }

    fn alternative(
        &self,
        owner: Name,
        alternative: Alternative<'u>,
        seen: &mut BTreeSet<PackageId>,
    ) -> Option<Obstacle> {
        let target = alternative.target;
        let ids: Vec<PackageId> = self
            .plan
            .targets(owner, alternative, false, |name| self.choice(name))
            .collect();
        let mut first = None;
        for id in ids {
            let obstacle = self.package(id, seen)?;
            first.get_or_insert(obstacle);
        }
        if first.is_some() {
            return first;
        }
        if self.plan.is_excluded(target) {
            return Some(Obstacle::Excluded { target });
        }
        let entry = self.universe().entry(target);
        if entry.versions.is_empty() && entry.provides.is_empty() {
            return Some(Obstacle::Missing { target });
        }
        let fits = |id: &&PackageId| {
            alternative.accepts(Some(self.universe().package_by_id(**id).version()))
        };
        let usable = entry.versions.iter().find(fits).copied();
        Some(Obstacle::Versions { target, usable })
    }

    /// Why a package cannot be added to the plan; none if it could.
    fn package(&self, id: PackageId, seen: &mut BTreeSet<PackageId>) -> Option<Obstacle> {
        let owner = self.universe().owner(id);
        if self.plan.is_excluded(owner) {
            return Some(Obstacle::Excluded { target: owner });
        }
        if self.sound(owner) == Some(id) || !seen.insert(id) {
            return None;
        }
        let groups = self.plan.groups(id);
        let negative = groups.iter().filter(|group| group.field.is_negative());
        if let Some(obstacle) = negative
            .filter_map(|group| self.conflict(owner, group))
            .next()
        {
            return Some(obstacle);
        }
        if let Some(obstacle) = self.hostile(id) {
            return Some(obstacle);
        }
        let mut positive = groups.iter().filter(|group| {
            group.field.is_critical() && !group.field.is_negative() && !self.is_met(owner, group)
        });
        positive.find_map(|group| self.group(owner, group, seen))
    }

    /// What is to be installed and conflicts with `id`.
    fn hostile(&self, id: PackageId) -> Option<Obstacle> {
        let owner = self.universe().owner(id);
        let only = |name| (name == owner).then_some(id);
        self.plan.names().find_map(|other| {
            let groups = self.plan.groups(self.sound(other)?);
            let mut negative = groups.iter().filter(|group| group.field.is_negative());
            let hit = negative.find(|group| {
                let mut alternatives = group.alternatives.iter();
                alternatives.any(|alternative| {
                    self.plan
                        .targets(other, *alternative, true, only)
                        .next()
                        .is_some()
                })
            })?;
            Some(Obstacle::Conflict {
                with: other,
                breaks: hit.field == Field::Breaks,
            })
        })
    }

    /// What can be said after a package's name: "needs …", "conflicts with …".
    fn clause(&self, obstacle: &Obstacle) -> String {
        match obstacle {
            Obstacle::Missing { .. } => "exists in no archive".to_owned(),
            Obstacle::Excluded { .. } => "is excluded".to_owned(),
            Obstacle::Versions { target, usable } => self.versions(*target, *usable),
            Obstacle::Conflict { with, breaks } => {
                let verb = if *breaks {
                    "breaks, or is broken by,"
                } else {
                    "conflicts with"
                };
                format!(
                    "{verb} `{}`, which {}",
                    self.name(*with),
                    self.reason(*with)
                )
            }
            Obstacle::Needs { group, each } => match &each[..] {
                [(_, obstacle)] => format!("needs {group}, which {}", self.clause(obstacle)),
                _ => {
                    let each: Vec<String> = each
                        .iter()
                        .map(|(relation, obstacle)| format!("{relation} {}", self.clause(obstacle)))
                        .collect();
                    format!(
                        "needs {group}, of which none can be had: {}",
                        each.join("; ")
                    )
                }
            },
            Obstacle::NotFound { group } => {
                format!("needs {group}, which cannot be had together with what was chosen before")
            }
        }
    }

    fn versions(&self, target: Name, usable: Option<PackageId>) -> String {
        let universe = self.universe();
        let entry = universe.entry(target);
        if let (Some(usable), Some(choice)) = (usable, self.choice(target)) {
            return format!(
                "exists as `{}`, while `{}` is the version to be installed",
                universe.package_by_id(usable).version(),
                universe.package_by_id(choice).version()
            );
        }
        let exist: Vec<&str> = entry
            .versions
            .iter()
            .map(|&id| universe.package_by_id(id).version())
            .collect();
        match exist[..] {
            [] => {
                let provided = entry
                    .provides
                    .iter()
                    .map(|provide| universe.package_by_id(provide.package).name());
                let mut names: Vec<&str> = provided.collect::<BTreeSet<_>>().into_iter().collect();
                names.truncate(MAX_LISTED);
                format!(
                    "is provided in such a version by no package ({} provide others)",
                    listed(&names)
                )
            }
            [one] => format!("exists only as `{one}`"),
            ref several => format!("exists only as {}", listed(several)),
        }
    }

    /// Why something is in the plan.
    fn reason(&self, name: Name) -> String {
        if self.universe().entry(name).essential {
            return "is essential".to_owned();
        }
        if self.plan.is_requested(name) {
            return "is requested".to_owned();
        }
        match self.needed_by().get(&name) {
            Some(&by) => format!("`{}` needs", self.name(by)),
            None => "was chosen before".to_owned(),
        }
    }

    /// For each package of the plan that was not requested, what needs it, nearest to a request.
    fn needed_by(&self) -> BTreeMap<Name, Name> {
        let mut known: BTreeSet<Name> = self
            .plan
            .names()
            .filter(|&name| self.plan.is_requested(name))
            .collect();
        let mut next: VecDeque<Name> = known.iter().copied().collect();
        let mut needed_by = BTreeMap::new();
        while let Some(name) = next.pop_front() {
            let Some(id) = self.sound(name) else { continue };
            let groups = self.plan.groups(id).iter();
            let groups =
                groups.filter(|group| group.field.is_critical() && !group.field.is_negative());
            for alternative in groups.flat_map(|group| &group.alternatives) {
                for target in self
                    .plan
                    .targets(name, *alternative, false, |name| self.sound(name))
                {
                    let target = self.universe().owner(target);
                    if known.insert(target) {
                        needed_by.insert(target, name);
                        next.push_back(target);
                    }
                }
            }
        }
        needed_by
    }

    /// What to do about an obstacle.
    fn hints(&self, obstacle: &Obstacle, hints: &mut BTreeSet<String>) {
        match obstacle {
            Obstacle::Missing { target } => {
                hints.insert(format!("add the archive that has `{}`", self.name(*target)));
            }
            Obstacle::Excluded { target } => {
                hints.insert(format!(
                    "do not exclude `{}`, or do without what needs it",
                    self.name(*target)
                ));
            }
            Obstacle::Versions { target, usable } => {
                let name = self.name(*target);
                hints.insert(match usable {
                    Some(id) => format!(
                        "request `{name}={}`",
                        self.universe().package_by_id(*id).version()
                    ),
                    None => format!("add the suite that has such a version of `{name}`"),
                });
            }
            Obstacle::Conflict { .. } => {
                hints.insert("request only one of the two".to_owned());
            }
            Obstacle::Needs { each, .. } => {
                for (_, obstacle) in each {
                    self.hints(obstacle, hints);
                }
            }
            Obstacle::NotFound { .. } => {
                hints.insert("request by name those alternatives that go together".to_owned());
            }
        }
    }

    fn relation(&self, alternative: Alternative<'u>) -> String {
        let name = self.name(alternative.target);
        match alternative.constraint {
            None => format!("`{name}`"),
            Some((operator, version)) => format!("`{name} ({} {version})`", operator.symbol()),
        }
    }

    fn text(&self, group: &Group<'u>) -> String {
        let each: Vec<String> = group
            .alternatives
            .iter()
            .map(|&alternative| self.relation(alternative))
            .collect();
        each.join(" or ")
    }
}
