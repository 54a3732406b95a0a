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

/// What is not whole yet, in the folder in which it will be.
const ASIDE: &str = ".nodelith-new";

/// Copies a file, a link, or a folder without what is in it. It appears when it is whole
/// and, if it is a file, on the disk: after a power cut half a one would stay for good.
pub fn one(from: &Path, to: &Path) -> Result<()> {
    let copy = || -> Result<()> {
        let kind = from.symlink_metadata()?.file_type();
        let aside = to.with_file_name(ASIDE);
        match aside.symlink_metadata() {
            Ok(found) if found.is_dir() => fs::remove_dir_all(&aside)?,
            Ok(_) => fs::remove_file(&aside)?,
            Err(_) => {}
        }
        if kind.is_symlink() {
            symlink(fs::read_link(from)?, &aside)?;
        } else if kind.is_dir() {
            fs::create_dir_all(&aside)?;
        } else if kind.is_file() {
            fs::copy(from, &aside)?;
        } else {
            // Devices and pipes: /var of an image has none that matter.
            return Ok(());
        }
        metadata(from, &aside)?;
        if kind.is_file() {
            fs::File::open(&aside)?.sync_all()?;
        }
        Ok(fs::rename(&aside, to)?)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_stays_and_what_is_not_comes() {
        let folder = tempfile::tempdir().unwrap();
        let (image, node) = (folder.path().join("image"), folder.path().join("node"));
        for path in ["var/lib/dpkg", "var/lib/other", "var/log/own"] {
            fs::create_dir_all(image.join(path)).unwrap();
        }
        fs::write(image.join("var/lib/dpkg/status"), "").unwrap();
        fs::write(image.join("var/lib/other/file"), "image").unwrap();
        fs::set_permissions(
            image.join("var/lib/other/file"),
            fs::Permissions::from_mode(0o4750),
        )
        .unwrap();
        fs::write(image.join("var/lib/kept"), "image").unwrap();
        symlink("nowhere", image.join("var/link")).unwrap();
        fs::create_dir_all(node.join("lib")).unwrap();
        fs::write(node.join("lib/kept"), "node").unwrap();
        // A folder of the image's where the node has a link is the node's affair.
        symlink("elsewhere", node.join("log")).unwrap();

        fill(&image.join("var"), &node, &["/var/lib/dpkg"]).unwrap();
        let read = |path: &str| fs::read_to_string(node.join(path)).unwrap();
        assert_eq!(
            (read("lib/kept"), read("lib/other/file")),
            ("node".into(), "image".into())
        );
        assert_eq!(
            fs::metadata(node.join("lib/other/file")).unwrap().mode() & 0o7777,
            0o4750
        );
        assert_eq!(
            fs::read_link(node.join("link")).unwrap(),
            Path::new("nowhere")
        );
        assert_eq!(
            fs::read_link(node.join("log")).unwrap(),
            Path::new("elsewhere")
        );
        assert!(!node.join("lib/dpkg").exists());
        let error = fill(&image.join("none"), &node, &[])
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("reading `"), "{error}");
    }

    #[test]
    fn nothing_half_done_is_at_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        // It cannot be read from its beginning.
        one(Path::new("/proc/self/mem"), &path("file")).unwrap_err();
        assert!(!path("file").exists());
        // What an earlier boot left, or somebody put there, is not written to.
        for (name, leave) in [
            (
                "other",
                (|aside, other| symlink(other, aside).unwrap()) as fn(&Path, &Path),
            ),
            ("folder", |aside, _| {
                fs::create_dir_all(aside.join("a")).unwrap();
            }),
        ] {
            fs::write(path("other"), "other").unwrap();
            fs::write(path("from"), "whole").unwrap();
            let aside = path(ASIDE);
            let _ = fs::remove_file(&aside);
            leave(&aside, &path("other"));
            one(&path("from"), &path("to")).unwrap();
            assert_eq!(fs::read_to_string(path("to")).unwrap(), "whole", "{name}");
            assert_eq!(
                fs::read_to_string(path("other")).unwrap(),
                "other",
                "{name}"
            );
            assert!(aside.symlink_metadata().is_err(), "{name}");
        }
    }
}
