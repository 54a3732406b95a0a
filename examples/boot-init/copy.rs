//! Copies with modes, owners and times.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, lchown, symlink};
use std::path::Path;

use crate::Result;

/// Copies what one folder has and another has not, and leaves the rest as it is.
/// `but` are paths of the node that are left out.
pub fn fill(from: &Path, to: &Path, but: &[&str]) -> Result<()> {
    if !to.exists() {
        one(from, to)?;
    }
    for entry in
        fs::read_dir(from).map_err(|error| format!("reading `{}`: {error}", from.display()))?
    {
        let (from, to) = {
            let entry = entry?;
            (entry.path(), to.join(entry.file_name()))
        };
        if but
            .iter()
            .any(|path| from.ends_with(path.trim_start_matches('/')))
        {
            continue;
        }
        let kind = from.symlink_metadata()?.file_type();
        if kind.is_dir() {
            // A link or file of the node's in its place stays, too.
            if to.symlink_metadata().map_or(true, |found| found.is_dir()) {
                fill(&from, &to, but)?;
            }
        } else if to.symlink_metadata().is_err() && !kind.is_socket() {
            one(&from, &to)?;
        }
    }
    Ok(())
}

/// Copies a file, a link, or a folder without what is in it.
pub fn one(from: &Path, to: &Path) -> Result<()> {
    let copy = || -> Result<()> {
        let kind = from.symlink_metadata()?.file_type();
        if kind.is_symlink() {
            symlink(fs::read_link(from)?, to)?;
        } else if kind.is_dir() {
            fs::create_dir_all(to)?;
        } else if kind.is_file() {
            fs::copy(from, to)?;
        } else {
            // Devices and pipes: /var of an image has none that matter.
            return Ok(());
        }
        metadata(from, to)
    };
    copy().map_err(|error| {
        format!(
            "copying `{}` to `{}`: {error}",
            from.display(),
            to.display()
        )
        .into()
    })
}

/// Owner, mode and time.
pub fn metadata(from: &Path, to: &Path) -> Result<()> {
    let found = from.symlink_metadata()?;
    lchown(to, Some(found.uid()), Some(found.gid()))?;
    if !found.is_symlink() {
        fs::set_permissions(to, fs::Permissions::from_mode(found.mode() & 0o7777))?;
        let times = fs::FileTimes::new().set_modified(found.modified()?);
        fs::File::open(to)?.set_times(times)?;
    }
    Ok(())
}
