//! Assembling a root: from `.deb` files to an unpacked and configured directory.
//!
//! The order is that of dpkg where a package could notice, and parallel where
//! none can:
//!
//! 1. `base-files` alone, since it may bring the links of the merged `/usr`;
//! 2. all packages without a preinst, and the essential ones with all that they
//!    need, at the same time; then the preinsts of the latter (their files are
//!    there already, as in the first stage of debootstrap and mmdebstrap, for
//!    there is no shell before);
//! 3. `dpkg --configure` of the essential ones, and of what others pre-depend on;
//! 4. the other packages that have a preinst, in rounds: a round holds those
//!    whose Pre-Depends have been configured; first all their preinsts, then
//!    all of them unpacked at the same time;
//! 5. `dpkg --configure --pending`, and a look at what dpkg thinks of the result.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rayon::prelude::*;
use rustix::fs::{Gid, Mode, Uid};
use serde::{Deserialize, Serialize};

use super::claims::Claims;
use super::configure::Scripts;
use super::database;
use super::diversion::{Diversions, Overrides};
use super::exclude::Excludes;
use super::ownership::Owned;
use super::incoming::{Package, Packages};
use super::rootdir::{RootDir, split};
use super::triggers;
use super::unpack::{Unpacked, Unpacker};
use super::usrmerge;
use crate::error::{Context, Error, Kind, Result};

/// Runs programs inside the root (chroot), without network.
pub trait Runner {
    /// Runs `argv` inside the root with exactly this environment, `/` as working
    /// directory and umask 022, and waits for its end.
    ///
    /// # Errors
    /// A failing status is a [`Kind::Sandbox`](crate::error::Kind::Sandbox) error
    /// whose message holds the end of the program's output.
    fn run(&mut self, argv: &[&str], env: &[(&str, &str)], stdin: Option<&[u8]>) -> Result<()>;
}

/// What to assemble, and where.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Assemble {
    /// An existing, empty directory that becomes the root.
    pub root: PathBuf,
    /// The root's native architecture, as Debian names it (`amd64`).
    pub architecture: String,
    /// Further architectures that packages may have.
    #[serde(default)]
    pub foreign_architectures: Vec<String>,
    /// The `.deb` files, in any order; their digests have been verified.
    pub packages: Vec<PathBuf>,
    /// Paths not to unpack, as patterns with the meaning of dpkg's `path-exclude`
    /// (`*` also matches `/`); copyright files are kept whatever the patterns say.
    #[serde(default)]
    pub excludes: Vec<String>,
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Assembled {
    /// Which package each path came from. Generated paths are not in it, nor
    /// paths that were listed but not unpacked.
    pub owned: Owned,
    /// The installed packages, sorted by name and architecture.
    pub packages: Vec<Installed>,
    /// How long each stage took, in the order in which they ran. For people; it
    /// must not reach any output that is hashed.
    pub timings: Vec<(String, Duration)>,
}

/// An installed package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    /// The binary package's name.
    pub name: String,
    /// Its architecture, `all` included.
    pub architecture: String,
    /// Its version.
    pub version: String,
    /// The source package's name.
    pub source: String,
    /// The source package's version.
    pub source_version: String,
}

/// What is going on, told while it goes on, from any thread.
#[derive(Debug, Clone, Copy)]
pub enum Progress<'a> {
    /// A stage begins ("configuring essential packages").
    Stage(&'a str),
    /// A package has been unpacked.
    Unpacked {
        /// The package's name.
        package: &'a str,
        /// The size of its `.deb` in bytes.
        bytes: u64,
    },
}

