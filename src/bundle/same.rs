//! The root hash of anything that has a root: an image, a root image in a file, a disk, or
//! the folder of an export.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::contents::{ImageContents, Sink, pour};
use super::disk::gpt::{self, EMPTY, Partition};
use super::disk::qcow2::read::{self as qcow2, Qcow2};
use super::erofs::Plan;
use super::export::described;
use super::output::Target;
use super::root::{Found, RootWriter, read_root_hash};
use super::verity::Hash;
use crate::error::{Context, Error, Kind, Result};
use crate::image::read::Image;
use crate::report::{Report, Unit, counted};
use crate::tree::image::{Outline, read_outline};
use crate::tree::{Node, Tree};

/// A root that was found in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRoot {
    /// The file.
    pub path: PathBuf,
    /// What the file is.
    pub form: Form,
    /// What the root's partition is called, on a disk.
    pub partition: Option<String>,
    /// Its root hash.
    pub hash: Hash,
}

/// What a file with a root can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A root image.
    Erofs,
    /// A disk with partitions, as it is.
    Disk,
    /// The same as qcow2.
    Qcow2,
}

impl Form {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Erofs => "erofs",
            Self::Disk => "disk",
            Self::Qcow2 => "qcow2",
        }
    }
}

/// The roots of a file or of an export's folder: of a root image the one, of a disk those of
/// all its partitions for roots but for the empty ones, of a folder those of all its files.
/// None if it is something else.
///
/// # Errors
/// When something cannot be read or is damaged, a root is not one of ours or was changed, or a
/// disk or a folder has none.
pub fn of_path(path: &Path) -> Result<Option<Vec<FileRoot>>> {
    match path.is_dir() {
        true => of_folder(path),
        false => of_file(path),
    }
}

fn of_file(path: &Path) -> Result<Option<Vec<FileRoot>>> {
    if !path.is_file() {
        return Ok(None);
    }
    let file = File::open(path).io("opening", path)?;
    let length = file.metadata().io("reading", path)?.len();
    if let Some(found) = read_root_hash(&file, length, path)? {
        return Ok(Some(vec![FileRoot {
            path: path.to_owned(),
            form: Form::Erofs,
            partition: None,
            hash: ours(found, &format!("`{}`", path.display()))?,
        }]));
    }
    let mut magic = [0; 4];
    if file.read_exact_at(&mut magic, 0).is_ok() && magic == *qcow2::MAGIC {
        let image = Qcow2::open(file, path)?;
        let partitions = partitions(&image).unwrap_or_default();
        return of_partitions(&image, image.size(), path, Form::Qcow2, &partitions).map(Some);
    }
    match partitions(&file) {
        Some(partitions) => of_partitions(&file, length, path, Form::Disk, &partitions).map(Some),
        None => Ok(None),
    }
}

fn partitions(disk: &impl FileExt) -> Option<Vec<Partition>> {
    gpt::read(disk).map(|table| table.into_values().collect())
}

/// The roots of an export's files, as far as those have one. What is no file is none of an
/// export's, whatever its description says.
fn of_folder(folder: &Path) -> Result<Option<Vec<FileRoot>>> {
    let Some(names) = described(folder) else {
        return Ok(None);
    };
    let mut roots = Vec::new();
    for name in names {
        roots.extend(of_file(&folder.join(name))?.into_iter().flatten());
    }
    if roots.is_empty() {
        let message = format!(
            "the export in `{}` has no root to compare",
            folder.display()
        );
        let hint = "`erofs`, `pxe`, `disk`, `qcow2` and `vhd` have one";
        return Err(Error::new(Kind::Usage, message).hint(hint));
    }
    Ok(Some(roots))
}

/// The roots on a disk of `size` bytes.
fn of_partitions(
    disk: &(dyn FileExt + Sync),
    size: u64,
    path: &Path,
    form: Form,
    partitions: &[Partition],
) -> Result<Vec<FileRoot>> {
    let is_root = |one: &&Partition| gpt::is_root(&one.kind) && one.name != EMPTY;
    let named = |one: &Partition| format!("partition `{}` of `{}`", one.name, path.display());
    let found: Vec<&Partition> = partitions.iter().filter(is_root).collect();
    for (at, one) in found.iter().enumerate() {
        // Else a small file would have as many large roots as its table has entries.
        if let Some(other) = found[..at].iter().find(|other| overlap(one, other)) {
            let message = format!("{} and `{}` overlap", named(one), other.name);
            return Err(Error::new(Kind::Verify, message));
        }
    }
    let mut roots = Vec::new();
    for partition in found {
        let what = named(partition);
        let end = partition.start.checked_add(partition.size);
        if end.is_none_or(|end| end > size) {
            let message = format!("{what} reaches beyond the disk's end");
            return Err(Error::new(Kind::Verify, message));
        }
        let part = Part {
            disk,
            start: partition.start,
        };
        let found = read_root_hash(&part, partition.size, path)?.unwrap_or(Found::Foreign);
        roots.push(FileRoot {
            path: path.to_owned(),
            form,
            partition: Some(partition.name.clone()),
            hash: ours(found, &what)?,
        });
    }
    if roots.is_empty() {
        let message = format!("`{}` is a disk without a root", path.display());
        return Err(Error::new(Kind::Verify, message));
    }
    Ok(roots)
}

fn overlap(one: &Partition, other: &Partition) -> bool {
    let end = |one: &Partition| one.start.saturating_add(one.size);
    one.start < end(other) && other.start < end(one)
}

fn ours(found: Found, what: &str) -> Result<Hash> {
    match found {
        Found::Root(hash) => Ok(hash),
        Found::Foreign => {
            let message = format!("{what} was changed, or is another maker's EROFS image");
            Err(Error::new(Kind::Verify, message)
                .hint("only root images that `nodelith export` made can be compared"))
        }
    }
}

/// What begins at a place of a disk.
struct Part<'a> {
    disk: &'a (dyn FileExt + Sync),
    start: u64,
}

impl FileExt for Part<'_> {
    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        let at = self.start.checked_add(at);
        self.disk
            .read_at(bytes, at.ok_or(io::ErrorKind::InvalidInput)?)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
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
