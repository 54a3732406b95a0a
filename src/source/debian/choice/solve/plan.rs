//! The state that the steps of the solver work on, and the questions they ask of it.

use std::cell::OnceCell;
use std::cmp::Ordering;

use super::super::index::{Name, PackageId, Universe};
use super::super::package::{MultiArch, Package};
use super::super::relation::{Constraint, Relations};

/// The field that a group of relations stands in, in apt's order of the fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Field {
    PreDepends,
    Depends,
    Conflicts,
    Breaks,
    Recommends,
    Suggests,
}

impl Field {
    /// Met by the absence of packages.
    pub(in super::super) fn is_negative(self) -> bool {
        matches!(self, Self::Conflicts | Self::Breaks)
    }

    /// Must be met (recommendations are not followed).
    pub(in super::super) fn is_critical(self) -> bool {
        !matches!(self, Self::Recommends | Self::Suggests)
    }
}

/// One relation with its target's number.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Alternative<'u> {
    pub(in super::super) target: Name,
    pub(in super::super) constraint: Option<Constraint<'u>>,
}

impl Alternative<'_> {
    /// Whether a package of this version meets the constraint; provides may have no version.
    pub(in super::super) fn accepts(&self, version: Option<&str>) -> bool {
        match (self.constraint, version) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some((operator, wanted)), Some(version)) => operator.holds(version, wanted),
        }
    }
}

/// Alternatives of which one must be met; negative fields have one each.
#[derive(Debug)]
pub(in super::super) struct Group<'u> {
    pub(in super::super) field: Field,
    pub(in super::super) alternatives: Vec<Alternative<'u>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Keep,
    Install,
    /// Only asked for: nothing that is not installed can be in this state.
    Delete,
}

/// What the plan has for one name.
#[derive(Debug, Clone, Copy)]
pub(super) struct State {
    pub(super) mode: Mode,
    pub(super) installed: Option<PackageId>,
    pub(super) candidate: Option<PackageId>,
    /// The mode may not be changed any more.
    pub(super) protected: bool,
    /// Not asked for by the request.
    pub(super) automatic: bool,
    /// Asked for by the request.
    pub(super) requested: bool,
    /// Must never be installed.
    pub(super) excluded: bool,
    /// When the candidate was dropped without notice, and which it was.
    dropped: Option<(u32, PackageId)>,
}

/// What is to be installed, name by name.
pub(in super::super) struct Plan<'u> {
    pub(in super::super) universe: &'u Universe,
    pub(super) states: Vec<State>,
    groups: Vec<OnceCell<Vec<Group<'u>>>>,
    /// When each name was last looked at anew.
    looked: Vec<u32>,
    /// Counts the candidates that were dropped without notice.
    clock: u32,
}

impl<'u> Plan<'u> {
    pub(super) fn new(universe: &'u Universe) -> Self {
        let count = universe.name_count();
        let state = |number: usize| State {
            mode: Mode::Keep,
            installed: None,
            candidate: universe.candidate_id(number as Name),
            protected: false,
            automatic: false,
            requested: false,
            excluded: false,
            dropped: None,
        };
        Self {
            universe,
            states: (0..count).map(state).collect(),
            groups: (0..universe.packages().len())
                .map(|_| OnceCell::new())
                .collect(),
            looked: vec![0; count],
            clock: 0,
        }
    }

    /// All names by their numbers.
    pub(in super::super) fn names(&self) -> impl Iterator<Item = Name> + use<> {
        0..self.states.len() as Name
    }

    pub(super) fn state(&self, name: Name) -> &State {
        &self.states[name as usize]
    }

    pub(super) fn state_mut(&mut self, name: Name) -> &mut State {
        &mut self.states[name as usize]
    }

    /// Never installs `name`.
    pub(super) fn exclude(&mut self, name: Name) {
        let state = self.state_mut(name);
        state.protected = true;
        state.excluded = true;
    }

    pub(in super::super) fn is_excluded(&self, name: Name) -> bool {
        self.state(name).excluded
    }

    pub(in super::super) fn is_requested(&self, name: Name) -> bool {
        self.state(name).requested
    }

    /// The version of `name` that the plan installs.
    pub(in super::super) fn installed(&self, name: Name) -> Option<PackageId> {
        self.state(name).installed
    }

    /// All that is to be installed.
    pub(super) fn chosen(&self) -> Vec<PackageId> {
        let install = self
            .states
            .iter()
            .filter(|state| state.mode == Mode::Install);
        install.filter_map(|state| state.installed).collect()
    }

