//! The store: a content-addressed cache shared by any number of builds at once.
//!
//! ```text
//! blobs/sha256/HEX    downloads, layers, configurations: content that never changes
//! partial/HEX         downloads under way, locked by the one who writes, resumed by the next
//! records/KIND/KEY    small JSON: what a key (a digest of inputs) led to
//! scratch/NAME/       work of one process, locked while it lives
//! locks/NAME          locks between processes
//! ```
//!
//! A blob appears only whole (written aside, then renamed), so a reader never
//! sees half of one. Everything in the store can be made again.

mod prune;
mod scratch;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::digest::{Digest, Hasher};
use crate::error::{Context, Error, Result};

pub use prune::{Amount, Pruned};
pub use scratch::{Guard, Scratch};

/// What to do when the store's folder is of no use.
const ELSEWHERE: &str = "choose another folder for the store with `--store` or in `NODELITH_STORE`";

/// How the names of files begin that are being written.
const ASIDE: &str = ".new-";

/// A store in a folder.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// Opens the store in `root`, making it if it is not there.
    ///
    /// # Errors
    /// When its folders cannot be made.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        for folder in ["blobs/sha256", "partial", "records", "scratch", "locks"] {
            let folder = root.join(folder);
            fs::create_dir_all(&folder)
                .io("making the store's folder", &folder)
                .map_err(|error| error.hint(ELSEWHERE))?;
        }
        Ok(Self { root })
    }

    /// The store's folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the blob of this digest is, or would be.
    #[must_use]
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs/sha256").join(digest.hex())
    }

    /// Where a download of this digest gathers until it is whole.
    #[must_use]
    pub fn partial_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("partial").join(digest.hex())
    }

    /// Whether the blob is there, and of `size` bytes if that is given.
    #[must_use]
    pub fn has(&self, digest: &Digest, size: Option<u64>) -> bool {
        fs::metadata(self.blob_path(digest))
            .is_ok_and(|metadata| size.is_none_or(|size| size == metadata.len()))
    }

    /// Whether the blob is there, and is what its name says. One that was damaged
    /// on the disk is removed, so that it can be had anew.
    ///
    /// # Errors
    /// When a damaged blob cannot be removed.
    pub fn has_whole(&self, digest: &Digest, size: Option<u64>) -> Result<bool> {
        let path = self.blob_path(digest);
        let Ok(file) = File::open(&path) else {
            return Ok(false);
        };
        let found = Digest::of_reader(file);
        if found
            .is_ok_and(|(found, length)| found == *digest && size.is_none_or(|size| size == length))
        {
            return Ok(true);
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::io("removing the damaged", path, error))
            }
            _ => Ok(false),
        }
    }

    /// Every blob that is there.
    ///
    /// # Errors
    /// When the store cannot be listed.
    pub fn blobs(&self) -> Result<BTreeSet<Digest>> {
        let folder = self.root.join("blobs/sha256");
        let mut found = BTreeSet::new();
        for entry in fs::read_dir(&folder).io("listing", &folder)? {
            let name = entry.io("listing", &folder)?.file_name();
            found.extend(name.to_str().and_then(Digest::from_hex));
        }
        Ok(found)
    }

    /// Opens a blob for reading.
    ///
    /// # Errors
    /// When it is not there or cannot be read.
    pub fn open_blob(&self, digest: &Digest) -> Result<File> {
        let path = self.blob_path(digest);
        File::open(&path).io("opening", &path)
    }

    /// Starts a new blob; it counts only once committed.
    ///
    /// # Errors
    /// When no file can be made in the store.
    pub fn writer(&self) -> Result<BlobWriter> {
        let folder = self.root.join("blobs");
        let file = tempfile::Builder::new()
            .prefix(ASIDE)
            .tempfile_in(&folder)
            .io("making a file in", &folder)?;
        Ok(BlobWriter {
            hasher: Hasher::new(BufWriter::with_capacity(1 << 18, file)),
            store: self.clone(),
        })
    }

    /// Puts `bytes` into the store.
    ///
    /// # Errors
    /// When writing fails.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest> {
        let digest = Digest::of(bytes);
        if !self.has(&digest, Some(bytes.len() as u64)) {
            let mut writer = self.writer()?;
            writer
                .write_all(bytes)
                .io("writing to", self.blob_path(&digest))?;
            writer.commit()?;
        }
        Ok(digest)
    }

    /// Moves a whole and verified file into the store as the blob `digest`.
    ///
    /// # Errors
    /// When renaming fails.
    pub fn adopt(&self, file: &Path, digest: &Digest) -> Result<()> {
        let path = self.blob_path(digest);
        fs::rename(file, &path).io("renaming to", &path)
    }

    /// What was recorded under `kind` and `key`; an unreadable record counts as none.
    ///
    /// Marks the record as used, so that pruning spares it and what it names.
    #[must_use]
    pub fn record<T: DeserializeOwned>(&self, kind: &str, key: &Digest) -> Option<T> {
        let mut file = File::open(self.record_path(kind, key)).ok()?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).ok()?;
        // Another user's store may be readable only; then the mark is not ours to set.
        let _ = file.set_modified(SystemTime::now());
        serde_json::from_slice(&bytes).ok()
    }

    /// Records `value` under `kind` and `key`.
    ///
    /// # Errors
    /// When writing fails.
    pub fn put_record<T: Serialize>(&self, kind: &str, key: &Digest, value: &T) -> Result<()> {
        let path = self.record_path(kind, key);
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder).io("making", folder)?;
        let bytes = serde_json::to_vec(value).io("writing", &path)?;
        write_atomic(&path, &bytes)
    }

    /// Where a record is kept.
    #[must_use]
    pub fn record_path(&self, kind: &str, key: &Digest) -> PathBuf {
        self.root.join("records").join(kind).join(key.hex())
    }
}

/// A blob being written; dropped without [`commit`](Self::commit), it leaves nothing.
pub struct BlobWriter {
    hasher: Hasher<BufWriter<tempfile::NamedTempFile>>,
    store: Store,
}

impl BlobWriter {
    /// Ends the blob and gives it its name; returns digest and size in bytes.
    ///
    /// # Errors
    /// When the last bytes cannot be written or the file cannot be renamed.
    pub fn commit(self) -> Result<(Digest, u64)> {
        let (digest, size, file) = self.hasher.finish();
        let path = self.store.blob_path(&digest);
        let file = file
            .into_inner()
            .map_err(io::IntoInnerError::into_error)
            .io("writing", &path)?;
        // Blobs are shared with images by hard link: nobody may write to them.
        let readable = std::os::unix::fs::PermissionsExt::from_mode(0o444);
        file.as_file()
            .set_permissions(readable)
            .io("writing", &path)?;
        file.persist(&path)
            .map_err(|error| error.error)
            .io("renaming to", &path)?;
        Ok((digest, size))
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hasher.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.hasher.flush()
    }
}

/// Writes a file aside and renames it into place, so that no reader sees half of it.
///
/// # Errors
/// When writing or renaming fails.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut file = tempfile::Builder::new()
        .prefix(ASIDE)
        .tempfile_in(folder)
        .io("making a file in", folder)?;
    file.write_all(bytes).io("writing", path)?;
    // Set apart from making it, so that no umask takes anything away.
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    file.as_file()
        .set_permissions(readable)
        .io("writing", path)?;
    file.persist(path)
        .map_err(|error| error.error)
        .io("renaming to", path)?;
    Ok(())
}
