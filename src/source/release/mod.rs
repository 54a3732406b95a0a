//! Programs of a node that are no Debian packages.
//!
//! A **release** is what a project publishes of one version of a program, for one
//! architecture: a program by itself, or an archive of some. Where it is
//! published, its digest, and where its programs belong in a node stand in a table
//! (`releases.toml`, [`Releases`]), which a file of the user's own can extend.
//! crictl can also be *built in*: Nodelith's own small client, which is installed
//! beside the running program.
//!
//! A **component** is a release as the lock pins it. Its bytes come from the store,
//! a local file, the vendor folder or its publisher; whichever it was, the digest
//! decides. What it puts into a node are its [`File`]s.

mod builtin;
mod checksum;
pub mod elf;
mod local;
mod provide;
mod table;
mod unpack;

pub use builtin::Builtin;
pub use local::LocalReleases;
pub use provide::{Component, Origin, Provider, VENDORED};
pub use table::{Choice, Releases, is_line};
pub use unpack::{File, files, known_files};

/// crictl's name in the table.
pub const CRICTL: &str = "crictl";
