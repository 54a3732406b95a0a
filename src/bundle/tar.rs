//! The whole root as one tar, in the form that layers have (`layer::tar`), whose
//! bytes depend on nothing but the tree.

use super::contents::{Sink, is_zero};
use super::output::Target;
use crate::error::Result;
use crate::layer::tar::{BLOCK, head};
use crate::tree::{Entry, Node, Tree, TreePath};

/// Small entries are written together up to this many bytes.
const TOGETHER: usize = 1 << 18;

/// Writes a tar at places: everything but contents first.
pub struct TarWriter<'a> {
    target: Target<'a>,
    /// Files with a content, in the order of their paths, and where it begins.
    files: Vec<(&'a TreePath, u64)>,
}

impl<'a> TarWriter<'a> {
    /// Writes all but the contents of files.
    ///
    /// # Errors
    /// When an entry cannot be said in a tar, or writing fails.
    pub fn new(tree: &'a Tree, target: Target<'a>) -> Result<Self> {
        let mut files = Vec::new();
        let (mut at, mut heads, mut begin) = (0, Vec::new(), 0);
        for (path, entry) in &tree.entries {
            let head = head(path, entry)?;
            at += head.len() as u64;
            heads.extend(head);
            let size = content(entry);
            if size > 0 {
                files.push((path, at));
                at += size.next_multiple_of(BLOCK as u64);
            }
            if size > 0 || heads.len() > TOGETHER {
                target.put(begin, &heads)?;
                heads.clear();
                begin = at;
            }
        }
        target.put(begin, &heads)?;
        // Two zero blocks end it.
        target.resize(at + 2 * BLOCK as u64)?;
        Ok(Self { target, files })
    }
}

fn content(entry: &Entry) -> u64 {
    match entry.node {
        Node::File { size, .. } => size,
        _ => 0,
    }
}

impl Sink for TarWriter<'_> {
    fn piece(&self, path: &TreePath, at: u64, bytes: &[u8]) -> Result<()> {
        match self.files.binary_search_by(|(one, _)| (*one).cmp(path)) {
            Ok(found) if !is_zero(bytes) => self.target.put(self.files[found].1 + at, bytes),
            _ => Ok(()),
        }
    }
}
