//! Opens images: `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, or a path that exists.
//!
//! Input may be hostile: JSON is read up to a limit and only after its digest
//! matched, layers are verified while they are read.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::contents::MOST_NESTED;
use super::layout::is_artifact;
use super::manifest::{Descriptor, Platform};
use super::source::{Blob, Source, Verified};
use super::{annotations, is_index, is_manifest};
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::store::Store;

/// An opened image.
#[derive(Debug)]
pub struct Image {
    /// What it was opened by.
    pub reference: String,
    /// Its manifest.
    pub manifest: Descriptor,
    /// The manifest's annotations.
    pub annotations: BTreeMap<String, String>,
    /// Its configuration.
    pub config: oci_spec::image::ImageConfiguration,
    /// The configuration's descriptor.
    pub config_descriptor: Descriptor,
    /// Its layers, in order.
    pub layers: Vec<ImageLayer>,
    source: Source,
}

/// A layer of an opened image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageLayer {
    /// What the manifest says of it.
    pub descriptor: Descriptor,
    /// The digest of its uncompressed tar, from the configuration.
    pub diff_id: Digest,
}

impl ImageLayer {
    /// Our id of the layer, if it is one of ours.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.descriptor
            .annotations
            .get(annotations::LAYER)
            .map(String::as_str)
    }
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

impl Image {
    /// Opens the image that `reference` names; of several architectures the given
    /// one, else this machine's.
    ///
    /// # Errors
    /// When there is no such image, more than one fits, or what is read does not match its digest.
    pub fn open(reference: &str, architecture: Option<&str>) -> Result<Self> {
        let (source, tag) = locate(reference)?;
        Self::choose(reference, source, tag, architecture)
            .map_err(|error| error.context(format!("opening image `{reference}`")))
    }

    /// Opens the image whose manifest, or index, is in the store with all its blobs
    /// (or without its layers, where nobody reads them).
    ///
    /// # Errors
    /// As for [`Image::open`].
    pub fn in_store(
        reference: &str,
        store: &Store,
        top: Descriptor,
        architecture: Option<&str>,
    ) -> Result<Self> {
        Self::descend(
            reference,
            Source::Store(store.clone()),
            vec![top],
            architecture,
        )
        .map_err(|error| error.context(format!("opening image `{reference}`")))
    }

    fn choose(
        reference: &str,
        source: Source,
        tag: Option<&str>,
        architecture: Option<&str>,
    ) -> Result<Self> {
        let found = entries(&source, tag)?;
        Self::descend(reference, source, found, architecture)
    }

