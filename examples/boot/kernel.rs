//! Kernel and initrd, started by QEMU itself: the exported root on one disk, and an
//! empty one for `/var`.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nodelith::bundle::export::{Format, Options, export};
use nodelith::report::{Mode, Report};

use crate::Result;
use crate::guest::Test;
use crate::qemu::Start;
use crate::subject::Subject;

/// The label that the initrd looks for.
const VAR_LABEL: &str = "nodelith-var";
/// Of the disk for `/var`; it is sparse.
const VAR_BYTES: u64 = 4 << 30;

/// Exports the root, and writes the rest beside it.
pub fn start(subject: &Subject, test: &Test, folder: &Path) -> Result<Start> {
    let options = Options {
        formats: BTreeSet::from([Format::Erofs]),
        threads: 2,
        ..Options::default()
    };
    let exported = folder.join("export");
    let quiet = Report::new(Mode::Quiet);
    export(&subject.image, &options, &exported, &quiet)?;
    let (kernel, initrd) = (folder.join("kernel"), folder.join("initrd"));
    fs::write(&kernel, &subject.parts.kernel)?;
    fs::write(
        &initrd,
        [&subject.parts.initrd[..], &test.appended].concat(),
    )?;
    Ok(Start::Kernel {
        root: exported.join(Format::Erofs.file()),
        var: empty_var(folder)?,
        kernel,
        initrd,
    })
}

/// An empty ext4 file system.
fn empty_var(folder: &Path) -> Result<PathBuf> {
    let image = folder.join("var.ext4");
    File::create(&image)?.set_len(VAR_BYTES)?;
    let output = Command::new("mkfs.ext4")
        .args(["-q", "-F", "-L", VAR_LABEL])
        .arg(&image)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("starting `mkfs.ext4`: {error}"))?;
    match output.status.success() {
        true => Ok(image),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(format!("`mkfs.ext4` failed with {}:\n{said}", output.status).into())
        }
    }
}
