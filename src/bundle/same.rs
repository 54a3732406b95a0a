//! The root hash of anything that has a root: an image or a root image in a file.

use std::fs::File;
use std::path::Path;

use super::contents::{ImageContents, Sink, pour};
use super::erofs::Plan;
use super::output::Target;
use super::root::{Found, RootWriter, read_root_hash};
use super::verity::Hash;
use crate::error::{Context, Error, Kind, Result};
use crate::image::read::Image;
use crate::report::{Report, Unit, counted};
use crate::tree::image::{Outline, read_outline};
use crate::tree::{Node, Tree};

/// The root hash of a file with a root image; none if it is something else.
///
/// # Errors
/// When it cannot be read, or is an EROFS image that is not one of ours or was changed.
pub fn of_file(path: &Path) -> Result<Option<Hash>> {
    if !path.is_file() {
        return Ok(None);
    }
    let file = File::open(path).io("opening", path)?;
    match read_root_hash(Target { file: &file, path })? {
        None => Ok(None),
        Some(Found::Root(hash)) => Ok(Some(hash)),
        Some(Found::Foreign) => {
            let name = path.display();
            let message = format!("`{name}` was changed, or is another maker's EROFS image");
            Err(Error::new(Kind::Verify, message)
                .hint("only root images that `nodelith export` made can be compared"))
        }
    }
}

/// The root hash of an image.
///
/// # Errors
/// When it cannot be read or does not match its digests, or its tree does not fit EROFS.
pub fn of_image(image: &Image, report: &Report) -> Result<Hash> {
    let outline = outline(image, report)?;
    let plan = Plan::new(&outline.tree)?;
    // It gets no more than the metadata and the tails of files.
    let file = tempfile::tempfile().io("making a file in", std::env::temp_dir())?;
    let folder = std::env::temp_dir();
    let target = Target {
        file: &file,
        path: &folder,
    };
    let writer = RootWriter::hashing(&plan, target)?;
    let task = report.task("hashing", Some(content_size(&outline.tree)), Unit::Bytes);
    let contents = ImageContents {
        image,
        files: &outline.files,
    };
    let sinks: [&dyn Sink; 1] = [&writer];
    pour(&outline.tree, &contents, &sinks, &|bytes| {
        task.advance(bytes);
    })?;
    let hash = writer.finish()?.hashes.root();
    task.finish(&counted(outline.files.len(), "file"));
    Ok(hash)
}

/// The tree of an image and where its contents are.
///
/// # Errors
/// When it cannot be read or does not match its digests.
pub fn outline(image: &Image, report: &Report) -> Result<Outline> {
    let task = report.task("reading", None, Unit::Count("entries"));
    let mut outline = read_outline(image)?;
    for entry in outline.tree.entries.values_mut() {
        // Linux has no other mode of a link, whatever an archive says.
        if matches!(entry.node, Node::Symlink(_)) {
            entry.mode = 0o777;
        }
    }
    let (entries, layers) = (outline.tree.entries.len(), image.layers.len());
    task.finish(&format!(
        "{entries} entries of {}",
        counted(layers, "layer")
    ));
    Ok(outline)
}

/// How many bytes the files of a tree have together.
pub(super) fn content_size(tree: &Tree) -> u64 {
    let sizes = tree.entries.values().map(|entry| match entry.node {
        Node::File { size, .. } => size,
        _ => 0,
    });
    sizes.fold(0, u64::saturating_add)
}
