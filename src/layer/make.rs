//! Makes layers: entries in, blobs of the store out, both digests in one pass.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufWriter, Write};

use canon_json::CanonJsonSerialize;
use rayon::iter::{ParallelBridge, ParallelIterator};
use serde::{Deserialize, Serialize};

use super::compress::{Compression, Compressor};
use super::content::{self, Contents, read_layer};
use super::plan::PlannedLayer;
use super::{FORMAT, tar};
use crate::digest::{Digest, Hasher};
use crate::error::{Error, Kind, Result};
use crate::store::{BlobWriter, Store};
use crate::tree::{Content, Entry, Node, Tree, TreePath};

/// A layer that is in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LayerBlob {
    /// The planned layer's id.
    pub id: String,
    /// The OCI media type.
    pub media_type: String,
    /// The digest of the compressed bytes.
    pub digest: Digest,
    /// How many compressed bytes there are.
    pub size: u64,
    /// The digest of the uncompressed tar (OCI image configuration, `rootfs.diff_ids`).
    pub diff_id: Digest,
    /// How many bytes the uncompressed tar has.
    pub uncompressed_size: u64,
    /// How many entries other than directories it holds.
    pub files: u64,
    /// What else its descriptor says, of a layer that somebody else made.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// Makes one layer, with `threads` compressing threads.
///
/// # Errors
/// When a content cannot be read or is not as long as its entry says, an entry
/// cannot be in a layer, or the store cannot be written.
pub fn make(
    store: &Store,
    layer: &PlannedLayer,
    tree: &Tree,
    compression: Compression,
    threads: usize,
) -> Result<LayerBlob> {
    let mut pack = Pack::new(store.writer()?, compression, threads)?;
    fill(&mut pack, store, layer, tree)?;
    pack.commit(&layer.id, compression)
}

/// What a layer is before it is compressed: all of it that its entries decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uncompressed {
    /// The digest of the tar.
    pub diff_id: Digest,
    /// How many bytes it has.
    pub size: u64,
    /// How many entries other than directories it holds.
    pub files: u64,
}

/// What [`make`] would compress, in much less time: nothing is kept.
///
/// # Errors
/// As [`make`].
pub fn uncompressed(store: &Store, layer: &PlannedLayer, tree: &Tree) -> Result<Uncompressed> {
    let mut pack = Pack::new(io::sink(), Compression::None, 1)?;
    fill(&mut pack, store, layer, tree)?;
    Ok(pack.close()?.0)
}

fn fill<W: Write>(
    pack: &mut Pack<W>,
    store: &Store,
    layer: &PlannedLayer,
    tree: &Tree,
) -> Result<()> {
    let mut contents = Contents::new(store);
    for path in &layer.entries {
        let entry = lookup(tree, path)?;
        match &entry.node {
            Node::File { content, .. } => {
                contents.with(path, content, |reader| pack.add(path, entry, reader))?;
            }
            Node::Hardlink(target) if layer.entries.binary_search(target).is_err() => {
                let message = format!("hard link `{path}` is in another layer than `{target}`");
                return Err(Error::new(Kind::Io, message));
            }
            _ => pack.add(path, entry, &mut io::empty())?,
        }
    }
    Ok(())
}

/// Makes several layers with `threads` threads, the largest first; the result
/// is in the order of `layers`. `done` is called as each is ready.
///
/// # Errors
/// As [`make`]; the first failure ends it.
pub fn make_all(
    store: &Store,
    layers: &[&PlannedLayer],
    tree: &Tree,
    compression: Compression,
    threads: usize,
    done: &(dyn Fn(&LayerBlob) + Sync),
) -> Result<Vec<LayerBlob>> {
    let threads = threads.max(1);
    let mut queue: Vec<(usize, &PlannedLayer)> = layers.iter().copied().enumerate().collect();
    queue.sort_by_key(|&(_, layer)| std::cmp::Reverse(layer.content_size));
    // A layer has a thread that reads and hashes and others that compress.
    let compressing = threads.div_ceil(queue.len().max(1));
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|error| Error::new(Kind::Io, format!("starting threads: {error}")))?;
    let made: BTreeMap<usize, LayerBlob> = pool.install(|| {
        queue
            .into_iter()
            .par_bridge()
            .map(|(at, layer)| {
                let blob = make(store, layer, tree, compression, compressing)
                    .map_err(|error| error.context(format!("making layer `{}`", layer.id)))?;
                done(&blob);
                Ok((at, blob))
            })
            .collect::<Result<_>>()
    })?;
    Ok(made.into_values().collect())
}

/// Packs a layer of the store again without the paths in `drop`, or in another
/// compression. The bytes are those that [`make`] gives for the same entries; a
/// hard link to a dropped file becomes that file.
///
/// # Errors
/// When the layer is not in the store or damaged, or the store cannot be written.
pub fn refilter(
    store: &Store,
    cached: &LayerBlob,
    drop: &BTreeSet<TreePath>,
    compression: Compression,
    threads: usize,
) -> Result<LayerBlob> {
    let mut pack = Pack::new(store.writer()?, compression, threads)?;
    fill_again(&mut pack, store, cached.digest, drop)?;
    pack.commit(&cached.id, compression)
}

/// What [`refilter`] would compress, in much less time: nothing is kept.
///
/// # Errors
/// As [`refilter`].
pub fn refiltered(
    store: &Store,
    cached: &LayerBlob,
    drop: &BTreeSet<TreePath>,
) -> Result<Uncompressed> {
    let mut pack = Pack::new(io::sink(), Compression::None, 1)?;
    fill_again(&mut pack, store, cached.digest, drop)?;
    Ok(pack.close()?.0)
}

