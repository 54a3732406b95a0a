//! Opens the content of files, wherever it is.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::compress::decompress;
use super::untar::Reader;
use crate::digest::{Digest, Hasher};
use crate::error::{Context, Error, Kind, Result};
use crate::store::Store;
use crate::tree::{Content, Entry, Node, TreePath};

/// Opens contents one after the other. Layers are read once from front to back
/// as long as paths are asked for in their order.
pub struct Contents<'a> {
    store: &'a Store,
    layers: BTreeMap<Digest, Cursor>,
}

/// A layer being read.
struct Cursor {
    reader: Reader<Box<dyn Read + Send>>,
    /// The member that the reader is at.
    current: Option<(TreePath, Entry)>,
}

impl<'a> Contents<'a> {
    /// Contents in `store`, in memory, and on disk.
    pub fn new(store: &'a Store) -> Self {
        Self {
            store,
            layers: BTreeMap::new(),
        }
    }

    /// Gives `read` the content of the file at `path`.
    ///
    /// # Errors
    /// When it cannot be opened, or what `read` fails with.
    pub fn with<T>(
        &mut self,
        path: &TreePath,
        content: &Content,
        read: impl FnOnce(&mut dyn Read) -> Result<T>,
    ) -> Result<T> {
        match content {
            Content::Inline(bytes) => read(&mut &bytes[..]),
            Content::Disk(file) => read(&mut open(file)?),
            Content::Verified { path, digest } => {
                let mut reader = HashingReader::new(open(path)?);
                let result = read(&mut reader)?;
                match reader.finish().io("reading", path)? == *digest {
                    true => Ok(result),
                    false => Err(changed(path)),
                }
            }
            Content::Blob(digest) => read(&mut self.store.open_blob(digest)?),
            Content::Layer(digest) => read(self.seek(*digest, path)?),
        }
    }

    /// A reader of the content of `path` in a layer.
    fn seek(&mut self, layer: Digest, path: &TreePath) -> Result<&mut dyn Read> {
        let behind = |cursor: &Cursor| cursor.current.as_ref().is_some_and(|(at, _)| at < path);
        let cursor = match self.layers.remove(&layer) {
            Some(cursor) if behind(&cursor) => cursor,
            _ => Cursor::open(self.store, layer)?,
        };
        let cursor = cursor.find(self.store, layer, path)?;
        Ok(&mut self.layers.entry(layer).or_insert(cursor).reader)
    }
}

impl Cursor {
    fn open(store: &Store, layer: Digest) -> Result<Self> {
        let reader = read_layer(store, layer)?;
        Ok(Self {
            reader,
            current: None,
        })
    }

    /// Goes on to the file `path`, through a hard link if there is one.
    fn find(mut self, store: &Store, layer: Digest, path: &TreePath) -> Result<Self> {
        let mut wanted = path.clone();
        loop {
            self.current = self.reader.advance()?;
            match &self.current {
                Some((at, entry)) if *at == wanted => match &entry.node {
                    Node::File { .. } => return Ok(self),
                    // A link's target sorts before it: begin again.
                    Node::Hardlink(target) if *target < wanted => {
                        wanted = target.clone();
                        self = Self::open(store, layer)?;
                    }
                    _ => break,
                },
                Some((at, _)) if *at < wanted => {}
                _ => break,
            }
        }
        let message = format!("layer {layer} has no file `{path}`");
        Err(Error::new(Kind::Io, message)
            .hint("the store may be damaged: remove it and build again"))
    }
}

/// The bytes of a small file, wherever its content is; `path` is where it stands in its tree.
///
/// # Errors
/// When it cannot be read.
pub fn read_file(store: &Store, path: &TreePath, content: &Content) -> Result<Vec<u8>> {
    Contents::new(store).with(path, content, |reader| {
        let mut bytes = Vec::new();
        reader
            .read_to_end(&mut bytes)
            .io("reading", path.as_path())?;
        Ok(bytes)
    })
}

/// Reads the members of a layer in the store.
pub fn read_layer(store: &Store, layer: Digest) -> Result<Reader<Box<dyn Read + Send>>> {
    let file = store.open_blob(&layer)?;
    let reader = decompress(file).io("reading", store.blob_path(&layer))?;
    Ok(Reader::new(reader, layer))
}

/// Opens a regular file, never through a link in its last part.
pub fn open(path: &Path) -> Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)
        .io("opening", path)?;
    let metadata = file.metadata().io("looking at", path)?;
    if !metadata.is_file() {
        return Err(Error::io("opening", path, "it is not a regular file"));
    }
    Ok(file)
}

fn changed(path: &Path) -> Error {
    let message = format!("`{}` changed after it was verified", path.display());
    Error::new(Kind::Verify, message)
        .hint("something writes to it: run the same again when it is done")
}

/// Hashes what is read through it.
struct HashingReader<R> {
    inner: R,
    hasher: Hasher<io::Sink>,
}

impl<R: Read> HashingReader<R> {
    fn new(inner: R) -> Self {
        Self {
            inner,
            hasher: Hasher::new(io::sink()),
        }
    }

    /// The digest of all of it, also of what was not read so far.
    fn finish(mut self) -> io::Result<Digest> {
        io::copy(&mut self.inner, &mut self.hasher)?;
        Ok(self.hasher.finish().0)
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hasher.write_all(&buffer[..read])?;
        Ok(read)
    }
}

/// The digest of a content; that of a file in a layer is known only by its place.
///
/// # Errors
/// When a file on disk cannot be read.
pub fn digest(content: &Content) -> Result<Option<Digest>> {
    Ok(match content {
        Content::Inline(bytes) => Some(Digest::of(bytes)),
        Content::Blob(digest) | Content::Verified { digest, .. } => Some(*digest),
        Content::Layer(_) => None,
        Content::Disk(path) => {
            let reader = io::BufReader::with_capacity(1 << 18, open(path)?);
            Some(Digest::of_reader(reader).io("reading", path)?.0)
        }
    })
}
