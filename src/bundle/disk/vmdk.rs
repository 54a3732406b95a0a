//! VMDK, `streamOptimized` (VMware, "Virtual Disk Format 5.0"): what OVF and vSphere take.
//! `qemu-img` makes it, of the raw disk.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use super::gpt::Uuid;
use crate::error::{Context, Error, Kind, Result};

const PROGRAM: &str = "qemu-img";
/// Where a descriptor is, at the latest, that is embedded: in bytes.
const HEAD: usize = 64 << 10;
/// What stands before a disk's content id, eight digits that change whenever it is written.
const CONTENT_ID: &[u8] = b"\nCID=";

/// Makes sure that there is a `qemu-img`.
///
/// # Errors
/// [`Kind::Usage`] when there is none.
pub fn check() -> Result<()> {
    match Command::new(PROGRAM).arg("--version").output() {
        Ok(_) => Ok(()),
        Err(_) => {
            let message = format!("vmdk needs `{PROGRAM}`, which is not there");
            Err(Error::new(Kind::Usage, message).hint(
                "install qemu-utils (qemu-img elsewhere); the other disks need no other program",
            ))
        }
    }
}

/// Makes a VMDK of the raw disk `from`, in place of the file `to`. Its content id, for which
/// `qemu-img` takes any number, is from the disk's UUID.
///
/// # Errors
/// When `qemu-img` fails, or what it made is not as expected.
pub fn convert(from: &Path, to: &Path, uuid: &Uuid) -> Result<()> {
    // The file's name is in it.
    let folder = tempfile::tempdir().io("making", "a temporary folder")?;
    let named = folder.path().join("disk.vmdk");
    symlink(fs::canonicalize(to).io("opening", to)?, &named).io("making", &named)?;
    let output = Command::new(PROGRAM)
        .args(["convert", "-q", "-f", "raw", "-O", "vmdk"])
        .args(["-o", "subformat=streamOptimized"])
        .arg(from)
        .arg(&named)
        .stdin(Stdio::null())
        .output()
        .io("running", PROGRAM)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rfind(|line| !line.trim().is_empty());
        let message = format!("`{PROGRAM}` failed: {}", last.unwrap_or("it says nothing"));
        return Err(Error::new(Kind::Io, message));
    }
    let file = File::options().read(true).write(true).open(to);
    let file = file.io("opening", to)?;
    let mut head = vec![0; HEAD];
    let read = file.read_at(&mut head, 0).io("reading", to)?;
    let mut places = head[..read].windows(CONTENT_ID.len());
    let place = places.position(|window| window == CONTENT_ID);
    let place = place.ok_or_else(|| {
        Error::new(
            Kind::Io,
            format!("`{PROGRAM}` made a VMDK without a content id"),
        )
    })?;
    // All ones mean that there is none, as of a parent.
    let [a, b, c, d, ..] = *uuid;
    let id = format!("{:08x}", u32::from_be_bytes([a & 0x7f, b, c, d]));
    file.write_all_at(id.as_bytes(), (place + CONTENT_ID.len()) as u64)
        .io("writing", to)
}
