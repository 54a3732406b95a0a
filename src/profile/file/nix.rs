//! Closures of Nix.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};

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
    /// Whether what is in its roots is copied to `/`, or of which of its paths it is. Default: false.
    #[serde(default)]
    pub copy_to_root: CopyToRoot,
    /// Modes and owners of what is copied to `/`.
    #[serde(default)]
    pub perms: Vec<NixPermission>,
    /// Layers of its own, at most this many. Default: it shares layers with the other closures.
    pub layers: Option<LayerCount>,
}

/// What of a closure is copied to `/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum CopyToRoot {
    /// What is in its roots, or nothing.
    Roots(bool),
    /// What is in these of its paths.
    Paths(Vec<StoreFile>),
}

impl Default for CopyToRoot {
    fn default() -> Self {
        Self::Roots(false)
    }
}

impl CopyToRoot {
    /// Whether nothing is copied.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        match self {
            Self::Roots(roots) => !roots,
            Self::Paths(paths) => paths.is_empty(),
        }
    }
}

impl<'de> Deserialize<'de> for CopyToRoot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = CopyToRoot;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false, or a list of store paths")
            }

            fn visit_bool<E>(self, roots: bool) -> Result<CopyToRoot, E> {
                Ok(CopyToRoot::Roots(roots))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<CopyToRoot, A::Error> {
                let mut paths = Vec::new();
                while let Some(path) = seq.next_element()? {
                    paths.push(path);
                }
                Ok(CopyToRoot::Paths(paths))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
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
