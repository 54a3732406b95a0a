//! Reads the tree of an image, ours or another's, from its layers.
//!
//! Layers are read in parallel, each streamed once, and put on top of one
//! another as the OCI image specification says ("Applying Changesets"):
//! whiteouts take away what lower layers brought, names below a link that leads
//! elsewhere in the root are followed there, and nothing escapes the root.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read, Write};
use std::sync::Arc;

use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};

use super::{Entry, FIXED_TIME, Node, Tree, TreePath};
use crate::digest::{Digest, Hasher};
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileContent {
    /// The digest of its bytes.
    pub digest: Digest,
    /// The number of the layer that it is in, from 0.
    pub layer: usize,
    /// Its name in that layer.
    pub name: TreePath,
}

/// What one layer does to what is below it.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// Paths that lower layers brought and that are gone.
    pub gone: Vec<TreePath>,
    /// Directories of which everything that lower layers brought is gone.
    pub emptied: Vec<TreePath>,
    /// What it brings, in its order; files with the digest of their content.
    pub brought: Vec<(TreePath, Entry, Option<Digest>)>,
}

/// Reads all layers of an image and merges them.
///
/// # Errors
/// When a layer is not there, does not match its digests, or is malformed.
pub fn read(image: &Image) -> Result<ImageTree> {
    read_looking(image, &|_, _, _, _| Ok(()))
}

/// Looks into the files of an image while they are read: layer, name, entry and
/// content, of which it reads what it wants.
pub type Look<'a> =
    dyn Fn(usize, &TreePath, &Entry, &mut (dyn Read + Send)) -> Result<()> + Sync + 'a;

