//! Opens images: `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, or a path that exists.
//!
//! Input may be hostile: JSON is read up to a limit and only after its digest
//! matched, layers are verified while they are read.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::layout::MAX_JSON;
use super::manifest::{Descriptor, Platform};
use super::{INDEX, MANIFEST, annotations};
use crate::digest::Digest;
use crate::error::{Context, Error, Kind, Result};
use crate::layer::untar;

/// Docker's names for the same documents.
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// Indexes within indexes, and members of an archive, that are followed.
const MOST_NESTED: u8 = 4;
const MOST_MEMBERS: usize = 1 << 16;

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

    fn choose(
        reference: &str,
        source: Source,
        tag: Option<&str>,
        architecture: Option<&str>,
    ) -> Result<Self> {
        let mut found: Vec<Descriptor> = parse(&source.named("index.json")?, "index.json")?;
        if let Some(tag) = tag {
            found.retain(|entry| {
                entry
                    .annotations
                    .get(annotations::REF_NAME)
                    .is_some_and(|name| name == tag)
            });
        }
        let mut depth = 0;
        let manifest = loop {
            let entry = pick(&found, architecture)?;
            match &*entry.media_type {
                MANIFEST | DOCKER_MANIFEST => break entry.clone(),
                INDEX | DOCKER_INDEX if depth < MOST_NESTED => {
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

/// Of an index's entries the one that is meant.
fn pick<'a>(found: &'a [Descriptor], architecture: Option<&str>) -> Result<&'a Descriptor> {
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

/// Where blobs are.
#[derive(Debug)]
enum Source {
    Layout(PathBuf),
    /// An uncompressed tar of a layout: where each member begins, and its size.
    Archive(File, BTreeMap<Vec<u8>, (u64, u64)>),
}

/// Finds what a reference names, and its tag.
fn locate(reference: &str) -> Result<(Source, Option<&str>)> {
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
        Err(Error::new(
            Kind::Usage,
            format!("`{reference}` is in a registry, which cannot be read yet"),
        )
        .hint(format!(
            "copy it first: skopeo copy {reference} oci:DIR:TAG"
        )))
    } else {
        Err(
            Error::new(Kind::Usage, format!("there is no image `{reference}`"))
                .hint("name one as oci:DIR[:TAG], oci-archive:FILE, or a path that exists"),
        )
    }
}

/// Path and tag; a path that exists has its colons for itself.
fn split_tag(text: &str) -> (&Path, Option<&str>) {
    match text.rsplit_once(':') {
        Some((path, tag)) if !Path::new(text).exists() => (Path::new(path), Some(tag)),
        _ => (Path::new(text), None),
    }
}

impl Source {
    fn layout(folder: &Path) -> Result<Self> {
        if !folder.join("index.json").is_file() {
            let message = format!(
                "`{}` is not an image layout: it has no index.json",
                folder.display()
            );
            return Err(Error::new(Kind::Usage, message));
        }
        Ok(Self::Layout(folder.to_owned()))
    }

    fn archive(path: &Path) -> Result<Self> {
        let file = open(path)?;
        let mut members = BTreeMap::new();
        let mut reader = untar::Reader::seeking(&file, Digest::of(b""));
        let said = |error: Error| error.context(format!("reading `{}`", path.display()));
        while let Some((name, entry)) = reader.advance().map_err(said)? {
            if let crate::tree::Node::File { size, .. } = entry.node {
                members.insert(name.as_bytes().to_vec(), (reader.position(), size));
            }
            if members.len() > MOST_MEMBERS {
                return Err(invalid("it has too many members"));
            }
        }
        Ok(Self::Archive(file, members))
    }

    /// A small file that is not a blob.
    fn named(&self, name: &str) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let blob = match self {
            Self::Layout(folder) => Blob::file(open(&folder.join(name))?)?,
            Self::Archive(file, members) => Blob::part(file, members.get(name.as_bytes()), name)?,
        };
        blob.take(MAX_JSON + 1)
            .read_to_end(&mut bytes)
            .io("reading", name)?;
        if bytes.len() as u64 > MAX_JSON {
            return Err(invalid(&format!("`{name}` is too large")));
        }
        Ok(bytes)
    }

    fn open(&self, descriptor: &Descriptor) -> Result<Blob> {
        let name = format!("blobs/sha256/{}", descriptor.digest.hex());
        match self {
            Self::Layout(folder) => Blob::file(open(&folder.join(name))?),
            Self::Archive(file, members) => Blob::part(file, members.get(name.as_bytes()), &name),
        }
    }

    /// A whole JSON blob, verified.
    fn blob(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        if descriptor.size > MAX_JSON {
            return Err(invalid(&format!(
                "blob {} is too large for JSON",
                descriptor.digest
            )));
        }
        let mut bytes = Vec::new();
        let blob = self.open(descriptor)?;
        Verified::new(blob, descriptor.digest, Some(descriptor.size))
            .read_to_end(&mut bytes)
            .map_err(|error| reading(&error))?;
        Ok(bytes)
    }
}

/// Opens a regular file; waits for no pipe.
fn open(path: &Path) -> Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)
        .io("opening", path)?;
    if !file.metadata().io("looking at", path)?.is_file() {
        return Err(Error::io("opening", path, "it is not a regular file"));
    }
    Ok(file)
}

