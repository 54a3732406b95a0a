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

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rayon::prelude::*;
use rustix::fs::{Gid, Mode, Uid};
use serde::{Deserialize, Serialize};

use super::assembly::Assembly;
use super::configure::Scripts;
use super::database;
use super::exclude::Excludes;
use super::incoming::{Package, Packages};
use super::ownership::Owned;
use super::rootdir::RootDir;
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
    let scripts = Scripts {
        root: &root,
        runner,
        dpkg_version: dpkg.map(|dpkg| dpkg.version.clone()).unwrap_or_default(),
    };
    let excludes = Excludes::new(&request.excludes);
    let mut assembly = Assembly::new(&root, &packages, excludes, progress, scripts);
    assembly.run(&request.architecture, &mut clock)?;
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
pub(super) struct Clock<'a> {
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

    pub fn stage(&mut self, name: &str) {
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
