//! Images in one file: a layout in an uncompressed tar, called OCI archive.
//!
//! A node carries images in this form, since every containerd imports it. Its
//! descriptors have the full reference twice: as containerd's own annotation, which
//! it takes for the image's name word for word, and as the specification's, which
//! others read. A blob that several images share stands in it once.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::annotations;
use super::layout::MARK;
use super::manifest::{Built, Descriptor, index};
use crate::digest::Digest;
use crate::error::Result;
use crate::layer::{self, Compression, PlannedLayer};
use crate::store::Store;
use crate::tree::{Content, Entry, FIXED_TIME, Node, Tree, TreePath};

const BLOBS: &str = "blobs/sha256";

/// Puts an archive of `images`, each under its full reference, into the store;
/// their blobs are there. Returns its digest and its size in bytes.
///
/// # Errors
/// When a blob is not in the store, or the store cannot be written.
pub fn write(store: &Store, images: &[(&str, &Built)]) -> Result<(Digest, u64)> {
    let mut tree = Tree::default();
    for folder in ["blobs", BLOBS] {
        add(&mut tree, folder, Node::Directory, 0o755);
    }
    let mut manifests = Vec::new();
    for (reference, image) in images {
        manifests.push(json!(named(&image.manifest, reference)));
        for blob in image.blobs() {
            let node = Node::File {
                size: blob.size,
                content: Content::Blob(blob.digest),
            };
            let path = format!("{BLOBS}/{}", blob.digest.hex());
            add(&mut tree, &path, node, 0o644);
        }
    }
    add(
        &mut tree,
        "index.json",
        text(&index::<Value>(&manifests)?),
        0o644,
    );
    add(&mut tree, MARK.0, text(MARK.1.as_bytes()), 0o644);
    // A layer's tar and an archive's follow the same rules.
    let whole = PlannedLayer {
        id: "archive".into(),
        components: Vec::new(),
        entries: tree.entries.keys().cloned().collect(),
        content_size: 0,
    };
    let blob = layer::make(store, &whole, &tree, Compression::None, 1)?;
    Ok((blob.digest, blob.size))
}

/// The manifest under its name.
fn named(manifest: &Descriptor, reference: &str) -> Descriptor {
    let mut named = manifest.clone();
    for key in [annotations::IMAGE_NAME, annotations::REF_NAME] {
        named.annotations.insert(key.into(), reference.into());
    }
    named
}

fn text(bytes: &[u8]) -> Node {
    Node::File {
        size: bytes.len() as u64,
        content: Content::Inline(bytes.into()),
    }
}

fn add(tree: &mut Tree, path: &str, node: Node, mode: u32) {
    let entry = Entry {
        node,
        mode,
        uid: 0,
        gid: 0,
        mtime: FIXED_TIME,
        xattrs: BTreeMap::new(),
        component: "archive".into(),
    };
    tree.entries.insert(TreePath::from(path), entry);
}