fn fill_again<W: Write>(
    pack: &mut Pack<W>,
    store: &Store,
    layer: Digest,
    drop: &BTreeSet<TreePath>,
) -> Result<()> {
    let mut reader = read_layer(store, layer)?;
    let mut contents = Contents::new(store);
    // Dropped files, and where their content went if a link remained.
    let mut dropped: BTreeMap<TreePath, (Entry, Option<TreePath>)> = BTreeMap::new();
    while let Some((path, mut entry)) = reader.advance()? {
        if drop.contains(&path) {
            if matches!(entry.node, Node::File { .. }) {
                dropped.insert(path, (entry, None));
            }
            continue;
        }
        let gone = match &entry.node {
            Node::Hardlink(target) => dropped.get_mut(target).map(|gone| (target.clone(), gone)),
            _ => None,
        };
        match gone {
            None => pack.add(&path, &entry, &mut reader)?,
            Some((_, (_, Some(moved)))) => {
                entry.node = Node::Hardlink(moved.clone());
                pack.add(&path, &entry, &mut io::empty())?;
            }
            Some((target, (file, moved))) => {
                *moved = Some(path.clone());
                let content = Content::Layer(layer);
                contents.with(&target, &content, |reader| pack.add(&path, file, reader))?;
            }
        }
    }
    Ok(())
}

/// Makes a layer that takes `gone` out of layers below: their whiteouts, with the
/// `folders` that they stand in, as they are.
///
/// # Errors
/// When something has a name that no whiteout can have, or the store cannot be written.
pub fn make_whiteouts(
    store: &Store,
    id: &str,
    folders: &Tree,
    gone: &BTreeSet<TreePath>,
    compression: Compression,
) -> Result<LayerBlob> {
    let mut pack = Pack::new(store.writer()?, compression, 1)?;
    let folders = folders.entries.iter();
    // A folder comes before what is in it: whiteouts stand among them by their own names.
    let mut members: BTreeMap<&TreePath, Option<&Entry>> =
        folders.map(|(path, entry)| (path, Some(entry))).collect();
    members.extend(gone.iter().map(|path| (path, None)));
    for (path, entry) in members {
        match entry {
            Some(entry) => pack.add(path, entry, &mut io::empty())?,
            None => {
                pack.files += 1;
                pack.tar.whiteout(path)?;
            }
        }
    }
    pack.commit(id, compression)
}

/// The cache key of a layer: equal keys mean equal bytes. Files on disk are read for it.
///
/// # Errors
/// When a file cannot be read or an entry is not in the tree.
pub fn key(tree: &Tree, layer: &PlannedLayer, compression: Compression) -> Result<Digest> {
    let mut hasher = Hasher::new(io::sink());
    let failed = |error| Error::new(Kind::Io, format!("hashing layer `{}`: {error}", layer.id));
    (FORMAT, compression.to_string())
        .to_canon_json_writer(&mut hasher)
        .map_err(failed)?;
    for path in &layer.entries {
        let mut entry = lookup(tree, path)?.clone();
        entry.component = "".into(); // not in the bytes
        if let Node::File { content, .. } = &mut entry.node
            && let Some(digest) = content::digest(content)?
        {
            *content = Content::Blob(digest);
        }
        (path, entry)
            .to_canon_json_writer(&mut hasher)
            .map_err(failed)?;
    }
    Ok(hasher.finish().0)
}

fn lookup<'a>(tree: &'a Tree, path: &TreePath) -> Result<&'a Entry> {
    tree.entries
        .get(path)
        .ok_or_else(|| Error::new(Kind::Io, format!("`{path}` is not in the tree")))
}

/// A layer being written: tar → diff ID → compression → where it is kept.
pub(super) struct Pack<W: Write> {
    tar: tar::Writer<BufWriter<Hasher<Compressor<W>>>>,
    files: u64,
}

impl<W: Write> Pack<W> {
    pub(super) fn new(onto: W, compression: Compression, threads: usize) -> Result<Self> {
        let compressor =
            Compressor::new(onto, compression, threads).map_err(|error| writing(&error))?;
        Ok(Self {
            tar: tar::Writer::new(BufWriter::with_capacity(1 << 17, Hasher::new(compressor))),
            files: 0,
        })
    }

    pub(super) fn add(
        &mut self,
        path: &TreePath,
        entry: &Entry,
        content: &mut dyn io::Read,
    ) -> Result<()> {
        self.files += u64::from(entry.node != Node::Directory);
        self.tar.append(path, entry, content)
    }

    pub(super) fn close(self) -> Result<(Uncompressed, W)> {
        let close = || -> io::Result<_> {
            let hasher = self
                .tar
                .finish()?
                .into_inner()
                .map_err(io::IntoInnerError::into_error)?;
            let (diff_id, size, compressor) = hasher.finish();
            let mut onto = compressor.finish()?;
            onto.flush()?;
            Ok((diff_id, size, onto))
        };
        let (diff_id, size, onto) = close().map_err(|error| writing(&error))?;
        let files = self.files;
        Ok((
            Uncompressed {
                diff_id,
                size,
                files,
            },
            onto,
        ))
    }
}

impl Pack<BlobWriter> {
    fn commit(self, id: &str, compression: Compression) -> Result<LayerBlob> {
        let (plain, blob) = self.close()?;
        let (digest, size) = blob.commit()?;
        Ok(LayerBlob {
            id: id.to_owned(),
            media_type: compression.media_type().to_owned(),
            digest,
            size,
            diff_id: plain.diff_id,
            uncompressed_size: plain.size,
            files: plain.files,
            annotations: BTreeMap::new(),
        })
    }
}

fn writing(error: &io::Error) -> Error {
    Error::new(Kind::Io, format!("writing a layer: {error}"))
}
