//! The contents of a tree's files, read once for everything that is made of them.

use std::collections::BTreeMap;
use std::io::{self, Read};

use crate::bundle::verity;
use crate::error::{Error, Kind, Result};
use crate::image::read::Image;
use crate::image::source::reading;
use crate::tree::image::{Place, read_contents};
use crate::tree::{Node, Tree, TreePath};

/// Contents are handed on in pieces of this many bytes, whole blocks of them.
const PIECE: usize = 256 * verity::BLOCK;

/// Called with a file's path and content.
pub type Give<'a> = dyn Fn(&TreePath, &mut dyn Read) -> Result<()> + Sync + 'a;

/// Where contents come from.
pub trait Contents {
    /// Gives every regular file of the tree (hard links apart) once, in any order
    /// and from several threads.
    ///
    /// # Errors
    /// When reading fails, or what `give` fails with.
    fn each(&self, give: &Give<'_>) -> Result<()>;
}

/// The contents of an image's files.
pub struct ImageContents<'a> {
    /// The image.
    pub image: &'a Image,
    /// Where the files are in it.
    pub files: &'a BTreeMap<TreePath, Place>,
}

impl Contents for ImageContents<'_> {
    fn each(&self, give: &Give<'_>) -> Result<()> {
        read_contents(self.image, self.files, &|path, content| give(path, content))
    }
}

/// What is made of contents.
pub trait Sink: Sync {
    /// Takes a piece of the file at `path` that begins at byte `at` of it. Pieces
    /// come in order, and but for a file's last one are whole blocks of 4 KiB;
    /// files without a byte have none.
    ///
    /// # Errors
    /// When it cannot be written.
    fn piece(&self, path: &TreePath, at: u64, bytes: &[u8]) -> Result<()>;
}

/// Hands all contents to all sinks, and the number of bytes to `done`.
///
/// # Errors
/// When a content cannot be read or is not as long as the tree says, or a sink fails.
pub fn pour(
    tree: &Tree,
    contents: &dyn Contents,
    sinks: &[&dyn Sink],
    done: &(dyn Fn(u64) + Sync),
) -> Result<()> {
    contents.each(&|path, reader| {
        let Some(Node::File { size, .. }) = tree.entries.get(path).map(|entry| &entry.node) else {
            return Ok(());
        };
        let mut piece = vec![0; PIECE.min(usize::try_from(*size).unwrap_or(PIECE))];
        let mut at = 0;
        while at < *size {
            let most = usize::try_from(size - at).unwrap_or(PIECE).min(PIECE);
            let bytes = &mut piece[..most];
            reader
                .read_exact(bytes)
                .map_err(|error| failed(path, &error))?;
            for sink in sinks {
                sink.piece(path, at, bytes)?;
            }
            at += most as u64;
            done(most as u64);
        }
        Ok(())
    })
}

fn failed(path: &TreePath, error: &io::Error) -> Error {
    let error = match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::new(Kind::Verify, "it ends too early"),
        _ => reading(error),
    };
    error.context(format!("reading the content of `{path}`"))
}

/// Whether all bytes are zero: those need not be written into a new file.
pub(super) fn is_zero(bytes: &[u8]) -> bool {
    const ZERO: [u8; verity::BLOCK] = [0; verity::BLOCK];
    let mut blocks = bytes.chunks(ZERO.len());
    blocks.all(|block| block == &ZERO[..block.len()])
}
