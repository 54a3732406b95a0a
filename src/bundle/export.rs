//! `nodelith export`: everything that is wanted of one image, in one go.

mod disks;
mod format;
pub mod pxe;
mod sums;
mod sysupdate;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use rayon::prelude::*;
use serde_json::{Value, json};

use super::contents::{ImageContents, Sink, pour};
use super::disk::layout::Wanted;
use super::disk::vmdk;
use super::erofs::Plan;
use super::output::{Folder, Output};
use super::root::{RootImage, RootWriter};
use super::same::{content_size, outline};
use super::sign::Signer;
use super::squashfs;
use super::tar::TarWriter;
use super::verity::{self, Hash};
use crate::digest::Digest;
use crate::error::Result;
use crate::image::read::Image;
use crate::report::{Report, Unit, counted, human_bytes};
use crate::tree::Tree;
use disks::Machine;
pub use format::Format;
pub use sums::NAME as SUMS;

/// What is to be made, and how.
#[derive(Debug, Clone, Default)]
pub struct Options<'a> {
    /// In which formats.
    pub formats: BTreeSet<Format>,
    /// How large disks and their partitions are to be.
    pub sizes: Wanted,
    /// Who signs what firmware starts.
    pub signer: Option<Signer>,
    /// What is added to the kernel's command line.
    pub command_line: Option<&'a str>,
    /// The initrd's program, if it is not the one beside the running program.
    pub init: Option<&'a Path>,
    /// A second image, for what a machine boots with that the image itself lacks.
    pub initrd_from: Option<&'a Image>,
    /// How many threads other programs may use.
    pub threads: usize,
}

/// The file that says what the others are; it appears last.
pub const DESCRIPTION: &str = "export.json";
/// The longest description that is read, in bytes.
pub const LONGEST: u64 = 4 << 20;

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
    /// What it is, or is a part of.
    pub format: Format,
    /// What it is called.
    pub name: String,
    /// How many bytes it has.
    pub size: u64,
    /// Their digest.
    pub digest: Digest,
}

/// Makes files of an image in `folder`.
///
/// # Errors
/// When the image cannot be read or does not match its digests, it lacks what a
/// machine needs, its tree does not fit a format or a size, or writing fails. Then no
/// file of the folder was touched.
pub fn export(
    image: &Image,
    options: &Options<'_>,
    folder: &Path,
    report: &Report,
) -> Result<Exported> {
    let mut formats = options.formats.clone();
    if formats.contains(&Format::Verity) || formats.contains(&Format::Pxe) {
        formats.insert(Format::Erofs);
    }
    let mksquashfs = match formats.contains(&Format::Squashfs) {
        true => Some(squashfs::check()?),
        false => None,
    };
    if formats.contains(&Format::Vmdk) {
        vmdk::check()?;
    }
    let boots = formats.iter().any(|format| format.boots());
    let signer = options.signer.as_ref().filter(|_| boots);
    let signing = signer.map(Signer::open).transpose()?;
    let outline = outline(image, report)?;
    let tree = &outline.tree;
    if mksquashfs.is_some() {
        squashfs::fits(tree)?;
    }
    let machine = match boots {
        true => Some(Machine::read(image, &outline, options, signing, report)?),
        false => None,
    };
    let folder = Folder::open(folder)?;
    let contents = ImageContents {
        image,
        files: &outline.files,
    };
    let job = Job {
        tree,
        machine: machine.as_ref(),
        formats: &formats,
        folder: &folder,
        mksquashfs,
        threads: options.threads,
        report,
    };
    let (mut outputs, root) = job.make(&contents)?;
    let mut files = measure(&outputs, report)?;
    if let Some(format) = formats.iter().find(|format| format.has_sums()) {
        let (file, output) = sums::make(&folder, *format, &files)?;
        files.push(file);
        outputs.push((*format, output));
    }
    let description = describe(image, root.as_ref(), machine.as_ref(), &files);
    commit(&folder, outputs, &description)?;
    Ok(Exported {
        root_hash: root.map(|root| root.hashes.root()),
        files,
        description,
    })
}

