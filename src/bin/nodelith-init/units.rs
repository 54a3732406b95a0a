//! Units for `/run`: what the layout asks of the running system.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::keep::folder;
use crate::lay::in_image;
use crate::plumbing::{KEPT_FILES, STATE};
use crate::{RUN, Result};

/// The journal lets go of /var before that is unmounted. systemd sees to it itself
/// only where a unit file or fstab(5) names /var.
const JOURNAL: &str = "[Unit]\nConflicts=umount.target\nBefore=umount.target\n";

/// Where systemd-gpt-auto-generator(8) would mount the EFI system partition, and the unit.
const EFI: (&str, &str) = ("/efi", "efi.automount");

/// Writes them.
pub fn write() -> Result<()> {
    let units = Path::new(RUN).join("systemd/system");
    let wants = units.join("multi-user.target.wants");
    let journal = units.join("systemd-journal-flush.service.d");
    fs::create_dir_all(&wants)?;
    fs::create_dir_all(&journal)?;
    fs::write(journal.join("50-nodelith.conf"), JOURNAL)?;
    fs::write(units.join("nodelith-keep.path"), watch())?;
    fs::write(units.join("nodelith-keep.service"), keep())?;
    symlink("../nodelith-keep.path", wants.join("nodelith-keep.path"))?;
    // An image that has no place for it cannot get one: its root is read-only.
    let (place, unit) = EFI;
    if !in_image(place).is_dir() {
        symlink("/dev/null", units.join(unit))?;
    }
    Ok(())
}

/// Starts the service when a kept file changes. Limits are off: host keys come by the
/// dozen.
fn watch() -> String {
    let watched: String = KEPT_FILES
        .iter()
        .map(|pattern| match pattern.ends_with('*') {
            true => format!("PathChanged={}\n", folder(pattern)),
            false => format!("PathChanged={pattern}\n"),
        })
        .collect();
    format!(
        "[Unit]\nDescription=Watch files of /etc that are kept\nStartLimitIntervalSec=0\n\n\
         [Path]\n{watched}"
    )
}

/// Copies kept files to /var, each aside and then in its place.
fn keep() -> String {
    let copies: String = KEPT_FILES
        .iter()
        .map(|pattern| {
            let to = format!("{STATE}/kept{}", folder(pattern));
            format!(
                "ExecStart=/bin/sh -c 'mkdir -p {to} && for f in {pattern}; do \
                 [ ! -f \"$f\" ] || {{ cp -a \"$f\" {to}/.new && mv {to}/.new {to}/\"$${{f##*/}}\"; }}; done'\n"
            )
        })
        .collect();
    format!(
        "[Unit]\nDescription=Keep files of /etc in /var\nStartLimitIntervalSec=0\n\n\
         [Service]\nType=oneshot\n{copies}"
    )
}
