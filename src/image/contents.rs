//! An image as something to hand on whole, to a registry or from one: its
//! *documents* (indexes and manifests) and the blobs that they name, without
//! asking what is in them.
//!
//! Input may be hostile, so an index may nest only so deep, and name only so much.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::manifest::{Descriptor, Platform};
use super::read::{entries, invalid, json, locate, pick};
use super::source::{Blob, Source, Verified, reading};
use super::{is_index, is_manifest};
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::store::Store;

/// Indexes within indexes that are followed.
pub(super) const MOST_NESTED: u8 = 4;
/// Manifests and indexes of one image.
const MOST_DOCUMENTS: usize = 256;
/// Blobs of one image, all its architectures together.
const MOST_BLOBS: usize = 8192;
/// The greatest index or manifest, in bytes: what registries take at least (OCI
/// distribution specification, "Pushing Manifests").
pub const MOST_BYTES: u64 = 4 << 20;

/// An index or a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// What names it.
    pub descriptor: Descriptor,
    /// Its bytes, which are what the descriptor says.
    pub bytes: Vec<u8>,
}

/// What a document names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    /// Further documents.
    pub documents: Vec<Descriptor>,
    /// Configuration and layers.
    pub blobs: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Either {
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

/// What a document names, by its media type.
///
/// # Errors
/// When it is of no kind that is known, or cannot be read.
pub fn named(media_type: &str, bytes: &[u8]) -> Result<Named> {
    if media_type.starts_with("application/vnd.docker.distribution.manifest.v1") {
        return Err(invalid(
            "it is in docker's first format (schema 1), which no registry should serve any more",
        )
        .hint("pull it with an old docker and push it again with a current one"));
    }
    if !is_manifest(media_type) && !is_index(media_type) {
        let shown = media_type.escape_debug();
        return Err(invalid(&format!(
            "`{shown}` is neither an image nor an index"
        )));
    }
    let document: Either = json(bytes, "a manifest")?;
    if is_index(media_type) {
        return Ok(Named {
            documents: document.manifests,
            blobs: Vec::new(),
        });
    }
    let Some(config) = document.config else {
        return Err(invalid("a manifest has no configuration"));
    };
    Ok(Named {
        documents: Vec::new(),
        blobs: [vec![config], document.layers].concat(),
    })
}

/// Documents and blobs being found, each once, from the top down.
#[derive(Debug, Default)]
pub struct Walk {
    /// Documents that are still to be had, with their depth.
    open: Vec<(Descriptor, u8)>,
    seen: BTreeSet<Digest>,
    /// In the order in which they came, with those that each names.
    documents: Vec<(Document, Vec<Digest>)>,
    blobs: Vec<Descriptor>,
}

impl Walk {
    /// Begins at what an image is named by.
    #[must_use]
    pub fn new(top: Descriptor) -> Self {
        Self {
            seen: BTreeSet::from([top.digest]),
            open: vec![(top, 0)],
            ..Self::default()
        }
    }

    /// The next document to be had.
    #[must_use]
    pub fn next(&self) -> Option<&Descriptor> {
        self.open.last().map(|(descriptor, _)| descriptor)
    }

    /// Takes the document that [`next`](Self::next) named, already verified.
    ///
    /// # Errors
    /// When it cannot be read, or all of it is more than an image can reasonably be.
    pub fn take(&mut self, bytes: Vec<u8>) -> Result<()> {
        let Some((descriptor, depth)) = self.open.pop() else {
            return Ok(());
        };
        let named = named(&descriptor.media_type, &bytes)?;
        let below = named.documents.iter().map(|below| below.digest).collect();
        self.documents.push((Document { descriptor, bytes }, below));
        if !named.documents.is_empty() && depth >= MOST_NESTED {
            return Err(invalid("its indexes are nested too deep"));
        }
        for document in named.documents {
            if self.seen.insert(document.digest) {
                self.open.push((document, depth + 1));
            }
        }
        for blob in named.blobs {
            if self.seen.insert(blob.digest) {
                self.blobs.push(blob);
            }
        }
        if self.open.len() + self.documents.len() > MOST_DOCUMENTS {
            return Err(invalid(&format!(
                "it names more than {MOST_DOCUMENTS} manifests"
            )));
        }
        if self.blobs.len() > MOST_BLOBS {
            return Err(invalid(&format!("it names more than {MOST_BLOBS} blobs")));
        }
        Ok(())
    }

    /// Documents, those named by others first, and blobs.
    #[must_use]
    pub fn finish(self) -> (Vec<Document>, Vec<Descriptor>) {
        let top = self
            .documents
            .first()
            .map(|(document, _)| document.descriptor.digest);
        let mut open: BTreeMap<Digest, (Document, Vec<Digest>)> = self
            .documents
            .into_iter()
            .map(|(document, below)| (document.descriptor.digest, (document, below)))
            .collect();
        let mut ordered = Vec::new();
        if let Some(top) = top {
            after_those_below(&top, &mut open, &mut ordered);
        }
        (ordered, self.blobs)
    }
}

fn after_those_below(
    digest: &Digest,
    open: &mut BTreeMap<Digest, (Document, Vec<Digest>)>,
    ordered: &mut Vec<Document>,
) {
    if let Some((document, below)) = open.remove(digest) {
        for digest in &below {
            after_those_below(digest, open, ordered);
        }
        ordered.push(document);
    }
}

/// An image that is here, whole.
#[derive(Debug)]
pub struct Contents {
    /// What it was opened by.
    pub reference: String,
    /// Indexes and manifests, those named by others first: the last is the image.
    pub documents: Vec<Document>,
    /// Configurations and layers, each once.
    pub blobs: Vec<Descriptor>,
    pub(super) source: Source,
}

impl Contents {
    /// Opens what `reference` names: one image or an index with all that it
    /// names; with an architecture, only the image for that.
    ///
    /// # Errors
    /// When there is no such image, more than one is named, or a document does not match its digest.
    pub fn open(reference: &str, architecture: Option<&str>) -> Result<Self> {
        let (source, tag) = locate(reference)?;
        let found = entries(&source, tag)
            .and_then(|found| top(&source, &found, architecture))
            .map_err(|error| opening(error, reference))?;
        Self::of(reference, source, found)
    }

    /// What is in the store: a document, all that it names, and all that these name.
    ///
    /// # Errors
    /// When a document is not there or cannot be read.
    pub fn in_store(reference: &str, store: &Store, top: Descriptor) -> Result<Self> {
        Self::of(reference, Source::Store(store.clone()), top)
    }

    fn of(reference: &str, source: Source, top: Descriptor) -> Result<Self> {
        let walk = || {
            let mut walk = Walk::new(top);
            while let Some(next) = walk.next() {
                if next.size > MOST_BYTES {
                    return Err(invalid("a manifest is larger than 4 MiB"));
                }
                let bytes = source.blob(next)?;
                walk.take(bytes)?;
            }
            Ok(walk.finish())
        };
        let (documents, blobs) = walk().map_err(|error| opening(error, reference))?;
        Ok(Self {
            reference: reference.to_owned(),
            documents,
            blobs,
            source,
        })
    }

    /// The document that is the image.
    #[must_use]
    pub fn top(&self) -> Option<&Document> {
        self.documents.last()
    }

    /// A blob's bytes, unverified.
    ///
    /// # Errors
    /// When it is not there.
    pub fn blob(&self, descriptor: &Descriptor) -> Result<Blob> {
        self.source.open(descriptor)
    }

    /// Reads a blob through.
    ///
    /// # Errors
    /// When it is not there, or not what its descriptor says.
    pub fn verify(&self, descriptor: &Descriptor) -> Result<()> {
        let blob = self.source.open(descriptor)?;
        let mut blob = Verified::new(blob, descriptor.digest, Some(descriptor.size));
        std::io::copy(&mut blob, &mut std::io::sink())
            .map(drop)
            .map_err(|error| {
                reading(&error)
                    .context(format!("reading `{}`", self.reference))
                    .hint("it was damaged after it was made: build or pull it again")
            })
    }
}

fn opening(error: Error, reference: &str) -> Error {
    error.context(format!("opening image `{reference}`"))
}

/// Of a layout's entries the one that is meant; with an architecture, its manifest.
fn top(source: &Source, found: &[Descriptor], architecture: Option<&str>) -> Result<Descriptor> {
    let Some(architecture) = architecture else {
        return match found {
            [only] => Ok(only.clone()),
            [] => Err(Error::new(Kind::Resolve, "there is no image of that name")),
            _ => Err(
                Error::new(Kind::Resolve, format!("there are {} images", found.len()))
                    .hint("name one as `oci:DIR:TAG`, or by its architecture with `--arch`"),
            ),
        };
    };
    let mut found = found.to_vec();
    for _ in 0..=MOST_NESTED {
        let one = pick(&found, Some(architecture))?.clone();
        if !is_index(&one.media_type) {
            return fitting(source, one, architecture);
        }
        found = named(&one.media_type, &source.blob(&one)?)?.documents;
    }
    Err(invalid("its indexes are nested too deep"))
}

/// The manifest, if its image is for this architecture.
fn fitting(source: &Source, manifest: Descriptor, wanted: &str) -> Result<Descriptor> {
    let named = named(&manifest.media_type, &source.blob(&manifest)?)?;
    let Some(config) = named.blobs.first() else {
        return Ok(manifest);
    };
    let platform: Platform = json(&source.blob(config)?, "the configuration")?;
    if platform.architecture == wanted {
        return Ok(manifest);
    }
    let is = platform.architecture.escape_debug();
    let message = format!("the image is for `{is}`, not for `{wanted}`");
    Err(Error::new(Kind::Resolve, message))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::image::{DOCKER_INDEX, DOCKER_MANIFEST, INDEX, MANIFEST};

    fn descriptor(media_type: &str, bytes: &[u8]) -> Descriptor {
        Descriptor {
            media_type: media_type.into(),
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
            annotations: BTreeMap::new(),
            platform: None,
        }
    }

    #[test]
    fn manifests_name_blobs_and_indexes_name_manifests() {
        let config = descriptor("x/config", b"config");
        let layer = descriptor("x/layer", b"layer");
        let bytes = json!({"config": config, "layers": [layer]}).to_string();
        for kind in [MANIFEST, DOCKER_MANIFEST] {
            let named = named(kind, bytes.as_bytes()).unwrap();
            assert_eq!(named.blobs, [config.clone(), layer.clone()]);
            assert!(named.documents.is_empty());
        }
        let manifest = descriptor(MANIFEST, bytes.as_bytes());
        let index = json!({"manifests": [manifest]}).to_string();
        for kind in [INDEX, DOCKER_INDEX] {
            let named = named(kind, index.as_bytes()).unwrap();
            assert_eq!(named.documents, std::slice::from_ref(&manifest));
        }
        for kind in [
            "text/html",
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
        ] {
            assert_eq!(named(kind, b"{}").unwrap_err().kind(), Kind::Verify);
        }
        assert!(named(MANIFEST, b"{}").is_err() && named(MANIFEST, b"[").is_err());
    }

    #[test]
    fn what_others_name_comes_first_and_everything_once() {
        let manifest = json!({"config": descriptor("c", b"c"), "layers": [
            descriptor("l", b"l"), descriptor("l", b"l")]})
        .to_string();
        let inner = descriptor(MANIFEST, manifest.as_bytes());
        let index = json!({"manifests": [inner, inner]}).to_string();
        let middle = descriptor(INDEX, index.as_bytes());
        let upper = json!({"manifests": [middle, inner]}).to_string();
        let upmost = descriptor(INDEX, upper.as_bytes());
        let mut walk = Walk::new(upmost.clone());
        walk.take(upper.into_bytes()).unwrap();
        assert_eq!(walk.next(), Some(&inner));
        walk.take(manifest.into_bytes()).unwrap();
        assert_eq!(walk.next(), Some(&middle));
        walk.take(index.into_bytes()).unwrap();
        assert_eq!(walk.next(), None);
        let (documents, blobs) = walk.finish();
        let order: Vec<_> = documents.iter().map(|one| &one.descriptor).collect();
        assert_eq!(order, [&inner, &middle, &upmost]);
        assert_eq!(blobs.len(), 2);
    }

    #[test]
    fn bombs_are_refused() {
        // Deep.
        let mut walk = Walk::new(descriptor(INDEX, b"top"));
        let mut depth = 0;
        let error = loop {
            let next = descriptor(INDEX, format!("{depth}").as_bytes());
            match walk.take(json!({"manifests": [next]}).to_string().into_bytes()) {
                Ok(()) => depth += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(
            (depth, error.kind()),
            (u32::from(MOST_NESTED), Kind::Verify)
        );
        // Wide.
        let many: Vec<_> = (0..300)
            .map(|number| descriptor(MANIFEST, format!("{number}").as_bytes()))
            .collect();
        let mut walk = Walk::new(descriptor(INDEX, b"top"));
        let wide = json!({"manifests": many}).to_string().into_bytes();
        assert!(walk.take(wide).is_err());
        // Many layers.
        let many: Vec<_> = (0..9000)
            .map(|number| descriptor("l", format!("{number}").as_bytes()))
            .collect();
        let mut walk = Walk::new(descriptor(MANIFEST, b"top"));
        let wide = json!({"config": many[0], "layers": many})
            .to_string()
            .into_bytes();
        assert!(walk.take(wide).is_err());
    }
}
