//! What is made of a root image: its hashes beside `veritysetup`, squashfs beside
//! `mksquashfs`, qcow2 beside `qemu-img convert -c`.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::Command;

use nodelith::bundle::disk::content::{Content, Piece};
use nodelith::bundle::disk::qcow2;
use nodelith::bundle::output::Target;
use nodelith::bundle::verity::{BLOCK, HashTree, leaves};

use crate::data::Data;
use crate::figures::{Measure, Tool};
use crate::root::{OfImage, beside};
use crate::{Result, run};

/// All three.
pub fn measures(data: &Data, runs: usize) -> Result<[Measure; 3]> {
    let folder = data.folder()?;
    let mut export = Command::new(&data.nodelith);
    export.arg("export").arg(data.layout(&data.downloads));
    export.args(["--to", "erofs,disk", "--output"]);
    run::done(export.arg(folder.path()))?;
    Ok([
        verity(data, &folder.path().join("root.erofs"), runs)?,
        SQUASHFS.measure(data, runs)?,
        qcow2(data, &folder.path().join("disk.raw"), runs)?,
    ])
}

/// Root image → its hashes.
fn verity(data: &Data, image: &Path, runs: usize) -> Result<Measure> {
    let mut ours = Tool::new("nodelith");
    let mut theirs = Tool::new("veritysetup");
    for number in 1..=runs {
        eprintln!("dm-verity hashes {number}/{runs}");
        let folder = data.folder()?;
        let (first, second) = (folder.path().join("ours"), folder.path().join("theirs"));
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--verity").arg(image).arg(&first);
        ours.add(run::timed(&mut command)?);
        ours.bytes = Some(fs::metadata(&first)?.len());
        let mut format = Command::new("veritysetup");
        theirs.add(run::timed(format.arg("format").arg(image).arg(&second))?);
        theirs.bytes = Some(fs::metadata(&second)?.len());
    }
    Ok(beside("dm-verity hashes", ours, theirs))
}

/// The root as squashfs, which both make by `mksquashfs`.
const SQUASHFS: OfImage = OfImage {
    name: "squashfs of an image",
    format: "squashfs",
    file: "root.squashfs",
    peer: "tar, mksquashfs",
    script: r#"
mksquashfs "$0/root" "$0/root.squashfs" -quiet -no-progress -comp zstd
"#,
};

/// Raw disk → qcow2 with compressed clusters.
fn qcow2(data: &Data, disk: &Path, runs: usize) -> Result<Measure> {
    let mut ours = Tool::new("nodelith");
    let mut theirs = Tool::new("qemu-img convert -c");
    for number in 1..=runs {
        eprintln!("raw to qcow2 {number}/{runs}");
        let folder = data.folder()?;
        let (first, second) = (folder.path().join("ours"), folder.path().join("theirs"));
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--qcow2").arg(disk).arg(&first);
        ours.add(run::timed(&mut command)?);
        ours.bytes = Some(fs::metadata(&first)?.len());
        let mut convert = Command::new("qemu-img");
        convert.args(["convert", "-c", "-f", "raw", "-O", "qcow2"]);
        theirs.add(run::timed(convert.arg(disk).arg(&second))?);
        theirs.bytes = Some(fs::metadata(&second)?.len());
        // The same disk, or the time means nothing.
        let mut compare = Command::new("qemu-img");
        run::done(compare.arg("compare").arg(&first).arg(&second))?;
    }
    Ok(beside("raw to qcow2", ours, theirs))
}

/// `bench --verity IMAGE FILE`, in a process of its own.
pub fn verity_main(image: &Path, to: &Path) -> Result<()> {
    /// As much as is read at a time, in bytes: whole blocks.
    const PIECE: u64 = 1024 * BLOCK as u64;
    let mut file = File::open(image)?;
    let mut hashes = Vec::new();
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        if (&mut file).take(PIECE).read_to_end(&mut bytes)? == 0 {
            break;
        }
        hashes.extend(leaves(&bytes));
    }
    let tree = HashTree::new(&hashes);
    let pieces: Vec<_> = tree.file(&[0; 16]).collect();
    fs::write(to, pieces.concat())?;
    Ok(())
}

/// `bench --qcow2 DISK FILE`, in a process of its own.
pub fn qcow2_main(disk: &Path, to: &Path) -> Result<()> {
    let from = File::open(disk)?;
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(to)?;
    let size = from.metadata()?.len();
    let piece = Piece::File(
        Target {
            file: &from,
            path: disk,
        },
        size,
    );
    let content = Content::new(size, vec![(0, piece)]);
    let target = Target {
        file: &file,
        path: to,
    };
    Ok(qcow2::write(&content, target, &|_| {})?)
}
