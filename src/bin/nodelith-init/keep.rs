//! Files of /etc that are kept as copies.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::lay::{in_root, kept};
use crate::plumbing::{KEPT_FILES, MACHINE_ID};
use crate::{Result, copy};

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
pub fn folder(path: &str) -> String {
    path.rsplit_once('/')
        .map_or("", |(folder, _)| folder)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_what_is_none() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (text, id) in [
            ("0123456789abcdef0123456789abcdef\n", true),
            ("uninitialized\n", false),
            ("", false),
            ("0123456789abcdef0123456789abcdeg", false),
        ] {
            fs::write(file.path(), text).unwrap();
            assert_eq!(is_id(file.path()), id, "{text}");
        }
        assert!(!is_id(Path::new("/nowhere")));
    }

    #[test]
    fn files_by_pattern() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["ssh_host_a", "ssh_host_a.pub", "sshd_config", "id"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let count = |pattern: &str| matching(&folder.path().join(pattern)).len();
        assert_eq!(
            (count("ssh_host_*"), count("id"), count("none*")),
            (2, 1, 0)
        );
    }
}
