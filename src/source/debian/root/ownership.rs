//! Which package each path of a root came from.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::tree::TreePath;

/// Who brought a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The binary package.
    pub package: Arc<str>,
    /// Its source package.
    pub source: Arc<str>,
    /// The modification time in the archive, in seconds since the epoch.
    pub mtime: i64,
    /// Whether it is one of the package's conffiles.
    pub conffile: bool,
}

/// Final path (after diversions and usr-merge aliases) to owner.
///
/// A directory that several packages bring has one owner, chosen by stage and
/// name and so the same for any number of threads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owned {
    /// The owners.
    pub paths: BTreeMap<TreePath, Owner>,
}
