//! Putting single things in their place: files with all their metadata, links,
//! devices, pipes.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::BorrowedFd;
use std::path::Path;

use md5::{Digest as _, Md5};
use rustix::fs::{AtFlags, FileType, Gid, Mode, Uid, XattrFlags};
use rustix::io::Errno;
use tar::EntryType;

use super::diversion::Override;
use super::rootdir::times;
use super::tarball::Entry;
use crate::error::{Context, Error, Kind, Result};
use crate::tree::TreePath;

/// Makes a symbolic link, a device or a pipe.
pub(super) fn special(
    fd: BorrowedFd<'_>,
    name: &[u8],
    path: &TreePath,
    entry: &Entry<'_, impl Read>,
    meta: Override,
    outside: &Path,
) -> Result<()> {
    let node = |kind, (major, minor)| {
        let device = rustix::fs::makedev(major, minor);
        rustix::fs::mknodat(fd, name, kind, Mode::empty(), device)
    };
    let make = || match entry.kind {
        EntryType::Symlink => rustix::fs::symlinkat(&entry.link[..], fd, name),
        EntryType::Char => node(FileType::CharacterDevice, entry.device),
        EntryType::Block => node(FileType::BlockDevice, entry.device),
        _ => node(FileType::Fifo, (0, 0)),
    };
    let made = match make() {
        Err(Errno::EXIST) => rustix::fs::unlinkat(fd, name, AtFlags::empty()).and_then(|()| make()),
        other => other,
    };
    match made {
        Err(Errno::PERM) if matches!(entry.kind, EntryType::Char | EntryType::Block) => {
            return Err(Error::new(
                Kind::Sandbox,
                format!("`/{path}` is a device, which a user namespace must not make"),
            )
            .hint("exclude the path, or build as root with `--sandbox mountns`"));
        }
        other => other.io("making", outside)?,
    }
    let (uid, gid) = meta.owner();
    rustix::fs::chownat(fd, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
        .io("giving an owner to", outside)?;
    if entry.kind != EntryType::Symlink {
        rustix::fs::chmodat(fd, name, Mode::from_raw_mode(meta.mode), AtFlags::empty())
            .io("giving a mode to", outside)?;
    }
    rustix::fs::utimensat(fd, name, &times(entry.mtime), AtFlags::SYMLINK_NOFOLLOW)
        .io("giving a time to", outside)
}

/// Gives a written file its owner, xattrs, mode and time.
pub(super) fn finish_file(
    file: &File,
    meta: Override,
    entry: &Entry<'_, impl Read>,
) -> io::Result<()> {
    let (uid, gid) = meta.owner();
    // In this order: a new owner clears setuid bits and capabilities.
    rustix::fs::fchown(file, uid, gid)?;
    for (name, value) in &entry.xattrs {
        rustix::fs::fsetxattr(file, name, value, XattrFlags::empty())?;
    }
    rustix::fs::fchmod(file, Mode::from_raw_mode(meta.mode))?;
    rustix::fs::futimens(file, &times(entry.mtime))?;
    Ok(())
}

/// Computes the MD5 sum of what is written through it.
pub(super) struct Summing<W> {
    inner: W,
    sum: Md5,
}

impl<W: Write> Summing<W> {
    pub fn new(inner: W) -> Self {
        let sum = Md5::new();
        Self { inner, sum }
    }

    /// The sum in hexadecimal.
    pub fn finish(self) -> String {
        hex(&self.sum.finalize())
    }
}

impl<W: Write> Write for Summing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.sum.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

impl Override {
    /// User and group as system calls take them.
    pub fn owner(self) -> (Option<Uid>, Option<Gid>) {
        (Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)))
    }
}