    pub(super) fn package(&self, id: PackageId) -> &'u Package {
        self.universe.package_by_id(id)
    }

    /// The relations of a package, in apt's order of the fields.
    pub(in super::super) fn groups(&self, id: PackageId) -> &[Group<'u>] {
        self.groups[id as usize].get_or_init(|| {
            let package = self.package(id);
            let fields = [
                (Field::PreDepends, package.pre_depends()),
                (Field::Depends, package.depends()),
                (Field::Conflicts, package.conflicts()),
                (Field::Breaks, package.breaks()),
                (Field::Recommends, package.recommends()),
                (Field::Suggests, package.suggests()),
            ];
            let mut groups = Vec::new();
            for (field, text) in fields {
                let mut alternatives = Vec::new();
                // The index has read all fields before, so that none is malformed.
                for relation in Relations::new(text).filter_map(Result::ok) {
                    if relation.applies_to(self.universe.architecture())
                        && let Some(target) = self.universe.target(&relation)
                    {
                        alternatives.push(Alternative {
                            target,
                            constraint: relation.constraint,
                        });
                    }
                    if (!relation.or || field.is_negative()) && !alternatives.is_empty() {
                        let alternatives = std::mem::take(&mut alternatives);
                        groups.push(Group {
                            field,
                            alternatives,
                        });
                    }
                }
            }
            groups
        })
    }

    /// Versions that `alternative` accepts, as `at` knows them: `at` says which version a name has.
    ///
    /// A package never stands in its own way: for a negative relation of `parent`
    /// neither its own versions nor its provides count.
    pub(in super::super) fn targets(
        &self,
        parent: Name,
        alternative: Alternative<'u>,
        negative: bool,
        at: impl Fn(Name) -> Option<PackageId>,
    ) -> impl Iterator<Item = PackageId> {
        let counts = move |owner: Name| !(negative && owner == parent);
        let target = alternative.target;
        let own = Some(target).filter(|&target| counts(target)).and_then(&at);
        let own = own.filter(move |&id| alternative.accepts(Some(self.package(id).version())));
        // What was read last comes first.
        let provides = self.universe.entry(target).provides.iter().rev();
        let providing = provides.filter_map(move |provide| {
            let owner = self.universe.owner(provide.package);
            if !counts(owner) || at(owner) != Some(provide.package) {
                return None;
            }
            let version = provide
                .version
                .map(|at| self.package(provide.package).text_at(at));
            alternative.accepts(version).then_some(provide.package)
        });
        own.into_iter().chain(providing)
    }

    /// Whether something that is to be installed matches the relation.
    pub(super) fn matches_installed(
        &self,
        parent: Name,
        alternative: Alternative<'u>,
        negative: bool,
    ) -> bool {
        let at = |name| self.state(name).installed;
        self.targets(parent, alternative, negative, at)
            .next()
            .is_some()
    }

    /// Whether some candidate matches the relation, as far as its target has heard.
    pub(super) fn matches_candidate(
        &self,
        parent: Name,
        alternative: Alternative<'u>,
        negative: bool,
    ) -> bool {
        let looked = self.looked[alternative.target as usize];
        let at = |name| {
            let state = self.state(name);
            match state.dropped {
                Some((when, id)) if when > looked => Some(id),
                _ => state.candidate,
            }
        };
        self.targets(parent, alternative, negative, at)
            .next()
            .is_some()
    }

    /// Whether a group of `parent` is met by what is to be installed.
    pub(in super::super) fn is_met(&self, parent: Name, group: &Group<'u>) -> bool {
        let negative = group.field.is_negative();
        let mut alternatives = group.alternatives.iter();
        alternatives
            .any(|alternative| self.matches_installed(parent, *alternative, negative) != negative)
    }

    /// Whether `name` is to be installed and something that it needs is not, or is that it must not be with.
    pub(in super::super) fn is_broken(&self, name: Name) -> bool {
        let Some(id) = self.state(name).installed else {
            return false;
        };
        let mut groups = self.groups(id).iter();
        groups.any(|group| group.field.is_critical() && !self.is_met(name, group))
    }

    pub(super) fn broken_count(&self) -> usize {
        self.names().filter(|&name| self.is_broken(name)).count()
    }

    /// Candidates that could meet a group (or, for a negative one, that stand in its way), best first.
    pub(super) fn solutions(&self, parent: Name, group: &Group<'u>) -> Vec<PackageId> {
        let negative = group.field.is_negative();
        let mut all = Vec::new();
        for &alternative in &group.alternatives {
            if !self.matches_candidate(parent, alternative, negative) {
                continue;
            }
            let at = |name| self.state(name).candidate;
            let mut ids: Vec<PackageId> = self.targets(parent, alternative, negative, at).collect();
            ids.sort_by(|a, b| self.preference(alternative.target, *a, *b));
            all.extend(ids);
        }
        all.dedup();
        if !negative {
            all.retain(|&id| {
                let state = self.state(self.universe.owner(id));
                !(state.protected && state.mode == Mode::Keep)
            });
        }
        all
    }

    /// Which of two packages apt takes first for a relation with `target`.
    fn preference(&self, target: Name, a: PackageId, b: PackageId) -> Ordering {
        let key = |id: PackageId| {
            let owner = self.universe.owner(id);
            let entry = self.universe.entry(owner);
            (
                !self.state(owner).protected,
                owner != target,
                !entry.essential,
                !entry.important,
                self.package(id).priority(),
                std::cmp::Reverse(owner),
            )
        };
        key(a).cmp(&key(b))
    }

    /// Drops a candidate without telling those that looked at it: they find out
    /// when something else of theirs changes. apt's choice depends on that.
    pub(super) fn drop_candidate(&mut self, name: Name) {
        self.clock += 1;
        let clock = self.clock;
        let state = self.state_mut(name);
        if let Some(id) = state.candidate.take() {
            state.dropped = Some((clock, id));
        }
        state.candidate = state.installed;
    }

    /// Tells all that look at `name`, or at what it provides, that it has changed.
    pub(super) fn changed(&mut self, name: Name) {
        if self.clock == 0 {
            return;
        }
        self.looked[name as usize] = self.clock;
        if let Some(id) = self.state(name).candidate {
            for provided in self.provided(id) {
                self.looked[provided as usize] = self.clock;
            }
        }
    }

    /// The names that a package provides.
    pub(super) fn provided(&self, id: PackageId) -> Vec<Name> {
        let package = self.package(id);
        let mut names = Vec::new();
        for mut relation in Relations::new(package.provides()).filter_map(Result::ok) {
            names.extend(self.universe.target(&relation));
            if package.multi_arch() == MultiArch::Allowed && relation.qualifier.is_none() {
                relation.qualifier = Some("any");
                names.extend(self.universe.target(&relation));
            }
        }
        if package.multi_arch() == MultiArch::Allowed {
            names.extend(self.universe.find(&format!("{}:any", package.name())));
        }
        names
    }
}
