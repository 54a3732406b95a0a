//! Kernel and initrd, started by QEMU itself: the exported root on one disk, and an
//! empty one for `/var`.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::boot::Options;
use crate::boot::guest::Test;
use crate::boot::qemu::{Disk, Start};
use crate::boot::subject::Subject;
use crate::boot::tools::Tool;
use crate::bundle::export::{self, Format, export};
use crate::error::{Context, Error, Kind, Result};
use crate::report::{Mode, Report};

/// The label that the initrd looks for.
const VAR_LABEL: &str = "nodelith-var";
/// Of the disk for `/var`; it is sparse.
const VAR_BYTES: u64 = 4 << 30;

/// Exports the root, and writes the rest beside it.
pub(super) fn start(
    subject: &Subject<'_>,
    test: &Test,
    options: &Options<'_>,
    folder: &Path,
) -> Result<Start> {
    let wanted = export::Options {
        formats: BTreeSet::from([Format::Erofs]),
        threads: options.threads,
        ..export::Options::default()
    };
    let exported = folder.join("export");
    let quiet = Report::new(Mode::Quiet);
    export(subject.image, &wanted, &exported, &quiet)?;
    let (kernel, initrd) = (folder.join("kernel"), folder.join("initrd"));
    fs::write(&kernel, &subject.parts.kernel).io("writing", &kernel)?;
    let both = [&subject.parts.initrd[..], &test.appended].concat();
    fs::write(&initrd, both).io("writing", &initrd)?;
    Ok(Start {
        arguments: vec![
            "-kernel".into(),
            kernel.into(),
            "-initrd".into(),
            initrd.into(),
            "-append".into(),
            format!("{} {}", subject.parts.command_line, test.command_line).into(),
        ],
        disks: vec![
            Disk {
                path: exported.join(Format::Erofs.file()),
                serial: "nodelith-root",
                writable: false,
            },
            Disk {
                path: empty_var(folder)?,
                serial: "nodelith-var",
                writable: true,
            },
        ],
        serving: None,
    })
}

/// An empty ext4 file system.
pub(super) fn empty_var(folder: &Path) -> Result<PathBuf> {
    let image = folder.join("var.ext4");
    let file = File::create(&image).io("creating", &image)?;
    file.set_len(VAR_BYTES).io("sizing", &image)?;
    let output = Command::new(Tool::MkfsExt4.path()?)
        .args(["-q", "-F", "-L", VAR_LABEL])
        .arg(&image)
        .stdin(Stdio::null())
        .output()
        .io("starting", "mkfs.ext4")?;
    match output.status.success() {
        true => Ok(image),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
            let message = format!("`mkfs.ext4` failed with {}:\n{said}", output.status);
            Err(Error::new(Kind::Io, message.trim_end()))
        }
    }
}
