//! Reads locked store paths into a tree, each verified before anything of it is used.
//!
//! What was read is recorded by path and NAR hash. A record holds the digest of each
//! file, and a file is held against it again while it is packed, so that a store
//! that changes between the two reads cannot slip anything in. A path whose record
//! and layer are there is not read again: the store may be gone by then.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use serde_json::json;

use super::graph::PathInfo;
use super::nar::{self, Archive};
use super::path::StorePath;
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::layer::FORMAT;
use crate::store::Store;
use crate::tree::{Content, Entry, Node, TreePath};

/// What Nix gives every file of a store (`canonicalisePathMetaData`): one second
/// after the epoch.
const CANONICAL_TIME: i64 = 1;

/// Where the root is that holds the store on this machine: `/`, or that of a store
/// of its own (`--store` of Nix).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreRoot(pub PathBuf);

impl Default for StoreRoot {
    fn default() -> Self {
        Self("/".into())
    }
}

impl StoreRoot {
    /// Where a path of the root is on this machine.
    #[must_use]
    pub fn on_disk(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }
}

/// The component of a store path's entries.
pub(super) fn component(path: &StorePath) -> Arc<str> {
    format!("nix:{}", path.base()).into()
}

/// Reads store paths; `done` is told each one's size.
///
/// # Errors
/// [`Kind::Verify`] naming the path whose content is not what its NAR hash says;
/// [`Kind::Resolve`] naming one that is not there.
pub fn read(
    store: &Store,
    root: &StoreRoot,
    paths: &BTreeMap<&StorePath, &PathInfo>,
    done: &(dyn Fn(u64) + Sync),
) -> Result<BTreeMap<TreePath, Entry>> {
    let read: Vec<Vec<(TreePath, Entry)>> = paths
        .par_iter()
        .map(|(path, info)| {
            let archive = verified(store, root, path, info)?;
            done(info.nar_size);
            let on_disk = root.on_disk(path.as_str());
            Ok(entries(path, &archive, &on_disk))
        })
        .collect::<Result<_>>()?;
    Ok(read.into_iter().flatten().collect())
}

/// What is at a store path, which has the hash that it should have.
fn verified(store: &Store, root: &StoreRoot, path: &StorePath, info: &PathInfo) -> Result<Archive> {
    let key = json!({"format": FORMAT, "path": path, "nar-hash": info.nar_hash});
    let key = Digest::of(key.to_string().as_bytes());
    if let Some(archive) = store.record::<Archive>("nix", &key)
        && archive.hash == info.nar_hash
    {
        return Ok(archive);
    }
    let on_disk = root.on_disk(path.as_str());
    if std::fs::symlink_metadata(&on_disk).is_err() {
        let message = match on_disk == Path::new(path.as_str()) {
            true => format!("the store has no `{path}`"),
            false => format!(
                "the store has no `{path}` (it was looked for at `{}`)",
                on_disk.display()
            ),
        };
        return Err(Error::new(Kind::Resolve, message).hint(
            "realise it with `nix-store --realise`, or say where the store is with `--nix-root`",
        ));
    }
    let archive = nar::archive(&on_disk)?;
    if (archive.hash, archive.size) != (info.nar_hash, info.nar_size) {
        let message = format!(
            "`{path}` has the NAR hash {} ({} bytes), and the lock says {} ({} bytes)",
            archive.hash, archive.size, info.nar_hash, info.nar_size
        );
        return Err(Error::new(Kind::Verify, message).hint(format!(
            "`nix-store --verify-path {path}` tells whether the store is damaged; \
             `nix-store --repair-path` mends it"
        )));
    }
    store.put_record("nix", &key, &archive)?;
    Ok(archive)
}

fn entries(path: &StorePath, archive: &Archive, on_disk: &Path) -> Vec<(TreePath, Entry)> {
    let component = component(path);
    let base = path.in_tree();
    let entries = archive.entries.iter();
    entries
        .map(|(relative, kind)| {
            let (node, mode) = match kind {
                nar::Kind::Directory => (Node::Directory, 0o555),
                nar::Kind::Symlink(target) => (Node::Symlink(target.clone()), 0o777),
                nar::Kind::File {
                    size,
                    digest,
                    executable,
                } => {
                    let content = Content::Verified {
                        path: join(on_disk, relative),
                        digest: *digest,
                    };
                    let mode = if *executable { 0o555 } else { 0o444 };
                    (
                        Node::File {
                            size: *size,
                            content,
                        },
                        mode,
                    )
                }
            };
            let entry = Entry {
                node,
                mode,
                uid: 0,
                gid: 0,
                mtime: CANONICAL_TIME,
                xattrs: BTreeMap::new(),
                component: Arc::clone(&component),
            };
            let at = match relative.as_bytes().is_empty() {
                true => base.clone(),
                false => base.join(relative.as_bytes()),
            };
            (at, entry)
        })
        .collect()
}

fn join(on_disk: &Path, relative: &TreePath) -> PathBuf {
    match relative.as_bytes().is_empty() {
        true => on_disk.to_owned(), // with a slash at its end, a file is none
        false => on_disk.join(relative.as_path()),
    }
}
