//! What the archives and the table of releases have newer than a lock.

use super::{LOCAL, Pinned};
use crate::error::Result;
use crate::source::debian::choice::index::Universe;
use crate::source::release::{Builtin, Origin, Releases};

/// A package or release of which there is a newer version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Newer {
    /// False for versions of a security suite, so that these sort first.
    pub ordinary: bool,
    /// The package's or release's name.
    pub name: String,
    /// The version in the lock.
    pub locked: String,
    /// The version that would be chosen now.
    pub newest: String,
    /// The suite that has it, or [`RELEASES`].
    pub suite: String,
}

/// Where newer releases are.
pub const RELEASES: &str = "releases";

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
