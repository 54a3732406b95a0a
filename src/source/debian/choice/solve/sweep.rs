//! Third step: what was marked on the way but is needed by nothing is unmarked.

use std::collections::BTreeMap;

use super::super::index::{Name, PackageId};
use super::super::relation::compare;
use super::mark::Wish;
use super::plan::{Alternative, Mode, Plan};

impl<'u> Plan<'u> {
    /// Unmarks whatever cannot be reached from requested and vital packages.
    ///
    /// Recommendations and suggestions count here: what happens to be there and
    /// is suggested by something stays, as in apt.
    pub(super) fn sweep(&mut self) {
        let reached = self.reached();
        let mut dropped = Vec::new();
        for name in self.names() {
            if self.state(name).mode == Mode::Install && !reached[name as usize] {
                dropped.push(name);
                self.delete(name);
            }
        }
        if dropped.is_empty() {
            return;
        }
        // Nothing should need them; if something does, they come back.
        while self.broken_count() != 0 {
            let Some(place) = dropped.iter().position(|&name| self.is_missed(name)) else {
                return;
            };
            let name = dropped.swap_remove(place);
            self.install(name, Wish::own(false, 0));
        }
    }

    fn reached(&self) -> Vec<bool> {
        let mut reached = vec![false; self.states.len()];
        let mut explored = vec![false; self.states.len()];
        let mut next: Vec<Name> = Vec::new();
        for name in self.names() {
            let entry = self.universe.entry(name);
            let state = self.state(name);
            if state.mode == Mode::Install
                && (!state.automatic || entry.essential || entry.important)
            {
                reached[name as usize] = true;
                next.push(name);
            }
        }
        while let Some(name) = next.pop() {
            let Some(id) = self.installed(name) else {
                continue;
            };
            let groups = self
                .groups(id)
                .iter()
                .filter(|group| !group.field.is_negative());
            for alternative in groups.flat_map(|group| &group.alternatives) {
                let target = alternative.target;
                if explored[target as usize] {
                    continue;
                }
                let (providers, complete) = self.providers(*alternative);
                explored[target as usize] = complete;
                for id in providers {
                    let owner = self.universe.owner(id);
                    if !reached[owner as usize] {
                        reached[owner as usize] = true;
                        next.push(owner);
                    }
                }
            }
        }
        reached
    }

    /// What is to be installed and meets a relation, of each source package only
    /// the newest; and whether nothing was passed over because of its version.
    fn providers(&self, alternative: Alternative<'u>) -> (Vec<PackageId>, bool) {
        let marked = |name: Name| {
            self.installed(name)
                .filter(|_| self.state(name).mode == Mode::Install)
        };
        let any = Alternative {
            constraint: None,
            ..alternative
        };
        let all = self.targets(alternative.target, any, false, marked).count();
        let found: Vec<PackageId> = self
            .targets(alternative.target, alternative, false, marked)
            .collect();
        let mut newest: BTreeMap<&str, &str> = BTreeMap::new();
        for &id in &found {
            let package = self.package(id);
            let version = newest
                .entry(package.source())
                .or_insert(package.source_version());
            if compare(package.source_version(), version).is_gt() {
                *version = package.source_version();
            }
        }
        let complete = found.len() == all;
        let is_newest = |id: &PackageId| {
            let package = self.package(*id);
            newest.get(package.source()) == Some(&package.source_version())
        };
        (found.into_iter().filter(is_newest).collect(), complete)
    }

    /// Whether something that is to be installed needs a name or what it would provide.
    fn is_missed(&self, name: Name) -> bool {
        let mut names = vec![name];
        names.extend(
            self.state(name)
                .candidate
                .iter()
                .flat_map(|&id| self.provided(id)),
        );
        self.chosen().iter().any(|&id| {
            let mut groups = self.groups(id).iter();
            groups.any(|group| {
                let mut targets = group
                    .alternatives
                    .iter()
                    .map(|alternative| alternative.target);
                group.field.is_critical()
                    && !group.field.is_negative()
                    && targets.any(|target| names.contains(&target))
            })
        })
    }
}
