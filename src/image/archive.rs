//! Images in one file: a layout in an uncompressed tar, called OCI archive.
//!
//! A node carries images in this form, since every containerd imports it. Its
//! descriptors have the full reference twice: as containerd's own annotation, which
//! it takes for the image's name word for word, and as the specification's, which
//! others read. A blob that several images of an archive share stands in it once.
//!
//! What archives share stands in a *part*: members of a tar that has no end, so that a
//! part and an archive, one after the other, are an archive. Whoever has the part and
//! several archives has every blob once.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::annotations;
use super::layout::MARK;
use super::manifest::{Descriptor, index};
use super::source::Verified;
use crate::digest::Digest;
use crate::error::{Context, Result};
use crate::layer::tar;
use crate::store::{BlobWriter, Store};
use crate::tree::{Content, Entry, FIXED_TIME, Node, TreePath};

const BLOBS: &str = "blobs/sha256";

/// Puts an archive into the store: `named` are references and what each leads to, `blobs`
/// are in the store, and are all that the archive shall have. Returns its digest and its
/// size in bytes.
///
/// # Errors
/// When a blob is not in the store or damaged, or the store cannot be written.
pub fn write(
    store: &Store,
    named: &[(&str, &Descriptor)],
    blobs: &[&Descriptor],
) -> Result<(Digest, u64)> {
    let mut archive = tar::Writer::new(store.writer()?);
    members(&mut archive, store, blobs)?;
    let manifests: Vec<Value> = named
        .iter()
        .map(|(reference, top)| json!(called(top, reference)))
        .collect();
    let index = index::<Value>(&manifests)?;
    for (path, bytes) in [("index.json", &index[..]), (MARK.0, MARK.1.as_bytes())] {
        let size = bytes.len() as u64;
        archive.append(&TreePath::from(path), &file(size), &mut &bytes[..])?;
    }
    let written = archive.finish().io("writing to", store.root())?;
    written.commit()
}

/// Puts a part of archives into the store: these blobs, which are there. Returns its
/// digest and its size in bytes.
///
/// # Errors
/// As for [`write`].
pub fn part(store: &Store, blobs: &[&Descriptor]) -> Result<(Digest, u64)> {
    let mut part = tar::Writer::new(store.writer()?);
    members(&mut part, store, blobs)?;
    part.unfinished().commit()
}

/// The folders and blobs, sorted by name.
fn members(
    archive: &mut tar::Writer<BlobWriter>,
    store: &Store,
    blobs: &[&Descriptor],
) -> Result<()> {
    for folder in ["blobs", BLOBS] {
        let entry = entry(Node::Directory, 0o755);
        archive.append(&TreePath::from(folder), &entry, &mut std::io::empty())?;
    }
    let blobs: BTreeSet<(Digest, u64)> = blobs.iter().map(|one| (one.digest, one.size)).collect();
    for (digest, size) in blobs {
        let path = TreePath::from(&*format!("{BLOBS}/{}", digest.hex()));
        let mut blob = Verified::new(store.open_blob(&digest)?, digest, Some(size));
        archive.append(&path, &file(size), &mut blob)?;
    }
    Ok(())
}

/// What a reference leads to, under its name.
fn called(top: &Descriptor, reference: &str) -> Descriptor {
    let mut named = top.clone();
    for key in [annotations::IMAGE_NAME, annotations::REF_NAME] {
        named.annotations.insert(key.into(), reference.into());
    }
    named
}

fn file(size: u64) -> Entry {
    let content = Content::Inline([].into());
    entry(Node::File { size, content }, 0o644)
}

fn entry(node: Node, mode: u32) -> Entry {
    Entry {
        node,
        mode,
        uid: 0,
        gid: 0,
        mtime: FIXED_TIME,
        xattrs: BTreeMap::new(),
        component: "archive".into(),
    }
}
