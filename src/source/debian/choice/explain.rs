//! Failures of the solver as a person would tell them.
//!
//! A failed plan is full of consequences; what is wanted is the cause. So the
//! telling starts at what was requested, follows what needs what down to the
//! relation that is not met, and from there on looks for the *obstacle*: a name
//! that no archive has, a version that does not exist, an exclusion, a conflict.

use std::collections::BTreeSet;

use super::index::{Name, PackageId, Universe};
use super::package::Package;
use super::solve::{Plan, real_providers};
use crate::error::{Error, Kind};

mod obstacle;

use obstacle::{Obstacle, Teller};

/// How many independent failures are told at once.
const MAX_TOLD: usize = 3;
/// How many versions or names are listed before the rest is only counted.
const MAX_LISTED: usize = 5;
/// How alike a name must be to be hinted at (1 is equal).
const ALIKE: f64 = 0.75;

/// A requested package or version that does not exist.
pub(super) fn not_found(universe: &Universe, name: &str, version: Option<&str>) -> Error {
    let error = |text: String| Error::new(Kind::Resolve, text);
    let versions: Vec<&str> = universe.versions(name).map(Package::version).collect();
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
        .map(Package::name)
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

impl Teller<'_, '_> {
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
}
