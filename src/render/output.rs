//! Writing what was rendered, and copying templates to be edited.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::NamedTempFile;

use super::template::DESCRIPTION;
use super::{Format, Rendered, Template};
use crate::error::{Context, Error, Kind, Result};

/// Writes files into a folder: all aside first, then each is renamed into place. Scripts can
/// be run, and what has a secret in it is its owner's alone.
///
/// # Errors
/// When the folder cannot be made or written to; then no file of it was touched, unless
/// renaming itself failed.
pub fn write(folder: &Path, files: &[Rendered]) -> Result<()> {
    make(folder)?;
    let mut aside = Vec::new();
    for file in files {
        let mode = match (file.format, file.secret) {
            (Format::Shell, false) => 0o755,
            (Format::Shell, true) => 0o700,
            (_, false) => 0o644,
            (_, true) => 0o600,
        };
        aside.push((write_aside(folder, file.text.as_bytes(), mode)?, &file.name));
    }
    for (file, name) in aside {
        let path = folder.join(name);
        let renamed = file.persist(&path).map_err(|error| error.error);
        renamed.io("renaming to", &path)?;
    }
    Ok(())
}

/// Copies a template into `folder`, as a folder of its own.
///
/// # Errors
/// When that is there already, or cannot be written.
pub fn eject(template: &Template, folder: &Path) -> Result<()> {
    make(folder)?;
    let to = folder.join(&template.name);
    if to.exists() {
        let message = format!("`{}` exists already", to.display());
        return Err(
            Error::new(Kind::Usage, message).hint("name another folder, or remove it first")
        );
    }
    let aside = tempfile::Builder::new()
        .prefix(".new-")
        .tempdir_in(folder)
        .io("making a folder in", folder)?;
    let description = (DESCRIPTION, template.description_text());
    let files = template.files.iter().map(|file| (&*file.name, &*file.text));
    for (name, text) in files.chain([description]) {
        let path = aside.path().join(name);
        fs::write(&path, text).io("writing", &path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o644)).io("writing", &path)?;
    }
    fs::set_permissions(aside.path(), Permissions::from_mode(0o755)).io("writing", &to)?;
    fs::rename(aside.path(), &to).io("renaming to", &to)?;
    // There is nothing to take away any more.
    let _ = aside.keep();
    Ok(())
}

fn make(folder: &Path) -> Result<()> {
    if folder.exists() && !folder.is_dir() {
        let message = format!("`{}` is a file, not a folder", folder.display());
        return Err(Error::new(Kind::Usage, message));
    }
    fs::create_dir_all(folder).io("making", folder)
}

fn write_aside(folder: &Path, bytes: &[u8], mode: u32) -> Result<NamedTempFile> {
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .tempfile_in(folder)
        .io("making a file in", folder)?;
    file.write_all(bytes).io("writing into", folder)?;
    let mode = Permissions::from_mode(mode);
    fs::set_permissions(file.path(), mode).io("writing into", folder)?;
    Ok(file)
}
