//! Which package has which path while packages are unpacked, many at a time.
//!
//! dpkg unpacks one package after the other, so the second to bring a path
//! meets the first. Here a path is *claimed*, and the outcome of two claims
//! depends on the packages alone, never on which thread came first:
//!
//! - directories are shared; owner, mode and the record of the owner come from
//!   the first package by stage and name;
//! - of two packages with the same file, the one that `Replaces` the other has
//!   it, and the other does not list it;
//! - everything else is an error that names both.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::diversion::Diversions;
use super::incoming::Package;
use super::ownership::{Owned, Owner};
use crate::error::{Error, Kind, Result};
use crate::tree::TreePath;

/// What a package brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Directory,
    Symlink,
    Other,
}

/// A package's hold on a path.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    /// Index among the packages.
    pub package: usize,
    /// Packages of one stage are unpacked at the same time, stages one after the other.
    pub stage: u32,
    pub sort: Sort,
    /// The path as the archive has it.
    pub listed: Vec<u8>,
    pub mtime: i64,
    pub conffile: bool,
}

/// What to do with an entry of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Unpack it.
    Unpack,
    /// Unpack it over what the same archive had there before.
    Again,
    /// List it, but leave alone what is there.
    Keep,
    /// It belongs to a package that replaces this one's files: neither unpack nor list it.
    Yield,
    /// It replaces another package's file, which may just be being written: unpack it later.
    Later,
}

/// All claims of a root.
pub(super) struct Claims<'a> {
    packages: &'a [Package],
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    paths: BTreeMap<TreePath, Claim>,
    /// Paths that a package had to give up, as its archive has them.
    lost: Vec<(usize, Vec<u8>)>,
    later: Vec<(usize, Vec<u8>)>,
}

