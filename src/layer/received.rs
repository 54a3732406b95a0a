//! Layers that another machine made: are they what is said of them?
//!
//! Digest and size of the blob were verified when it came. What is in it was not
//! looked at, and may be hostile.

use std::io::{self, Read};

use super::compress::{Compression, decompress};
use super::make::{LayerBlob, Pack, Uncompressed};
use super::untar::Reader;
use crate::digest::Digest;
use crate::error::{Context, Error, Kind, Result};
use crate::image::source::{Verified, reading};
use crate::store::Store;
use crate::tree::{Entry, TreePath};

impl LayerBlob {
    /// What is said of it before it is compressed.
    #[must_use]
    pub fn uncompressed(&self) -> Uncompressed {
        Uncompressed {
            diff_id: self.diff_id,
            size: self.uncompressed_size,
            files: self.files,
        }
    }
}

/// Reads a layer through: what comes out has the digest and the size that are said.
///
/// # Errors
/// [`Kind::Verify`] where it has not.
pub fn read_through(store: &Store, blob: &LayerBlob) -> Result<()> {
    io::copy(&mut open(store, blob)?, &mut io::sink())
        .map(drop)
        .map_err(|error| reading(&error))
}

/// Looks at a member: its name, what it is, and its content if that is wanted.
pub type Look<'a> = dyn FnMut(&TreePath, &Entry, Vec<u8>) -> Result<()> + 'a;

/// Reads a layer through as [`read_through`] does, and sees that it is canonical: packed
/// again, its members give the same bytes. `keep` says of which files the content is
/// wanted, `look` gets every member.
///
/// # Errors
/// [`Kind::Verify`] where it is not so, and what `look` fails with.
pub fn received(
    store: &Store,
    blob: &LayerBlob,
    keep: &dyn Fn(&TreePath, &Entry) -> bool,
    look: &mut Look<'_>,
) -> Result<()> {
    let mut reader = Reader::new(open(store, blob)?, blob.digest);
    let mut pack = Pack::new(io::sink(), Compression::None, 1)?;
    let mut last: Option<TreePath> = None;
    while let Some((path, entry)) = reader.advance()? {
        if last.is_some_and(|last| last >= path) {
            let message = format!("`{path}` is not where it belongs in the layer");
            return Err(Error::new(Kind::Verify, message));
        }
        let mut content = Tee {
            inner: &mut reader,
            kept: keep(&path, &entry).then(Vec::new),
        };
        pack.add(&path, &entry, &mut content)?;
        let kept = content.kept.unwrap_or_default();
        look(&path, &entry, kept)?;
        last = Some(path);
    }
    reader.drain()?;
    if pack.close()?.0 != blob.uncompressed() {
        return Err(Error::new(Kind::Verify, "it is not packed as we pack it"));
    }
    Ok(())
}

fn open(store: &Store, blob: &LayerBlob) -> Result<Verified<Box<dyn Read + Send>>> {
    let path = store.blob_path(&blob.digest);
    let plain = decompress(store.open_blob(&blob.digest)?).io("reading", path)?;
    let diff_id: Digest = blob.diff_id;
    Ok(Verified::new(plain, diff_id, Some(blob.uncompressed_size)))
}

/// Keeps what is read through it, if it is to.
struct Tee<'a, R> {
    inner: &'a mut R,
    kept: Option<Vec<u8>>,
}

impl<R: Read> Read for Tee<'_, R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(&bytes[..read]);
        }
        Ok(read)
    }
}
