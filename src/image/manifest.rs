//! Manifests and indexes (OCI image specification, "Image Manifest", "Image Index").

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::config::{self, canonical};
use super::{CONFIG, INDEX, ImageSpec, MANIFEST, annotations};
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::layer::{FORMAT, LayerBlob};
use crate::store::Store;

/// A reference to a blob (OCI image specification, "Content Descriptors").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What kind of blob it is.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// What else is said about it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// What it runs on, for manifests in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

/// What an image runs on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// The architecture (`amd64`).
    pub architecture: String,
    /// The operating system (`linux`).
    pub os: String,
    /// The architecture's variant (`v8`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// An image whose blobs are all in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Built {
    /// The manifest, with its platform.
    pub manifest: Descriptor,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, in order.
    pub layers: Vec<Descriptor>,
}

impl Built {
    /// All blobs, the manifest last.
    pub fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        let inner = self.layers.iter().chain([&self.config]);
        inner.chain([&self.manifest])
    }
}

/// Makes config and manifest of an image and puts them into the store.
///
/// # Errors
/// When there is no layer, the time cannot be written, or the store cannot.
pub fn assemble(store: &Store, spec: &ImageSpec, layers: &[LayerBlob]) -> Result<Built> {
    if layers.is_empty() {
        return Err(Error::new(Kind::Usage, "an image needs at least one layer"));
    }
    let config = put(store, CONFIG, &config::encode(spec, layers)?)?;
    let layers: Vec<Descriptor> = layers.iter().map(describe).collect();
    let mut said = spec.annotations.clone();
    if let Some(base) = &spec.base {
        said.extend(base.annotations());
    }
    said.insert(annotations::FORMAT.into(), FORMAT.to_string());
    said.insert(annotations::CREATED.into(), spec.created_text()?);
    let manifest = canonical(&json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config,
        "layers": layers,
        "annotations": said,
    }))?;
    let mut manifest = put(store, MANIFEST, &manifest)?;
    manifest.platform = Some(Platform {
        architecture: spec.architecture.clone(),
        os: "linux".into(),
        variant: spec
            .base
            .as_ref()
            .and_then(|base| base.variant().map(str::to_owned)),
    });
    Ok(Built {
        manifest,
        config,
        layers,
    })
}

/// What a layout's `index.json` points to: the one image, or an index of several
/// that is put into the store. Images are sorted by architecture.
///
/// # Errors
/// When there is no image, two are for the same platform, or the store cannot be written.
pub fn top(store: &Store, images: &[Built]) -> Result<Descriptor> {
    let mut manifests: Vec<&Descriptor> = images.iter().map(|image| &image.manifest).collect();
    let architecture = |descriptor: &Descriptor| {
        descriptor
            .platform
            .as_ref()
            .map_or(String::new(), |platform| platform.architecture.clone())
    };
    manifests.sort_by_key(|manifest| architecture(manifest));
    if let Some(pair) = manifests
        .windows(2)
        .find(|pair| architecture(pair[0]) == architecture(pair[1]))
    {
        let message = format!("two images for `{}`", architecture(pair[0]));
        return Err(Error::new(Kind::Usage, message));
    }
    match manifests[..] {
        [] => Err(Error::new(Kind::Usage, "there is no image to write")),
        [one] => Ok(one.clone()),
        _ => put(store, INDEX, &index(&manifests)?),
    }
}

/// An index's bytes.
pub(super) fn index<T: Serialize>(manifests: &[T]) -> Result<Vec<u8>> {
    canonical(&json!({
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": manifests.iter().map(|manifest| json!(manifest)).collect::<Vec<Value>>(),
    }))
}

fn describe(layer: &LayerBlob) -> Descriptor {
    let ours = [
        (annotations::LAYER, layer.id.clone()),
        (annotations::LAYER_FILES, layer.files.to_string()),
        (annotations::LAYER_SIZE, layer.uncompressed_size.to_string()),
    ];
    let mut said = layer.annotations.clone();
    said.extend(ours.map(|(key, value)| (key.to_owned(), value)));
    Descriptor {
        media_type: layer.media_type.clone(),
        digest: layer.digest,
        size: layer.size,
        annotations: said,
        platform: None,
    }
}

fn put(store: &Store, media_type: &str, bytes: &[u8]) -> Result<Descriptor> {
    Ok(Descriptor {
        media_type: media_type.into(),
        digest: store.put(bytes)?,
        size: bytes.len() as u64,
        annotations: BTreeMap::new(),
        platform: None,
    })
}
