//! Pulling an image whole into the store: from the manifest to what it names.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::task::JoinSet;

use super::manifest::Version;
use super::repository::Repository;
use super::{Reference, Registries, download};
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::http::{Progress, drive, runtime};
use crate::image::contents::{Document, MOST_BYTES, Walk, named};
use crate::image::manifest::Descriptor;
use crate::image::{Image, is_index};
use crate::report::{Unit, counted};

/// What is wanted of an image.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// For these architectures only; all if none is named.
    pub architectures: Vec<String>,
    /// Manifests and configurations alone.
    pub without_layers: bool,
}

/// What was pulled; all of it is in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// What the reference names: an image or an index.
    pub top: Descriptor,
    /// The same, or the images that were chosen from it.
    pub images: Vec<Descriptor>,
    /// Indexes and manifests.
    pub documents: Vec<Descriptor>,
    /// Configurations and layers, and whether each came over the network.
    pub blobs: Vec<(Descriptor, bool)>,
}

impl Registries {
    /// The manifest or index that a reference names now.
    ///
    /// # Errors
    /// [`Kind::Resolve`] when there is none, [`Kind::Verify`] when it is not what
    /// its digest says.
    pub fn resolve(&self, reference: &Reference) -> Result<Descriptor> {
        let places = self.places(reference)?;
        let found = runtime()?.block_on(first(&places, reference))?;
        Ok(found.0.descriptor)
    }

    /// Whether a reference names an index of several images.
    ///
    /// # Errors
    /// As for [`resolve`](Self::resolve).
    pub fn has_several(&self, reference: &Reference) -> Result<bool> {
        let places = self.places(reference)?;
        let (top, _) = runtime()?.block_on(first(&places, reference))?;
        let named = named(&top.descriptor.media_type, &top.bytes)?;
        Ok(named.documents.len() > 1)
    }

    /// Pulls what a reference names into the store.
    ///
    /// # Errors
    /// [`Kind::Resolve`] when there is no such image, [`Kind::Verify`] when something
    /// is not what its digest says or more than an image can reasonably be,
    /// [`Kind::Network`] when a registry does not give it.
    pub fn pull(&self, reference: &Reference, wanted: &Wanted) -> Result<Pulled> {
        self.pull_all(reference, wanted)
            .map_err(|error| error.context(format!("pulling `{reference}`")))
    }

    fn pull_all(&self, reference: &Reference, wanted: &Wanted) -> Result<Pulled> {
        let mut places = self.places(reference)?;
        let runtime = runtime()?;
        let (top, place) = runtime.block_on(first(&places, reference))?;
        // Who had the manifest is likely to have the rest.
        places.swap(0, place);
        let index = top.clone();
        let (images, documents) = runtime.block_on(walk(&places, top, wanted))?;
        let mut blobs: Vec<Descriptor> = Vec::new();
        for document in &documents {
            let named = named(&document.descriptor.media_type, &document.bytes)?;
            let most = if wanted.without_layers { 1 } else { usize::MAX };
            for blob in named.blobs.into_iter().take(most) {
                if blobs.iter().all(|known| known.digest != blob.digest) {
                    blobs.push(blob);
                }
            }
        }
        let blobs = self.fetch(&Arc::from(places), blobs, reference)?;
        for document in documents.iter().chain([&index]) {
            self.0.store.put(&document.bytes)?;
        }
        // Indexes may say what is not so of what they name.
        for (number, architecture) in wanted.architectures.iter().enumerate() {
            let image = images.get(number).or(images.first()).cloned();
            if let Some(image) = image {
                let name = reference.to_string();
                Image::in_store(&name, &self.0.store, image, Some(architecture))?;
            }
        }
        let documents = documents
            .into_iter()
            .map(|document| document.descriptor)
            .collect();
        Ok(Pulled {
            top: index.descriptor,
            images,
            documents,
            blobs,
        })
    }

