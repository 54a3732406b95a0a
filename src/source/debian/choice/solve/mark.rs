//! First step: marking what is asked for, and what that needs, depth first.

use super::super::index::{Name, PackageId};
use super::plan::{Group, Mode, Plan};

/// apt does not follow needs deeper than this.
const MAX_DEPTH: u32 = 3000;

/// Who wants a package, and whether what it needs is wanted with it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    /// The request names it: its word counts more than any other.
    pub(super) from_request: bool,
    /// Install what it needs too.
    pub(super) with_needs: bool,
    pub(super) depth: u32,
}

impl Wish {
    /// What the steps of the solver wish by themselves.
    pub(super) fn own(with_needs: bool, depth: u32) -> Self {
        Self {
            from_request: false,
            with_needs,
            depth,
        }
    }
}

impl<'u> Plan<'u> {
    /// Marks a requested version, as yet without what it needs.
    pub(super) fn request(&mut self, id: PackageId) {
        let name = self.universe.owner(id);
        let state = self.state_mut(name);
        state.candidate = Some(id);
        state.protected = true;
        state.requested = true;
        self.install(
            name,
            Wish {
                from_request: true,
                with_needs: false,
                depth: 0,
            },
        );
    }

    /// Marks what a requested package needs.
    pub(super) fn install_with_needs(&mut self, name: Name) {
        self.install(
            name,
            Wish {
                from_request: true,
                with_needs: true,
                depth: 0,
            },
        );
    }

    /// Whether the mode of `name` may be changed.
    fn may_change(&self, name: Name, mode: Mode, wish: Wish) -> bool {
        if wish.depth > MAX_DEPTH || self.universe.entry(name).versions.is_empty() {
            return false;
        }
        let state = self.state(name);
        if wish.from_request || state.mode == mode {
            return true;
        }
        let entry = self.universe.entry(name);
        let vital = entry.essential || entry.important;
        !(state.protected
            || (state.excluded && mode != Mode::Keep)
            || (mode == Mode::Delete && vital))
    }

    /// Marks `name` for installation; false if it, or something that it needs, cannot be had.
    pub(super) fn install(&mut self, name: Name, wish: Wish) -> bool {
        if !self.may_change(name, Mode::Install, wish) {
            return false;
        }
        let state = *self.state(name);
        let Some(candidate) = state.candidate else {
            return false;
        };
        if !state.protected && state.mode == Mode::Install && !self.is_broken(name) {
            return true;
        }
        if wish.with_needs && !self.could_be_met(name, candidate) {
            return false;
        }
        if wish.from_request {
            self.select(name, true);
        }
        // Others are given up at the first failure; these go on, so that repair has a choice.
        let stubborn = state.protected || wish.from_request;
        let mut failed = false;
        let mut needs = Vec::new();
        if wish.with_needs {
            let (positive, negative) = self.open_groups(name, candidate);
            needs = positive;
            if !self.clear_the_way(name, candidate, &negative, wish) {
                if !stubborn {
                    return false;
                }
                failed = true;
            }
        }
        if !wish.from_request {
            self.select(name, false);
        }
        if !wish.with_needs {
            return !failed;
        }
        let already = self.state(name).protected;
        self.state_mut(name).protected = true;
        if !self.install_needs(name, candidate, &needs, already, wish) {
            if !stubborn {
                self.forget(name);
                self.state_mut(name).protected = already;
                return false;
            }
            failed = true;
        }
        self.state_mut(name).protected = already;
        !failed
    }

    /// Sets the mode: the candidate is to be installed.
    fn select(&mut self, name: Name, from_request: bool) {
        let state = self.state_mut(name);
        if state.protected && state.installed == state.candidate {
            return;
        }
        state.mode = Mode::Install;
        state.installed = state.candidate;
        state.automatic = !from_request;
        self.changed(name);
    }

    /// Takes a failed mark back and gives the candidate up.
    fn forget(&mut self, name: Name) {
        let state = self.state_mut(name);
        if state.mode == Mode::Keep && state.installed.is_none() && state.candidate.is_none() {
            return;
        }
        state.installed = None;
        state.mode = Mode::Keep;
        self.changed(name);
        self.drop_candidate(name);
    }

    /// Unmarks `name`; false if that is not allowed.
    pub(super) fn keep(&mut self, name: Name) -> bool {
        if !self.may_change(name, Mode::Keep, Wish::own(false, 0)) {
            return false;
        }
        let state = self.state_mut(name);
        if state.mode != Mode::Keep {
            state.mode = Mode::Keep;
            state.installed = None;
            self.changed(name);
        }
        true
    }

