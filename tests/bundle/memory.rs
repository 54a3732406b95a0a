//! Root images made of trees whose contents are in memory.

use std::fs::File;
use std::path::Path;

use nodelith::bundle::contents::{Contents, Give, Sink, pour};
use nodelith::bundle::erofs::Plan;
use nodelith::bundle::output::Target;
use nodelith::bundle::root::{RootImage, RootWriter};
use nodelith::error::Result;
use nodelith::tree::{Content, Node, Tree};

/// The contents of a tree that has them in memory. Files whose content is elsewhere
/// are zero throughout.
struct InMemory<'a> {
    tree: &'a Tree,
    /// Whether the last file comes first.
    backwards: bool,
}

impl Contents for InMemory<'_> {
    fn each(&self, give: &Give<'_>) -> Result<()> {
        let mut entries: Vec<_> = self.tree.entries.iter().collect();
        if self.backwards {
            entries.reverse();
        }
        for (path, entry) in entries {
            match &entry.node {
                Node::File {
                    content: Content::Inline(bytes),
                    ..
                } => give(path, &mut &bytes[..])?,
                Node::File { .. } => give(path, &mut std::io::repeat(0))?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// Writes the root image of a tree into a new file.
pub fn write(tree: &Tree, path: &Path) -> Result<RootImage> {
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)
        .unwrap();
    let plan = Plan::new(tree)?;
    let writer = RootWriter::new(&plan, Target { file: &file, path })?;
    fill(tree, &writer, false)?;
    let image = writer.finish()?;
    assert_eq!(file.metadata().unwrap().len(), plan.size());
    Ok(image)
}

/// The same without the file.
pub fn hash(tree: &Tree) -> RootImage {
    let file = tempfile::tempfile().unwrap();
    let plan = Plan::new(tree).unwrap();
    let path = Path::new("nowhere");
    let writer = RootWriter::hashing(&plan, Target { file: &file, path }).unwrap();
    fill(tree, &writer, true).unwrap();
    writer.finish().unwrap()
}

fn fill(tree: &Tree, sink: &dyn Sink, backwards: bool) -> Result<()> {
    pour(tree, &InMemory { tree, backwards }, &[sink], &|_| {})
}
