//! The exported disk, started by UEFI firmware.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nodelith::bundle::disk::gpt;
use nodelith::bundle::export::{Format, Options, export};
use nodelith::image::read::Image;
use nodelith::report::{Mode, Report};

use crate::guest::Test;
use crate::qemu::Start;
use crate::{Result, init};

/// Debian's OVMF: code, and the variables of a machine that nobody has used.
const CODE: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";
const VARIABLES: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";

/// The disk that the machine has, in bytes: with room for a second root and `/var`. Sparse.
const DISK: u64 = 6 << 30;

/// Exports the disk and puts it onto a larger one, as one does with a machine's.
pub fn start(image: &Image, test: &Test, folder: &Path, damage: bool) -> Result<Start> {
    if !test.appended.is_empty() {
        return Err(
            "its systemd takes no unit as a credential: boot it with `--way kernel`".into(),
        );
    }
    if !Path::new(CODE).is_file() {
        return Err(format!("`{CODE}` is not there: use `ci/boot`").into());
    }
    let init = init()?;
    let options = Options {
        formats: BTreeSet::from([Format::Disk]),
        init: Some(&init),
        threads: 2,
        ..Options::default()
    };
    let exported = folder.join("export");
    export(image, &options, &exported, &Report::new(Mode::Quiet))?;
    let disk = exported.join(Format::Disk.file());
    let file = File::options().read(true).write(true).open(&disk)?;
    file.set_len(DISK)?;
    if damage {
        change(&file)?;
    }
    let variables: PathBuf = folder.join("variables.fd");
    fs::copy(VARIABLES, &variables)?;
    Ok(Start::Firmware {
        code: CODE.into(),
        variables,
        disk,
    })
}

/// Changes a byte of the root's first block, which every mount reads; at that place it
/// means nothing.
fn change(disk: &File) -> Result<()> {
    let partitions = gpt::read(disk).ok_or("the disk has no partitions")?;
    let root = partitions.get(&2).ok_or("the disk has no root")?;
    let mut byte = [0];
    disk.read_exact_at(&mut byte, root.start)?;
    disk.write_all_at(&[byte[0] ^ 1], root.start)?;
    Ok(())
}
