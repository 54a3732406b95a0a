//! Second step: what is still broken is repaired in the order of importance.
//!
//! Each package to be installed gets a score from its priority and from what
//! depends on it. Walking down the scores, each broken relation is either mended
//! by dropping the less important side or by trying to add what is missing.

use std::collections::BTreeSet;

use super::super::index::{Name, PackageId};
use super::super::package::Priority;
use super::mark::Wish;
use super::plan::{Alternative, Field, Group, Mode, Plan};

/// How often the list is walked at most.
const MAX_ROUNDS: u32 = 20;
const SCORE_ESSENTIAL: i64 = 100;
const SCORE_REQUESTED: i64 = 10_000;
const SCORE_VITAL: i64 = 5_000;

struct Repair<'p, 'u> {
    plan: &'p mut Plan<'u>,
    scores: Vec<i64>,
    /// Names whose installation has been tried for the sake of others.
    tried: Vec<bool>,
}

/// What is done with a package of which no alternative of a group could be mended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Delete,
    Keep,
}

impl<'u> Plan<'u> {
    /// Mends or drops broken packages until nothing changes any more.
    pub(super) fn repair(&mut self) {
        for name in self.names() {
            if self.state(name).mode == Mode::Keep && self.is_broken(name) {
                self.install(name, Wish::own(false, 0));
            }
        }
        if self.broken_count() == 0 {
            return;
        }
        let scores = self.scores();
        let mut order: Vec<Name> = self.names().collect();
        order.sort_by_key(|&name| std::cmp::Reverse(scores[name as usize]));
        let tried = vec![false; scores.len()];
        let mut repair = Repair {
            plan: self,
            scores,
            tried,
        };
        for round in 0..MAX_ROUNDS {
            let mut changed = false;
            for &name in &order {
                if let Some(id) = repair.plan.installed(name)
                    && repair.plan.is_broken(name)
                {
                    changed |= repair.mend(name, id, round);
                }
            }
            if !changed {
                break;
            }
        }
    }

    /// Names of those that a relation reaches and that are to be installed, once each.
    fn installed_providers(
        &self,
        parent: Name,
        alternative: Alternative<'u>,
        negative: bool,
    ) -> BTreeSet<Name> {
        let at = |name: Name| {
            let itself = name == alternative.target;
            self.installed(name).filter(|_| !itself)
        };
        let ids = self.targets(parent, alternative, negative, at);
        ids.map(|id| self.universe.owner(id)).collect()
    }

    /// apt's scores of all names.
    fn scores(&self) -> Vec<i64> {
        let mut scores = vec![0_i64; self.states.len()];
        for name in self.names() {
            let Some(id) = self.installed(name) else {
                continue;
            };
            let entry = self.universe.entry(name);
            if entry.essential || entry.important {
                scores[name as usize] += SCORE_ESSENTIAL;
            }
            scores[name as usize] += match self.package(id).priority() {
                Priority::Unknown => 0,
                Priority::Required => 3,
                Priority::Important => 2,
                Priority::Standard => 1,
                Priority::Optional => -1,
                Priority::Extra => -2,
            };
            for group in self.groups(id) {
                let points = match group.field {
                    Field::Suggests => continue,
                    Field::Conflicts | Field::Breaks => -1,
                    Field::PreDepends | Field::Depends | Field::Recommends => 1,
                };
                let negative = group.field.is_negative();
                for &alternative in &group.alternatives {
                    let target = alternative.target;
                    if !(negative && target == name) {
                        if alternative.constraint.is_some() {
                            let version =
                                self.installed(target).map(|id| self.package(id).version());
                            if version.is_none() || !alternative.accepts(version) {
                                continue;
                            }
                        }
                        scores[target as usize] += points;
                    }
                    for provider in self.installed_providers(name, alternative, negative) {
                        scores[provider as usize] += points;
                    }
                }
            }
        }
        self.inherit(scores)
    }

