//! Reads a root directory into a tree. Links are never followed.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rayon::iter::{IntoParallelIterator, ParallelIterator};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, openat, readlinkat, statat};
use rustix::io::Errno;

use super::{Content, Entry, FIXED_TIME, Node, Tree, TreePath};
use crate::error::{Context, Error, Result};

/// Says which component a path belongs to and what time it has there; none if
/// nothing owns it.
pub type Classify<'a> = dyn Fn(&TreePath) -> Option<(Arc<str>, i64)> + Sync + 'a;

/// The component of what nothing owns.
const GENERATED: &str = "generated";

/// Reads `root` into a tree.
///
/// What `classify` knows gets its component and its time, but no later than
/// `epoch`; the rest is *generated* and, like every directory, gets [`FIXED_TIME`].
/// The root itself is always `0755 0:0`. Of files with several names, the first
/// in byte order is the file. Sockets are left out.
///
/// Kept extended attributes are `security.capability` (in its version 2 form),
/// `system.posix_acl_*` and `user.*`.
///
/// # Errors
/// When something cannot be read.
pub fn scan(root: &Path, classify: &Classify<'_>, epoch: i64) -> Result<Tree> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::open(root, flags, Mode::empty()).io("opening", root)?;
    let scan = Scan {
        root,
        classify,
        epoch,
    };
    let found = scan.folder(&folder, &TreePath::default())?;

    // Names of one file, in byte order.
    let mut names: BTreeMap<(u64, u64), TreePath> = BTreeMap::new();
    for (path, _, inode) in &found {
        if let Some(inode) = inode {
            let first = names.entry(*inode).or_insert_with(|| path.clone());
            if path < first {
                *first = path.clone();
            }
        }
    }
    let mut tree = Tree::default();
    tree.entries.insert(
        TreePath::default(),
        Entry {
            node: Node::Directory,
            mode: 0o755,
            uid: 0,
            gid: 0,
            mtime: FIXED_TIME,
            xattrs: BTreeMap::new(),
            component: scan.classify(&TreePath::default()).0,
        },
    );
    for (path, mut entry, inode) in found {
        if let Some(first) = inode.and_then(|inode| names.get(&inode))
            && *first != path
        {
            entry.node = Node::Hardlink(first.clone());
        }
        tree.entries.insert(path, entry);
    }
    // Names of one file may have been classified apart; its attributes are those of the file.
    let links: Vec<(TreePath, TreePath)> = tree
        .entries
        .iter()
        .filter_map(|(path, entry)| match &entry.node {
            Node::Hardlink(target) => Some((path.clone(), target.clone())),
            _ => None,
        })
        .collect();
    for (path, target) in links {
        let time = tree.entries.get(&target).map(|entry| entry.mtime);
        if let (Some(time), Some(entry)) = (time, tree.entries.get_mut(&path)) {
            entry.mtime = time;
        }
    }
    Ok(tree)
}

/// A path, what is there, and device and inode if the file has further names.
type Found = (TreePath, Entry, Option<(u64, u64)>);

struct Scan<'a> {
    root: &'a Path,
    classify: &'a Classify<'a>,
    epoch: i64,
}

