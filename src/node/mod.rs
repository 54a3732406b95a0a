//! What makes a tree a node: the profile's own entries.
//!
//! [`configure`] is pure but for reading the local files that a profile names.
//! From a profile and the few texts of the root that matter ([`RootFacts`]) it
//! makes entries of the component `configuration`: one small layer over all
//! others, which holds whatever a profile sets. An entry whose path the root
//! has too (`/etc/passwd`, `/usr/lib/os-release`, a unit's link) replaces it:
//! the root's layers are made again without that path, so that each path stands
//! in one layer.
//!
//! Where systemd reads a folder below /usr/lib as well as one below /etc, ours
//! goes below /usr/lib, which no kept state of a node can shadow.

mod base;
mod bootc;
mod certificates;
mod cni;
mod components;
mod containerd;
mod crictl;
mod der;
mod draft;
pub mod facts;
mod files;
mod identity;
mod images;
mod kubelet;
mod pairs;
mod programs;
mod proxy;
mod system;
mod units;
mod users;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};

use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::profile::Profile;
use crate::profile::value::LocalFile;
use crate::tree::{Content, Entry, Tree, TreePath};
pub use components::{Components, Program, ProgramFile};
use draft::Draft;
pub use facts::RootFacts;
pub use images::{imported, untagged};

/// The component of every entry that a profile makes.
pub const COMPONENT: &str = "configuration";

/// Where an image says what its profile set, as JSON: setting to value. The
/// build writes it last.
pub const SETTINGS_PATH: &str = "usr/share/nodelith/settings.json";

/// A profile's own part of the node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Configuration {
    /// Entries by path.
    pub entries: BTreeMap<TreePath, Entry>,
    /// Paths of the root that are not in the node.
    pub removed: BTreeSet<TreePath>,
    /// What was set, by name, for people who compare two images.
    pub settings: BTreeMap<String, String>,
    /// What the pause image in the node is made from, if it is a stand-in.
    pub stand_in: Option<String>,
    /// What a person should know, though the node can be made.
    pub warnings: BTreeSet<String>,
}

/// An image as an OCI archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// The archive's length in bytes.
    pub size: u64,
    /// Where its bytes are.
    pub content: Content,
    /// The digest that its references lead to: a manifest's, or an index's.
    pub manifest: Digest,
    /// What it is made from, if it only stands in for the image of that name.
    pub stand_in: Option<String>,
}

/// An image that a node carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// A short name, its archive's.
    pub name: String,
    /// The component that its archive is.
    pub component: String,
    /// The names that containerd shall know it by, one or more.
    pub references: Vec<String>,
    /// Its archive, without what it shares with others.
    pub archive: Archive,
    /// What it shares with others.
    pub shared: Vec<SharedPart>,
}

/// Blobs that several images have: what stands before the archive of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedPart {
    /// A short name.
    pub name: String,
    /// The component that it is.
    pub component: String,
    /// Its length in bytes.
    pub size: u64,
    /// Where its bytes are.
    pub content: Content,
}

/// Where the local files of a profile are read, and the images that its node carries.
pub trait LocalFiles {
    /// The file's length in bytes, and where its bytes are.
    ///
    /// # Errors
    /// When it cannot be read, or is not what the lock says.
    fn content(&self, file: &LocalFile) -> Result<(u64, Content)>;

    /// The bytes of a small file.
    ///
    /// # Errors
    /// When it cannot be read, or is not what the lock says.
    fn read(&self, file: &LocalFile) -> Result<Vec<u8>>;

    /// The archive of an image with this full reference that is made from the root.
    ///
    /// # Errors
    /// When there is none, or it cannot be made.
    fn archive(&self, reference: &str) -> Result<Archive>;

    /// The images that the profile names.
    fn images(&self) -> Vec<Carried> {
        Vec::new()
    }
}

/// Local files as they are on disk, held against nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct OnDisk;

/// More than any certificate bundle or unit has.
const LARGEST_TEXT: u64 = 16 << 20;

impl LocalFiles for OnDisk {
    fn content(&self, file: &LocalFile) -> Result<(u64, Content)> {
        let path = file.absolute();
        let metadata = std::fs::metadata(path).map_err(|error| unreadable(file, &error))?;
        if !metadata.is_file() {
            let message = format!("`{file}` is not a regular file");
            return Err(Error::new(Kind::Usage, message));
        }
        Ok((metadata.len(), Content::Disk(path.to_owned())))
    }

    fn read(&self, file: &LocalFile) -> Result<Vec<u8>> {
        let (size, _) = self.content(file)?;
        if size > LARGEST_TEXT {
            let message = format!("`{file}` is too large for what it is used for ({size} bytes)");
            return Err(Error::new(Kind::Usage, message));
        }
        std::fs::read(file.absolute()).map_err(|error| unreadable(file, &error))
    }

    fn archive(&self, reference: &str) -> Result<Archive> {
        let message = format!("there is no archive of the image `{reference}`");
        Err(Error::new(Kind::Resolve, message))
    }
}

fn unreadable(file: &LocalFile, error: &std::io::Error) -> Error {
    let result = Error::io("reading the local file", file.absolute(), error);
    match error.kind() {
        std::io::ErrorKind::NotFound => result.with_kind(Kind::Usage),
        _ => result,
    }
}

/// Whether the versions of `components` go together, as far as it can be told before
/// there is a root.
///
/// # Errors
/// As those of [`configure`].
pub fn check(profile: &Profile, components: &Components) -> Result<()> {
    let (tree, texts) = (Tree::default(), BTreeMap::new());
    let facts = RootFacts::new(&tree, &texts);
    pairs::check(&mut Draft::new(profile, &facts, &OnDisk), components)
}

/// Makes the profile's own part of the node on `architecture` (Debian's name), for
/// the versions that are in it.
///
/// # Errors
/// Of kind [`Kind::Usage`], with its place in the profile, where the profile and
/// the root do not go together: an unknown unit or group, a number that is
/// taken, a file that cannot be a certificate, versions that do not go together, a
/// setting that a version does not have.
pub fn configure(
    profile: &Profile,
    architecture: &str,
    components: &Components,
    facts: &RootFacts<'_>,
    local: &dyn LocalFiles,
) -> Result<Configuration> {
    let mut draft = Draft::new(profile, facts, local);
    draft.set("architecture", architecture);
    base::configure(&mut draft)?;
    system::configure(&mut draft);
    let accounts = users::configure(&mut draft)?;
    certificates::configure(&mut draft)?;
    proxy::configure(&mut draft)?;
    pairs::check(&mut draft, components)?;
    programs::configure(&mut draft, components);
    containerd::configure(&mut draft, components)?;
    cni::configure(&mut draft, components)?;
    crictl::configure(&mut draft, components)?;
    kubelet::configure(&mut draft, components)?;
    identity::configure(&mut draft, components)?;
    images::configure(&mut draft, components)?;
    files::configure(&mut draft, &accounts)?;
    // What the root and the profile do not bring.
    containerd::hosts(&mut draft, components);
    // Last: units may have been given as files.
    units::configure(&mut draft)?;
    bootc::configure(&mut draft);
    Ok(draft.finish())
}

#[cfg(test)]
mod tests;
