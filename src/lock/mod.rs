//! The lock: a TOML file beside the profile that pins every input by digest, by architecture.
//!
//! A build reads nothing that the lock does not name. The lock also holds a
//! digest of just those profile fields that chose the inputs (the *selection*),
//! so that editing configuration never needs a new lock. No mirror's address is
//! in it: archives are named by id, and where they are is the builder's affair.
//! The format is described in `docs/formats/lock.md`.

mod base;
mod change;
mod components;
mod files;
mod images;
mod nix;
mod outdated;
mod resolve;

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::{Context, Error, Kind, Place, Result};
use crate::layer::FORMAT;
use crate::store;

pub use crate::source::oci::PinnedImage;
pub use crate::source::release::Component;
pub use base::{named_base, pin_base, pinned_base};
pub use change::{Change, changes};
pub use files::{local_files, verify_files};
pub use images::{named_images, pin_images, pinned_images};
pub use nix::{PinnedClosure, PinnedPath, closures, renewed};
pub use outdated::{Newer, outdated, outdated_images, outdated_releases};
pub use resolve::{Keep, Resolver, selection};

/// Everything that a profile's builds read, by architecture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Lock {
    /// The format number of the program that made it.
    pub format: u32,
    /// The profile's name.
    pub profile: String,
    /// The pinned inputs of each architecture, by Debian's name for it.
    pub architecture: BTreeMap<String, Pinned>,
}

/// The pinned inputs of one architecture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Pinned {
    /// Digest of the profile's fields that chose the inputs.
    pub selection: Digest,
    /// Seconds since the epoch: the newest `Date` among the releases.
    pub source_date_epoch: i64,
    /// The signed releases that the packages were chosen from.
    #[serde(default)]
    pub release: Vec<Release>,
    /// Somebody else's image, where the root is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<PinnedBase>,
    /// Every package, sorted by name.
    #[serde(default)]
    pub package: Vec<Package>,
    /// Every release that the profile takes, sorted by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub component: Vec<Component>,
    /// Every closure that the profile takes, in its order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nix: Vec<PinnedClosure>,
    /// Every image that the profile has its node carry, sorted by reference.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub image: Vec<PinnedImage>,
    /// Every local file that the profile names, sorted by path.
    #[serde(default)]
    pub file: Vec<PinnedFile>,
}

impl Pinned {
    /// The version of a package of the root, by its name.
    #[must_use]
    pub fn version_of(&self, name: &str) -> Option<&str> {
        let mut packages = self.package.iter();
        if let Some(package) = packages.find(|package| package.name == name) {
            return Some(&package.version);
        }
        let base = self.base.as_ref()?;
        base.packages.get(name).map(String::as_str)
    }
}

/// A signed release of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Release {
    /// The archive's id: `debian`, `debian-security`, or a repository's name.
    pub archive: String,
    /// The suite, as asked for.
    pub suite: String,
    /// When it was made, in RFC 3339 form.
    pub date: String,
    /// Digest of its `InRelease` file.
    pub digest: Digest,
    /// Set when it was past its `Valid-Until` and that was accepted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub valid_until_ignored: bool,
}

/// Somebody else's image that is the root, and what it says it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PinnedBase {
    /// The system's name for people, of its os-release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    /// How many layers it has.
    pub layers: usize,
    /// The image.
    pub image: PinnedImage,
    /// Name to version of its packages, as its databases have them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub packages: BTreeMap<String, String>,
}

/// A Debian package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its own architecture, `all` included.
    pub architecture: String,
    /// The archive's id, or `local` for a file that the profile names.
    pub archive: String,
    /// Path in the archive, or as the profile wrote it.
    pub path: String,
    /// Size of the `.deb` in bytes.
    pub size: u64,
    /// Digest of the `.deb`.
    pub digest: Digest,
}

/// The archive id of `.deb` files that the profile names.
pub const LOCAL: &str = "local";

/// A local file that the profile names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PinnedFile {
    /// The path as the profile wrote it.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// Digest of its content.
    pub digest: Digest,
}

const HEADER: &str = "\
# Written by `nodelith lock`: every input of this profile's builds, by digest.
# Keep it under version control; renew it with `nodelith lock --update`.

";

impl Lock {
    /// An empty lock for a profile.
    #[must_use]
    pub fn new(profile: &str) -> Self {
        Self {
            format: FORMAT,
            profile: profile.to_owned(),
            architecture: BTreeMap::new(),
        }
    }