type Made = (Vec<(Format, Output)>, Option<RootImage>);

/// What is made, and of what.
struct Job<'a> {
    tree: &'a Tree,
    machine: Option<&'a Machine<'a>>,
    formats: &'a BTreeSet<Format>,
    folder: &'a Folder,
    /// The version of `mksquashfs`, where it is wanted.
    mksquashfs: Option<squashfs::Version>,
    threads: usize,
    report: &'a Report,
}

impl Job<'_> {
    fn wanted(&self, format: Format) -> bool {
        self.formats.contains(&format)
    }

    /// A new file.
    fn file(&self, format: Format) -> Result<(Format, Output)> {
        self.named(format, format.file())
    }

    /// A new file of a format that has several.
    fn named(&self, format: Format, name: &str) -> Result<(Format, Output)> {
        Ok((format, self.folder.file(name)?))
    }

    /// Writes all files aside.
    fn make(&self, contents: &ImageContents<'_>) -> Result<Made> {
        // squashfs is made of the tar, and disks of the root image.
        let needs_tar = self.wanted(Format::Tar) || self.wanted(Format::Squashfs);
        let needs_root = self.wanted(Format::Erofs) || self.machine.is_some();
        let tar = needs_tar.then(|| self.file(Format::Tar)).transpose()?;
        let erofs = needs_root.then(|| self.file(Format::Erofs)).transpose()?;
        let plan = needs_root.then(|| Plan::new(self.tree)).transpose()?;
        let root = self.pour(contents, tar.as_ref(), erofs.as_ref(), plan.as_ref())?;

        let mut outputs = Vec::new();
        if let (Some((_, tar)), Some(version)) = (&tar, self.mksquashfs) {
            outputs.push(self.squashfs(tar, version)?);
        }
        if let Some(root) = root.as_ref().filter(|_| self.wanted(Format::Verity)) {
            outputs.push(self.verity(root)?);
        }
        if let (Some(machine), Some((_, file)), Some(root)) = (self.machine, &erofs, &root) {
            outputs.extend(machine.make(self, file, root)?);
        }
        outputs.extend(tar.filter(|_| self.wanted(Format::Tar)));
        outputs.extend(erofs.filter(|_| self.wanted(Format::Erofs)));
        outputs.sort_by_key(|(format, _)| *format);
        Ok((outputs, root))
    }

    /// Writes what contents go to, and reads them once for all of it.
    fn pour(
        &self,
        contents: &ImageContents<'_>,
        tar: Option<&(Format, Output)>,
        erofs: Option<&(Format, Output)>,
        plan: Option<&Plan<'_>>,
    ) -> Result<Option<RootImage>> {
        let tree = self.tree;
        if let (Some(machine), Some(plan)) = (self.machine, plan) {
            machine.check(plan.size())?;
        }
        let task = self
            .report
            .task("writing", Some(content_size(tree)), Unit::Bytes);
        let tar_writer = match tar {
            Some((_, output)) => Some(TarWriter::new(tree, output.file())?),
            None => None,
        };
        let root_writer = match (erofs, plan) {
            (Some((_, output)), Some(plan)) => Some(RootWriter::new(plan, output.file())?),
            _ => None,
        };
        let mut sinks: Vec<&dyn Sink> = Vec::new();
        sinks.extend(tar_writer.iter().map(|one| one as &dyn Sink));
        sinks.extend(root_writer.iter().map(|one| one as &dyn Sink));
        pour(tree, contents, &sinks, &|bytes| task.advance(bytes))?;
        let root = root_writer.map(RootWriter::finish).transpose()?;
        task.finish(&counted(contents.files.len(), "file"));
        Ok(root)
    }

    fn squashfs(&self, tar: &Output, version: squashfs::Version) -> Result<(Format, Output)> {
        let squashfs = self.file(Format::Squashfs)?;
        let task = self.report.task("compressing", None, Unit::Bytes);
        let (from, to) = (tar.aside(), squashfs.1.aside());
        squashfs::make(self.tree, from, to, self.threads, version)?;
        let size = std::fs::metadata(squashfs.1.aside()).map_or(0, |about| about.len());
        task.finish(&format!("{} of squashfs", human_bytes(size)));
        let losing = squashfs::losing(self.tree);
        if losing > 0 {
            let entries = match losing {
                1 => "1 entry loses".to_owned(),
                many => format!("{many} entries lose"),
            };
            self.report.warning(&format!(
                "squashfs has no access control lists: {entries} theirs"
            ));
        }
        Ok(squashfs)
    }

    fn verity(&self, root: &RootImage) -> Result<(Format, Output)> {
        let verity = self.file(Format::Verity)?;
        let mut at = 0;
        for piece in root.hashes.file(&root.verity_uuid) {
            verity.1.file().put(at, &piece)?;
            at += piece.len() as u64;
        }
        Ok(verity)
    }
}

