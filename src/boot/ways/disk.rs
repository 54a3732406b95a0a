//! The exported disk, started by UEFI firmware.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::boot::Options;
use crate::boot::guest::Test;
use crate::boot::qemu::{Disk, Start, path_option};
use crate::boot::subject::Subject;
use crate::bundle::disk::gpt;
use crate::bundle::export::{self, Format, export};
use crate::error::{Context, Error, Kind, Result};
use crate::report::{Mode, Report};

/// Debian's OVMF: code, and the variables of a machine that nobody has used.
const CODE: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";
const VARIABLES: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";

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
    if !Path::new(CODE).is_file() {
        let message = format!("there is no UEFI firmware for QEMU: `{CODE}` is not there");
        return Err(Error::new(Kind::Usage, message).hint("install the package `ovmf`"));
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
    let file = File::options().read(true).write(true).open(&disk);
    let file = file.io("opening", &disk)?;
    file.set_len(DISK).io("sizing", &disk)?;
    if options.damage {
        change(&file, &disk)?;
    }
    let variables = folder.join("variables.fd");
    fs::copy(VARIABLES, &variables).io("copying", VARIABLES)?;
    let flash = |path: &Path, readonly| {
        path_option(
            &format!("if=pflash,format=raw,readonly={readonly},file="),
            path,
        )
    };
    // systemd's stub takes more words for the kernel from the firmware's tables.
    let words = test.command_line.replace(',', ",,");
    let words = format!("type=11,value=io.systemd.stub.kernel-cmdline-extra={words}");
    Ok(Start {
        arguments: vec![
            "-drive".into(),
            flash(Path::new(CODE), "on"),
            "-drive".into(),
            flash(&variables, "off"),
            "-smbios".into(),
            words.into(),
        ],
        disks: vec![Disk {
            path: disk,
            serial: "nodelith-disk",
            writable: true,
        }],
    })
}

/// Changes a byte of the root's first block, which every mount reads; at that place it
/// means nothing.
fn change(disk: &File, path: &Path) -> Result<()> {
    let missing = |what| Error::new(Kind::Io, format!("the disk has no {what}"));
    let partitions = gpt::read(disk).ok_or_else(|| missing("partitions"))?;
    let root = partitions.get(&2).ok_or_else(|| missing("root"))?;
    let mut byte = [0];
    disk.read_exact_at(&mut byte, root.start)
        .io("reading", path)?;
    disk.write_all_at(&[byte[0] ^ 1], root.start)
        .io("writing", path)
}
