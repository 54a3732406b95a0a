//! Removing what belongs to ids that only the sandbox can handle.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::choose::Chosen;
use super::parent;
use super::protocol::REMOVE;
use crate::error::{Context, Result};
use crate::store::Store;

/// How long processes of a killed build may take to end.
const DYING: Duration = Duration::from_secs(5);

/// Removes `path` and all below it, in a worker if it holds files of subordinate
/// ids. Symbolic links are not followed; nothing there is no failure.
///
/// # Errors
/// When something cannot be removed.
pub fn remove_tree(chosen: &Chosen, path: &Path) -> Result<()> {
    let outside = remove(path);
    if outside.is_ok() || !chosen.has_foreign_files() {
        return outside;
    }
    parent::send(chosen, REMOVE, &[path], &mut |_| {})
}

/// Removes what builds that were killed left in the store; returns how many folders.
///
/// # Errors
/// When the store cannot be listed or something cannot be removed.
pub fn clear_abandoned(store: &Store, chosen: &Chosen) -> Result<usize> {
    let abandoned = store.abandoned()?;
    for folder in &abandoned {
        // The lock goes last: killed meanwhile, the folder must still be known as abandoned.
        remove_tree(chosen, &folder.join("work"))?;
        remove_tree(chosen, folder)?;
    }
    Ok(abandoned.len())
}

/// The worker's side.
pub(super) fn serve(job: &[u8]) -> Result<Value> {
    let paths: Vec<PathBuf> = serde_json::from_slice(job).io("reading", "the sandbox's job")?;
    for path in paths {
        remove(&path)?;
    }
    Ok(Value::Null)
}

fn remove(path: &Path) -> Result<()> {
    let begun = Instant::now();
    loop {
        let removed = match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
            Ok(_) => fs::remove_file(path),
            Err(error) => Err(error),
        };
        match removed {
            // The worker of a build that was just killed is still dying, and writing.
            Err(error)
                if error.kind() == ErrorKind::DirectoryNotEmpty && begun.elapsed() < DYING =>
            {
                std::thread::sleep(Duration::from_millis(20));
            }
            // Another process may have been clearing at the same time.
            Err(error)
                if error.kind() != ErrorKind::NotFound || path.symlink_metadata().is_ok() =>
            {
                return Err(error).io("removing", path);
            }
            _ => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_still_written_into_is_removed_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("work");
        fs::create_dir(&path).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // Until the folder is gone: what cannot be made any more is the end.
                let begun = Instant::now();
                for number in 0.. {
                    let made = fs::create_dir(path.join(number.to_string()));
                    if made.is_err() || begun.elapsed() > Duration::from_millis(100) {
                        break;
                    }
                }
            });
            std::thread::sleep(Duration::from_millis(5));
            remove(&path).unwrap();
        });
        assert!(!path.exists());
    }
}