/// Sizes and digests, as they are read back.
fn measure(outputs: &[(Format, Output)], report: &Report) -> Result<Vec<ExportedFile>> {
    let task = report.task("hashing", None, Unit::Bytes);
    let measured = outputs.par_iter().map(|(format, output)| {
        let (size, digest) = output.measure()?;
        task.advance(size);
        Ok(ExportedFile {
            format: *format,
            name: output.name.clone(),
            size,
            digest,
        })
    });
    let files: Vec<_> = measured.collect::<Result<_>>()?;
    task.finish(&counted(files.len(), "file"));
    Ok(files)
}

/// What the description says: nothing of where the image is or where it goes to.
fn describe(
    image: &Image,
    root: Option<&RootImage>,
    machine: Option<&Machine<'_>>,
    files: &[ExportedFile],
) -> Value {
    let pxe = machine.and_then(|machine| machine.describe_pxe(files));
    let files: Vec<Value> = files
        .iter()
        .map(|file| {
            json!({
                "name": file.name, "format": file.format.name(),
                "size": file.size, "digest": file.digest,
            })
        })
        .collect();
    let boot = root
        .zip(machine)
        .map(|(root, machine)| machine.describe(&root.hashes.root()));
    let root = root.map(|root| {
        json!({
            "root-hash": hex(&root.hashes.root()), "uuid": hyphened(&root.uuid),
            "verity-uuid": hyphened(&root.verity_uuid), "salt": hex(verity::SALT),
        })
    });
    json!({
        "schema": "nodelith.export", "version": 1,
        "image": image.manifest.digest, "architecture": image.config.architecture().to_string(),
        "annotations": image.annotations, "root": root, "boot": boot, "pxe": pxe, "files": files,
    })
}

/// Renames all into place, the description last; what an earlier export made and
/// this one did not goes away.
fn commit(folder: &Folder, outputs: Vec<(Format, Output)>, description: &Value) -> Result<()> {
    let text = format!("{description:#}\n");
    let file = folder.file(DESCRIPTION)?;
    file.file().put(0, text.as_bytes())?;
    let before = described(folder.path()).unwrap_or_default();
    folder.remove(DESCRIPTION)?;
    let made: BTreeSet<String> = outputs
        .iter()
        .map(|(_, output)| output.name.clone())
        .collect();
    for (_, output) in outputs {
        output.commit()?;
    }
    for name in before.difference(&made) {
        folder.remove(name)?;
    }
    file.commit()
}

/// The names of the files of the export in a folder, by its description; none if there is
/// none.
#[must_use]
pub fn described(folder: &Path) -> Option<BTreeSet<String>> {
    let path = folder.join(DESCRIPTION);
    // Opening a pipe would wait for somebody.
    let file = path.is_file().then(|| File::open(&path).ok())??;
    let mut text = Vec::new();
    file.take(LONGEST).read_to_end(&mut text).ok()?;
    let value: Value = serde_json::from_slice(&text).ok()?;
    let files = value["files"].as_array();
    let files = files.filter(|_| value["schema"] == "nodelith.export")?;
    let names = files.iter().filter_map(|file| file["name"].as_str());
    // Of this folder, and no other.
    let plain = |name: &&str| !name.is_empty() && !name.contains('/') && !name.starts_with('.');
    Some(names.filter(plain).map(str::to_owned).collect())
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