/// As [`read`], and has `look` look into every regular file of every layer, those
/// of lower layers that others hide included.
///
/// # Errors
/// As of [`read`], and what `look` fails with.
pub fn read_looking(image: &Image, look: &Look<'_>) -> Result<ImageTree> {
    let layers: Vec<Changes> = image
        .layers
        .par_iter()
        .enumerate()
        .map(|(number, layer)| {
            let read = || {
                let mut reader = open(image, layer)?;
                let changes = changes(
                    &mut reader,
                    &component(layer, number),
                    &|path, entry, reader| look(number, path, entry, reader),
                )?;
                reader.drain()?;
                Ok(changes)
            };
            read().map_err(|error: Error| {
                error.context(format!(
                    "reading layer {} of `{}`",
                    layer.descriptor.digest, image.reference
                ))
            })
        })
        .collect::<Result<_>>()?;
    merge_layers(layers)
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
    let mut wanted: BTreeMap<usize, BTreeMap<&TreePath, Vec<&TreePath>>> = BTreeMap::new();
    for path in paths {
        if let Some((name, entry)) = tree.tree.file(path)
            && matches!(entry.node, Node::File { size, .. } if size <= limit)
            && let Some(content) = tree.files.get(name)
        {
            let layer = wanted.entry(content.layer).or_default();
            layer.entry(&content.name).or_default().push(path);
        }
    }
    let mut found = BTreeMap::new();
    for (number, mut names) in wanted {
        let mut reader = open(image, &image.layers[number])?;
        while let Some((name, entry)) = reader.advance()? {
            if !matches!(entry.node, Node::File { size, .. } if size <= limit) {
                continue;
            }
            // A name may come again in the same layer: the last one counts.
            if let Some(paths) = names.get_mut(&name) {
                let mut bytes = Vec::new();
                reader
                    .read_to_end(&mut bytes)
                    .map_err(|error| reading(&error))?;
                for path in paths {
                    found.insert(path.clone(), bytes.clone());
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

/// Reads what one layer does.
///
/// # Errors
/// When it is malformed, or larger than an image's metadata can reasonably be.
pub fn read_changes(
    reader: &mut untar::Reader<impl Read + Send>,
    component: &Arc<str>,
) -> Result<Changes> {
    changes(reader, component, &|_, _, _| Ok(()))
}

type LookInLayer<'a> = dyn Fn(&TreePath, &Entry, &mut (dyn Read + Send)) -> Result<()> + 'a;

fn changes(
    reader: &mut untar::Reader<impl Read + Send>,
    component: &Arc<str>,
    look: &LookInLayer<'_>,
) -> Result<Changes> {
    let mut changes = Changes::default();
    let (mut members, mut bytes) = (0, 0);
    while let Some((path, mut entry)) = reader.advance()? {
        members += 1;
        bytes += path.as_bytes().len() + entry.xattrs.values().map(Vec::len).sum::<usize>();
        if members > MOST_MEMBERS || bytes > MOST_BYTES {
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
            Node::File { .. } => {
                let mut content = Hashed {
                    inner: io::BufReader::with_capacity(1 << 16, &mut *reader),
                    hash: Hasher::new(io::sink()),
                };
                look(&path, &entry, &mut content)?;
                Some(content.finish().map_err(|error| reading(&error))?)
            }
            _ => None,
        };
        changes.brought.push((path, entry, digest));
    }
    Ok(changes)
}

/// Hashes what it passes on.
struct Hashed<R> {
    inner: R,
    hash: Hasher<io::Sink>,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.hash.write_all(&bytes[..read])?;
        Ok(read)
    }
}

impl<R: BufRead> Hashed<R> {
    /// The digest of the whole, whatever was read of it before.
    fn finish(mut self) -> io::Result<Digest> {
        loop {
            let rest = self.inner.fill_buf()?;
            if rest.is_empty() {
                return Ok(self.hash.finish().0);
            }
            self.hash.write_all(rest)?;
            let length = rest.len();
            self.inner.consume(length);
        }
    }
}

/// Puts layers on top of one another, the lowest first.
///
/// # Errors
/// When a hard link leads nowhere or links go in a circle.
pub fn merge_layers(layers: Vec<Changes>) -> Result<ImageTree> {
    let mut merge = Merge::default();
    for (number, changes) in layers.into_iter().enumerate() {
        let mut gone = Vec::new();
        for path in &changes.gone {
            gone.push(merge.resolve(path)?);
        }
        for path in &changes.emptied {
            // The directory itself stays, wherever a link may lead to it.
            merge.clear_below(&merge.resolve(&path.join("x"))?.parent().unwrap_or_default());
        }
        for path in &gone {
            merge.remove(path);
        }
        for (path, entry, digest) in changes.brought {
            merge.bring(
                &path,
                entry,
                digest.map(|digest| FileContent {
                    digest,
                    layer: number,
                    name: path.clone(),
                }),
            )?;
        }
    }
    Ok(merge.finish())
}

/// A tree under construction: names of one file share an inode number.
#[derive(Default)]
struct Merge {
    names: BTreeMap<TreePath, (Entry, Option<usize>)>,
    inodes: Vec<FileContent>,
}

impl Merge {
    fn bring(&mut self, path: &TreePath, entry: Entry, content: Option<FileContent>) -> Result<()> {
        let path = self.resolve(path)?;
        self.ensure_parents(&path, &entry.component);
        let new = match (&entry.node, content) {
            (Node::Hardlink(target), _) => {
                let target = self.resolve(target)?;
                let linked = self
                    .names
                    .get(&target)
                    .filter(|(there, _)| there.node != Node::Directory);
                let (there, inode) = linked.cloned().ok_or_else(|| {
                    let message = format!("hard link `{path}` to `{target}`, which is not there");
                    Error::new(Kind::Verify, message)
                })?;
                (
                    Entry {
                        component: entry.component,
                        ..there
                    },
                    inode,
                )
            }
            (_, Some(content)) => {
                self.inodes.push(content);
                (entry, Some(self.inodes.len() - 1))
            }
            (_, None) => (entry, None),
        };
        if new.0.node != Node::Directory {
            self.clear_below(&path);
        }
        self.names.insert(path, new);
        Ok(())
    }

    /// Where a path leads when links in its directories are followed within the root.
    fn resolve(&self, path: &TreePath) -> Result<TreePath> {
        const MOST_LINKS: u32 = 255;
        // Where a directory stands, all above it are directories too.
        let Some(parent) = path.parent() else {
            return Ok(path.clone());
        };
        let is_folder = |path: &TreePath| {
            self.names
                .get(path)
                .is_some_and(|(entry, _)| entry.node == Node::Directory)
        };
        if parent.as_bytes().is_empty() || is_folder(&parent) {
            return Ok(path.clone());
        }
        let mut at = TreePath::default();
        let mut rest: Vec<Vec<u8>> = parts(&parent);
        let mut links = 0;
        while let Some(part) = rest.pop() {
            match &part[..] {
                b"" | b"." => continue,
                b".." => at = at.parent().unwrap_or_default(),
                name => {
                    let next = at.join(name);
                    match self.names.get(&next).map(|(entry, _)| &entry.node) {
                        Some(Node::Symlink(target)) => {
                            links += 1;
                            if links > MOST_LINKS {
                                let message = format!("too many links on the way to `{path}`");
                                return Err(Error::new(Kind::Verify, message));
                            }
                            if target.as_bytes().starts_with(b"/") {
                                at = TreePath::default();
                            }
                            rest.extend(parts(target));
                        }
                        _ => at = next,
                    }
                }
            }
        }
        Ok(at.join(path.name()))
    }

    /// Directories that no layer named but that must be there.
    fn ensure_parents(&mut self, path: &TreePath, component: &Arc<str>) {
        let mut above = path.parent();
        while let Some(folder) = above {
            if self
                .names
                .get(&folder)
                .is_some_and(|(entry, _)| entry.node == Node::Directory)
            {
                return;
            }
            above = folder.parent();
            let entry = Entry {
                node: Node::Directory,
                mode: 0o755,
                uid: 0,
                gid: 0,
                mtime: FIXED_TIME,
                xattrs: BTreeMap::new(),
                component: Arc::clone(component),
            };
            self.names.insert(folder, (entry, None));
        }
    }

    fn remove(&mut self, path: &TreePath) {
        self.clear_below(path);
        self.names.remove(path);
    }

    fn clear_below(&mut self, path: &TreePath) {
        if path.as_bytes().is_empty() {
            self.names.retain(|name, _| name.as_bytes().is_empty());
            return;
        }
        // '0' is the byte after '/'.
        let from = TreePath::new([path.as_bytes(), b"/"].concat());
        let to = TreePath::new([path.as_bytes(), b"0"].concat());
        let below: Vec<TreePath> = self
            .names
            .range(from..to)
            .map(|(name, _)| name.clone())
            .collect();
        for name in below {
            self.names.remove(&name);
        }
    }

    /// Of the names of one file the first is the file, the others are hard links.
    fn finish(self) -> ImageTree {
        let mut image = ImageTree::default();
        let mut first: BTreeMap<usize, TreePath> = BTreeMap::new();
        for (path, (mut entry, inode)) in self.names {
            if let Some(inode) = inode {
                match first.get(&inode) {
                    Some(file) => entry.node = Node::Hardlink(file.clone()),
                    None => {
                        first.insert(inode, path.clone());
                        image.files.insert(path.clone(), self.inodes[inode].clone());
                    }
                }
            }
            image.tree.entries.insert(path, entry);
        }
        image
    }
}

/// A path's parts, the last first.
fn parts(path: &TreePath) -> Vec<Vec<u8>> {
    path.as_bytes()
        .rsplit(|&byte| byte == b'/')
        .map(<[u8]>::to_vec)
        .collect()
}
