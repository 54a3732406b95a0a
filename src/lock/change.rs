//! What differs between two locks of the same architecture.

use std::collections::BTreeMap;

use super::Pinned;

/// One package or file that is not the same in both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Name of the package, or path of the file.
    pub name: String,
    /// Version before (for files: the digest); none when it is new.
    pub before: Option<String>,
    /// Version after; none when it is gone.
    pub after: Option<String>,
}

/// The changes from `before` to `after`, sorted by name, packages first.
#[must_use]
pub fn changes(before: Option<&Pinned>, after: &Pinned) -> Vec<Change> {
    let packages = compare(
        &before.map(package_versions).unwrap_or_default(),
        &package_versions(after),
    );
    let files = compare(
        &before.map(file_digests).unwrap_or_default(),
        &file_digests(after),
    );
    packages.into_iter().chain(files).collect()
}

fn package_versions(pinned: &Pinned) -> BTreeMap<String, String> {
    let packages = pinned.package.iter();
    packages
        .map(|package| (package.name.clone(), package.version.clone()))
        .collect()
}

fn file_digests(pinned: &Pinned) -> BTreeMap<String, String> {
    pinned
        .file
        .iter()
        .map(|file| (file.path.clone(), file.digest.to_string()))
        .collect()
}

fn compare(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<Change> {
    let mut names: Vec<_> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    names
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name))
        .map(|name| Change {
            name: name.clone(),
            before: before.get(name).cloned(),
            after: after.get(name).cloned(),
        })
        .collect()
}
