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
        // Files of subordinate ids make this fail; the next build clears them. The
        // lock goes last: killed meanwhile, this must still be known as abandoned.
        let _ = fs::remove_dir_all(self.path());
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Store {
    /// Makes a work folder.
    ///
    /// # Errors
    /// When it cannot be made or locked.
    pub fn scratch(&self) -> Result<Scratch> {
        // Nobody must take the folder for abandoned before it is locked.
        let _turn = self.lock("scratch")?;
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
        let _turn = self.lock("scratch")?;
        let parent = self.root.join("scratch");
        let mut found = Vec::new();
        for entry in fs::read_dir(&parent).io("listing", &parent)? {
            let folder = entry.io("listing", &parent)?.path();
            let lock = folder.join("lock");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_that_nobody_holds_are_abandoned() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let held = store.scratch().unwrap();
        assert_eq!(store.abandoned().unwrap(), Vec::<PathBuf>::new());
        // Killed before it was locked, or while it was cleared.
        let unlocked = folder.path().join("scratch/work-unlocked");
        fs::create_dir_all(unlocked.join("work")).unwrap();
        assert_eq!(store.abandoned().unwrap(), [unlocked]);
        let path = held.folder.clone();
        drop(held);
        assert!(!path.exists());
    }
}
