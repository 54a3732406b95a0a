//! Things of ours that are no images, kept by a tag (OCI image specification, "Guidelines
//! for Artifact Usage"): a document as the configuration, blobs as the layers.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::manifest::Version;
use super::{Reference, Registries, download};
use crate::error::{Error, Kind, Result};
use crate::http::{Progress, runtime};
use crate::image::MANIFEST;
use crate::image::config::canonical;
use crate::image::contents::Contents;
use crate::image::manifest::Descriptor;
use crate::report::Unit;

/// The longest document, in bytes.
const LONGEST_DOCUMENT: u64 = 64 << 20;

/// An artifact that a tag names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tagged {
    /// What kind of thing it is (a media type).
    pub artifact_type: String,
    /// The document.
    pub config: Descriptor,
    /// The blobs.
    pub layers: Vec<Descriptor>,
    /// What else is said of it.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

impl Registries {
    /// The artifact that the tag of `reference` names, its document in the store; nothing
    /// if there is none, or what is there is of another kind.
    ///
    /// # Errors
    /// [`Kind::Verify`] when the manifest or the document is not what its digest says,
    /// [`Kind::Network`] when the registry does not give it.
    pub fn tagged(&self, reference: &Reference, artifact_type: &str) -> Result<Option<Tagged>> {
        let repository = self.repository(reference)?;
        let found = runtime()?.block_on(repository.manifest(&reference.manifest(), None))?;
        let Some((document, _)) = found else {
            return Ok(None);
        };
        let tagged = serde_json::from_slice(&document.bytes).ok();
        let Some(tagged) = tagged.filter(|tagged: &Tagged| tagged.artifact_type == artifact_type)
        else {
            return Ok(None);
        };
        if tagged.config.size > LONGEST_DOCUMENT {
            return Err(Error::new(
                Kind::Verify,
                "its document is larger than 64 MiB",
            ));
        }
        let places = [repository];
        let progress = Progress::new(&Arc::default());
        runtime()?.block_on(download::fetch(&places, &tagged.config, &progress))?;
        Ok(Some(tagged))
    }

    /// Blobs of the repository that `reference` names into the store, several at once;
    /// gives back how many bytes came.
    ///
    /// # Errors
    /// As [`tagged`](Self::tagged).
    pub fn bring(&self, reference: &Reference, blobs: Vec<Descriptor>) -> Result<u64> {
        let places = Arc::from([self.repository(reference)?]);
        let came = self.fetch(&places, blobs, reference)?;
        let came = came.iter().filter(|(_, came)| *came);
        Ok(came.map(|(blob, _)| blob.size).sum())
    }

    /// Whether the tag of `reference` names anything.
    ///
    /// # Errors
    /// When the registry cannot be asked.
    pub fn has_tag(&self, reference: &Reference) -> Result<bool> {
        let repository = self.repository(reference)?;
        let digest = runtime()?.block_on(repository.manifest_digest(&reference.manifest()))?;
        Ok(digest.is_some())
    }

    /// Puts an artifact, whose blobs are in the store, by the tag of `reference`. The tag
    /// comes last: nothing names what is not whole.
    ///
    /// # Errors
    /// When a blob is not in the store or damaged, or the registry refuses.
    pub fn put_tagged(&self, reference: &Reference, artifact: &Tagged) -> Result<()> {
        let store = &self.0.store;
        let mut manifest = serde_json::json!(artifact);
        manifest["schemaVersion"] = 2.into();
        manifest["mediaType"] = MANIFEST.into();
        let bytes = canonical(&manifest)?;
        let manifest = Descriptor {
            media_type: MANIFEST.into(),
            digest: store.put(&bytes)?,
            size: bytes.len() as u64,
            annotations: BTreeMap::new(),
            platform: None,
        };
        let contents = Arc::new(Contents::in_store(&reference.to_string(), store, manifest)?);
        let repository = self.repository(reference)?;
        let total = contents.blobs.iter().map(|blob| blob.size).sum();
        let task = self.0.report.task("caching", Some(total), Unit::Bytes);
        self.blobs(&repository, &contents, &[], &task)?;
        let (tag, version) = (reference.manifest(), Version::default());
        runtime()?.block_on(repository.put_manifest(&tag, MANIFEST, &bytes, &version))?;
        task.finish(&reference.to_string());
        Ok(())
    }
}
