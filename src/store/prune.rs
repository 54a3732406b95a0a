//! Making room: what no recent record leads to is removed.
//!
//! Records say which blobs they need simply by naming their digests. A record
//! is touched whenever it is used; old ones go first, then every blob that no
//! remaining record names and that is itself old.

use std::collections::BTreeSet;
use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::FlockOperation;

use super::scratch::lock_file;
use super::{ASIDE, ELSEWHERE, Guard, Store};
use crate::digest::Digest;
use crate::error::{Context, Error, Kind, Result};

/// How many things of one sort there are, and their size in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// Number of files.
    pub files: u64,
    /// Bytes.
    pub bytes: u64,
}

/// What pruning removed, or would remove.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Blobs.
    pub blobs: Amount,
    /// Downloads that were never finished.
    pub partial: Amount,
    /// Records.
    pub records: Amount,
}

impl Store {
    /// Says that this process uses the store: nothing is pruned meanwhile. When
    /// nobody else does, files that killed processes left half-written are removed.
    ///
    /// # Errors
    /// When the lock file cannot be made.
    pub fn in_use(&self) -> Result<Guard> {
        let lock = self.root.join("locks/use");
        if let Ok(alone) = lock_file(&lock, FlockOperation::NonBlockingLockExclusive) {
            self.sweep()?;
            drop(alone);
        }
        lock_file(&lock, FlockOperation::LockShared).map_err(|error| error.hint(ELSEWHERE))
    }

    /// Removes files that were never given their names.
    fn sweep(&self) -> Result<()> {
        let records = self.root.join("records");
        let mut folders = vec![self.root.clone(), self.root.join("blobs")];
        for entry in fs::read_dir(&records).io("listing", &records)? {
            folders.push(entry.io("listing", &records)?.path());
        }
        for folder in folders {
            for entry in fs::read_dir(&folder).io("listing", &folder)? {
                let entry = entry.io("listing", &folder)?;
                if entry
                    .file_name()
                    .as_encoded_bytes()
                    .starts_with(ASIDE.as_bytes())
                {
                    // Another process may be doing the same.
                    let _ = fs::remove_file(entry.path());
                }
            }
        }
        Ok(())
    }

    /// How much of each sort is in the store: blobs, unfinished downloads, records.
    ///
    /// # Errors
    /// When the store cannot be listed.
    pub fn amounts(&self) -> Result<[(&'static str, Amount); 3]> {
        let mut amounts = [
            ("blobs", Amount::default()),
            ("partial", Amount::default()),
            ("records", Amount::default()),
        ];
        for (folder, amount) in &mut amounts {
            for (_, size, _) in files(&self.root.join(folder))? {
                amount.files += 1;
                amount.bytes += size;
            }
        }
        Ok(amounts)
    }

    /// Removes what was not used for `age`.
    ///
    /// # Errors
    /// [`Kind::Io`] while a build uses the store, or when removing fails.
    pub fn prune(&self, age: Duration, dry_run: bool) -> Result<Pruned> {
        let lock = self.root.join("locks/use");
        let _guard = lock_file(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            Error::new(Kind::Io, "the store is in use by another process")
                .hint("wait until no build is running, then prune again")
        })?;
        let limit = SystemTime::now().checked_sub(age);
        let old = |used: SystemTime| limit.is_some_and(|limit| used <= limit);
        let remove = |path: &Path, size: u64, amount: &mut Amount| -> Result<()> {
            amount.files += 1;
            amount.bytes += size;
            if dry_run {
                return Ok(());
            }
            fs::remove_file(path).io("removing", path)
        };
        let mut pruned = Pruned::default();
        let mut needed = BTreeSet::new();
        for (path, size, used) in files(&self.root.join("records"))? {
            if old(used) {
                remove(&path, size, &mut pruned.records)?;
            } else {
                collect_digests(&fs::read(&path).io("reading", &path)?, &mut needed);
            }
        }
        for (path, size, used) in files(&self.root.join("partial"))? {
            if old(used) {
                remove(&path, size, &mut pruned.partial)?;
            }
        }
        for (path, size, used) in files(&self.root.join("blobs"))? {
            let name = path.file_name().and_then(|name| name.to_str());
            let digest = name.and_then(Digest::from_hex);
            let kept = digest.is_some_and(|digest| needed.contains(&digest));
            if old(used) && !kept {
                remove(&path, size, &mut pruned.blobs)?;
            }
        }
        Ok(pruned)
    }
}

/// Adds every `sha256:HEX` in a record's text.
fn collect_digests(text: &[u8], digests: &mut BTreeSet<Digest>) {
    const PREFIX: &[u8] = b"sha256:";
    let mut rest = text;
    while let Some(at) = rest.windows(PREFIX.len()).position(|part| part == PREFIX) {
        rest = &rest[at + PREFIX.len()..];
        let hex = rest.get(..64).and_then(|hex| std::str::from_utf8(hex).ok());
        digests.extend(hex.and_then(Digest::from_hex));
    }
}

/// Every file below a folder, with its size in bytes and when it was last used.
fn files(folder: &Path) -> Result<Vec<(PathBuf, u64, SystemTime)>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let listing = fs::read_dir(&folder).io("listing", &folder)?;
        let mut entries: Vec<DirEntry> = listing
            .collect::<std::io::Result<_>>()
            .io("listing", &folder)?;
        entries.sort_by_key(DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let metadata = entry.metadata().io("reading", &path)?;
            if metadata.is_dir() {
                folders.push(path);
            } else {
                let used = metadata.modified().io("reading", &path)?;
                found.push((path, metadata.len(), used));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_no_record_names_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let kept = store.put(b"kept").unwrap();
        let lost = store.put(b"lost").unwrap();
        let key = Digest::of(b"key");
        store.put_record("images", &key, &vec![kept]).unwrap();

        let nothing = store.prune(Duration::from_secs(3600), false).unwrap();
        assert_eq!(nothing, Pruned::default());

        let past = SystemTime::now() - Duration::from_secs(7200);
        for digest in [&kept, &lost] {
            let blob = fs::File::open(store.blob_path(digest)).unwrap();
            blob.set_modified(past).unwrap();
        }
        let dry = store.prune(Duration::from_secs(3600), true).unwrap();
        assert!(store.has(&lost, None));
        let real = store.prune(Duration::from_secs(3600), false).unwrap();
        assert_eq!(dry, real);
        assert_eq!(real.blobs.files, 1);
        assert!(store.has(&kept, None) && !store.has(&lost, None));
    }

    #[test]
    fn what_was_never_finished_goes_when_nobody_uses_the_store() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let left = folder.path().join("blobs/.new-left");
        let guard = store.in_use().unwrap();
        fs::write(&left, "half").unwrap();
        let second = store.in_use().unwrap();
        assert!(left.exists());
        drop((guard, second));
        let _guard = store.in_use().unwrap();
        assert!(!left.exists());
    }

    #[test]
    fn a_store_in_use_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let guard = store.in_use().unwrap();
        assert!(store.prune(Duration::ZERO, false).is_err());
        drop(guard);
        assert!(store.prune(Duration::ZERO, false).is_ok());
    }
}
