//! A root that another machine made: is it what its layers say?
//!
//! Nothing here can tell whether the packages' scripts would have led to the same
//! root; that is for those to answer for who may write to the place it came from. What
//! is held against the layers is all that we go on with: the tree, path by path, and where
//! each stands. The texts for node configuration are read anew.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use super::{LONGEST_TEXT, Root, RootLayer};
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::layer::{self, Compression};
use crate::store::Store;
use crate::tree::{Entry, Node, Tree, TreePath};

/// What one layer turned out to hold.
#[derive(Default)]
struct Held {
    paths: BTreeSet<TreePath>,
    texts: BTreeMap<TreePath, String>,
}

impl Root {
    /// Holds the root against its layers, which are in the store, and reads its texts
    /// from them; `wanted` says of which paths.
    ///
    /// # Errors
    /// [`Kind::Verify`] where the two say different things, a layer is not as one of ours
    /// would be, or there are more than `limit`.
    pub fn received(
        mut self,
        store: &Store,
        limit: usize,
        wanted: fn(&[u8]) -> bool,
    ) -> Result<Self> {
        if self.layers.len() > limit {
            let message = format!("{} layers are more than {limit}", self.layers.len());
            return Err(Error::new(Kind::Verify, message));
        }
        let mut homes: BTreeMap<&str, Digest> = BTreeMap::new();
        for layer in &self.layers {
            for component in &layer.components {
                let before = homes.insert(component, layer.blob.digest);
                if before.is_some() {
                    return Err(wrong(&format!("component `{component}` is in two layers")));
                }
            }
        }
        let tree = &self.tree;
        let held: Vec<Held> = self
            .layers
            .par_iter()
            .map(|layer| {
                held(store, layer, tree, &homes, wanted)
                    .map_err(|error| error.context(format!("layer {}", layer.blob.digest)))
            })
            .collect::<Result<_>>()?;
        let mut seen = BTreeSet::new();
        let mut texts = BTreeMap::new();
        for layer in held {
            for path in layer.paths {
                let is_folder = |path| {
                    let entry = self.tree.entries.get(path);
                    entry.is_some_and(|entry| entry.node == Node::Directory)
                };
                if seen.contains(&path) && !is_folder(&path) {
                    return Err(wrong(&format!("`{path}` is in two layers")));
                }
                seen.insert(path);
            }
            texts.extend(layer.texts);
        }
        if let Some(path) = self.tree.entries.keys().find(|path| !seen.contains(*path)) {
            return Err(wrong(&format!("`{path}` is in no layer")));
        }
        self.texts = texts;
        Ok(self)
    }
}

fn held(
    store: &Store,
    layer: &RootLayer,
    tree: &Tree,
    homes: &BTreeMap<&str, Digest>,
    wanted: fn(&[u8]) -> bool,
) -> Result<Held> {
    let blob = &layer.blob;
    // What a base's layer may say, none of ours does.
    if blob.media_type != Compression::ZSTD.media_type() || !blob.annotations.is_empty() {
        return Err(wrong("it is not compressed as roots' layers are"));
    }
    let mut held = Held::default();
    let is_text = |path: &TreePath, entry: &Entry| {
        matches!(entry.node, Node::File { size, .. } if size <= LONGEST_TEXT)
            && wanted(path.as_bytes())
    };
    let mut look = |path: &TreePath, entry: &Entry, content: Vec<u8>| {
        let said = tree.entries.get(path);
        let said = said.ok_or_else(|| wrong(&format!("`{path}` is not in the tree")))?;
        // Where a file's bytes are is part of its entry: in this layer, and nowhere else.
        let same = Entry {
            component: said.component.clone(),
            ..entry.clone()
        };
        let is_home =
            entry.node == Node::Directory || homes.get(&*said.component) == Some(&blob.digest);
        if *said != same || !is_home {
            return Err(wrong(&format!("the tree says something else of `{path}`")));
        }
        if is_text(path, entry) {
            let text = String::from_utf8_lossy(&content).into_owned();
            held.texts.insert(path.clone(), text);
        }
        held.paths.insert(path.clone());
        Ok(())
    };
    layer::received(store, blob, &is_text, &mut look)?;
    Ok(held)
}

fn wrong(why: &str) -> Error {
    Error::new(Kind::Verify, why)
}
