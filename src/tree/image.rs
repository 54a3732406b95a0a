//! Reads the tree of an image, ours or another's, from its layers.
//!
//! Layers are read in parallel, each streamed once, and put on top of one
//! another as the OCI image specification says ("Applying Changesets"):
//! whiteouts take away what lower layers brought, names below a link that leads
//! elsewhere in the root are followed there, and nothing escapes the root.

mod contents;
mod merge;

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;

use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};

pub use contents::read_contents;

use super::{Entry, Node, Tree, TreePath};
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::image::read::{Image, ImageLayer};
use crate::image::source::{Verified, reading};
use crate::layer::compress::decompress;
use crate::layer::untar;

/// The greatest number of members, and bytes of names and attributes, in one layer.
const MOST_MEMBERS: usize = 4 << 20;
const MOST_BYTES: usize = 1 << 30;

/// The tree of an image, with what its files hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageTree {
    /// The merged tree. An entry's component is its layer's id, or `layer-NN`.
    pub tree: Tree,
    /// Every regular file's content, hard links apart.
    pub files: BTreeMap<TreePath, FileContent>,
}

/// What a file of an image holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileContent {
    /// The digest of its bytes.
    pub digest: Digest,
    /// Where they are.
    pub place: Place,
}

/// Where the bytes of a file of an image are. (Names do not tell: the same may
/// come again in one layer, while a hard link keeps the first file.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The number of the layer, from 0.
    pub layer: usize,
    /// The number of the member in the layer's tar, from 0.
    pub member: usize,
}

/// The tree of an image, of whose files nothing is known but where they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outline {
    /// As in [`ImageTree`].
    pub tree: Tree,
    /// Every regular file, hard links apart.
    pub files: BTreeMap<TreePath, Place>,
}

/// What one layer does to what is below it.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// Paths that lower layers brought and that are gone.
    pub gone: Vec<TreePath>,
    /// Directories of which everything that lower layers brought is gone.
    pub emptied: Vec<TreePath>,
    /// What it brings, in its order: the number of the member, and of files the
    /// digest of their content if it was asked for.
    pub brought: Vec<(usize, TreePath, Entry, Option<Digest>)>,
}

/// Reads all layers of an image and merges them.
///
/// # Errors
/// When a layer is not there, does not match its digests, or is malformed.
pub fn read(image: &Image) -> Result<ImageTree> {
    merge_layers(read_layers(image, &|_, _, _, content| {
        digest(content).map(Some)
    })?)
}

/// The same without a look at what files hold, which takes less time.
///
/// # Errors
/// As [`read`].
pub fn read_outline(image: &Image) -> Result<Outline> {
    merge_outline(read_layers(image, &|_, _, _, _| Ok(None))?)
}

/// Looks into a file of an image while it is read: its place, name, entry and
/// content, of which it reads what it wants.
pub type Look<'a> =
    dyn Fn(Place, &TreePath, &Entry, &mut (dyn Read + Send)) -> Result<()> + Sync + 'a;

/// As [`read_outline`], and has `look` look into every regular file of every layer,
/// those of lower layers that others hide included.
///
/// # Errors
/// As of [`read`], and what `look` fails with.
pub fn read_looking(image: &Image, look: &Look<'_>) -> Result<Outline> {
    let look = |place: Place, path: &TreePath, entry: &Entry, content: &mut (dyn Read + Send)| {
        look(place, path, entry, content).map(|()| None)
    };
    merge_outline(read_layers(image, &look)?)
}

/// What becomes of a file's content: its digest, if that is wanted.
type Taking<'a> =
    dyn Fn(Place, &TreePath, &Entry, &mut (dyn Read + Send)) -> Result<Option<Digest>> + Sync + 'a;

fn read_layers(image: &Image, take: &Taking<'_>) -> Result<Vec<Changes>> {
    let layers = image.layers.par_iter().enumerate();
    layers
        .map(|(number, layer)| {
            let read = || {
                let mut reader = open(image, layer)?;
                let changes = changes(&mut reader, &component(layer, number), number, take)?;
                reader.drain()?;
                Ok(changes)
            };
            read().map_err(|error| in_layer(image, layer, error))
        })
        .collect()
}

fn digest(content: &mut (dyn Read + Send)) -> Result<Digest> {
    let content = io::BufReader::with_capacity(1 << 16, content);
    let (digest, _) = Digest::of_reader(content).map_err(|error| reading(&error))?;
    Ok(digest)
}

fn in_layer(image: &Image, layer: &ImageLayer, error: Error) -> Error {
    error.context(format!(
        "reading layer {} of `{}`",
        layer.descriptor.digest, image.reference
    ))
}

