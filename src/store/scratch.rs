//! Work folders and locks between processes: held by `flock`, so the kernel
//! lets go of them when a process dies, however it dies.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::Store;
use crate::error::{Context, Result};

/// A lock between processes, held until dropped.
#[derive(Debug)]
pub struct Guard {
    _file: File,
}

/// A work folder of this process; removed when dropped.
///
/// Inside is `work/`, free to use. What a killed process left is found by
/// [`Store::abandoned`]; it may hold files of subordinate ids, which only the
/// sandbox can remove.
#[derive(Debug)]
pub struct Scratch {
    folder: PathBuf,
    _lock: Guard,
}

impl Scratch {
    /// The folder to work in.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.join("work")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Files of subordinate ids make this fail; the next build clears them.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Store {
    /// Makes a work folder.
    ///
    /// # Errors
    /// When it cannot be made or locked.
    pub fn scratch(&self) -> Result<Scratch> {
        let parent = self.root.join("scratch");
        let folder = tempfile::Builder::new()
            .prefix("work-")
            .tempdir_in(&parent)
            .io("making a folder in", &parent)?
            .keep();
        let lock = lock_file(&folder.join("lock"), FlockOperation::LockExclusive)?;
        let work = folder.join("work");
        fs::create_dir(&work).io("making", &work)?;
        Ok(Scratch {
            folder,
            _lock: lock,
        })
    }

    /// Work folders whose process is gone.
    ///
    /// # Errors
    /// When the store cannot be listed.
    pub fn abandoned(&self) -> Result<Vec<PathBuf>> {
        let parent = self.root.join("scratch");
        let mut found = Vec::new();
        for entry in fs::read_dir(&parent).io("listing", &parent)? {
            let folder = entry.io("listing", &parent)?.path();
            let lock = folder.join("lock");
            // A folder without lock file is younger than its lock, or all but gone.
            let young = fs::metadata(&folder)
                .and_then(|metadata| metadata.modified())
                .is_ok_and(|time| time.elapsed().is_ok_and(|age| age.as_secs() < 60));
            if !lock.exists() && young {
                continue;
            }
            if lock_file(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
                found.push(folder);
            }
        }
        Ok(found)
    }

    /// Waits for the lock `name` and holds it.
    ///
    /// # Errors
    /// When the lock file cannot be made.
    pub fn lock(&self, name: &str) -> Result<Guard> {
        lock_file(
            &self.root.join("locks").join(name),
            FlockOperation::LockExclusive,
        )
    }
}

pub(super) fn lock_file(path: &Path, operation: FlockOperation) -> Result<Guard> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .io("opening lock", path)?;
    flock(&file, operation).io("locking", path)?;
    Ok(Guard { _file: file })
}
