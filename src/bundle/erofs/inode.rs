//! Inodes (`struct erofs_inode_compact` and `erofs_inode_extended`).

use super::xattr;
use crate::error::{Error, Kind, Result};
use crate::tree::{Entry, FIXED_TIME, Node, TreePath};

/// Data layouts (`i_format`): the body's last block stands with the rest, or
/// what is after the whole blocks stands behind the inode.
const PLAIN: u16 = 0;
const INLINE: u16 = 2;

/// The field for a place, where there is none.
pub const NOWHERE: u32 = u32::MAX;

/// What an inode says beside what the entry has.
pub struct Inode<'a> {
    /// What it is the inode of.
    pub entry: &'a Entry,
    /// Its number for programs that know 32 bits only.
    pub number: u32,
    /// How many names it has (directories: with those of `.` and `..`).
    pub links: u32,
    /// How many bytes its data has.
    pub size: u64,
    /// The first block of its body, or [`NOWHERE`].
    pub start: u32,
    /// Whether its tail stands behind it.
    pub inline: bool,
}

/// Whether 32 bytes can say it all.
pub fn is_compact(entry: &Entry, links: u32, size: u64) -> bool {
    entry.mtime == FIXED_TIME
        && [entry.uid, entry.gid, links]
            .iter()
            .all(|&number| u16::try_from(number).is_ok())
        && u32::try_from(size).is_ok()
}

impl Inode<'_> {
    /// Its bytes, with `attributes` behind them.
    pub fn encode(&self, attributes: &[u8]) -> Vec<u8> {
        let compact = is_compact(self.entry, self.links, self.size);
        let layout = if self.inline { INLINE } else { PLAIN };
        let mut bytes = Vec::with_capacity(64 + attributes.len());
        let mut put = |field: &[u8]| bytes.extend(field);
        put(&(layout << 1 | u16::from(!compact)).to_le_bytes());
        put(&xattr::units(attributes.len())
            .unwrap_or_default()
            .to_le_bytes());
        put(&mode(self.entry).to_le_bytes());
        let place = match self.entry.node {
            Node::CharDevice(major, minor) | Node::BlockDevice(major, minor) => {
                device(major, minor).unwrap_or_default()
            }
            _ => self.start,
        };
        if compact {
            put(&(self.links as u16).to_le_bytes());
            put(&(self.size as u32).to_le_bytes());
            put(&[0; 4]);
            put(&place.to_le_bytes());
            put(&self.number.to_le_bytes());
            put(&(self.entry.uid as u16).to_le_bytes());
            put(&(self.entry.gid as u16).to_le_bytes());
            put(&[0; 4]);
        } else {
            put(&[0; 2]);
            put(&self.size.to_le_bytes());
            put(&place.to_le_bytes());
            put(&self.number.to_le_bytes());
            put(&self.entry.uid.to_le_bytes());
            put(&self.entry.gid.to_le_bytes());
            put(&self.entry.mtime.to_le_bytes());
            put(&[0; 4]);
            put(&self.links.to_le_bytes());
            put(&[0; 16]);
        }
        put(attributes);
        bytes
    }
}

/// Type and permissions. A symbolic link has none: they are what Linux shows.
fn mode(entry: &Entry) -> u16 {
    let (kind, mode) = match entry.node {
        Node::Fifo => (0o010_000, entry.mode),
        Node::CharDevice(..) => (0o020_000, entry.mode),
        Node::Directory => (0o040_000, entry.mode),
        Node::BlockDevice(..) => (0o060_000, entry.mode),
        Node::File { .. } | Node::Hardlink(_) => (0o100_000, entry.mode),
        Node::Symlink(_) => (0o120_000, 0o777),
    };
    kind | (mode & 0o7777) as u16
}

/// A device number as the kernel's `new_encode_dev` has it: 12 and 20 bits.
fn device(major: u32, minor: u32) -> Option<u32> {
    let fits = major < 1 << 12 && minor < 1 << 20;
    fits.then_some(minor & 0xff | major << 8 | (minor & !0xff) << 12)
}

/// Refuses a device number that the format has no room for.
pub fn check_device(path: &TreePath, node: &Node) -> Result<()> {
    match *node {
        Node::CharDevice(major, minor) | Node::BlockDevice(major, minor)
            if device(major, minor).is_none() =>
        {
            let message = format!("device number {major}:{minor} of `{path}` is out of range");
            Err(Error::new(Kind::Usage, message))
        }
        _ => Ok(()),
    }
}
