//! The disks: the root as EROFS, and an empty one for `/var`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Result, done};

/// The label that the initrd looks for.
const VAR_LABEL: &str = "nodelith-var";
/// Of the disk for `/var`; it is sparse.
const VAR_BYTES: u64 = 4 << 30;

/// The root folder as an image.
pub fn make(root: &Path, folder: &Path) -> Result<PathBuf> {
    let image = folder.join("root.erofs");
    let _ = std::fs::remove_file(&image);
    done(
        Command::new("mkfs.erofs")
            .arg("--quiet")
            .arg(&image)
            .arg(root),
    )?;
    Ok(image)
}

/// An empty ext4 file system.
pub fn empty_var(folder: &Path) -> Result<PathBuf> {
    let image = folder.join("var.ext4");
    File::create(&image)?.set_len(VAR_BYTES)?;
    done(
        Command::new("mkfs.ext4")
            .args(["-q", "-F", "-L", VAR_LABEL])
            .arg(&image),
    )?;
    Ok(image)
}
