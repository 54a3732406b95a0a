//! Finding the obstacle: what keeps a package from being installed along with a plan.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::super::index::{Name, PackageId, Universe};
use super::super::solve::{Alternative, Field, Group, Plan};

/// Why a package cannot be installed along with the plan.
pub(super) enum Obstacle {
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

/// Looks for obstacles in a plan that failed.
pub(super) struct Teller<'p, 'u> {
    pub(super) plan: &'p Plan<'u>,
    /// What would be installed for certain: the requested packages, and of the
    /// others those that nothing is wrong with.
    sound: Vec<bool>,
}

impl<'p, 'u> Teller<'p, 'u> {
    pub(super) fn new(plan: &'p Plan<'u>) -> Self {
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

    pub(super) fn universe(&self) -> &'u Universe {
        self.plan.universe
    }

    pub(super) fn name(&self, name: Name) -> &'u str {
        self.universe().name(name)
    }

    /// The version of a name that would be installed.
    pub(super) fn choice(&self, name: Name) -> Option<PackageId> {
        self.plan
            .installed(name)
            .or_else(|| self.universe().candidate_id(name))
    }

    /// What is wrong with a broken package that is to be installed.
    pub(super) fn unmet(&self, id: PackageId) -> Option<Obstacle> {
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

    /// For each package of the plan that was not requested, what needs it, nearest to a request.
    pub(super) fn needed_by(&self) -> BTreeMap<Name, Name> {
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