    /// One level of inheritance from dependents, then along provides, then the privileges.
    fn inherit(&self, mut scores: Vec<i64>) -> Vec<i64> {
        let own = scores.clone();
        for name in self.names() {
            let Some(id) = self.installed(name) else {
                continue;
            };
            if own[name as usize] <= 0 {
                continue;
            }
            for group in self.groups(id) {
                if matches!(
                    group.field,
                    Field::PreDepends | Field::Depends | Field::Recommends
                ) {
                    for alternative in &group.alternatives {
                        if self.installed(alternative.target).is_some() {
                            scores[alternative.target as usize] += own[name as usize];
                        }
                    }
                }
            }
        }
        for name in self.names() {
            let transfer = (scores[name as usize] - own[name as usize]).abs();
            if transfer == 0 {
                continue;
            }
            let any = Alternative {
                target: name,
                constraint: None,
            };
            for provider in self.installed_providers(name, any, false) {
                scores[provider as usize] += transfer;
            }
        }
        for name in self.names() {
            let entry = self.universe.entry(name);
            if self.state(name).requested || self.state(name).excluded {
                scores[name as usize] += SCORE_REQUESTED;
            }
            if entry.essential || entry.important {
                scores[name as usize] += SCORE_VITAL;
            }
        }
        scores
    }

    /// All versions anywhere that a relation accepts.
    fn all_targets(
        &self,
        parent: Name,
        alternative: Alternative<'u>,
        negative: bool,
    ) -> Vec<PackageId> {
        let counts = |owner: Name| !(negative && owner == parent);
        let entry = self.universe.entry(alternative.target);
        let own = entry.versions.iter().copied().filter(|&id| {
            counts(alternative.target) && alternative.accepts(Some(self.package(id).version()))
        });
        let providing = entry.provides.iter().rev().filter_map(|provide| {
            let version = provide
                .version
                .map(|at| self.package(provide.package).text_at(at));
            let counts =
                counts(self.universe.owner(provide.package)) && alternative.accepts(version);
            counts.then_some(provide.package)
        });
        own.chain(providing).collect()
    }
}

