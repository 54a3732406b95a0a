//! Mounts: what of the root can be written, and where that goes.

use std::ffi::CString;
use std::fs;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, mount_bind};

use crate::plumbing::{IMAGE_CACHES, IMAGE_PARTS, KEPT_FOLDERS, OVERLAYS, STATE, UPDATED, Upper};
use crate::{IMAGE, MEMORY, ROOT, Result, copy};

/// Makes the place if need be and mounts a file system there.
pub fn mount(source: &str, at: &str, kind: &str, flags: MountFlags, data: &str) -> Result<()> {
    if !Path::new(at).is_dir() {
        fs::create_dir_all(at).map_err(|error| format!("making `{at}`: {error}"))?;
    }
    rustix::mount::mount(source, at, kind, flags, CString::new(data)?.as_c_str())
        .map_err(|error| format!("mounting {kind} at `{at}`: {error}").into())
}

/// A path of the node, in the root that is being laid out.
pub fn in_root(path: &str) -> PathBuf {
    PathBuf::from(format!("{ROOT}{path}"))
}

/// A path of the node, in the image alone.
pub fn in_image(path: &str) -> PathBuf {
    PathBuf::from(format!("{IMAGE}{path}"))
}

/// What is kept of a path in /etc.
pub fn kept(path: &str) -> PathBuf {
    in_root(&format!("{STATE}/kept{path}"))
}

fn bind(from: &Path, to: &Path) -> Result<()> {
    mount_bind(from, to).map_err(|error| {
        format!(
            "binding `{}` to `{}`: {error}",
            from.display(),
            to.display()
        )
        .into()
    })
}

/// Fills /var: with the parts that are the image's, and with what the node lacks.
pub fn var() -> Result<()> {
    let updated = in_image(UPDATED);
    let mut parts = IMAGE_PARTS.to_vec();
    if updated.is_file() {
        parts.extend(IMAGE_CACHES);
        let mark = in_root("/var/.updated");
        let _ = fs::remove_file(&mark);
        copy::one(&updated, &mark)?;
    }
    for path in &parts {
        let (from, to) = (in_image(path), in_root(path));
        if from.is_dir() {
            fs::create_dir_all(&to)?;
            bind(&from, &to)?;
        }
    }
    copy::fill(&in_image("/var"), &in_root("/var"), &parts)
}

/// Lays writable folders over the image's.
pub fn overlays() -> Result<()> {
    for overlay in OVERLAYS {
        if !in_image(overlay.path).is_dir() {
            continue;
        }
        let name = overlay.path.trim_start_matches('/').replace('/', "-");
        let upper = match overlay.upper {
            Upper::Memory => format!("{MEMORY}/{name}"),
            Upper::Var => format!("{ROOT}{STATE}/overlay/{name}"),
        };
        let work = format!("{upper}/work");
        let upper = format!("{upper}/upper");
        fs::create_dir_all(&work)?;
        if !Path::new(&upper).exists() {
            fs::create_dir(&upper)?;
            copy::metadata(&in_image(overlay.path), Path::new(&upper))?;
        }
        let lower: Vec<_> = overlay
            .lower
            .iter()
            .map(|path| in_image(path))
            .filter(|path| path.is_dir())
            .map(|path| path.display().to_string())
            .collect();
        let data = format!(
            "lowerdir={},upperdir={upper},workdir={work}",
            lower.join(":")
        );
        let at = in_root(overlay.path);
        mount(
            "overlay",
            &at.to_string_lossy(),
            "overlay",
            MountFlags::empty(),
            &data,
        )?;
    }
    Ok(())
}

/// Folders of /etc that are in /var; what the image has in them is their beginning.
pub fn kept_folders() -> Result<()> {
    for path in KEPT_FOLDERS {
        let (at, from) = (in_root(path), kept(path));
        fs::create_dir_all(&at)?;
        copy::fill(&at, &from, &[])?;
        bind(&from, &at)?;
    }
    Ok(())
}