/// Reads small files of an image; those that are not there or larger than
/// `limit` bytes are left out.
///
/// # Errors
/// When a layer cannot be read.
pub fn read_files(
    image: &Image,
    tree: &ImageTree,
    paths: &[TreePath],
    limit: u64,
) -> Result<BTreeMap<TreePath, Vec<u8>>> {
    let mut wanted: BTreeMap<usize, BTreeMap<usize, Vec<&TreePath>>> = BTreeMap::new();
    for path in paths {
        if let Some((name, entry)) = tree.tree.file(path)
            && matches!(entry.node, Node::File { size, .. } if size <= limit)
            && let Some(FileContent { place, .. }) = tree.files.get(name)
        {
            let layer = wanted.entry(place.layer).or_default();
            layer.entry(place.member).or_default().push(path);
        }
    }
    let mut found = BTreeMap::new();
    for (number, members) in wanted {
        let mut reader = open(image, &image.layers[number])?;
        for member in 0.. {
            if reader.advance()?.is_none() {
                break;
            }
            if let Some(paths) = members.get(&member) {
                let mut bytes = Vec::new();
                reader
                    .read_to_end(&mut bytes)
                    .map_err(|error| reading(&error))?;
                for path in paths {
                    found.insert((*path).clone(), bytes.clone());
                }
            }
        }
        reader.drain()?;
    }
    Ok(found)
}

type LayerReader = untar::Reader<Verified<Box<dyn Read + Send>>>;

/// A layer's members; both its digests are verified once it is read to the end.
fn open(image: &Image, layer: &ImageLayer) -> Result<LayerReader> {
    let plain = decompress(image.layer(layer)?).map_err(|error| reading(&error))?;
    let plain = Verified::new(plain, layer.diff_id, None);
    Ok(untar::Reader::new(plain, layer.descriptor.digest))
}

fn component(layer: &ImageLayer, number: usize) -> Arc<str> {
    layer
        .id()
        .map_or_else(|| format!("layer-{number:02}").into(), Into::into)
}

/// Reads what one layer does, and hashes what its files hold.
///
/// # Errors
/// When it is malformed, or larger than an image's metadata can reasonably be.
pub fn read_changes(
    reader: &mut untar::Reader<impl Read + Send>,
    component: &Arc<str>,
) -> Result<Changes> {
    changes(reader, component, 0, &|_, _, _, content| {
        digest(content).map(Some)
    })
}

fn changes(
    reader: &mut untar::Reader<impl Read + Send>,
    component: &Arc<str>,
    layer: usize,
    take: &Taking<'_>,
) -> Result<Changes> {
    let mut changes = Changes::default();
    let mut bytes = 0;
    for member in 0.. {
        let Some((path, mut entry)) = reader.advance()? else {
            break;
        };
        bytes += path.as_bytes().len() + entry.xattrs.values().map(Vec::len).sum::<usize>();
        if member >= MOST_MEMBERS || bytes > MOST_BYTES {
            return Err(Error::new(Kind::Verify, "the layer has too many members"));
        }
        if let Some(hidden) = path.name().strip_prefix(b".wh.") {
            let folder = path.parent().unwrap_or_default();
            match hidden {
                b".wh..opq" => changes.emptied.push(folder),
                b"" | b"." | b".." => {
                    let message = format!("`{path}` is no valid whiteout");
                    return Err(Error::new(Kind::Verify, message));
                }
                // Notes of old storage drivers.
                _ if hidden.starts_with(b".wh.") => {}
                _ => changes.gone.push(folder.join(hidden)),
            }
            continue;
        }
        entry.component = Arc::clone(component);
        let digest = match entry.node {
            Node::File { .. } => take(Place { layer, member }, &path, &entry, reader)?,
            _ => None,
        };
        changes.brought.push((member, path, entry, digest));
    }
    Ok(changes)
}

/// Puts layers on top of one another, the lowest first.
///
/// # Errors
/// When a hard link leads nowhere or links go in a circle.
pub fn merge_layers(layers: Vec<Changes>) -> Result<ImageTree> {
    let (tree, files) = merge::merge(layers)?;
    let content = |(path, (place, digest)): (TreePath, (Place, Option<Digest>))| {
        digest.map(|digest| (path, FileContent { digest, place }))
    };
    let files = files.into_iter().filter_map(content).collect();
    Ok(ImageTree { tree, files })
}

/// The same of layers whose contents nobody looked at.
///
/// # Errors
/// As [`merge_layers`].
pub fn merge_outline(layers: Vec<Changes>) -> Result<Outline> {
    let (tree, files) = merge::merge(layers)?;
    let places = files.into_iter().map(|(path, (place, _))| (path, place));
    Ok(Outline {
        tree,
        files: places.collect(),
    })
}
