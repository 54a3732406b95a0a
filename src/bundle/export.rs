//! `nodelith export`: everything that is wanted of one image, in one go.

use std::collections::BTreeSet;
use std::path::Path;

use rayon::prelude::*;
use serde_json::{Value, json};

use super::contents::{ImageContents, Sink, pour};
use super::erofs::Plan;
use super::output::{Folder, Output};
use super::root::{RootImage, RootWriter};
use super::same::{content_size, outline};
use super::squashfs;
use super::tar::TarWriter;
use super::verity::{self, Hash};
use crate::digest::Digest;
use crate::error::{Context, Result};
use crate::image::read::Image;
use crate::report::{Report, Unit, counted, human_bytes};
use crate::tree::Tree;

/// What an image can be made into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// The whole root as one tar.
    Tar,
    /// The root image.
    Erofs,
    /// The hashes over the root image, which comes with them.
    Verity,
    /// The root as squashfs.
    Squashfs,
}

impl Format {
    const ALL: [Self; 4] = [Self::Tar, Self::Erofs, Self::Verity, Self::Squashfs];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tar => "tar",
            Self::Erofs => "erofs",
            Self::Verity => "verity",
            Self::Squashfs => "squashfs",
        }
    }

    /// The file that it is.
    #[must_use]
    pub fn file(self) -> &'static str {
        match self {
            Self::Tar => "root.tar",
            Self::Erofs => "root.erofs",
            Self::Verity => "root.verity",
            Self::Squashfs => "root.squashfs",
        }
    }
}

/// The file that says what the others are; it appears last.
pub const DESCRIPTION: &str = "export.json";

/// What came of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// The root hash, if a root image was made.
    pub root_hash: Option<Hash>,
    /// The files.
    pub files: Vec<ExportedFile>,
    /// What stands in [`DESCRIPTION`].
    pub description: Value,
}

/// A file of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedFile {
    /// What it is.
    pub format: Format,
    /// How many bytes it has.
    pub size: u64,
    /// Their digest.
    pub digest: Digest,
}

/// Makes `formats` of an image, as files in `folder`.
///
/// # Errors
/// When the image cannot be read or does not match its digests, its tree does not
/// fit a format, or writing fails. Then no file of the folder was touched.
pub fn export(
    image: &Image,
    formats: &BTreeSet<Format>,
    folder: &Path,
    threads: usize,
    report: &Report,
) -> Result<Exported> {
    let mut formats = formats.clone();
    if formats.contains(&Format::Verity) {
        formats.insert(Format::Erofs);
    }
    if formats.contains(&Format::Squashfs) {
        squashfs::check()?;
    }
    let outline = outline(image, report)?;
    let tree = &outline.tree;
    let folder = Folder::open(folder)?;
    let contents = ImageContents {
        image,
        files: &outline.files,
    };
    let (outputs, root) = make(tree, &contents, &formats, &folder, threads, report)?;
    let files = measure(&outputs, report)?;
    let description = describe(image, root.as_ref(), &files);
    commit(&folder, outputs, &description)?;
    Ok(Exported {
        root_hash: root.map(|root| root.hashes.root()),
        files,
        description,
    })
}

type Made = (Vec<(Format, Output)>, Option<RootImage>);