    /// Goes from an index to the manifest.
    fn descend(
        reference: &str,
        source: Source,
        mut found: Vec<Descriptor>,
        architecture: Option<&str>,
    ) -> Result<Self> {
        let mut depth = 0;
        let manifest = loop {
            let entry = pick(&found, architecture)?;
            match &*entry.media_type {
                kind if is_manifest(kind) => break entry.clone(),
                kind if is_index(kind) && depth < MOST_NESTED => {
                    depth += 1;
                    let bytes = source.blob(entry)?;
                    found = parse(&bytes, "an index")?;
                }
                other => return Err(invalid(&format!("`{other}` is not an image"))),
            }
        };
        let document: Manifest = json(&source.blob(&manifest)?, "the manifest")?;
        let config: oci_spec::image::ImageConfiguration =
            json(&source.blob(&document.config)?, "the configuration")?;
        let diff_ids = config.rootfs().diff_ids();
        if diff_ids.len() != document.layers.len() {
            return Err(invalid(
                "manifest and configuration differ in their number of layers",
            ));
        }
        let actual = config.architecture().to_string();
        if let Some(wanted) = architecture.filter(|wanted| *wanted != actual) {
            let message = format!("the image is for `{actual}`, not for `{wanted}`");
            return Err(Error::new(Kind::Resolve, message));
        }
        let layers = document
            .layers
            .into_iter()
            .zip(diff_ids)
            .map(|(descriptor, diff_id)| {
                let diff_id = diff_id.parse().map_err(|why: String| invalid(&why))?;
                Ok(ImageLayer {
                    descriptor,
                    diff_id,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            reference: reference.to_owned(),
            manifest,
            annotations: document.annotations,
            config,
            config_descriptor: document.config,
            layers,
            source,
        })
    }

    /// The folder of the layout that it is in, if it is in one.
    #[must_use]
    pub fn layout(&self) -> Option<&Path> {
        match &self.source {
            Source::Layout(folder) => Some(folder),
            _ => None,
        }
    }

    /// The layout's folder or the archive's file, if it is in one.
    #[must_use]
    pub fn place(&self) -> Option<&Path> {
        match &self.source {
            Source::Layout(path) | Source::Archive(_, _, path) => Some(path),
            Source::Store(_) => None,
        }
    }

    /// The configuration as it is written, with all that is not understood here.
    ///
    /// # Errors
    /// When it is not there any more, or not what its digest says.
    pub fn config_bytes(&self) -> Result<Vec<u8>> {
        self.source.blob(&self.config_descriptor)
    }

    /// Reads a layer's bytes as they are stored; at their end a wrong size or
    /// digest is an error.
    ///
    /// # Errors
    /// When the blob is not there.
    pub fn layer(&self, layer: &ImageLayer) -> Result<Verified<Blob>> {
        let blob = self.source.open(&layer.descriptor)?;
        Ok(Verified::new(
            blob,
            layer.descriptor.digest,
            Some(layer.descriptor.size),
        ))
    }
}

/// What a layout's index names, or what it names by this tag. Artifacts that refer to
/// its images are none of them, where no tag asks for one.
pub(super) fn entries(source: &Source, tag: Option<&str>) -> Result<Vec<Descriptor>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Entry {
        #[serde(flatten)]
        descriptor: Descriptor,
        artifact_type: Option<String>,
    }
    #[derive(Deserialize)]
    struct Index {
        manifests: Vec<Entry>,
    }
    let index: Index = json(&source.named("index.json")?, "index.json")?;
    let mut found = index.manifests;
    match tag {
        Some(tag) => found.retain(|entry| {
            let name = entry.descriptor.annotations.get(annotations::REF_NAME);
            name.is_some_and(|name| name == tag)
        }),
        None if found.len() > 1 => {
            found.retain(|entry| !is_artifact(entry.artifact_type.as_deref()));
        }
        None => {}
    }
    Ok(found.into_iter().map(|entry| entry.descriptor).collect())
}

/// Of an index's entries the one that is meant.
pub(crate) fn pick<'a>(
    found: &'a [Descriptor],
    architecture: Option<&str>,
) -> Result<&'a Descriptor> {
    if let [only] = found {
        return Ok(only);
    }
    let wanted = architecture.unwrap_or(match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    });
    let fits = |platform: &Platform| platform.os == "linux" && platform.architecture == wanted;
    let mut fitting = found
        .iter()
        .filter(|entry| entry.platform.as_ref().is_some_and(fits));
    let names = || {
        let names: Vec<String> = found
            .iter()
            .map(|entry| {
                match (
                    entry.annotations.get(annotations::REF_NAME),
                    &entry.platform,
                ) {
                    (Some(tag), _) => format!("`{}`", tag.escape_debug()),
                    (None, Some(platform)) => format!("`{}`", platform.architecture.escape_debug()),
                    (None, None) => entry.digest.to_string(),
                }
            })
            .take(20)
            .collect();
        names.join(", ")
    };
    match (fitting.next(), fitting.next()) {
        (Some(one), None) => Ok(one),
        (None, _) if found.is_empty() => {
            Err(Error::new(Kind::Resolve, "there is no image of that name"))
        }
        (None, _) => Err(
            Error::new(Kind::Resolve, format!("no image for `{wanted}`"))
                .hint(format!("there are {}", names())),
        ),
        (Some(_), Some(_)) => Err(Error::new(Kind::Resolve, "several images fit")
            .hint(format!("name one of them as `oci:DIR:TAG`: {}", names()))),
    }
}

/// Finds what a reference names, and its tag.
pub(super) fn locate(reference: &str) -> Result<(Source, Option<&str>)> {
    if let Some(rest) = reference.strip_prefix("oci:") {
        let (path, tag) = split_tag(rest);
        return Ok((Source::layout(path)?, tag));
    }
    if let Some(rest) = reference.strip_prefix("oci-archive:") {
        let (path, tag) = split_tag(rest);
        return Ok((Source::archive(path)?, tag));
    }
    let path = Path::new(reference);
    if path.is_dir() {
        Ok((Source::layout(path)?, None))
    } else if path.is_file() {
        Ok((Source::archive(path)?, None))
    } else if reference.starts_with("docker://") {
        Err(
            Error::new(Kind::Usage, format!("`{reference}` is in a registry"))
                .hint("`nodelith pull` brings it here"),
        )
    } else {
        Err(
            Error::new(Kind::Usage, format!("there is no image `{reference}`"))
                .hint("name one as oci:DIR[:TAG], oci-archive:FILE, or a path that exists"),
        )
    }
}

/// Whether the layout or archive that a reference names is there.
pub(crate) fn is_there(reference: &str) -> bool {
    let rest = reference
        .strip_prefix("oci:")
        .or_else(|| reference.strip_prefix("oci-archive:"));
    split_tag(rest.unwrap_or(reference)).0.exists()
}

/// Path and tag; a path that exists has its colons for itself. Tags may have colons
/// too: in archives they often are full references.
fn split_tag(text: &str) -> (&Path, Option<&str>) {
    if Path::new(text).exists() {
        return (Path::new(text), None);
    }
    let colons = text.rmatch_indices(':');
    let mut parts = colons.map(|(at, _)| (Path::new(&text[..at]), Some(&text[at + 1..])));
    let last = text.rsplit_once(':');
    let guess = last.map_or((text, None), |(path, tag)| (path, Some(tag)));
    parts
        .find(|(path, _)| path.exists())
        .unwrap_or((Path::new(guess.0), guess.1))
}

pub(super) fn parse(bytes: &[u8], what: &str) -> Result<Vec<Descriptor>> {
    json::<Index>(bytes, what).map(|index| index.manifests)
}

pub(super) fn json<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T> {
    serde_json::from_slice(bytes)
        .map_err(|error| invalid(&format!("{what} cannot be read: {error}")))
}

pub(super) fn invalid(why: &str) -> Error {
    Error::new(Kind::Verify, format!("not a valid image: {why}"))
}
