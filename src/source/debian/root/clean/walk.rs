//! Finding paths in a root, without ever following a symbolic link.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::error::{Context, Error, Result};

/// The existing paths that fit `pattern`, relative to `root` and sorted.
///
/// A pattern's parts are separated by `/`. In a part `*` stands for any
/// characters and `?` for one; the part `**` stands for any folders, or none.
/// Every folder on the way must be one: behind a link, nothing is found.
pub fn find(root: &Path, pattern: &str) -> Result<Vec<PathBuf>> {
    let mut found = vec![PathBuf::new()];
    let mut parts = pattern.split('/').peekable();
    while let Some(part) = parts.next() {
        let mut next = Vec::new();
        for folder in found {
            if part == "**" {
                next.push(folder.clone());
                walk(root, &folder, &mut |path, is_folder| {
                    if is_folder {
                        next.push(path.to_owned());
                    }
                })?;
            } else if part.contains(['*', '?']) {
                next.extend(
                    children(root, &folder)?
                        .into_iter()
                        .filter(|path| fits(part, path.file_name().unwrap_or_default())),
                );
            } else {
                let path = folder.join(part);
                if root.join(&path).symlink_metadata().is_ok() {
                    next.push(path);
                }
            }
        }
        if parts.peek().is_some() {
            next.retain(|path| is_folder(&root.join(path)));
        }
        found = next;
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// All that is below `folder` but folders, relative to `root` and sorted.
pub fn below(root: &Path, folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    walk(root, folder, &mut |path, is_folder| {
        if !is_folder {
            found.push(path.to_owned());
        }
    })?;
    Ok(found)
}

/// What is in `folder`, relative to `root` and sorted; nothing if it is no folder.
pub fn children(root: &Path, folder: &Path) -> Result<Vec<PathBuf>> {
    let full = root.join(folder);
    if !is_folder(&full) {
        return Ok(Vec::new());
    }
    let entries = match fs::read_dir(&full) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.io("listing", &full)?,
    };
    let mut found = entries
        .map(|entry| entry.map(|entry| folder.join(entry.file_name())))
        .collect::<std::io::Result<Vec<_>>>()
        .map_err(|error| Error::io("listing", &full, error))?;
    found.sort();
    Ok(found)
}

fn walk(root: &Path, folder: &Path, visit: &mut impl FnMut(&Path, bool)) -> Result<()> {
    // A stack of our own: how deep a tree is must not matter.
    let mut rest = children(root, folder)?;
    rest.reverse();
    while let Some(path) = rest.pop() {
        let is_folder = is_folder(&root.join(&path));
        visit(&path, is_folder);
        if is_folder {
            rest.extend(children(root, &path)?.into_iter().rev());
        }
    }
    Ok(())
}

fn is_folder(path: &Path) -> bool {
    path.symlink_metadata()
        .is_ok_and(|metadata| metadata.is_dir())
}

/// Whether `name` fits a pattern of `*` and `?`.
fn fits(pattern: &str, name: &OsStr) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    // Where to go on when the last star has to take one character more.
    let mut retry = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, n));
                p += 1;
            }
            Some(b'?') => (p, n) = (p + 1, n + 1),
            Some(byte) if *byte == name[n] => (p, n) = (p + 1, n + 1),
            _ => match &mut retry {
                Some((after_star, taken)) => {
                    *taken += 1;
                    (p, n) = (*after_star, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, name, expected) in [
            ("*-old", "status-old", true),
            ("*-old", "status-older", false),
            ("*", "", true),
            ("a*b*c", "aXbXbXc", true),
            ("a*b*c", "aXcXb", false),
            ("initrd*", "initrd", true),
            ("core.?", "core.1", true),
            ("core.?", "core.", false),
            ("", "", true),
            ("x", "xy", false),
        ] {
            assert_eq!(
                fits(pattern, OsStr::new(name)),
                expected,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn links_are_found_but_never_followed() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("file"), "").unwrap();
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        fs::create_dir_all(root.join("a/b/c")).unwrap();
        fs::write(root.join("a/b/c/file"), "").unwrap();
        fs::write(root.join("a/file"), "").unwrap();
        symlink(outside.path(), root.join("a/link")).unwrap();
        symlink("b", root.join("a/inner")).unwrap();
        let find = |pattern| -> Vec<String> {
            find(root, pattern)
                .unwrap()
                .iter()
                .map(|path| path.display().to_string())
                .collect()
        };
        assert_eq!(find("a/**/file"), ["a/b/c/file", "a/file"]);
        assert_eq!(find("a/link/file"), Vec::<String>::new());
        assert_eq!(find("a/l*/file"), Vec::<String>::new());
        assert_eq!(find("a/li*"), ["a/link"]);
        assert_eq!(find("none/**/x"), Vec::<String>::new());
        assert_eq!(below(root, Path::new("a")).unwrap().len(), 4);
        assert_eq!(
            children(root, Path::new("a/link")).unwrap(),
            Vec::<PathBuf>::new()
        );
    }
}
