//! What differs between two locks of the same architecture.

use std::collections::BTreeMap;

use super::{Pinned, nix};

/// One package, release, image or file that is not the same in both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Name of the package or release, reference of the image, or path of the file.
    pub name: String,
    /// Version before (for images and files the digest, as for releases of the same version);
    /// none when it is new.
    pub before: Option<String>,
    /// Version after; none when it is gone.
    pub after: Option<String>,
}

/// The changes from `before` to `after`: packages, releases, closures, images, files, each
/// sorted by name.
#[must_use]
pub fn changes(before: Option<&Pinned>, after: &Pinned) -> Vec<Change> {
    let packages = compare(
        &before.map(package_versions).unwrap_or_default(),
        &package_versions(after),
    );
    let mut releases = compare(
        &before.map(release_versions).unwrap_or_default(),
        &release_versions(after),
    );
    for change in &mut releases {
        let versions = [&mut change.before, &mut change.after];
        let [before, after] = versions
            .each_ref()
            .map(|text| text.as_deref().and_then(version));
        // Of the same version only the digest tells them apart.
        if before != after {
            for text in versions {
                *text = text.as_deref().and_then(version).map(str::to_owned);
            }
        }
    }
    let closures = compare(
        &before
            .map(|before| nix::roots(&before.nix))
            .unwrap_or_default(),
        &nix::roots(&after.nix),
    );
    let files = compare(
        &before.map(file_digests).unwrap_or_default(),
        &file_digests(after),
    );
    let images = compare(
        &before.map(image_digests).unwrap_or_default(),
        &image_digests(after),
    );
    let packages = packages.into_iter().chain(releases);
    let packages = packages.chain(closures).chain(images);
    packages.chain(files).collect()
}

fn package_versions(pinned: &Pinned) -> BTreeMap<String, String> {
    let packages = pinned.package.iter();
    let packages = packages.map(|package| (&package.name, &package.version));
    let of_base = pinned.base.iter().flat_map(|base| &base.packages);
    packages
        .chain(of_base)
        .map(|(name, version)| (name.clone(), version.clone()))
        .collect()
}

/// Version and digest, by name.
fn release_versions(pinned: &Pinned) -> BTreeMap<String, String> {
    let components = pinned.component.iter();
    components
        .map(|one| (one.name.clone(), format!("{} {}", one.version, one.digest)))
        .collect()
}

fn version(text: &str) -> Option<&str> {
    text.split_whitespace().next()
}

fn image_digests(pinned: &Pinned) -> BTreeMap<String, String> {
    let base = pinned.base.iter().map(|base| &base.image);
    let images = pinned.image.iter().chain(base);
    images
        .map(|image| (image.reference.clone(), image.digest.to_string()))
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