/// Unpacks and configures packages into an empty root.
///
/// # Errors
/// When a `.deb` is malformed, packages do not go together, or a script fails.
pub fn assemble(
    request: &Assemble,
    runner: &mut dyn Runner,
    progress: &(dyn Fn(Progress<'_>) + Sync),
) -> Result<Assembled> {
    let mut clock = Clock::new(progress);
    clock.stage("reading packages");
    let packages = request.packages.par_iter().map(|path| Package::read(path));
    let packages = Packages::new(packages.collect::<Result<_>>()?)?;
    check(request, &packages)?;
    let root = RootDir::open(&request.root)?;
    rustix::fs::chmod(&request.root, Mode::from_raw_mode(0o755))
        .and_then(|()| {
            rustix::fs::chown(
                &request.root,
                Some(Uid::from_raw(0)),
                Some(Gid::from_raw(0)),
            )
        })
        .io("preparing", &request.root)?;
    database::initialize(&root, &request.architecture, &request.foreign_architectures)?;
    let dpkg = packages.all.iter().find(|package| &*package.name == "dpkg");
    let mut assembly = Assembly {
        root: &root,
        packages: &packages,
        claims: Claims::new(&packages.all),
        excludes: Excludes::new(&request.excludes),
        progress,
        stage: 0,
        unpacked: BTreeSet::new(),
        configured: BTreeSet::new(),
        scripts: Scripts {
            root: &root,
            runner,
            dpkg_version: dpkg.map(|dpkg| dpkg.version.clone()).unwrap_or_default(),
        },
    };
    assembly.run(request, &mut clock)?;
    let installed = packages.all.iter().map(Installed::of).collect();
    Ok(Assembled {
        owned: assembly.into_owned()?,
        packages: installed,
        timings: clock.finish(),
    })
}

fn check(request: &Assemble, packages: &Packages) -> Result<()> {
    for package in &packages.all {
        let own = &package.architecture;
        if own != "all"
            && *own != request.architecture
            && !request.foreign_architectures.contains(own)
        {
            return Err(Error::new(
                Kind::Resolve,
                format!(
                    "package `{}` is for `{own}`, and the root for `{}`",
                    package.name, request.architecture
                ),
            ));
        }
    }
    for needed in ["base-files", "dpkg"] {
        if !packages.all.iter().any(|package| &*package.name == needed) {
            let message = format!("package `{needed}` is missing, without which there is no root");
            return Err(Error::new(Kind::Resolve, message)
                .hint("the packages must hold all essential ones"));
        }
    }
    Ok(())
}

/// A root being assembled.
struct Assembly<'a> {
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

impl Assembly<'_> {
    fn run(&mut self, request: &Assemble, clock: &mut Clock<'_>) -> Result<()> {
        let all = &self.packages.all;
        let every = || 0..all.len();
        clock.stage("unpacking");
        let first: BTreeSet<usize> = every()
            .filter(|&at| &*all[at].name == "base-files")
            .collect();
        for &index in &first {
            usrmerge::prepare(self.root, &all[index], &request.architecture)?;
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
            database::write_info(self.root, package, &unpacked)?;
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

    fn into_owned(self) -> Result<Owned> {
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
                    let mut results = results.lock().unwrap_or_else(|poison| poison.into_inner());
                    results.insert(index, result);
                }
            });
        }
    });
    let results = results
        .into_inner()
        .unwrap_or_else(|poison| poison.into_inner());
    results
        .into_iter()
        .map(|(index, result)| Ok((index, result?)))
        .collect()
}

impl Installed {
    fn of(package: &Package) -> Self {
        Self {
            name: package.name.to_string(),
            architecture: package.architecture.clone(),
            version: package.version.clone(),
            source: package.source.to_string(),
            source_version: package.source_version.clone(),
        }
    }
}

/// Tells of stages and measures them.
struct Clock<'a> {
    progress: &'a (dyn Fn(Progress<'_>) + Sync),
    timings: Vec<(String, Duration)>,
    begun: Instant,
}

impl<'a> Clock<'a> {
    fn new(progress: &'a (dyn Fn(Progress<'_>) + Sync)) -> Self {
        let (timings, begun) = (Vec::new(), Instant::now());
        Self {
            progress,
            timings,
            begun,
        }
    }

    fn stage(&mut self, name: &str) {
        self.stop();
        self.timings.push((name.to_owned(), Duration::ZERO));
        (self.progress)(Progress::Stage(name));
    }

    fn stop(&mut self) {
        if let Some((_, elapsed)) = self.timings.last_mut() {
            *elapsed = self.begun.elapsed();
        }
        self.begun = Instant::now();
    }

    fn finish(mut self) -> Vec<(String, Duration)> {
        self.stop();
        self.timings
    }
}
