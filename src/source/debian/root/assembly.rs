//! The steps of assembling a root, in their order; `assemble` tells why.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::assemble::{Clock, Progress};
use super::claims::Claims;
use super::configure::Scripts;
use super::database;
use super::diversion::{Diversions, Overrides};
use super::exclude::Excludes;
use super::incoming::{Package, Packages};
use super::ownership::Owned;
use super::rootdir::{RootDir, split};
use super::triggers;
use super::unpack::{Unpacked, Unpacker, unpacking};
use super::usrmerge;
use crate::error::Result;

/// A root being assembled.
pub(super) struct Assembly<'a> {
    root: &'a RootDir,
    packages: &'a Packages,
    claims: Claims<'a>,
    excludes: Excludes,
    progress: &'a (dyn Fn(Progress<'_>) + Sync),
    stage: u32,
    unpacked: BTreeSet<usize>,
    configured: BTreeSet<usize>,
    scripts: Scripts<'a>,
}

impl<'a> Assembly<'a> {
    pub fn new(
        root: &'a RootDir,
        packages: &'a Packages,
        excludes: Excludes,
        progress: &'a (dyn Fn(Progress<'_>) + Sync),
        scripts: Scripts<'a>,
    ) -> Self {
        Self {
            root,
            packages,
            claims: Claims::new(&packages.all),
            excludes,
            progress,
            stage: 0,
            unpacked: BTreeSet::new(),
            configured: BTreeSet::new(),
            scripts,
        }
    }

    /// Unpacks and configures everything.
    pub fn run(&mut self, architecture: &str, clock: &mut Clock<'_>) -> Result<()> {
        let all = &self.packages.all;
        let every = || 0..all.len();
        clock.stage("unpacking");
        let first: BTreeSet<usize> = every()
            .filter(|&at| &*all[at].name == "base-files")
            .collect();
        for &index in &first {
            usrmerge::prepare(self.root, &all[index], architecture)?;
        }
        self.unpack(&first, true)?;
        let essential = self
            .packages
            .closure(every().filter(|&at| all[at].essential));
        let (now, later): (BTreeSet<usize>, BTreeSet<usize>) =
            every().partition(|at| essential.contains(at) || !all[*at].has("preinst"));
        self.unpack(&now.difference(&first).copied().collect(), true)?;

        clock.stage("configuring essential packages");
        for index in self.preinst_order(&essential) {
            self.scripts.preinst(&all[index])?;
        }
        let mut needed = essential;
        for &index in &later {
            let wanted = self.packages.needed(index, "Pre-Depends");
            let wanted = self.packages.closure(wanted);
            if wanted.is_disjoint(&later) {
                needed.extend(wanted);
            }
        }
        self.configure(&needed, false)?;
        self.rounds(later, clock)?;

        clock.stage("configuring packages");
        self.scripts.configure(&[], false)?;
        clock.stage("checking the package database");
        self.scripts.audit()?;
        database::check_installed(self.root, all)
    }

    /// Packages of `which` that have a preinst, in the order to run them.
    fn preinst_order(&self, which: &BTreeSet<usize>) -> Vec<usize> {
        let all = &self.packages.all;
        let mut order = self.packages.ordered(which);
        order.retain(|&at| all[at].has("preinst"));
        // The accounts come first: others' scripts name them.
        order.sort_by_key(|&at| &*all[at].name != "base-passwd");
        order
    }

    /// Installs packages with preinsts, those first whose Pre-Depends are there.
    fn rounds(&mut self, mut later: BTreeSet<usize>, clock: &mut Clock<'_>) -> Result<()> {
        while !later.is_empty() {
            let ready: BTreeSet<usize> = later
                .iter()
                .copied()
                .filter(|&at| self.packages.needed(at, "Pre-Depends").is_disjoint(&later))
                .collect();
            // A cycle of Pre-Depends, which policy forbids: one of them has to begin.
            let round = if ready.is_empty() {
                later.first().copied().into_iter().collect()
            } else {
                ready
            };
            let needed = round
                .iter()
                .flat_map(|&at| self.packages.needed(at, "Pre-Depends"));
            let needed = self.packages.closure(needed.collect::<BTreeSet<_>>());
            let needed: BTreeSet<usize> = needed
                .difference(&self.configured)
                .copied()
                .filter(|at| self.unpacked.contains(at))
                .collect();
            if !needed.is_empty() {
                clock.stage("configuring what others pre-depend on");
                self.configure(&needed, true)?;
            }
            clock.stage("unpacking after preinsts");
            for index in self.preinst_order(&round) {
                self.scripts.preinst(&self.packages.all[index])?;
            }
            self.unpack(&round, false)?;
            later = later.difference(&round).copied().collect();
        }
        Ok(())
    }

    fn configure(&mut self, which: &BTreeSet<usize>, force: bool) -> Result<()> {
        let packages: Vec<&Package> = which.iter().map(|&at| &self.packages.all[at]).collect();
        self.scripts.configure(&packages, force)?;
        self.configured.extend(which);
        Ok(())
    }

    /// Unpacks packages, all at the same time, and enters them into the database.
    fn unpack(&mut self, which: &BTreeSet<usize>, fresh: bool) -> Result<()> {
        self.stage += 1;
        let diversions = Diversions::read(self.root)?;
        if !diversions.is_empty() {
            self.follow(&diversions);
        }
        let unpacker = Unpacker {
            root: self.root,
            claims: &self.claims,
            excludes: &self.excludes,
            diversions: &diversions,
            overrides: &Overrides::read(self.root)?,
            stage: self.stage,
            fresh,
        };
        let all = &self.packages.all;
        let done = at_once(which, all, |index| {
            let package = &all[index];
            let unpacked = unpacker.package(index, package, None)?;
            database::write_info(self.root, package, &unpacked)
                .map_err(|error| error.context(unpacking(package)))?;
            (self.progress)(Progress::Unpacked {
                package: &package.name,
                bytes: package.deb.size(),
            });
            Ok(unpacked)
        })?;
        for (index, paths) in self.claims.take_later() {
            unpacker.package(index, &all[index], Some(&paths.into_iter().collect()))?;
        }
        for (index, lost) in self.claims.take_lost() {
            database::unlist(self.root, &all[index], &lost)?;
        }
        triggers::declare(self.root, which.iter().map(|&at| &all[at]))?;
        let mut stanzas = String::new();
        for (&index, unpacked) in &done {
            stanzas.push_str(&database::stanza(&all[index], unpacked));
            if !fresh {
                triggers::activate(self.root, &unpacked.placed)?;
            }
        }
        database::add_status(self.root, &stanzas)?;
        self.unpacked.extend(which);
        Ok(())
    }

    /// Lets the claims follow files that scripts have diverted.
    fn follow(&self, diversions: &Diversions) {
        let final_path = |listed: &[u8]| {
            let (folder, name) = split(listed);
            Some(self.root.directory(folder).ok()?.path.join(name))
        };
        let exists =
            |path: &crate::tree::TreePath| matches!(self.root.stat(path.as_bytes()), Ok(Some(_)));
        self.claims.follow(diversions, final_path, exists);
    }

    /// Who brought what.
    pub fn into_owned(self) -> Result<Owned> {
        self.follow(&Diversions::read(self.root)?);
        Ok(self.claims.into_owned())
    }
}

/// Does `work` for each package, on all cores, the largest first so that none
/// is left alone at the end. Of several failures the first by name is returned.
fn at_once(
    which: &BTreeSet<usize>,
    packages: &[Package],
    work: impl Fn(usize) -> Result<Unpacked> + Sync,
) -> Result<BTreeMap<usize, Unpacked>> {
    let mut order: Vec<usize> = which.iter().copied().collect();
    order.sort_by_key(|&at| std::cmp::Reverse(packages[at].deb.size()));
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let results = Mutex::new(BTreeMap::new());
    rayon::scope(|scope| {
        for _ in 0..rayon::current_num_threads().min(order.len()) {
            scope.spawn(|_| {
                while let Some(&index) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if failed.load(Ordering::Relaxed) {
                        return;
                    }
                    let result = work(index);
                    failed.fetch_or(result.is_err(), Ordering::Relaxed);
                    let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                    results.insert(index, result);
                }
            });
        }
    });
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results
        .into_iter()
        .map(|(index, result)| Ok((index, result?)))
        .collect()
}

#[cfg(test)]
#[path = "assembly_tests.rs"]
mod tests;
