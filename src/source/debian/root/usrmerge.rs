//! The merged `/usr`: `/bin` and its like are links into `/usr`.
//!
//! From trixie on, `base-files` ships the links, and no other package has files
//! below them. Before, packages have files in `/bin`, `base-files` has `/bin` as
//! a directory, and whoever makes a root makes the links first (`usr-is-merged`
//! insists on them). Either way the links must be there before anything else.

use tar::EntryType;

use super::incoming::Package;
use super::rootdir::RootDir;
use super::tarball::Tarball;
use crate::error::{Error, Result};

/// Directories that are links on every architecture.
const EVERYWHERE: [&str; 3] = ["bin", "lib", "sbin"];

/// Further library directories, for the loaders of other word sizes.
const LIBRARIES: [(&str, &[&str]); 10] = [
    ("amd64", &["lib32", "lib64", "libx32"]),
    ("i386", &["lib64", "libx32"]),
    ("loong64", &["lib64"]),
    ("mips64el", &["lib32", "lib64", "libo32"]),
    ("mipsel", &["lib32", "lib64"]),
    ("ppc64", &["lib32", "lib64"]),
    ("ppc64el", &["lib64"]),
    ("s390x", &["lib32"]),
    ("sparc64", &["lib32", "lib64"]),
    ("x32", &["lib32", "lib64", "libx32"]),
];

/// Makes the links, unless `base_files` ships them.
pub(super) fn prepare(root: &RootDir, base_files: &Package, architecture: &str) -> Result<()> {
    if ships_links(base_files)? {
        return Ok(());
    }
    let libraries = LIBRARIES
        .iter()
        .find(|(name, _)| *name == architecture)
        .map_or(&[][..], |(_, libraries)| libraries);
    for name in EVERYWHERE.iter().chain(libraries) {
        let target = format!("usr/{name}");
        root.make_directory(target.as_bytes())?;
        root.symlink(target.as_bytes(), name.as_bytes())?;
    }
    Ok(())
}

fn ships_links(base_files: &Package) -> Result<bool> {
    let about = |error: Error| error.context(format!("reading package `{}`", base_files.name));
    let mut tarball = Tarball::new(base_files.deb.data()?);
    while let Some(entry) = tarball.next().map_err(about)? {
        if entry.path == b"bin" && entry.kind == EntryType::Symlink {
            return Ok(true);
        }
    }
    Ok(false)
}
