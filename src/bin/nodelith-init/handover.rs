//! Giving the machine to the root's own init.

use std::convert::Infallible;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::mount::{UnmountFlags, mount_move, unmount};

use crate::credentials::Environment;
use crate::lay::in_root;
use crate::{IMAGE, MEMORY, ROOT, RUN, Result};

const INIT: &str = "/sbin/init";

/// Moves what is mounted in the initrd into the root, and takes away the rest.
/// Overlays and bindings hold what they need of it.
pub fn clear_away() -> Result<()> {
    for place in [MEMORY, IMAGE] {
        unmount(place, UnmountFlags::DETACH)?;
    }
    for (from, to) in [
        (RUN, "/run"),
        ("/dev", "/dev"),
        ("/proc", "/proc"),
        ("/sys", "/sys"),
    ] {
        mount_move(from, in_root(to))
            .map_err(|error| format!("moving `{from}` to the root: {error}"))?;
    }
    // The initrd is in memory until its files are gone.
    let device = fs::metadata("/")?.dev();
    empty(Path::new("/"), device);
    Ok(())
}

/// Deletes what is in a folder and on the same device; what cannot be stays.
fn empty(folder: &Path, device: u64) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match path.symlink_metadata() {
            Ok(found) if found.dev() != device => {}
            Ok(found) if found.is_dir() => {
                empty(&path, device);
                let _ = fs::remove_dir(&path);
            }
            _ => {
                let _ = fs::remove_file(&path);
            }
        }
    }
}

/// Makes the root `/` and becomes its init, which is told of `environment`.
pub fn switch(environment: &Environment) -> Result<Infallible> {
    rustix::process::chdir(ROOT)?;
    mount_move(".", "/").map_err(|error| format!("moving the root to `/`: {error}"))?;
    rustix::process::chroot(".")?;
    rustix::process::chdir("/")?;
    let told = environment.iter().map(|(name, value)| (name, value));
    let error = Command::new(INIT).envs(told).exec();
    Err(format!("starting `{INIT}`: {error}").into())
}
