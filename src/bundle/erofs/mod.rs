//! EROFS: the root image, a read-only file system of the kernel's.
//!
//! Written from the on-disk format as the kernel documents it
//! (`Documentation/filesystems/erofs.rst`, `fs/erofs/erofs_fs.h`), without
//! compression and without touching a file system. Terms:
//!
//! - *block*: 4096 bytes; all addresses count them.
//! - *inode*: 32 bytes (*compact*) or 64 (*extended*), then extended attributes,
//!   then, where it fits, the *tail*: the bytes after the last whole block of a
//!   file, directory or link target.
//! - *nid*: an inode's number, which is its place in units of 32 bytes.
//! - *body*: the whole blocks of a file or directory, one after the other.
//!
//! ```text
//! block 0          the superblock, at byte 1024
//! inodes           in the order of their paths, packed (see `layout`)
//! directories      bodies, in the order of their paths
//! files            bodies, in the order of their paths
//! ```
//!
//! So all but the contents of files can be planned from the tree alone, and
//! contents can be written in any order. docs/formats/root-image.md says what
//! decides the bytes; changing any of it changes every digest.

mod directory;
mod inode;
mod layout;
pub mod superblock;
mod xattr;

pub use layout::{Placed, Plan};

/// The size of a block in bytes. Changing this changes every digest.
pub const BLOCK: u64 = 4096;

/// Inodes begin at multiples of this.
const SLOT: u64 = 32;

/// The longest name of a directory's entry (`EROFS_NAME_LEN`).
const MAX_NAME: usize = 255;

/// The longest target of a symbolic link that Linux follows (`PATH_MAX` less its NUL).
const MAX_TARGET: usize = 4095;
