//! Assembling a root: from `.deb` files to an unpacked and configured directory.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ownership::Owned;
use crate::error::Result;

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