impl<'a> Claims<'a> {
    pub fn new(packages: &'a [Package]) -> Self {
        Self {
            packages,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Claims a directory. `apply` sets owner and mode and is called at most
    /// once, while no other claim is decided.
    ///
    /// # Errors
    /// When another package has something else there, or `apply` fails.
    pub fn directory(
        &self,
        path: &TreePath,
        claim: Claim,
        apply: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let mut state = self.state();
        match state.paths.entry(path.clone()) {
            Entry::Vacant(place) => {
                apply()?;
                place.insert(claim);
            }
            Entry::Occupied(mut place) => {
                let old = place.get();
                if old.sort != Sort::Directory {
                    return Err(self.clash(path, old.package, claim.package));
                }
                // Packages are in the order of their names.
                if (claim.stage, claim.package) < (old.stage, old.package) {
                    apply()?;
                    place.insert(claim);
                }
            }
        }
        Ok(())
    }

    /// Allows a directory in an archive where there is a link to one; the link
    /// stays. Nothing is claimed.
    ///
    /// # Errors
    /// When the link comes from another package of the same stage: had that been
    /// unpacked second, there would be a directory.
    pub fn directory_at_link(&self, path: &TreePath, claim: &Claim) -> Result<()> {
        match self.state().paths.get(path) {
            Some(old) if old.package != claim.package && old.stage == claim.stage => {
                Err(self.clash(path, old.package, claim.package))
            }
            _ => Ok(()),
        }
    }

    /// Claims a path for anything but a directory.
    ///
    /// # Errors
    /// When another package has it and neither replaces the other.
    pub fn file(&self, path: &TreePath, claim: Claim) -> Result<Verdict> {
        let mut state = self.state();
        let state = &mut *state;
        let mut place = match state.paths.entry(path.clone()) {
            Entry::Vacant(place) => {
                place.insert(claim);
                return Ok(Verdict::Unpack);
            }
            Entry::Occupied(place) => place,
        };
        let old = place.get().clone();
        if old.package == claim.package {
            place.insert(claim);
            return Ok(Verdict::Again);
        }
        let (ours, theirs) = (&self.packages[claim.package], &self.packages[old.package]);
        if old.sort == Sort::Directory {
            // dpkg keeps the directory; at the same time, it is anyone's guess.
            if claim.sort == Sort::Symlink && old.stage < claim.stage {
                return Ok(Verdict::Keep);
            }
            return Err(self.clash(path, old.package, claim.package));
        }
        if ours.name == theirs.name && ours.shared && theirs.shared {
            return Ok(Verdict::Keep);
        }
        match (ours.replaces(theirs), theirs.replaces(ours)) {
            (true, false) => {}
            (false, true) => {
                return Ok(Verdict::Yield);
            }
            // Each replaces the other: dpkg lets the later one win. By name, for want of an order.
            (true, true) if (claim.stage, claim.package) > (old.stage, old.package) => {}
            (true, true) => return Ok(Verdict::Yield),
            (false, false) => return Err(self.clash(path, old.package, claim.package)),
        }
        state.lost.push((old.package, old.listed));
        state.later.push((claim.package, claim.listed.clone()));
        place.insert(claim);
        Ok(Verdict::Later)
    }

    /// What to unpack once the current stage is done, by package. A file that
    /// was replaced once more in the meantime is not among it.
    pub fn take_later(&self) -> BTreeMap<usize, Vec<Vec<u8>>> {
        let mut state = self.state();
        let later = std::mem::take(&mut state.later);
        let mut by_package: BTreeMap<usize, Vec<Vec<u8>>> = BTreeMap::new();
        for (package, listed) in later {
            if !state.lost.contains(&(package, listed.clone())) {
                by_package.entry(package).or_default().push(listed);
            }
        }
        by_package
    }

    /// Paths that packages had to give up since the last call, by package.
    pub fn take_lost(&self) -> BTreeMap<usize, Vec<Vec<u8>>> {
        let mut by_package: BTreeMap<usize, Vec<Vec<u8>>> = BTreeMap::new();
        for (package, listed) in std::mem::take(&mut self.state().lost) {
            by_package.entry(package).or_default().push(listed);
        }
        by_package
    }

    /// Follows files that `dpkg-divert --rename` has moved. `final_path` turns
    /// a listed path into the path of the tree, `exists` tells what is there.
    pub fn follow(
        &self,
        diversions: &Diversions,
        final_path: impl Fn(&[u8]) -> Option<TreePath>,
        exists: impl Fn(&TreePath) -> bool,
    ) {
        let mut state = self.state();
        for (from, diversion) in diversions.iter() {
            let (Some(from), Some(to)) = (final_path(from), final_path(&diversion.target)) else {
                continue;
            };
            let moved = state.paths.get(&from).is_some_and(|claim| {
                let name = &*self.packages[claim.package].name;
                diversion.package.as_deref() != Some(name)
                    && claim.sort != Sort::Directory
                    && exists(&to)
            });
            if moved
                && !state.paths.contains_key(&to)
                && let Some(claim) = state.paths.remove(&from)
            {
                state.paths.insert(to, claim);
            }
        }
    }

    /// The outcome.
    pub fn into_owned(self) -> Owned {
        let state = self
            .state
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let paths = state.paths.into_iter().map(|(path, claim)| {
            let package = &self.packages[claim.package];
            let owner = Owner {
                package: package.name.clone(),
                source: package.source.clone(),
                mtime: claim.mtime,
                conffile: claim.conffile,
            };
            (path, owner)
        });
        Owned {
            paths: paths.collect(),
        }
    }

    fn clash(&self, path: &TreePath, one: usize, other: usize) -> Error {
        let mut names = [&*self.packages[one].name, &*self.packages[other].name];
        names.sort_unstable();
        Error::new(
            Kind::Resolve,
            format!(
                "packages `{}` and `{}` both bring `/{path}`, and neither replaces the other",
                names[0], names[1]
            ),
        )
        .hint("install only one of them, or exclude the path")
    }
}
