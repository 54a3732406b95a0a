//! Pushing an image whole: blobs first, several at once, then manifests, those named
//! by others first, then tags.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::task::JoinSet;

use super::manifest::{Put, Version};
use super::repository::Repository;
pub use super::upload::BlobState;
use super::upload::Upload;
use super::{Reference, Registries};
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::http::{Progress, drive, runtime};
use crate::image::contents::{Contents, Document};
use crate::image::manifest::Descriptor;
use crate::report::{Task, Unit};

/// What one repository was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// Registry and repository.
    pub name: String,
    /// The references that name the image now.
    pub references: Vec<Reference>,
    /// Every blob of it.
    pub blobs: Vec<PushedBlob>,
    /// Manifests, indexes and tags that were not there.
    pub manifests: usize,
}

/// A blob, and how it came to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedBlob {
    /// The blob.
    pub descriptor: Descriptor,
    /// How it came there.
    pub state: BlobState,
}

impl Registries {
    /// Pushes an image by all these references. `mounts` are repositories of the
    /// registries that may have blobs of it.
    ///
    /// # Errors
    /// When a reference names another digest, a blob is damaged, or a registry
    /// refuses. Nothing names the image by a tag before all of it is there.
    pub fn push(
        &self,
        contents: &Arc<Contents>,
        references: &[Reference],
        mounts: &[String],
    ) -> Result<Vec<Pushed>> {
        let Some(top) = contents.top() else {
            return Err(Error::new(Kind::Usage, "there is no image to push"));
        };
        let digest = top.descriptor.digest;
        let mut targets: Vec<(Repository, Vec<Reference>)> = Vec::new();
        for reference in references {
            if let Some(other) = reference.digest.filter(|other| *other != digest) {
                let message = format!("`{}` is {digest}, not {other}", contents.reference);
                return Err(Error::new(Kind::Usage, message)
                    .hint("name a tag, or the digest that the image has"));
            }
            let known = targets
                .iter_mut()
                .find(|(_, same)| same[0].name() == reference.name());
            match known {
                Some((_, same)) => same.push(reference.clone()),
                None => targets.push((self.repository(reference)?, vec![reference.clone()])),
            }
        }
        let size: u64 = contents.blobs.iter().map(|blob| blob.size).sum();
        let task = self
            .0
            .report
            .task("pushing", Some(size * targets.len() as u64), Unit::Bytes);
        // Repositories of each registry that have the image already.
        let mut done: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut pushed = Vec::new();
        for (repository, references) in targets {
            let registry = repository.host.name.clone();
            let before = done.entry(registry).or_default();
            let sources = [mounts, before].concat();
            let blobs = self
                .blobs(&repository, contents, &sources, &task)
                .map_err(|error| error.context(format!("pushing to `{}`", repository.shown())))?;
            let manifests = self
                .manifests(&repository, contents, &references)
                .map_err(|error| error.context(format!("pushing to `{}`", repository.shown())))?;
            before.push(repository.name.clone());
            pushed.push(Pushed {
                name: repository.shown(),
                references,
                blobs,
                manifests,
            });
        }
        let uploads = pushed.iter().flat_map(|pushed| &pushed.blobs);
        let uploads = uploads.filter(|blob| blob.state == BlobState::Uploaded);
        let count = uploads.count();
        task.finish(&crate::report::counted(count, "blob"));
        Ok(pushed)
    }

    /// All blobs of an image into a repository, several at once.
    pub(super) fn blobs(
        &self,
        repository: &Repository,
        contents: &Arc<Contents>,
        sources: &[String],
        task: &Task,
    ) -> Result<Vec<PushedBlob>> {
        let moved = Arc::new(AtomicU64::new(0));
        let mut uploads = JoinSet::new();
        for (number, blob) in contents.blobs.iter().enumerate() {
            let progress = Progress::new(&moved);
            let (repository, contents, blob) =
                (repository.clone(), Arc::clone(contents), blob.clone());
            let sources = sources.to_vec();
            let upload = async move {
                let inner = &repository.inner;
                let _slot = inner.slot().await?;
                let registry = &repository.host.name;
                let mut from: Vec<String> = Vec::new();
                for source in sources
                    .into_iter()
                    .chain(inner.seen(registry, &blob.digest))
                {
                    if source != repository.name && !from.contains(&source) {
                        from.push(source);
                    }
                }
                let upload = Upload {
                    repository: &repository,
                    contents: &contents,
                    blob: &blob,
                };
                let state = upload
                    .run(&from, &progress)
                    .await
                    .map_err(|error| error.context(format!("blob {}", blob.digest)))?;
                inner.remember(registry, &repository.name, &blob.digest);
                let descriptor = blob.clone();
                Ok((number, PushedBlob { descriptor, state }))
            };
            uploads.spawn_on(upload, runtime()?.handle());
        }
        let mut blobs = drive(uploads, &moved, task)?;
        blobs.sort_by_key(|(number, _)| *number);
        Ok(blobs.into_iter().map(|(_, blob)| blob).collect())
    }

    /// Manifests, indexes and tags; says how many of them were not there.
    fn manifests(
        &self,
        repository: &Repository,
        contents: &Contents,
        references: &[Reference],
    ) -> Result<usize> {
        let tags: BTreeSet<&String> = references
            .iter()
            .filter_map(|reference| reference.tag.as_ref())
            .collect();
        runtime()?.block_on(async {
            let mut new = 0;
            for document in &contents.documents {
                let digest = document.descriptor.digest;
                let is_top = contents.top() == Some(document);
                if !is_top || tags.is_empty() {
                    new += usize::from(put(repository, &digest.to_string(), document).await?);
                    continue;
                }
                for tag in &tags {
                    new += usize::from(put(repository, tag, document).await?);
                }
            }
            Ok(new)
        })
    }
}

/// Puts a document by a name, unless that is its name already; says whether it was not.
async fn put(repository: &Repository, name: &str, document: &Document) -> Result<bool> {
    let digest: Digest = document.descriptor.digest;
    if repository.manifest_digest(name).await? == Some(digest) {
        return Ok(false);
    }
    let media_type = &document.descriptor.media_type;
    let put = repository
        .put_manifest(name, media_type, &document.bytes, &Version::default())
        .await?;
    match put {
        Put::Done { .. } => Ok(true),
        Put::Changed => Err(Error::new(
            Kind::Network,
            format!("`{name}` was changed by someone else meanwhile"),
        )),
    }
}
