//! The tree: a whole root filesystem as data.
//!
//! A [`Tree`] maps each path to an [`Entry`]: what is there, with mode, owner,
//! times, extended attributes, and the *component* (package, generator) that it
//! belongs to. Paths are relative to the root, without a leading slash; the
//! root itself is the empty path.

pub mod compare;
pub mod edit;
pub mod follow;
pub mod image;
mod path;
pub mod scan;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use path::TreePath;

/// The modification time of directories and generated entries, in seconds since
/// the epoch: 1980-01-01, the earliest that every archive format can hold.
/// Changing this changes every digest.
pub const FIXED_TIME: i64 = 315_532_800;

/// A root filesystem as data, sorted by path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tree {
    /// Path to entry. Bytewise order puts every directory before what is in it.
    pub entries: BTreeMap<TreePath, Entry>,
}

/// One path of a tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What is there.
    pub node: Node,
    /// Permission bits with setuid, setgid and sticky (`0o7777` at most).
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Modification time in seconds since the epoch.
    pub mtime: i64,
    /// Extended attributes by full name (`security.capability`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub xattrs: BTreeMap<String, Vec<u8>>,
    /// The package, generator or source that it belongs to. Directories shared
    /// by several components carry the first that brought them.
    pub component: Arc<str>,
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Node {
    /// A directory.
    Directory,
    /// A regular file of `size` bytes.
    File {
        /// Length in bytes.
        size: u64,
        /// Where its bytes are.
        content: Content,
    },
    /// A symbolic link; the target is kept byte for byte.
    Symlink(TreePath),
    /// Another name of the regular file at this path (which sorts before it).
    Hardlink(TreePath),
    /// A character device, major and minor.
    CharDevice(u32, u32),
    /// A block device, major and minor.
    BlockDevice(u32, u32),
    /// A named pipe.
    Fifo,
}

/// Where a file's bytes are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Content {
    /// In memory: generated files, always small.
    Inline(Arc<[u8]>),
    /// A file on disk (a root being scanned, a local file).
    Disk(PathBuf),
    /// A file on disk that was read before, and must still have this digest.
    Verified {
        /// Where it is.
        path: PathBuf,
        /// What it must be.
        digest: crate::digest::Digest,
    },
    /// A blob of the store.
    Blob(crate::digest::Digest),
    /// The file of the same path in a layer of the store, by the layer's digest.
    Layer(crate::digest::Digest),
}
