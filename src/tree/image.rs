//! Reads the tree of an image, ours or another's, from its layers.
//!
//! Layers are read in parallel, each streamed once, and put on top of one
//! another as the OCI image specification says ("Applying Changesets"):
//! whiteouts take away what lower layers brought, names below a link that leads
//! elsewhere in the root are followed there, and nothing escapes the root.

mod contents;
mod merge;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

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
/// How much is read of a file that has several names that are wanted, in bytes.
const MOST_SHARED: u64 = 256 << 20;

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

/// How much a layer holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extent {
    /// Bytes of its uncompressed tar.
    pub size: u64,
    /// Members other than directories.
    pub members: u64,
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
    /// How much it is, if it was read to its end.
    pub extent: Extent,
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

/// As [`read_outline`], with what is taken of the regular files that nothing hides,
/// under each of a file's names that is wanted, and how much each layer holds.
///
/// # Errors
/// As of [`read`], and what taking fails with.
pub fn read_taking<T: Send>(image: &Image, taker: &Taker<'_, T>) -> Result<Taken<T>> {
    let taken: Mutex<BTreeMap<Place, (TreePath, Option<T>)>> = Mutex::default();
    let layers = read_layers(image, &|place, path, entry, content| {
        if let Node::File { size, .. } = entry.node
            && (taker.wants)(path, size)
        {
            let one = (taker.take)(path, size, content)?;
            let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
            taken.insert(place, (path.clone(), one));
        }
        Ok(None)
    })?;
    let extents = layers.iter().map(|changes| changes.extent).collect();
    let outline = merge_outline(layers)?;
    let mut taken = taken.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (mut seen, mut settled) = (BTreeMap::new(), BTreeSet::new());
    for (path, place) in &outline.files {
        // Only what was taken under the name that the file has in the end counts.
        if let Some((name, one)) = taken.remove(place)
            && name == *path
        {
            seen.extend(one.map(|one| (name, one)));
            settled.insert(path);
        }
    }
    seen.extend(take_renamed(image, taker, &outline, &settled)?);
    Ok(Taken {
        seen,
        tree: outline.tree,
        extents,
    })
}

/// Says what of regular files is wanted, by name and size, and takes it.
pub struct Taker<'a, T> {
    /// Whether a file is to be looked into.
    pub wants: &'a (dyn Fn(&TreePath, u64) -> bool + Sync),
    /// Takes what it wants of its content.
    pub take: &'a TakeContent<'a, T>,
}

/// Takes of a file's content, by its name and size.
pub type TakeContent<'a, T> =
    dyn Fn(&TreePath, u64, &mut (dyn Read + Send)) -> Result<Option<T>> + Sync + 'a;

/// What is taken of files under names other than the one under which their bytes stand
/// in a layer: hard links, and what links to directories lead elsewhere. (In images made
/// by ostree all files are hard links to its objects.)
fn take_renamed<T: Send>(
    image: &Image,
    taker: &Taker<'_, T>,
    outline: &Outline,
    settled: &BTreeSet<&TreePath>,
) -> Result<BTreeMap<TreePath, T>> {
    let entries = &outline.tree.entries;
    let size = |path: &TreePath| match entries.get(path).map(|entry| &entry.node) {
        Some(Node::File { size, .. }) => Some(*size),
        _ => None,
    };
    let mut names: BTreeMap<&TreePath, Vec<(&TreePath, u64)>> = BTreeMap::new();
    for (path, entry) in entries {
        let file = match &entry.node {
            Node::Hardlink(target) => target,
            Node::File { .. } if !settled.contains(path) => path,
            _ => continue,
        };
        if let Some(size) = size(file)
            && (taker.wants)(path, size)
        {
            names.entry(file).or_default().push((path, size));
        }
    }
    let places = names.keys().filter_map(|target| {
        let place = outline.files.get(*target)?;
        Some(((*target).clone(), *place))
    });
    let seen: Mutex<BTreeMap<TreePath, T>> = Mutex::default();
    read_contents(image, &places.collect(), &|target, content| {
        let names = names.get(target).map(Vec::as_slice).unwrap_or_default();
        let [(first, size), ..] = names else {
            return Ok(());
        };
        let give = |path: &TreePath, content: &mut (dyn Read + Send)| -> Result<()> {
            if let Some(one) = (taker.take)(path, *size, content)? {
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.insert(path.clone(), one);
            }
            Ok(())
        };
        if names.len() == 1 {
            return give(first, content);
        }
        let mut bytes = Vec::new();
        let limited = &mut content.take(MOST_SHARED);
        limited
            .read_to_end(&mut bytes)
            .map_err(|error| reading(&error))?;
        names
            .iter()
            .try_for_each(|(path, _)| give(path, &mut &bytes[..]))
    })?;
    Ok(seen.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// What was read of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken<T> {
    /// As in [`Outline`].
    pub tree: Tree,
    /// What was taken of files, by path.
    pub seen: BTreeMap<TreePath, T>,
    /// How much each layer holds.
    pub extents: Vec<Extent>,
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
                let mut changes = changes(&mut reader, &component(layer, number), number, take)?;
                let brought = changes.brought.iter();
                let members = brought.filter(|(.., entry, _)| entry.node != Node::Directory);
                changes.extent = Extent {
                    members: members.count() as u64,
                    size: reader.drain()?.length(),
                };
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