    /// Reads a lock; none when there is no such file.
    ///
    /// # Errors
    /// [`Kind::Usage`] when it is not a lock, with the place; [`Kind::Resolve`]
    /// when a newer program made it.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("reading", path, error)),
        };
        // What a newer program writes need not be understood to be told apart.
        #[derive(Deserialize)]
        struct Made {
            format: u32,
        }
        if let Ok(Made { format }) = toml::from_str(&text)
            && format > FORMAT
        {
            return Err(Error::new(
                Kind::Resolve,
                format!(
                    "`{}` has format {format}, and this nodelith knows {FORMAT}",
                    path.display()
                ),
            )
            .hint("use a newer nodelith, or remove the file, and the next build makes a new one"));
        }
        let lock: Self = toml::from_str(&text).map_err(|error| {
            let place = Place {
                file: path.to_owned(),
                span: error.span().unwrap_or(0..0),
                text: text.clone(),
            };
            Error::new(
                Kind::Usage,
                format!("reading the lock: {}", error.message()),
            )
            .at(place)
            .hint("take it from version control again, or remove it, and the next build makes a new one")
        })?;
        Ok(Some(lock))
    }

    /// Writes the lock in one step.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let body = toml::to_string(self).io("writing", path)?;
        store::write_atomic(path, format!("{HEADER}{body}").as_bytes())
    }
}

/// Where a profile's lock is unless said otherwise: `NAME.lock.toml` beside it.
#[must_use]
pub fn default_path(profile: &Path) -> PathBuf {
    profile.with_extension("lock.toml")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::release::Origin;

    #[test]
    fn a_lock_survives_writing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.lock.toml");
        assert_eq!(Lock::read(&path).unwrap(), None);
        let mut lock = Lock::new("node");
        let pinned = Pinned {
            selection: Digest::of(b"selection"),
            source_date_epoch: 1_700_000_000,
            release: vec![Release {
                archive: "debian".into(),
                suite: "trixie".into(),
                date: "2026-01-01T00:00:00Z".into(),
                digest: Digest::of(b"InRelease"),
                valid_until_ignored: false,
            }],
            base: None,
            package: vec![Package {
                name: "base-files".into(),
                version: "13.8".into(),
                architecture: "amd64".into(),
                archive: "debian".into(),
                path: "pool/main/b/base-files/base-files_13.8_amd64.deb".into(),
                size: 1,
                digest: Digest::of(b"deb"),
            }],
            component: vec![Component {
                name: "kubelet".into(),
                version: "1.36.4".into(),
                source: Origin::Release,
                digest: Digest::of(b"kubelet"),
                size: None,
            }],
            nix: Vec::new(),
            image: vec![PinnedImage {
                reference: "registry.example/app:1".into(),
                source: Some("oci-archive:app.tar".into()),
                digest: Digest::of(b"index"),
                manifest: Digest::of(b"manifest"),
                size: 1,
            }],
            file: Vec::new(),
        };
        lock.architecture.insert("amd64".into(), pinned);
        lock.write(&path).unwrap();
        assert_eq!(Lock::read(&path).unwrap(), Some(lock));
    }

    #[test]
    fn a_lock_of_before_there_were_components_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.lock.toml");
        let text = format!(
            "format = 1\nprofile = \"node\"\n[architecture.amd64]\nselection = \"{}\"\nsource-date-epoch = 1\n",
            Digest::of(b"")
        );
        fs::write(&path, text).unwrap();
        let lock = Lock::read(&path).unwrap().unwrap();
        assert!(lock.architecture["amd64"].component.is_empty());
        // Written again it is as before.
        lock.write(&path).unwrap();
        assert!(!fs::read_to_string(&path).unwrap().contains("component"));
    }

    #[test]
    fn a_broken_lock_is_told_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.lock.toml");
        fs::write(&path, "format = 1\nprofile = 3\n").unwrap();
        let error = Lock::read(&path).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        assert_eq!(error.place().unwrap().line_column(), (2, 11));
    }

    #[test]
    fn a_newer_format_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.lock.toml");
        let mut lock = Lock::new("node");
        lock.format = FORMAT + 1;
        lock.write(&path).unwrap();
        assert_eq!(Lock::read(&path).unwrap_err().kind(), Kind::Resolve);
    }
}
