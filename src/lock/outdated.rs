//! What the archives have newer than a lock.

use super::{LOCAL, Pinned};
use crate::source::debian::choice::index::Universe;

/// A package of which there is a newer version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Newer {
    /// False for versions of a security suite, so that these sort first.
    pub ordinary: bool,
    /// The package's name.
    pub name: String,
    /// The version in the lock.
    pub locked: String,
    /// The version that would be chosen now.
    pub newest: String,
    /// Where that is: archive and suite.
    pub suite: String,
}

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