/// Writes all files aside.
fn make(
    tree: &Tree,
    contents: &ImageContents<'_>,
    formats: &BTreeSet<Format>,
    folder: &Folder,
    threads: usize,
    report: &Report,
) -> Result<Made> {
    let wanted = |format: Format| formats.contains(&format);
    let new = |format: Format| folder.file(format.file()).map(|output| (format, output));
    // squashfs is made of the tar.
    let needs_tar = wanted(Format::Tar) || wanted(Format::Squashfs);
    let tar = needs_tar.then(|| new(Format::Tar)).transpose()?;
    let erofs = wanted(Format::Erofs)
        .then(|| new(Format::Erofs))
        .transpose()?;
    let plan = erofs.is_some().then(|| Plan::new(tree)).transpose()?;

    let task = report.task("writing", Some(content_size(tree)), Unit::Bytes);
    let tar_writer = match &tar {
        Some((_, output)) => Some(TarWriter::new(tree, output.file())?),
        None => None,
    };
    let root_writer = match (&erofs, &plan) {
        (Some((_, output)), Some(plan)) => Some(RootWriter::new(plan, output.file())?),
        _ => None,
    };
    let mut sinks: Vec<&dyn Sink> = Vec::new();
    sinks.extend(tar_writer.iter().map(|one| one as &dyn Sink));
    sinks.extend(root_writer.iter().map(|one| one as &dyn Sink));
    pour(tree, contents, &sinks, &|bytes| task.advance(bytes))?;
    let root = root_writer.map(RootWriter::finish).transpose()?;
    task.finish(&counted(contents.files.len(), "file"));

    let mut outputs = Vec::new();
    if wanted(Format::Squashfs)
        && let Some((_, tar)) = &tar
    {
        let squashfs = new(Format::Squashfs)?;
        let task = report.task("compressing", None, Unit::Bytes);
        squashfs::make(tree, tar.aside(), squashfs.1.aside(), threads)?;
        let size = std::fs::metadata(squashfs.1.aside()).map_or(0, |about| about.len());
        task.finish(&format!("{} of squashfs", human_bytes(size)));
        let losing = squashfs::losing(tree);
        if losing > 0 {
            let entries = match losing {
                1 => "1 entry loses".to_owned(),
                many => format!("{many} entries lose"),
            };
            report.warning(&format!(
                "squashfs has no access control lists: {entries} theirs"
            ));
        }
        outputs.push(squashfs);
    }
    if let Some(root) = root.as_ref().filter(|_| wanted(Format::Verity)) {
        let verity = new(Format::Verity)?;
        let mut at = 0;
        for piece in root.hashes.file(&root.verity_uuid) {
            verity.1.file().put(at, &piece)?;
            at += piece.len() as u64;
        }
        outputs.push(verity);
    }
    outputs.extend(tar.filter(|_| wanted(Format::Tar)));
    outputs.extend(erofs);
    outputs.sort_by_key(|(format, _)| *format);
    Ok((outputs, root))
}

/// Sizes and digests, as they are read back.
fn measure(outputs: &[(Format, Output)], report: &Report) -> Result<Vec<ExportedFile>> {
    let task = report.task("hashing", None, Unit::Bytes);
    let measured = outputs.par_iter().map(|(format, output)| {
        let (size, digest) = output.measure()?;
        task.advance(size);
        Ok(ExportedFile {
            format: *format,
            size,
            digest,
        })
    });
    let files: Vec<_> = measured.collect::<Result<_>>()?;
    task.finish(&counted(files.len(), "file"));
    Ok(files)
}

/// What the description says: nothing of where the image is or where it goes to.
fn describe(image: &Image, root: Option<&RootImage>, files: &[ExportedFile]) -> Value {
    let files: Vec<Value> = files
        .iter()
        .map(|file| {
            json!({
                "name": file.format.file(), "format": file.format.name(),
                "size": file.size, "digest": file.digest,
            })
        })
        .collect();
    let root = root.map(|root| {
        json!({
            "root-hash": hex(&root.hashes.root()), "uuid": hyphened(&root.uuid),
            "verity-uuid": hyphened(&root.verity_uuid), "salt": hex(verity::SALT),
        })
    });
    json!({
        "schema": "nodelith.export", "version": 1,
        "image": image.manifest.digest, "architecture": image.config.architecture().to_string(),
        "root": root, "files": files,
    })
}

/// Renames all into place, the description last; what an earlier export made and
/// this one did not goes away.
fn commit(folder: &Folder, outputs: Vec<(Format, Output)>, description: &Value) -> Result<()> {
    let text = format!("{description:#}\n");
    let file = folder.file(DESCRIPTION)?;
    file.file().put(0, text.as_bytes())?;
    let was_there = is_ours(folder);
    folder.remove(DESCRIPTION)?;
    let made: BTreeSet<Format> = outputs.iter().map(|(format, _)| *format).collect();
    for (_, output) in outputs {
        output.commit()?;
    }
    for format in Format::ALL {
        if was_there && !made.contains(&format) {
            folder.remove(format.file())?;
        }
    }
    file.commit()
}

/// Whether the folder has an export.
fn is_ours(folder: &Folder) -> bool {
    let path = folder.place(DESCRIPTION);
    let text = std::fs::read(&path).io("reading", &path);
    let value: Option<Value> = text
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok());
    value.is_some_and(|value| value["schema"] == "nodelith.export")
}

/// Bytes in hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A UUID as it is written (RFC 9562, section 4).
fn hyphened(uuid: &[u8; 16]) -> String {
    let text = hex(uuid);
    let parts = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)];
    let parts: Vec<&str> = parts.iter().map(|&(from, to)| &text[from..to]).collect();
    parts.join("-")
}