/// A blob's bytes: a part of a file.
#[derive(Debug)]
pub struct Blob {
    file: File,
    at: u64,
    end: u64,
}

impl Blob {
    fn file(file: File) -> Result<Self> {
        let end = file.metadata().io("reading", "blob")?.len();
        Ok(Self { file, at: 0, end })
    }

    fn part(file: &File, place: Option<&(u64, u64)>, name: &str) -> Result<Self> {
        let &(at, size) = place.ok_or_else(|| invalid(&format!("it has no `{name}`")))?;
        let file = file.try_clone().io("reading", name)?;
        Ok(Self {
            file,
            at,
            end: at.saturating_add(size),
        })
    }
}

impl Read for Blob {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.end - self.at)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let read = self.file.read_at(&mut bytes[..most], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// Passes on what it reads; at the end, a digest or size that does not match is an error.
#[derive(Debug)]
pub struct Verified<R> {
    inner: R,
    hash: Sha256,
    read: u64,
    digest: Digest,
    size: Option<u64>,
}

impl<R: Read> Verified<R> {
    /// Verifies `inner` against its digest and, if known, its size.
    pub fn new(inner: R, digest: Digest, size: Option<u64>) -> Self {
        Self {
            inner,
            hash: Sha256::new(),
            read: 0,
            digest,
            size,
        }
    }
}

impl<R: Read> Read for Verified<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let wrong = |why: &str| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("blob {} {why}", self.digest),
            )
        };
        let read = self.inner.read(bytes)?;
        if bytes.is_empty() {
            return Ok(0);
        }
        self.read += read as u64;
        if self
            .size
            .is_some_and(|size| self.read > size || (read == 0 && self.read < size))
        {
            return Err(wrong("has not the size that it should have"));
        }
        if read == 0 {
            let found: [u8; 32] = self.hash.clone().finalize().into();
            if found != *self.digest.bytes() {
                return Err(wrong("does not match its digest"));
            }
        }
        self.hash.update(&bytes[..read]);
        Ok(read)
    }
}

/// An error while reading a blob: bad content is a failed verification.
pub(crate) fn reading(error: &io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => Kind::Verify,
        _ => Kind::Io,
    };
    Error::new(kind, error.to_string())
}

fn parse(bytes: &[u8], what: &str) -> Result<Vec<Descriptor>> {
    json::<Index>(bytes, what).map(|index| index.manifests)
}

fn json<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T> {
    serde_json::from_slice(bytes)
        .map_err(|error| invalid(&format!("{what} cannot be read: {error}")))
}

fn invalid(why: &str) -> Error {
    Error::new(Kind::Verify, format!("not a valid image: {why}"))
}