impl Scan<'_> {
    /// All that is below an open directory.
    fn folder(&self, folder: &OwnedFd, at: &TreePath) -> Result<Vec<Found>> {
        let failed =
            |doing, error: Errno| Error::io(doing, self.on_disk(at), io::Error::from(error));
        let mut found = Vec::new();
        let mut below = Vec::new();
        for name in Dir::read_from(folder).map_err(|error| failed("listing", error))? {
            let name = name.map_err(|error| failed("listing", error))?;
            let name = name.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let path = at.join(name.to_bytes());
            let Some(entry) = self.entry(folder.as_fd(), name, &path)? else {
                continue;
            };
            if entry.1.node == Node::Directory {
                below.push((name.to_owned(), path));
            }
            found.push(entry);
        }
        let deeper: Vec<Vec<Found>> = below
            .into_par_iter()
            .map(|(name, path)| {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let open = openat(folder, &name, flags, Mode::empty());
                let open = open
                    .map_err(io::Error::from)
                    .io("opening", self.on_disk(&path))?;
                self.folder(&open, &path)
            })
            .collect::<Result<_>>()?;
        found.extend(deeper.into_iter().flatten());
        Ok(found)
    }

    /// One name in a directory; none for sockets.
    fn entry(
        &self,
        folder: BorrowedFd<'_>,
        name: &std::ffi::CStr,
        path: &TreePath,
    ) -> Result<Option<Found>> {
        let on_disk = self.on_disk(path);
        let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(io::Error::from)
            .io("looking at", &on_disk)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        let device = || {
            (
                rustix::fs::major(stat.st_rdev),
                rustix::fs::minor(stat.st_rdev),
            )
        };
        let node = match kind {
            FileType::Directory => Node::Directory,
            FileType::RegularFile => Node::File {
                size: u64::try_from(stat.st_size).unwrap_or(0),
                content: Content::Disk(on_disk.clone()),
            },
            FileType::Symlink => {
                let target = readlinkat(folder, name, Vec::new())
                    .map_err(io::Error::from)
                    .io("reading the link", &on_disk)?;
                Node::Symlink(TreePath::new(target.into_bytes()))
            }
            FileType::CharacterDevice => Node::CharDevice(device().0, device().1),
            FileType::BlockDevice => Node::BlockDevice(device().0, device().1),
            FileType::Fifo => Node::Fifo,
            FileType::Socket => return Ok(None),
            FileType::Unknown => {
                return Err(Error::io("reading", &on_disk, "it is of an unknown type"));
            }
        };
        let (component, time) = self.classify(path);
        let entry = Entry {
            mtime: if kind == FileType::Directory {
                FIXED_TIME
            } else {
                time
            },
            node,
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            xattrs: xattrs(&on_disk)?,
            component,
        };
        Ok(Some((path.clone(), entry, inode(kind, &stat))))
    }

    fn classify(&self, path: &TreePath) -> (Arc<str>, i64) {
        match (self.classify)(path) {
            Some((component, time)) => (component, time.min(self.epoch)),
            None => (GENERATED.into(), FIXED_TIME),
        }
    }

    fn on_disk(&self, path: &TreePath) -> std::path::PathBuf {
        self.root.join(path.as_path())
    }
}

/// Device and inode of a regular file that has further names.
fn inode(kind: FileType, stat: &Stat) -> Option<(u64, u64)> {
    #[expect(
        clippy::useless_conversion,
        reason = "the fields' widths differ by architecture"
    )]
    let several = kind == FileType::RegularFile && u64::from(stat.st_nlink) > 1;
    several.then_some((stat.st_dev, stat.st_ino))
}

/// The extended attributes that an image keeps.
fn xattrs(path: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut kept = BTreeMap::new();
    let names = match sized(|buffer| rustix::fs::llistxattr(path, buffer)) {
        Ok(names) => names,
        // File systems without extended attributes have none.
        Err(Errno::NOTSUP) => return Ok(kept),
        Err(error) => {
            return Err(Error::io(
                "listing attributes of",
                path,
                io::Error::from(error),
            ));
        }
    };
    for name in names
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty())
    {
        let Some(name) = std::str::from_utf8(name).ok().filter(|name| is_kept(name)) else {
            continue;
        };
        let mut value = sized(|buffer| rustix::fs::lgetxattr(path, name, buffer))
            .map_err(io::Error::from)
            .io(&format!("reading attribute `{name}` of"), path)?;
        if name == "security.capability" {
            value = capability_2(value);
        }
        kept.insert(name.to_owned(), value);
    }
    Ok(kept)
}

/// Labels and other file systems' own notes belong to the build host.
fn is_kept(name: &str) -> bool {
    name == "security.capability"
        || name.starts_with("system.posix_acl_")
        || (name.starts_with("user.") && !name.starts_with("user.overlay."))
}

/// Brings a file capability of version 3 (linux/capability.h: `vfs_ns_cap_data`,
/// with the user of the namespace's root at the end) to version 2.
fn capability_2(mut value: Vec<u8>) -> Vec<u8> {
    const REVISION_2: u8 = 2;
    const REVISION_3: u8 = 3;
    if value.len() == 24 && value[3] == REVISION_3 {
        value.truncate(20);
        value[3] = REVISION_2;
    }
    value
}

/// Calls `read` with a buffer that grows until the answer fits.
fn sized(read: impl Fn(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut buffer = vec![0; 256];
    loop {
        match read(&mut buffer) {
            Ok(length) => {
                buffer.truncate(length);
                return Ok(buffer);
            }
            Err(Errno::RANGE) if buffer.len() < 1 << 20 => buffer.resize(buffer.len() * 4, 0),
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
