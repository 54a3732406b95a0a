//! A disk started by UEFI firmware: one that is exported for it, or one of a bundle.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::boot::Options;
use crate::boot::bundle::Bundle;
use crate::boot::guest::Test;
use crate::boot::overlay;
use crate::boot::qemu::{Disk, Start, path_option};
use crate::boot::subject::Subject;
use crate::boot::tools::firmware;
use crate::bundle::disk::gpt;
use crate::bundle::export::{self, Format, export};
use crate::error::{Context, Error, Kind, Result};
use crate::report::{Mode, Report};

/// The disk that the machine has, in bytes: with room for a second root and `/var`. Sparse.
const DISK: u64 = 6 << 30;

/// Exports the disk and puts it onto a larger one, as one does with a machine's.
pub(super) fn start(
    subject: &Subject<'_>,
    test: &Test,
    options: &Options<'_>,
    folder: &Path,
) -> Result<Start> {
    if !test.appended.is_empty() {
        let message = "its systemd takes no unit as a credential, which the test comes by";
        return Err(Error::new(Kind::Usage, message).hint("boot it with `--way kernel`"));
    }
    let wanted = export::Options {
        formats: BTreeSet::from([Format::Disk]),
        init: options.init,
        threads: options.threads,
        ..export::Options::default()
    };
    let exported = folder.join("export");
    export(subject.image, &wanted, &exported, &Report::new(Mode::Quiet))?;
    let disk = exported.join(Format::Disk.file());
    if options.damage {
        change(&disk)?;
    }
    of_disk(&disk, test, folder)
}

/// The disk of a bundle, which stays as it is.
pub(super) fn of_bundle(
    bundle: &Bundle,
    test: &Test,
    options: &Options<'_>,
    folder: &Path,
) -> Result<Start> {
    if options.damage {
        let message = "`--damage` changes a disk of its own: give it an image";
        return Err(Error::new(Kind::Usage, message));
    }
    of_disk(&bundle.disk, test, folder)
}

fn of_disk(disk: &Path, test: &Test, folder: &Path) -> Result<Start> {
    let larger: PathBuf = folder.join("disk.qcow2");
    overlay::write(&larger, disk, DISK)?;
    let (code, unused) = firmware()?;
    let variables = folder.join("variables.fd");
    fs::copy(unused, &variables).io("copying", unused)?;
    let flash = |path: &Path, readonly| {
        let about = format!("if=pflash,format=raw,readonly={readonly},file=");
        path_option(&about, path)
    };
    // systemd's stub takes more words for the kernel from the firmware's tables.
    let words = test.command_line.replace(',', ",,");
    let words = format!("type=11,value=io.systemd.stub.kernel-cmdline-extra={words}");
    Ok(Start {
        arguments: vec![
            "-drive".into(),
            flash(code, "on"),
            "-drive".into(),
            flash(&variables, "off"),
            "-smbios".into(),
            words.into(),
        ],
        disks: vec![Disk {
            path: larger,
            serial: "nodelith-disk",
            writable: true,
        }],
        serving: None,
    })
}

/// Changes a byte of the root's first block, which every mount reads; at that place it
/// means nothing.
fn change(path: &Path) -> Result<()> {
    let disk = File::options().read(true).write(true).open(path);
    let disk = disk.io("opening", path)?;
    let missing = |what| Error::new(Kind::Io, format!("the disk has no {what}"));
    let partitions = gpt::read(&disk).ok_or_else(|| missing("partitions"))?;
    let root = partitions.get(&2).ok_or_else(|| missing("root"))?;
    let mut byte = [0];
    disk.read_exact_at(&mut byte, root.start)
        .io("reading", path)?;
    disk.write_all_at(&[byte[0] ^ 1], root.start)
        .io("writing", path)
}
