//! What a tag of a cache names (docs/formats/cache.md): a document, zstd-compressed JSON, as
//! the artifact's configuration, and the blobs that it speaks of as layers.

use std::collections::BTreeMap;
use std::io::Read;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::What;
use crate::digest::Digest;
use crate::error::{Context, Error, Kind, Result};
use crate::image::annotations;
use crate::image::manifest::Descriptor;
use crate::layer::{FORMAT, LayerBlob};
use crate::registry::Tagged;
use crate::source::debian::root::Root;
use crate::store::Store;

/// The artifact type of all entries.
pub(super) const ARTIFACT_TYPE: &str = "application/vnd.nodelith.cache.v1";
/// The media type of their documents.
const DOCUMENT: &str = "application/vnd.nodelith.cache.v1+json+zstd";
/// The schema that documents name.
const SCHEMA: &str = "nodelith.cache-entry";
/// Its version.
const VERSION: u32 = 1;
/// The longest document, in bytes of JSON.
const LONGEST: u64 = 256 << 20;
/// The zstd level of documents.
const LEVEL: i32 = 3;

#[derive(Serialize, Deserialize)]
struct Document<T> {
    schema: String,
    version: u32,
    format: u32,
    what: String,
    key: Digest,
    record: T,
}

/// An entry that can be given to caches; its document is in the store.
pub(super) struct Entry {
    config: Descriptor,
    layers: Vec<Descriptor>,
    annotations: BTreeMap<String, String>,
}

impl Entry {
    pub(super) fn of_root(store: &Store, key: &Digest, root: &Root) -> Result<Self> {
        // Texts are read from the layers by whoever takes it.
        let record = Root {
            texts: BTreeMap::new(),
            ..root.clone()
        };
        let layers = root.layers.iter().map(|layer| descriptor(&layer.blob));
        Self::new(store, What::Root, key, &record, layers.collect())
    }

    pub(super) fn of_layer(store: &Store, key: &Digest, blob: &LayerBlob) -> Result<Self> {
        Self::new(store, What::Layer, key, blob, vec![descriptor(blob)])
    }

    fn new<T: Serialize>(
        store: &Store,
        what: What,
        key: &Digest,
        record: &T,
        layers: Vec<Descriptor>,
    ) -> Result<Self> {
        let document = Document {
            schema: SCHEMA.to_owned(),
            version: VERSION,
            format: FORMAT,
            what: what.name().to_owned(),
            key: *key,
            record,
        };
        let failed = |error: &dyn std::fmt::Display| {
            Error::new(Kind::Io, format!("writing a cache's entry: {error}"))
        };
        let json = serde_json::to_vec(&document).map_err(|error| failed(&error))?;
        let bytes = zstd::encode_all(&json[..], LEVEL).map_err(|error| failed(&error))?;
        let config = Descriptor {
            media_type: DOCUMENT.to_owned(),
            digest: store.put(&bytes)?,
            size: bytes.len() as u64,
            annotations: BTreeMap::new(),
            platform: None,
        };
        let annotations = BTreeMap::from([(annotations::FORMAT.to_owned(), FORMAT.to_string())]);
        Ok(Self {
            config,
            layers,
            annotations,
        })
    }

    pub(super) fn tagged(&self) -> Tagged {
        Tagged {
            artifact_type: ARTIFACT_TYPE.to_owned(),
            config: self.config.clone(),
            layers: self.layers.clone(),
            annotations: self.annotations.clone(),
        }
    }
}

/// A layer as artifacts name it.
pub(super) fn descriptor(blob: &LayerBlob) -> Descriptor {
    Descriptor {
        media_type: blob.media_type.clone(),
        digest: blob.digest,
        size: blob.size,
        annotations: BTreeMap::new(),
        platform: None,
    }
}

/// The record of an entry whose document is in the store.
///
/// # Errors
/// [`Kind::Verify`] where it is no such document, or another key's.
pub(super) fn read<T: DeserializeOwned>(
    store: &Store,
    tagged: &Tagged,
    what: What,
    key: &Digest,
) -> Result<T> {
    let wrong = |why: String| Error::new(Kind::Verify, format!("it is no entry of ours: {why}"));
    if tagged.config.media_type != DOCUMENT {
        let shown = tagged.config.media_type.escape_debug();
        return Err(wrong(format!("its document is `{shown}`")));
    }
    let path = store.blob_path(&tagged.config.digest);
    let compressed = store.open_blob(&tagged.config.digest)?;
    let mut json = Vec::new();
    zstd::Decoder::new(compressed)
        .io("reading", &path)?
        .take(LONGEST + 1)
        .read_to_end(&mut json)
        .map_err(|error| wrong(error.to_string()))?;
    if json.len() as u64 > LONGEST {
        return Err(wrong("its document is longer than 256 MiB".to_owned()));
    }
    let document: Document<T> =
        serde_json::from_slice(&json).map_err(|error| wrong(error.to_string()))?;
    let found = (&*document.schema, document.version, document.format);
    if found != (SCHEMA, VERSION, FORMAT) {
        return Err(wrong(format!(
            "`{}` {}, format {}",
            document.schema.escape_debug(),
            document.version,
            document.format
        )));
    }
    if document.what != what.name() || document.key != *key {
        return Err(wrong(format!(
            "it is for {} {}",
            document.what.escape_debug(),
            document.key
        )));
    }
    Ok(document.record)
}