impl<'u> Repair<'_, 'u> {
    fn score(&self, name: Name) -> i64 {
        self.scores[name as usize]
    }

    /// Looks at each broken group of a package; true if anything changed.
    fn mend(&mut self, name: Name, id: PackageId, round: u32) -> bool {
        let mut changed = false;
        let mut kill: Vec<Name> = Vec::new();
        for at in 0..self.plan.groups(id).len() {
            let group = &self.plan.groups(id)[at];
            if !group.field.is_critical() || self.plan.is_met(name, group) {
                continue;
            }
            let (field, count) = (group.field, group.alternatives.len());
            let before = kill.len();
            let mut way = Way::Delete;
            let mut open = count > 1;
            let mut done = false;
            for place in 0..count {
                let group = &self.plan.groups(id)[at];
                if place > 0 && self.plan.is_met(name, group) {
                    open = false;
                    break;
                }
                let alternative = group.alternatives[place];
                let targets = self
                    .plan
                    .all_targets(name, alternative, field.is_negative());
                if targets.is_empty() && !field.is_negative() && !self.plan.state(name).protected {
                    if count > 1 {
                        continue;
                    }
                    self.plan.keep(name);
                    changed = true;
                    done = true;
                    break;
                }
                let found = self.consider(name, id, at, &targets, round, &mut kill, &mut way);
                changed |= found;
                if found && count == 1 {
                    done = true;
                }
            }
            if open && kill.len() == before {
                match way {
                    Way::Delete if self.plan.state(name).protected => {}
                    Way::Delete => {
                        self.plan.delete(name);
                        changed = true;
                    }
                    Way::Keep => {
                        self.plan.keep(name);
                        changed = true;
                    }
                }
            }
            if done {
                break;
            }
        }
        if self.plan.installed(name).is_some() {
            for other in kill {
                let kept = self.plan.keep(other);
                changed |= kept;
                if (!kept || round > 1) && self.score(name) > self.score(other) {
                    self.scores[other as usize] = self.score(name);
                    changed = true;
                }
            }
        }
        changed
    }

    /// Tries the targets of one alternative; true if the package itself was dealt with.
    #[expect(
        clippy::too_many_arguments,
        reason = "the state of one walk over one package's groups"
    )]
    fn consider(
        &mut self,
        name: Name,
        id: PackageId,
        at: usize,
        targets: &[PackageId],
        round: u32,
        kill: &mut Vec<Name>,
        way: &mut Way,
    ) -> bool {
        let group = &self.plan.groups(id)[at];
        let (field, in_or) = (group.field, group.alternatives.len() > 1);
        let negative = field.is_negative();
        for &target in targets {
            let other = self.plan.universe.owner(target);
            if negative && self.plan.installed(other) != Some(target) {
                continue;
            }
            if !negative || self.score(name) <= self.score(other) {
                if self.plan.state(name).protected {
                    if self.upgrade(other) {
                        self.scores[other as usize] = self.score(other).min(self.score(name));
                        break;
                    }
                    continue;
                }
                let was_marked = self.plan.state(name).mode == Mode::Install;
                self.plan.keep(name);
                if self.plan.is_broken(name) {
                    self.drop_or_try(name, other, in_or, round);
                } else {
                    *way = Way::Keep;
                    if in_or && was_marked {
                        self.plan.install(name, Wish::own(false, 0));
                    }
                }
                return true;
            }
            if field == Field::Breaks && self.plan.could_meet(name, &self.plan.groups(id)[at]) {
                self.plan.install(other, Wish::own(false, 0));
                continue;
            }
            if !self.plan.state(other).protected {
                kill.push(other);
            }
        }
        false
    }

    /// What is left when keeping a package as it was does not mend it.
    fn drop_or_try(&mut self, name: Name, other: Name, in_or: bool, round: u32) {
        if self.upgrade(name) || in_or {
            return;
        }
        self.plan.delete(name);
        if round > 1 {
            self.scores[name as usize] = self.score(name).max(self.score(other));
        }
    }

    /// Tries to install a package together with what it needs.
    fn upgrade(&mut self, name: Name) -> bool {
        let state = *self.plan.state(name);
        if self.tried[name as usize]
            || state.candidate.is_none()
            || state.requested
            || state.excluded
        {
            return false;
        }
        self.tried[name as usize] = true;
        if !self.plan.install(name, Wish::own(false, 0)) {
            return false;
        }
        let Some(id) = self.plan.installed(name) else {
            return false;
        };
        for at in 0..self.plan.groups(id).len() {
            let group = &self.plan.groups(id)[at];
            if group.field.is_critical() && !self.upgrade_group(name, id, at) {
                if state.mode == Mode::Keep {
                    self.plan.keep(name);
                } else {
                    self.plan.delete(name);
                }
                return false;
            }
        }
        true
    }

    fn upgrade_group(&mut self, name: Name, id: PackageId, at: usize) -> bool {
        let count = self.plan.groups(id)[at].alternatives.len();
        let mut mended = true;
        for place in 0..count {
            let group: &Group<'_> = &self.plan.groups(id)[at];
            if self.plan.is_met(name, group) {
                break;
            }
            let (negative, alternative) = (group.field.is_negative(), group.alternatives[place]);
            let target = self.smart_target(name, alternative.target);
            if self.plan.state(target).protected {
                mended = false;
            } else if self.plan.matches_candidate(name, alternative, negative) != negative {
                mended = self.upgrade(target);
                if mended {
                    break;
                }
            } else if negative {
                // The next round deals with conflicts.
                break;
            } else {
                mended = false;
            }
        }
        mended
    }

    /// The only provider of a name that no package has, or else the name itself.
    fn smart_target(&self, parent: Name, target: Name) -> Name {
        let universe = self.plan.universe;
        let entry = universe.entry(target);
        if !entry.versions.is_empty() {
            return target;
        }
        let mut owners = entry
            .provides
            .iter()
            .rev()
            .map(|provide| universe.owner(provide.package));
        owners.find(|&owner| owner != parent).unwrap_or(target)
    }
}
