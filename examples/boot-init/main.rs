//! The one program of `ci/boot`'s initrd, a static `/init`: finds the root image and
//! `/var`, lays them out as [`plumbing`] says, and hands over to the root's own init.
//!
//! *root* is where the image is mounted, read-only, until it becomes `/`; *image* is
//! the same seen without what is mounted over it; *kept* is the folder in `/var` with
//! what is kept of `/etc`.

#![expect(clippy::print_stderr, reason = "what it says goes to the console")]

mod copy;
mod devices;
mod handover;
mod keep;
mod lay;
mod plumbing;
mod units;

use std::error::Error;
use std::fs;
use std::path::Path;

use rustix::mount::MountFlags;
use rustix::process::getpid;
use rustix::system::{RebootCommand, reboot};

use lay::mount;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// The serial number of the disk that has the root image.
const ROOT_DISK: &str = "nodelith-root";
/// The label of the ext4 file system for `/var`; without one it is in memory.
const VAR_LABEL: &str = "nodelith-var";

/// Where the root is mounted.
const ROOT: &str = "/root";
/// The same, bare.
const IMAGE: &str = "/image";
/// The memory that writes to `/etc` go to.
const MEMORY: &str = "/memory";
/// What becomes `/run`.
const RUN: &str = "/next-run";

const QUIET: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV);

fn main() {
    if !getpid().is_init() {
        eprintln!("this is the init program of an initrd, for nothing else");
        std::process::exit(2);
    }
    let Err(error) = boot();
    eprintln!("nodelith: initrd failed: {error}");
    rustix::fs::sync();
    // Nothing is left to be done if this fails: the kernel panics when we end.
    let _ = reboot(RebootCommand::PowerOff);
}

fn boot() -> Result<std::convert::Infallible> {
    system()?;
    devices::load_modules(Path::new("/modules"))?;
    roots()?;
    lay::var()?;
    lay::overlays()?;
    lay::kept_folders()?;
    keep::put_back()?;
    units::write()?;
    handover::clear_away()?;
    handover::switch()
}

/// The kernel's own file systems, and `/run`, into which a further initrd may have
/// put something.
fn system() -> Result<()> {
    let quiet = QUIET | MountFlags::NOEXEC;
    mount("dev", "/dev", "devtmpfs", MountFlags::NOSUID, "mode=755")?;
    mount("proc", "/proc", "proc", quiet, "")?;
    mount("sysfs", "/sys", "sysfs", quiet, "")?;
    mount(
        "run",
        RUN,
        "tmpfs",
        QUIET,
        "mode=755,size=20%,nr_inodes=800k",
    )?;
    if Path::new("/run").is_dir() {
        copy::fill(Path::new("/run"), Path::new(RUN), &[])?;
    }
    Ok(())
}

/// Mounts the root image, and the node's `/var` in it.
fn roots() -> Result<()> {
    let disk = devices::by_serial(ROOT_DISK)?;
    mount(&disk, ROOT, "erofs", MountFlags::RDONLY, "")?;
    mount(&disk, IMAGE, "erofs", MountFlags::RDONLY, "")?;
    let var = format!("{ROOT}/var");
    match devices::by_label(VAR_LABEL)? {
        Some(disk) => mount(&disk, &var, "ext4", MountFlags::empty(), "")?,
        None => mount(
            "var",
            &var,
            "tmpfs",
            MountFlags::empty(),
            "mode=755,size=80%",
        )?,
    }
    mount("upper", MEMORY, "tmpfs", QUIET, "mode=755,size=20%")?;
    fs::create_dir_all(lay::in_root(plumbing::STATE))?;
    Ok(())
}
