//! Files of /etc that are kept as copies, and the units that keep new ones.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::lay::{in_root, kept};
use crate::plumbing::{KEPT_FILES, MACHINE_ID, STATE};
use crate::{RUN, Result, copy};

/// Puts kept files back, after making the machine's id where there is none: systemd
/// would take a boot without one for the machine's first, and change /etc.
pub fn put_back() -> Result<()> {
    let id = kept(MACHINE_ID);
    if !is_id(&id) {
        let made = match is_id(&in_root(MACHINE_ID)) {
            true => fs::read_to_string(in_root(MACHINE_ID))?,
            false => fs::read_to_string("/proc/sys/kernel/random/uuid")?.replace('-', ""),
        };
        fs::create_dir_all(id.parent().unwrap_or(&id))?;
        let aside = id.with_extension("new");
        fs::write(&aside, made)?;
        fs::set_permissions(&aside, fs::Permissions::from_mode(0o444))?;
        fs::File::open(&aside)?.sync_all()?;
        fs::rename(&aside, &id)?;
    }
    for pattern in KEPT_FILES {
        for file in matching(&kept(pattern)) {
            let folder = in_root(&folder(pattern));
            fs::create_dir_all(&folder)?;
            let to = folder.join(file.file_name().unwrap_or_default());
            let _ = fs::remove_file(&to);
            copy::one(&file, &to)?;
        }
    }
    Ok(())
}

/// Whether the file has an id, not `uninitialized`.
fn is_id(path: &Path) -> bool {
    let text = fs::read_to_string(path).unwrap_or_default();
    let text = text.trim_end();
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The files of a folder whose names fit: alike, or beginning so where a `*` ends it.
fn matching(pattern: &Path) -> Vec<PathBuf> {
    let folder = pattern.parent().unwrap_or(pattern);
    let name = pattern.file_name().unwrap_or_default().to_string_lossy();
    let fits = |path: &PathBuf| {
        let found = path.file_name().unwrap_or_default().to_string_lossy();
        match name.strip_suffix('*') {
            Some(beginning) => found.starts_with(beginning),
            None => found == name,
        }
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(fits).collect()
}

/// The folder of a path.
fn folder(path: &str) -> String {
    path.rsplit_once('/')
        .map_or("", |(folder, _)| folder)
        .to_owned()
}

/// Units for /run that copy these files to /var whenever they change.
pub fn write_units() -> Result<()> {
    let folder_of_units = Path::new(RUN).join("systemd/system");
    let wants = folder_of_units.join("multi-user.target.wants");
    fs::create_dir_all(&wants)?;
    fs::write(folder_of_units.join("nodelith-keep.path"), path_unit())?;
    fs::write(
        folder_of_units.join("nodelith-keep.service"),
        service_unit(),
    )?;
    symlink("../nodelith-keep.path", wants.join("nodelith-keep.path"))?;
    Ok(())
}

fn path_unit() -> String {
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

fn service_unit() -> String {
    let copies: String = KEPT_FILES
        .iter()
        .map(|pattern| {
            let to = format!("{STATE}/kept{}", folder(pattern));
            format!(
                "ExecStart=/bin/sh -c 'mkdir -p {to}; for f in {pattern}; do \
                 [ ! -f \"$f\" ] || cp -a \"$f\" {to}/; done'\n"
            )
        })
        .collect();
    format!(
        "[Unit]\nDescription=Keep files of /etc in /var\nStartLimitIntervalSec=0\n\n\
         [Service]\nType=oneshot\n{copies}"
    )
}