    /// Unmarks `name` for good reason; false for what is requested or vital.
    pub(super) fn delete(&mut self, name: Name) -> bool {
        if !self.may_change(name, Mode::Delete, Wish::own(false, 0)) {
            return false;
        }
        let state = self.state_mut(name);
        if state.installed.is_none() {
            return true;
        }
        if !state.automatic {
            return false;
        }
        state.mode = Mode::Keep;
        state.installed = None;
        self.changed(name);
        true
    }

    /// Whether every need of a candidate is met or has some candidate; gives it up if not.
    fn could_be_met(&mut self, name: Name, candidate: PackageId) -> bool {
        let possible = self.groups(candidate).iter().all(|group| {
            !group.field.is_critical()
                || group.field.is_negative()
                || group.alternatives.iter().any(|&alternative| {
                    self.matches_installed(name, alternative, false)
                        || self.matches_candidate(name, alternative, false)
                })
        });
        if !possible && !self.state(name).protected {
            // Dropped outright, even if a version is marked.
            let installed = self.state_mut(name).installed.take();
            self.drop_candidate(name);
            let state = self.state_mut(name);
            state.installed = installed;
            state.mode = Mode::Keep;
        }
        possible
    }

    /// Groups of a candidate that still want work: numbers of positive ones, of negative ones.
    ///
    /// A protected package passes protection on to what it needs, so all of its groups do.
    fn open_groups(&self, name: Name, candidate: PackageId) -> (Vec<usize>, Vec<usize>) {
        let all = self.state(name).protected;
        let groups = self.groups(candidate);
        (0..groups.len())
            .filter(|&at| {
                groups[at].field.is_critical() && (all || !self.is_met(name, &groups[at]))
            })
            .partition(|&at| !groups[at].field.is_negative())
    }

    /// Unmarks what a candidate conflicts with.
    fn clear_the_way(
        &mut self,
        name: Name,
        candidate: PackageId,
        groups: &[usize],
        wish: Wish,
    ) -> bool {
        let protected = self.state(name).protected;
        let mut cleared = true;
        for &at in groups {
            for id in self.solutions(name, &self.groups(candidate)[at]) {
                let other = self.universe.owner(id);
                if self.state(other).candidate != Some(id) {
                    continue;
                }
                if self.state(other).mode == Mode::Install && !self.keep(other) {
                    cleared = false;
                    if !protected && !wish.from_request {
                        return false;
                    }
                } else if protected {
                    self.drop_candidate(other);
                    self.state_mut(other).protected = true;
                }
            }
        }
        cleared
    }

    /// Installs what meets the groups; false if one cannot be met.
    fn install_needs(
        &mut self,
        name: Name,
        candidate: PackageId,
        groups: &[usize],
        protected: bool,
        wish: Wish,
    ) -> bool {
        let mut complete = true;
        for &at in groups {
            if self.is_met(name, &self.groups(candidate)[at]) {
                if protected && !self.protect_only_solution(name, candidate, at, wish) {
                    complete = false;
                }
                continue;
            }
            let solutions = self.solutions(name, &self.groups(candidate)[at]);
            let next = Wish::own(true, wish.depth + 1);
            let mut found = false;
            for &id in &solutions {
                let other = self.universe.owner(id);
                if self.state(other).candidate != Some(id) {
                    continue;
                }
                if protected && solutions.len() == 1 {
                    let alone = Wish::own(false, wish.depth + 1);
                    if !self.install(other, alone) {
                        continue;
                    }
                    self.state_mut(other).protected = true;
                }
                if self.install(other, next) {
                    found = true;
                    break;
                }
            }
            if !found {
                complete = false;
                if !protected && !wish.from_request {
                    break;
                }
            }
        }
        complete
    }

    /// Protects what alone meets a group of a protected package.
    fn protect_only_solution(
        &mut self,
        name: Name,
        candidate: PackageId,
        at: usize,
        wish: Wish,
    ) -> bool {
        let mut solutions = self.solutions(name, &self.groups(candidate)[at]);
        solutions.sort_unstable();
        solutions.dedup();
        let [only] = solutions[..] else {
            return true;
        };
        let other = self.universe.owner(only);
        if self.state(other).protected {
            return true;
        }
        self.state_mut(other).protected = true;
        self.install(other, Wish::own(true, wish.depth + 1))
    }

    /// Whether a group could be met by some candidate.
    pub(super) fn could_meet(&self, name: Name, group: &Group<'u>) -> bool {
        let negative = group.field.is_negative();
        let mut alternatives = group.alternatives.iter();
        alternatives
            .any(|&alternative| self.matches_candidate(name, alternative, negative) != negative)
    }
}
