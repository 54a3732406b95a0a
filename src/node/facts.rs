//! What node configuration has to know of the root.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::base::OS_RELEASE_FOLDER;
use crate::tree::{Node, Tree, TreePath};

/// Folders of systemd units, the one that wins first.
pub(super) const UNIT_FOLDERS: [&str; 3] = [
    "etc/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
];

/// Files whose text is needed.
const FILES: [&str; 10] = [
    "etc/passwd",
    "etc/group",
    "etc/shadow",
    "etc/gshadow",
    "etc/subuid",
    "etc/subgid",
    "etc/login.defs",
    "etc/os-release",
    "etc/ssl/certs/ca-certificates.crt",
    "usr/lib/os-release",
];

/// Whether the text of the regular file at `path` is needed.
#[must_use]
pub fn wanted(path: &[u8]) -> bool {
    let within = |folder: &str| {
        path.strip_prefix(folder.as_bytes())
            .is_some_and(|rest| rest.first() == Some(&b'/'))
    };
    FILES.iter().any(|file| file.as_bytes() == path)
        || UNIT_FOLDERS.iter().any(|folder| within(folder))
        || within("etc/skel")
        || within(OS_RELEASE_FOLDER)
}

/// A root as node configuration sees it: its paths, and the texts of those that
/// are [`wanted`].
#[derive(Debug, Clone, Copy)]
pub struct RootFacts<'a> {
    tree: &'a Tree,
    texts: &'a BTreeMap<TreePath, String>,
}

impl<'a> RootFacts<'a> {
    /// A root by its paths and texts.
    #[must_use]
    pub fn new(tree: &'a Tree, texts: &'a BTreeMap<TreePath, String>) -> Self {
        Self { tree, texts }
    }

    /// What is at a path.
    #[must_use]
    pub fn node(&self, path: &str) -> Option<&'a Node> {
        self.tree
            .entries
            .get(path.as_bytes())
            .map(|entry| &entry.node)
    }

    /// Where what is put at a path comes to be, links in its folders followed, but for
    /// those that are `gone`; its last part is kept.
    #[must_use]
    pub fn place(&self, path: &str, gone: &BTreeSet<TreePath>) -> Option<TreePath> {
        self.tree
            .place(&TreePath::from(path.trim_matches('/')), gone)
    }

    /// Where a path leads, all links followed; none if nothing is there.
    #[must_use]
    pub fn resolve(&self, path: &str) -> Option<String> {
        let found = self.tree.resolve(&TreePath::from(path))?;
        Some(found.to_string())
    }

    /// Permission bits and owner of what is at a path.
    #[must_use]
    pub fn ownership(&self, path: &str) -> Option<(u32, u32, u32)> {
        let entry = self.tree.entries.get(path.as_bytes())?;
        Some((entry.mode, entry.uid, entry.gid))
    }

    /// The text of a file.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<&'a str> {
        self.texts.get(path.as_bytes()).map(String::as_str)
    }

    /// Everything below a folder: path relative to it, and what is there.
    pub fn below(&self, folder: &str) -> impl Iterator<Item = (String, &'a Node)> + use<'a> {
        let prefix = TreePath::from(format!("{folder}/").as_str());
        self.tree
            .entries
            .range(prefix.clone()..)
            .map_while(move |(path, entry)| {
                let relative = path.as_bytes().strip_prefix(prefix.as_bytes())?;
                Some((
                    std::str::from_utf8(relative).ok().map(str::to_owned),
                    &entry.node,
                ))
            })
            .filter_map(|(name, node)| Some((name?, node)))
    }

    /// Whether it is the root of an image that bootc installs and updates.
    #[must_use]
    pub fn is_bootc(&self) -> bool {
        ["usr/lib/bootc", "usr/lib/ostree/prepare-root.conf"]
            .iter()
            .any(|path| self.node(path).is_some())
    }

    /// The versions of the kernels that the root has.
    #[must_use]
    pub fn kernels(&self) -> Vec<String> {
        self.below("usr/lib/modules")
            .filter(|(name, node)| !name.contains('/') && **node == Node::Directory)
            .map(|(name, _)| name)
            .collect()
    }
}
