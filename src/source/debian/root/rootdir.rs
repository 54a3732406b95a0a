//! File operations below a root directory that never leave it, whatever
//! symbolic links packages or their scripts have put there.
//!
//! Each path is walked component by component with `O_NOFOLLOW`; a symbolic
//! link is read and followed as if the root were `/`. That also yields the
//! final path, which is what a file is known by when `/bin` is a link.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, Timespec, Timestamps};
use rustix::io::Errno;

use crate::error::{Context, Error, Result};
use crate::tree::TreePath;

/// As many symbolic links in one path as Linux follows.
const MOST_LINKS: u32 = 40;

/// A root directory.
#[derive(Debug)]
pub(super) struct RootDir {
    path: PathBuf,
    fd: OwnedFd,
}

/// A directory below the root.
#[derive(Debug)]
pub(super) struct Directory {
    fd: OwnedFd,
    /// Its path without any symbolic link.
    pub path: TreePath,
}

impl Directory {
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl RootDir {
    pub fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty()).io("opening", path)?;
        let path = path.to_owned();
        Ok(Self { path, fd })
    }

    /// Where `path` is, for messages and for programs outside.
    pub fn outside(&self, path: &[u8]) -> PathBuf {
        self.path.join(TreePath::new(path).as_path())
    }

    /// Finds a directory, following symbolic links within the root.
    pub fn directory(&self, path: &[u8]) -> Result<Directory> {
        self.walk(path, false)
            .io("opening directory", self.outside(path))
    }

    /// Like [`directory`](Self::directory), making what is missing with mode 0755.
    pub fn make_directory(&self, path: &[u8]) -> Result<Directory> {
        self.walk(path, true)
            .io("making directory", self.outside(path))
    }

    /// Whether there is a directory at `path`, perhaps by symbolic links.
    pub fn is_directory(&self, path: &[u8]) -> bool {
        self.walk(path, false).is_ok()
    }

    fn walk(&self, path: &[u8], make: bool) -> Result<Directory, Errno> {
        let mut pending: VecDeque<Vec<u8>> = components(path).collect();
        // What has been walked, with a descriptor of each directory, so that `..` can go back.
        let mut walked: Vec<(Vec<u8>, OwnedFd)> = Vec::new();
        let mut links = 0;
        while let Some(part) = pending.pop_front() {
            if part == b".." {
                walked.pop();
                continue;
            }
            let parent = walked.last().map_or(self.fd.as_fd(), |(_, fd)| fd.as_fd());
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match rustix::fs::openat(parent, &part[..], flags, Mode::empty()) {
                Ok(fd) => walked.push((part, fd)),
                Err(Errno::NOENT) if make => {
                    make_one(parent, &part)?;
                    pending.push_front(part);
                }
                Err(Errno::NOTDIR | Errno::LOOP) => {
                    let target = match rustix::fs::readlinkat(parent, &part[..], Vec::new()) {
                        Ok(target) => target.into_bytes(),
                        Err(Errno::INVAL) => return Err(Errno::NOTDIR),
                        Err(error) => return Err(error),
                    };
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(Errno::LOOP);
                    }
                    if target.starts_with(b"/") {
                        walked.clear();
                    }
                    for part in components(&target).rev() {
                        pending.push_front(part);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        let names: Vec<&[u8]> = walked.iter().map(|(name, _)| &name[..]).collect();
        let path = TreePath::new(names.join(&b'/'));
        let fd = match walked.pop() {
            Some((_, fd)) => fd,
            None => self.fd.try_clone().map_err(|_| Errno::MFILE)?,
        };
        Ok(Directory { fd, path })
    }

    /// The directory that `path` is in, and its name there.
    fn parent_of<'a>(&self, path: &'a [u8]) -> Result<(Directory, &'a [u8])> {
        let (parent, name) = split(path);
        Ok((self.directory(parent)?, name))
    }

    /// What is at `path`, not following a link there; nothing if it does not exist.
    pub fn stat(&self, path: &[u8]) -> Result<Option<Stat>> {
        let (parent, name) = split(path);
        let found = self
            .walk(parent, false)
            .and_then(|parent| rustix::fs::statat(parent.fd(), name, AtFlags::SYMLINK_NOFOLLOW));
        match found {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(Error::io("looking at", self.outside(path), error)),
        }
    }

    /// Whether there is a regular file at `path` itself.
    pub fn is_file(&self, path: &[u8]) -> Result<bool> {
        let stat = self.stat(path)?;
        Ok(stat.is_some_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile))
    }

    /// Reads a regular file; nothing if it does not exist.
    pub fn read(&self, path: &[u8]) -> Result<Option<Vec<u8>>> {
        if !self.is_file(path)? {
            return Ok(None);
        }
        let (parent, name) = self.parent_of(path)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(parent.fd(), name, flags, Mode::empty())
            .io("opening", self.outside(path))?;
        let mut bytes = Vec::new();
        File::from(fd)
            .read_to_end(&mut bytes)
            .io("reading", self.outside(path))?;
        Ok(Some(bytes))
    }

    /// Reads a text file; an absent one is empty.
    pub fn read_text(&self, path: &[u8]) -> Result<String> {
        String::from_utf8(self.read(path)?.unwrap_or_default()).io("reading", self.outside(path))
    }

    /// Writes a file anew, removing what was there.
    pub fn write(&self, path: &[u8], bytes: &[u8], mode: u32) -> Result<()> {
        let (parent, name) = self.parent_of(path)?;
        write_at(parent.fd(), name, bytes, mode, None).io("writing", self.outside(path))
    }

    /// Removes a file or link; it may be absent.
    pub fn remove(&self, path: &[u8]) -> Result<()> {
        let (parent, name) = self.parent_of(path)?;
        match rustix::fs::unlinkat(parent.fd(), name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(Error::io("removing", self.outside(path), error)),
        }
    }

    /// Removes an empty directory.
    pub fn remove_directory(&self, path: &[u8]) -> Result<()> {
        let (parent, name) = self.parent_of(path)?;
        rustix::fs::unlinkat(parent.fd(), name, AtFlags::REMOVEDIR)
            .io("removing", self.outside(path))
    }

    /// Renames within the root.
    pub fn rename(&self, from: &[u8], to: &[u8]) -> Result<()> {
        let (old, old_name) = self.parent_of(from)?;
        let (new, new_name) = self.parent_of(to)?;
        rustix::fs::renameat(old.fd(), old_name, new.fd(), new_name)
            .io("renaming", self.outside(from))
    }

    /// Makes a symbolic link; what is there already must be gone.
    pub fn symlink(&self, target: &[u8], path: &[u8]) -> Result<()> {
        let (parent, name) = self.parent_of(path)?;
        rustix::fs::symlinkat(target, parent.fd(), name).io("making link", self.outside(path))
    }
}

