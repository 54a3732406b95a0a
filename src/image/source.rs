//! Where an image's blobs are: a layout's folder or an archive; and reading them verified.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::layout::MAX_JSON;
use super::manifest::Descriptor;
use super::read::invalid;
use crate::digest::Digest;
use crate::error::{Context, Error, Kind, Result};
use crate::layer::untar;
use crate::store::Store;

/// Members of an archive that are looked at.
const MOST_MEMBERS: usize = 1 << 16;

/// Where blobs are.
#[derive(Debug)]
pub(super) enum Source {
    Layout(PathBuf),
    /// Blobs that are in the store, without an index.
    Store(Store),
    /// An uncompressed tar of a layout: where each member begins, and its size; its path.
    Archive(File, BTreeMap<Vec<u8>, (u64, u64)>, PathBuf),
}

impl Source {
    pub(super) fn layout(folder: &Path) -> Result<Self> {
        if !folder.join("index.json").is_file() {
            let message = format!(
                "`{}` is not an image layout: it has no index.json",
                folder.display()
            );
            return Err(Error::new(Kind::Usage, message));
        }
        Ok(Self::Layout(folder.to_owned()))
    }

    pub(super) fn archive(path: &Path) -> Result<Self> {
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
        Ok(Self::Archive(file, members, path.to_owned()))
    }

    /// A small file that is not a blob.
    pub(super) fn named(&self, name: &str) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let blob = match self {
            Self::Layout(folder) => Blob::file(open(&folder.join(name))?)?,
            Self::Store(_) => return Err(invalid(&format!("it has no `{name}`"))),
            Self::Archive(file, members, _) => {
                Blob::part(file, members.get(name.as_bytes()), name)?
            }
        };
        blob.take(MAX_JSON + 1)
            .read_to_end(&mut bytes)
            .io("reading", name)?;
        if bytes.len() as u64 > MAX_JSON {
            return Err(invalid(&format!("`{name}` is too large")));
        }
        Ok(bytes)
    }

    pub(super) fn open(&self, descriptor: &Descriptor) -> Result<Blob> {
        let name = format!("blobs/sha256/{}", descriptor.digest.hex());
        match self {
            Self::Layout(folder) => Blob::file(open(&folder.join(name))?),
            Self::Store(store) => Blob::file(open(&store.blob_path(&descriptor.digest))?),
            Self::Archive(file, members, _) => {
                Blob::part(file, members.get(name.as_bytes()), &name)
            }
        }
    }

    /// A whole JSON blob, verified.
    pub(super) fn blob(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
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

    /// The same, from byte `from` and of `length` bytes at most.
    #[must_use]
    pub fn range(self, from: u64, length: u64) -> Self {
        let at = self.at.saturating_add(from).min(self.end);
        let end = at.saturating_add(length).min(self.end);
        Self { at, end, ..self }
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

    /// How many bytes were read so far.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.read
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
    // Errors of decoders and of verification have no number of the system's.
    let kind = match error.raw_os_error() {
        Some(_) => Kind::Io,
        None => Kind::Verify,
    };
    Error::new(kind, error.to_string())
}
