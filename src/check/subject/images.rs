//! The names of container images in an archive: those of `docker save`
//! (manifest.json) and of an OCI layout (index.json).

use std::collections::BTreeSet;
use std::io::Read;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::image::source::reading;
use crate::layer::compress::decompress;
use crate::layer::untar;
use crate::tree::Node;

/// The longest list of names that is read, in bytes.
const LONGEST: u64 = 4 << 20;
const MOST_MEMBERS: usize = 100_000;

/// The annotations in which a layout has an image's full name.
const NAMES: [&str; 2] = [
    "io.containerd.image.name",
    "org.opencontainers.image.ref.name",
];

#[derive(Deserialize)]
struct Saved {
    #[serde(rename = "RepoTags", default)]
    tags: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Manifest>,
}

#[derive(Deserialize)]
struct Manifest {
    digest: Option<String>,
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
}

/// Whether a path is where archives of images are kept for a node to load.
pub(super) fn is_archive(path: &[u8]) -> bool {
    let archive = [".tar", ".tar.gz", ".tgz", ".tar.zst"];
    let archive = archive.iter().any(|end| path.ends_with(end.as_bytes()));
    archive && memchr::memmem::find(path, b"images/").is_some()
}

/// A name in an archive, and what it leads to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ImageName {
    /// The full name.
    pub name: String,
    /// The digest, in layouts.
    pub digest: Option<String>,
}

/// Full names of the images, sorted.
pub(super) fn names(reader: &mut (dyn Read + Send)) -> Result<Vec<ImageName>, String> {
    members(reader).map_err(|error| error.message())
}

fn members(reader: &mut (dyn Read + Send)) -> Result<Vec<ImageName>> {
    let plain = decompress(reader).map_err(|error| reading(&error))?;
    let mut tar = untar::Reader::new(plain, Digest::of(b""));
    let mut found = BTreeSet::new();
    let mut is_images = false;
    let mut members = 0;
    while let Some((name, entry)) = tar.advance()? {
        members += 1;
        let Node::File { size, .. } = entry.node else {
            continue;
        };
        if members > MOST_MEMBERS {
            return Err(Error::new(Kind::Verify, "it has too many members"));
        }
        let listed: &[u8] = name.as_bytes();
        if size > LONGEST || !matches!(listed, b"manifest.json" | b"index.json") {
            continue;
        }
        is_images = true;
        let mut bytes = Vec::new();
        tar.read_to_end(&mut bytes)
            .map_err(|error| reading(&error))?;
        if listed == b"manifest.json" {
            let saved: Vec<Saved> = json(&bytes)?;
            let tags = saved.into_iter().filter_map(|one| one.tags).flatten();
            found.extend(tags.map(|name| ImageName { name, digest: None }));
        } else {
            let index: Index = json(&bytes)?;
            for manifest in index.manifests {
                let full = NAMES.iter().find_map(|key| manifest.annotations.get(*key));
                let full = full.filter(|name| name.contains('/')).cloned();
                let digest = manifest.digest;
                found.extend(full.map(|name| ImageName { name, digest }));
            }
        }
    }
    match is_images {
        true => Ok(found.into_iter().collect()),
        false => Err(Error::new(
            Kind::Verify,
            "it is not an archive of container images",
        )),
    }
}

fn json<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes)
        .map_err(|error| Error::new(Kind::Verify, format!("its list of images: {error}")))
}
