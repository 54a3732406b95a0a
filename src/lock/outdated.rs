//! What archives, the table of releases and registries have newer than a lock.

use super::{LOCAL, Pinned, images};
use crate::error::Result;
use crate::profile::Profile;
use crate::source::debian::choice::index::Universe;
use crate::source::oci::Images;
use crate::source::release::{Builtin, Origin, Releases};

/// A package, release or image of which there is a newer version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Newer {
    /// False for versions of a security suite, so that these sort first.
    pub ordinary: bool,
    /// The package's or release's name, or the image's reference.
    pub name: String,
    /// The version in the lock; of an image, the digest.
    pub locked: String,
    /// The version that would be chosen now.
    pub newest: String,
    /// The suite that has it, or [`RELEASES`], or [`IMAGES`].
    pub suite: String,
}

/// Where newer releases are.
pub const RELEASES: &str = "releases";
/// Where newer images are.
pub const IMAGES: &str = "images";

/// Every locked package whose candidate in `universe` is another version,
/// those of security suites first, then by name.
#[must_use]
pub fn outdated(pinned: &Pinned, universe: &Universe) -> Vec<Newer> {
    let mut found: Vec<Newer> = pinned
        .package
        .iter()
        .filter(|package| package.archive != LOCAL)
        .filter_map(|package| {
            let candidate = universe.candidate(&package.name)?;
            let suite = &candidate.origin().suite;
            (candidate.version() != package.version).then(|| Newer {
                ordinary: !suite.ends_with("-security"),
                name: package.name.clone(),
                locked: package.version.clone(),
                newest: candidate.version().to_owned(),
                suite: suite.clone(),
            })
        })
        .collect();
    found.sort();
    found
}

/// Every locked release of whose line the table has a newer one, by name; and the
/// built-in crictl, where another version of it is at hand.
///
/// # Errors
/// When the table has no such program.
pub fn outdated_releases(
    pinned: &Pinned,
    releases: &Releases,
    builtin: &Builtin,
) -> Result<Vec<Newer>> {
    let mut found = Vec::new();
    for component in &pinned.component {
        let row = releases.row(&component.name)?;
        let newest = match component.source {
            Origin::Builtin => Some(builtin.version).filter(|one| *one != component.version),
            Origin::Release | Origin::Local => row.newer(&component.version),
        };
        if let Some(newest) = newest {
            found.push(Newer {
                ordinary: true,
                name: component.name.clone(),
                locked: component.version.clone(),
                newest: newest.to_owned(),
                suite: RELEASES.to_owned(),
            });
        }
    }
    Ok(found)
}

/// Every locked image whose name leads to another one now.
///
/// # Errors
/// When a registry cannot be asked, or a layout or archive cannot be read.
pub fn outdated_images(
    provider: &Images<'_>,
    profile: &Profile,
    architecture: &str,
    pinned: &Pinned,
) -> Result<Vec<Newer>> {
    let moved = images::moved(provider, profile, architecture, pinned)?;
    let newer = moved.into_iter().map(|[name, locked, newest]| Newer {
        ordinary: true,
        name,
        locked,
        newest,
        suite: IMAGES.to_owned(),
    });
    Ok(newer.collect())
}