    /// Blobs into the store, several at once.
    pub(super) fn fetch(
        &self,
        places: &Arc<[Repository]>,
        blobs: Vec<Descriptor>,
        reference: &Reference,
    ) -> Result<Vec<(Descriptor, bool)>> {
        let total = blobs
            .iter()
            .try_fold(0_u64, |sum, blob| sum.checked_add(blob.size))
            .ok_or_else(|| Error::new(Kind::Verify, "its sizes are impossible"))?;
        let task = self.0.report.task("pulling", Some(total), Unit::Bytes);
        let moved = Arc::new(AtomicU64::new(0));
        let mut transfers = JoinSet::new();
        for (number, blob) in blobs.into_iter().enumerate() {
            let places = Arc::clone(places);
            let progress = Progress::new(&moved);
            let transfer = async move {
                let came = download::fetch(&places, &blob, &progress).await?;
                Ok((number, blob, came))
            };
            transfers.spawn_on(transfer, runtime()?.handle());
        }
        let mut done = drive(transfers, &moved, &task)?;
        done.sort_by_key(|(number, ..)| *number);
        let came = done.iter().filter(|(.., came)| *came).count();
        task.finish(&counted(came, "blob"));
        let mut blobs = Vec::new();
        for (_, blob, came) in done {
            self.0
                .remember(&reference.registry, &reference.repository, &blob.digest);
            blobs.push((blob, came));
        }
        Ok(blobs)
    }
}

/// The manifest that a reference names, and the number of the place that gave it.
async fn first(places: &[Repository], reference: &Reference) -> Result<(Document, usize)> {
    let name = reference.manifest();
    let mut failure = None;
    for (number, place) in places.iter().enumerate() {
        match place.manifest(&name, reference.digest).await {
            Ok(Some((document, _))) => return Ok((document, number)),
            Ok(None) => {}
            Err(error) if place.is_mirror() => {
                let message = format!("mirror `{}`: {error}", place.host.name);
                place.inner.report.warning(&message);
            }
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.unwrap_or_else(|| {
        Error::new(Kind::Resolve, format!("there is no image `{reference}`"))
            .hint("check registry, repository and tag")
    }))
}

/// A document that another one names, from the first place that gives it.
async fn named_document(places: &[Repository], wanted: &Descriptor) -> Result<Document> {
    if wanted.size > MOST_BYTES {
        let message = format!("manifest {} is larger than 4 MiB", wanted.digest);
        return Err(Error::new(Kind::Verify, message));
    }
    let mut failure = None;
    for place in places {
        let name = wanted.digest.to_string();
        match place.manifest(&name, Some(wanted.digest)).await {
            Ok(Some((document, Version(_)))) => {
                let found = &document.descriptor;
                if found.size != wanted.size || found.media_type != wanted.media_type {
                    let message = format!(
                        "manifest {} is not what the index says of it: {}, {} bytes",
                        wanted.digest,
                        found.media_type.escape_debug(),
                        found.size
                    );
                    return Err(Error::new(Kind::Verify, message));
                }
                return Ok(Document {
                    descriptor: wanted.clone(),
                    bytes: document.bytes,
                });
            }
            Ok(None) => {}
            Err(error) => failure = Some(error.context(format!("manifest {}", wanted.digest))),
        }
    }
    Err(failure.unwrap_or_else(|| {
        let message = format!("the registry does not have manifest {}", wanted.digest);
        Error::new(Kind::Resolve, message)
            .hint("the index names it, but it was never pushed or was removed")
    }))
}

/// All documents of what is wanted, and those of them that are the images.
async fn walk(
    places: &[Repository],
    top: Document,
    wanted: &Wanted,
) -> Result<(Vec<Descriptor>, Vec<Document>)> {
    let mut begin = vec![top];
    if is_index(&begin[0].descriptor.media_type) && !wanted.architectures.is_empty() {
        let index = begin.remove(0);
        let entries = named(&index.descriptor.media_type, &index.bytes)?.documents;
        for architecture in &wanted.architectures {
            let one = crate::image::read::pick(&entries, Some(architecture))?;
            begin.push(named_document(places, one).await?);
        }
    }
    let images: Vec<Descriptor> = begin
        .iter()
        .map(|document| document.descriptor.clone())
        .collect();
    let mut all: Vec<Document> = Vec::new();
    for document in begin {
        let mut walk = Walk::new(document.descriptor);
        walk.take(document.bytes)?;
        while let Some(next) = walk.next() {
            let next = next.clone();
            let found = named_document(places, &next).await?;
            walk.take(found.bytes)?;
        }
        let known = |digest: &Digest, all: &[Document]| {
            all.iter().any(|one| one.descriptor.digest == *digest)
        };
        for document in walk.finish().0 {
            if !known(&document.descriptor.digest, &all) {
                all.push(document);
            }
        }
    }
    Ok((images, all))
}