/// Both times of a file, in seconds since the epoch.
pub(super) fn times(mtime: i64) -> Timestamps {
    let time = Timespec {
        tv_sec: mtime,
        tv_nsec: 0,
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

/// Writes the file `name` anew in an opened directory.
pub(super) fn write_at(
    parent: BorrowedFd<'_>,
    name: &[u8],
    bytes: &[u8],
    mode: u32,
    mtime: Option<i64>,
) -> Result<(), std::io::Error> {
    let mut file = create_at(parent, name)?;
    file.write_all(bytes)?;
    rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?;
    if let Some(mtime) = mtime {
        rustix::fs::futimens(&file, &times(mtime))?;
    }
    Ok(())
}

/// Creates a file that was not there; an old file or link of that name is removed first.
pub(super) fn create_at(parent: BorrowedFd<'_>, name: &[u8]) -> Result<File, Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let create = || rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o600));
    let fd = match create() {
        Err(Errno::EXIST) => {
            rustix::fs::unlinkat(parent, name, AtFlags::empty())?;
            create()?
        }
        other => other?,
    };
    Ok(File::from(fd))
}

fn make_one(parent: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
    match rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755)) {
        // Another thread was faster.
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error),
    }
}

/// `a/b/c` → `a/b` and `c`.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = Vec<u8>> {
    path.split(|&byte| byte == b'/')
        .filter(|part| !part.is_empty() && part != b".")
        .map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn root() -> (tempfile::TempDir, RootDir) {
        let folder = tempfile::tempdir().unwrap();
        let root = RootDir::open(folder.path()).unwrap();
        (folder, root)
    }

    #[test]
    fn links_are_followed_within_the_root_only() {
        let (folder, root) = root();
        std::fs::create_dir_all(folder.path().join("usr/bin")).unwrap();
        std::fs::create_dir_all(folder.path().join("tmp")).unwrap();
        symlink("usr/bin", folder.path().join("bin")).unwrap();
        symlink("/tmp", folder.path().join("usr/tmp")).unwrap();
        symlink("../../../../../../..", folder.path().join("usr/up")).unwrap();
        for (path, expected) in [
            ("bin", "usr/bin"),
            ("/usr/tmp/", "tmp"),
            ("usr/up", ""),
            ("usr/up/bin/../tmp", "tmp"),
            ("", ""),
        ] {
            let found = root.directory(path.as_bytes()).unwrap().path;
            assert_eq!(found, TreePath::from(expected), "{path}");
        }
        symlink("loop", folder.path().join("loop")).unwrap();
        assert!(root.directory(b"loop").is_err());
        assert!(root.directory(b"missing").is_err());
    }

    #[test]
    fn files_are_not_written_through_links() {
        let (folder, root) = root();
        let outside = tempfile::tempdir().unwrap();
        let victim = outside.path().join("victim");
        std::fs::write(&victim, "old").unwrap();
        symlink(&victim, folder.path().join("file")).unwrap();
        symlink(outside.path(), folder.path().join("folder")).unwrap();
        root.write(b"file", b"new", 0o640).unwrap();
        assert!(root.write(b"folder/victim", b"new", 0o644).is_err());
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "old");
        assert_eq!(root.read_text(b"file").unwrap(), "new");
        assert_eq!(root.stat(b"file").unwrap().unwrap().st_mode & 0o7777, 0o640);
        assert_eq!(root.read(b"folder/victim").unwrap(), None);
    }

    #[test]
    fn missing_directories_are_made_where_links_lead() {
        let (folder, root) = root();
        symlink("real", folder.path().join("alias")).unwrap();
        let made = root.make_directory(b"alias/a/b").unwrap();
        assert_eq!(made.path, TreePath::from("real/a/b"));
        assert!(folder.path().join("real/a/b").is_dir());
    }
}
