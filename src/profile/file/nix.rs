//! Closures of Nix.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::profile::value::{FileMode, Id, LayerCount, LocalFile, Name, Pattern, StoreFile};

/// A closure of Nix: a store path and all that it refers to. Just one of `path`
/// and `graph` is given; in both `{architecture}` stands for the architecture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct NixClosure {
    /// Its name, in messages, in the lock, and of its layers.
    pub name: Name,
    /// A store path, or a link to one (`result`), relative to this profile; Nix is asked for its closure.
    pub path: Option<LocalFile>,
    /// A file that describes the closure: what `nix path-info --json --recursive` or
    /// `nix-store --dump-db` printed, `.attrs.json` of `exportReferencesGraph`, or a folder made by `closureInfo`.
    pub graph: Option<LocalFile>,
    /// Whether it is a NixOS system, which is the node's root. Default: false.
    #[serde(default)]
    pub system: bool,
    /// Whether what is in its roots is copied to `/`. Default: false.
    #[serde(default)]
    pub copy_to_root: bool,
    /// Modes and owners of what is copied to `/`.
    #[serde(default)]
    pub perms: Vec<NixPermission>,
    /// Layers of its own, at most this many. Default: it shares layers with the other closures.
    pub layers: Option<LayerCount>,
}

/// Mode and owner of some copied files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct NixPermission {
    /// The store path that they are copied from. Default: any root of the closure.
    pub path: Option<StoreFile>,
    /// A regular expression that their paths in the store match. Default: all.
    pub regex: Option<Pattern>,
    /// Permission bits in octal.
    pub mode: Option<FileMode>,
    /// Owner.
    pub uid: Option<Id>,
    /// Group.
    pub gid: Option<Id>,
}

impl NixClosure {
    /// Every local file that it names.
    pub(super) fn local_files(&mut self) -> impl Iterator<Item = &mut LocalFile> {
        self.path.iter_mut().chain(&mut self.graph)
    }
}
