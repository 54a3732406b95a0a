//! What scripts find in `/dev` and `/proc`, and how it goes away again.
//!
//! | | namespaces | `chroot` |
//! |---|---|---|
//! | `/dev` | a tmpfs with the machine's devices bound into it | device nodes, removed afterwards with all else that was put there |
//! | `/proc` | a new procfs, its controls read-only | nothing |
//! | `/sys` | nothing: what the build machine has must not reach the image | nothing |
//! | `/run`, `/tmp` | the tree's own, emptied later | the same |
//!
//! A mount point that was not in the tree is removed, so that every mode leaves
//! the same tree. Devices are never replaced by plain files: programs would
//! fill `/dev/null`, and read back from it what others had written.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode as FileMode, makedev, mknodat};
use rustix::io::Errno;
use rustix::mount::{
    MountFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive, mount_remount, unmount,
};

use super::worker::Inside;
use crate::error::{Context, Error, Kind, Result};

/// Name, major and minor number (Documentation/admin-guide/devices.txt).
const DEVICES: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

const LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// Parts of procfs through which root could change the machine.
const CONTROLS: [&str; 4] = ["sys", "sysrq-trigger", "irq", "bus"];

/// Something to take back; in the reverse order.
#[derive(Debug)]
pub enum Undo {
    /// Unmount what is mounted there.
    Unmount(PathBuf),
    /// Remove a folder that was made there.
    Remove(PathBuf),
    /// Remove what was not in the folder before.
    Restore(PathBuf, BTreeSet<OsString>),
}

impl Undo {
    /// Takes it back.
    pub fn undo(&self) -> Result<()> {
        match self {
            Self::Unmount(path) => {
                unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW).io("unmounting", path)
            }
            Self::Remove(path) => fs::remove_dir(path).io("removing", path),
            Self::Restore(path, before) => {
                for entry in fs::read_dir(path).io("listing", path)? {
                    let entry = entry.io("listing", path)?;
                    if before.contains(&entry.file_name()) {
                        continue;
                    }
                    let path = entry.path();
                    let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
                    let removed = if is_folder {
                        fs::remove_dir_all(&path)
                    } else {
                        fs::remove_file(&path)
                    };
                    removed.io("removing", &path)?;
                }
                Ok(())
            }
        }
    }
}

/// Sets up `/proc` and `/dev` below `root`; what is to be taken back goes into
/// `undo`, also when this fails half-way.
pub fn set_up(root: &Path, inside: Inside, undo: &mut Vec<Undo>) -> Result<()> {
    let dev = folder(root, "dev", undo)?;
    if !inside.has_namespaces() {
        return make_devices(&dev, undo);
    }
    let proc = folder(root, "proc", undo)?;
    mount_proc(&proc, undo)?;
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    mount("dev", &dev, "tmpfs", flags, c"mode=0755,size=16m").io("mounting a tmpfs on", &dev)?;
    undo.push(Undo::Unmount(dev.clone()));
    for (name, ..) in DEVICES {
        let (source, target) = (Path::new("/dev").join(name), dev.join(name));
        fs::write(&target, "").io("making", &target)?;
        mount_bind(&source, &target).io("binding the device", &source)?;
        undo.push(Undo::Unmount(target));
    }
    links(&dev)?;
    let pts = dev.join("pts");
    fs::create_dir(&pts).io("making", &pts)?;
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    let data = c"newinstance,ptmxmode=0666,mode=0620,gid=5";
    mount("devpts", &pts, "devpts", flags, data).io("mounting devpts on", &pts)?;
    undo.push(Undo::Unmount(pts));
    let ptmx = dev.join("ptmx");
    symlink("pts/ptmx", &ptmx).io("making", &ptmx)
}

/// The mount point `name`; it must be a folder, and not a link that leads out of the tree.
fn folder(root: &Path, name: &str, undo: &mut Vec<Undo>) -> Result<PathBuf> {
    let path = root.join(name);
    match fs::symlink_metadata(&path) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => {
            let message = format!("`/{name}` in the tree is not a folder");
            return Err(Error::new(Kind::Sandbox, message));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir(&path).io("making", &path)?;
            undo.push(Undo::Remove(path.clone()));
        }
        Err(error) => return Err(Error::io("reading", &path, error)),
    }
    Ok(path)
}

fn mount_proc(path: &Path, undo: &mut Vec<Undo>) -> Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let fresh = match mount("proc", path, "proc", flags, None) {
        Ok(()) => true,
        // In a container that hides parts of its own /proc, the kernel gives a
        // user namespace no other view than that.
        Err(Errno::PERM) => {
            mount_bind_recursive("/proc", path).io("binding /proc to", path)?;
            false
        }
        Err(error) => return Err(Error::io("mounting procfs on", path, error)),
    };
    undo.push(Undo::Unmount(path.to_owned()));
    for name in CONTROLS {
        let control = path.join(name);
        if !control.exists() {
            continue;
        }
        let read_only = mount_bind_recursive(&control, &control)
            .map(|()| undo.push(Undo::Unmount(control.clone())))
            .and_then(|()| {
                let flags = flags | MountFlags::BIND | MountFlags::RDONLY;
                mount_remount(&control, flags, c"")
            });
        // A bound /proc is the surrounding container's, which protects it already.
        if fresh {
            read_only.io("making read-only", &control)?;
        }
    }
    Ok(())
}

fn links(dev: &Path) -> Result<()> {
    for (name, target) in LINKS {
        let link = dev.join(name);
        match symlink(target, &link) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(Error::io("making", &link, error));
            }
            _ => {}
        }
    }
    let shm = dev.join("shm");
    if !shm.exists() {
        fs::create_dir(&shm).io("making", &shm)?;
        fs::set_permissions(&shm, Permissions::from_mode(0o1777)).io("making", &shm)?;
    }
    Ok(())
}

/// Device nodes, where nothing can be mounted.
fn make_devices(dev: &Path, undo: &mut Vec<Undo>) -> Result<()> {
    let before = fs::read_dir(dev)
        .and_then(|entries| {
            entries
                .map(|entry| entry.map(|entry| entry.file_name()))
                .collect()
        })
        .io("listing", dev)?;
    undo.push(Undo::Restore(dev.to_owned(), before));
    for (name, major, minor) in DEVICES {
        let path = dev.join(name);
        let number = makedev(major, minor);
        if let Ok(metadata) = fs::symlink_metadata(&path) {
            if metadata.file_type().is_char_device() && metadata.rdev() == number {
                continue;
            }
            let message = format!("`/dev/{name}` in the tree is not that device");
            return Err(Error::new(Kind::Sandbox, message));
        }
        let mode = FileMode::from_raw_mode(0o666);
        mknodat(CWD, &path, FileType::CharacterDevice, mode, number).map_err(|error| {
            Error::new(Kind::Sandbox, format!("making the device `/dev/{name}`: {error}"))
                .hint("in a container, allow it: --cap-add MKNOD; or allow mounts or user namespaces, which need no device nodes")
        })?;
        // mknod heeds the umask.
        fs::set_permissions(&path, Permissions::from_mode(0o666)).io("making", &path)?;
    }
    let null = dev.join("null");
    OpenOptions::new().write(true).open(&null).map_err(|error| {
        Error::new(Kind::Sandbox, format!("opening the device `/dev/null` in the tree: {error}"))
            .hint("devices do not work on a file system mounted `nodev`: put the store elsewhere (`--store`)")
    })?;
    links(dev)
}
