//! A download under way: the locked file that gathers its bytes, and their hash so far.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Seek, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use crate::digest::{Digest, Hasher};
use crate::error::{Context, Error, Kind, Result};
use crate::store::Store;

/// How long to wait between looks at a file that another process is downloading.
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// A partial file that this process alone writes to.
pub struct Partial {
    path: PathBuf,
    digest: Digest,
    size: Option<u64>,
    file: File,
    hash: Hasher<io::Sink>,
    position: u64,
}

impl Partial {
    /// Takes the partial file of `digest`, waiting while another process has it;
    /// nothing when the blob has meanwhile come into the store.
    pub async fn open(store: &Store, digest: Digest, size: Option<u64>) -> Result<Option<Self>> {
        let path = store.partial_path(&digest);
        loop {
            if store.has(&digest, size) {
                return Ok(None);
            }
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
                .io("opening", &path)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {
                    tokio::time::sleep(LOCK_PAUSE).await;
                    continue;
                }
                Err(error) => return Err(Error::io("locking", &path, error)),
            }
            // Its last holder may have made it a blob between our opening and locking:
            // then what we hold is the blob, which must not be written to.
            let ours = file.metadata().io("reading", &path)?;
            let current = fs::metadata(&path)
                .is_ok_and(|current| (current.dev(), current.ino()) == (ours.dev(), ours.ino()));
            if !current {
                continue;
            }
            let mut partial = Self {
                path,
                digest,
                size,
                file,
                hash: Hasher::new(io::sink()),
                position: 0,
            };
            tokio::task::block_in_place(|| partial.resume())?;
            return Ok(Some(partial));
        }
    }

    /// Bytes gathered so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Bytes still to come, where the size is known.
    pub fn missing(&self) -> Option<u64> {
        self.size.map(|size| size.saturating_sub(self.position))
    }

    /// What came when it would have grown beyond its size.
    #[must_use]
    pub fn too_long(&self) -> String {
        format!(
            "more than {} bytes",
            self.position + self.missing().unwrap_or(0)
        )
    }

    /// Appends what came; false when it would grow beyond the known size.
    pub fn append(&mut self, bytes: &[u8]) -> Result<bool> {
        let length = bytes.len() as u64;
        if self.missing().is_some_and(|missing| missing < length) {
            return Ok(false);
        }
        if let Err(error) = self.file.write_all(bytes) {
            return Err(write_error(&self.path, &error));
        }
        self.hash.write_all(bytes).io("hashing", &self.path)?;
        self.position += length;
        Ok(true)
    }

    /// Throws away what there is.
    pub fn restart(&mut self) -> Result<()> {
        self.file.set_len(0).io("truncating", &self.path)?;
        self.file.rewind().io("rewinding", &self.path)?;
        self.hash = Hasher::new(io::sink());
        self.position = 0;
        Ok(())
    }

    /// Removes the file.
    pub fn discard(self) {
        let _ = fs::remove_file(&self.path);
    }

    /// Moves the whole file into the store if it is what was asked for;
    /// otherwise throws it away and tells what it was instead.
    pub fn finish(&mut self, store: &Store) -> Result<Option<Digest>> {
        let hash = std::mem::replace(&mut self.hash, Hasher::new(io::sink()));
        let (digest, _, _) = hash.finish();
        if digest != self.digest || self.size.is_some_and(|size| size != self.position) {
            self.restart()?;
            return Ok(Some(digest));
        }
        // Blobs are shared with images by hard link: nobody may write to them.
        self.file
            .set_permissions(Permissions::from_mode(0o444))
            .io("writing", &self.path)?;
        store.adopt(&self.path, &self.digest)?;
        Ok(None)
    }

    /// Hashes what an earlier download left.
    fn resume(&mut self) -> Result<()> {
        let length = self.file.metadata().io("reading", &self.path)?.len();
        if self.size.is_some_and(|size| length > size) {
            return self.restart();
        }
        // Reading moves the position to where writing goes on.
        self.position = io::copy(&mut self.file, &mut self.hash).io("reading", &self.path)?;
        Ok(())
    }
}

fn write_error(path: &Path, error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::new(
            Kind::Io,
            format!("no space left for the store, writing `{}`", path.display()),
        )
        .hint("free some space and run the same again (what was downloaded is kept), or choose another place with `--store`"),
        _ => Error::io("writing", path, error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_says_so() {
        // ENOSPC, EDQUOT
        for code in [28, 122] {
            let error = write_error(Path::new("x"), &io::Error::from_raw_os_error(code));
            assert_eq!(error.kind(), Kind::Io);
            assert!(error.message().contains("no space left"), "{error}");
            assert!(error.hints()[0].contains("--store"));
        }
        let error = write_error(Path::new("x"), &io::Error::from_raw_os_error(5));
        assert!(error.hints().is_empty());
    }
}
