//! Where store paths and what belongs to them stand in a node's root.
//!
//! | what | where |
//! |---|---|
//! | every path | where it is in the store |
//! | what was read of the store's database | `/nix-path-registration` |
//! | what is in the paths of `copy-to-root` | at `/` too, as copies |
//! | a NixOS system | `/init`, `/sbin/init`, the system's profile, its kernels below `/usr/lib/modules` |

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use regex_lite::Regex;

use super::closure::Closure;
use super::graph::PathInfo;
use super::path::StorePath;
use super::registration::{self, REGISTRATION};
use super::system;
use crate::error::{Error, Kind, Result};
use crate::tree::follow::{Step, follow};
use crate::tree::{Content, Entry, FIXED_TIME, Node, Tree, TreePath};

/// The component of the registration and of a system's links.
pub(super) const COMPONENT: &str = "nix-links";

/// A closure, and what is to be done with it.
#[derive(Debug, Clone)]
pub struct Placing {
    /// Its name in the profile.
    pub name: String,
    /// Its paths.
    pub closure: Closure,
    /// Whether its root is a NixOS system that is the node's.
    pub system: bool,
    /// The paths of which what is in them is copied to `/`.
    pub copy_to_root: BTreeSet<StorePath>,
    /// Modes and owners of copies.
    pub permissions: Vec<Permission>,
    /// Layers of its own.
    pub layers: Option<usize>,
}

/// Mode and owner of some of the copied files.
#[derive(Debug, Clone)]
pub struct Permission {
    /// The copied store path; none for all that are copied.
    pub path: Option<StorePath>,
    /// Which files, by their path in the store.
    pub regex: Regex,
    /// Permission bits.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
}

/// Entries of a node's root that come from store paths.
#[derive(Debug, Clone, Default)]
pub struct Placed {
    /// By path.
    pub entries: BTreeMap<TreePath, Entry>,
}

/// Every path of the closures, each once.
///
/// # Errors
/// [`Kind::Resolve`] when two closures say different things of one.
pub fn paths(placings: &[Placing]) -> Result<BTreeMap<&StorePath, &PathInfo>> {
    let mut paths = BTreeMap::new();
    for placing in placings {
        for (path, info) in &placing.closure.graph.paths {
            if *paths.entry(path).or_insert(info) != info {
                let name = &placing.name;
                let message =
                    format!("the closure `{name}` says something else of `{path}` than another");
                return Err(
                    Error::new(Kind::Resolve, message).hint("make their graphs of the same store")
                );
            }
        }
    }
    Ok(paths)
}

/// Puts what was read of the closures' paths into a root that has `base` already.
///
/// # Errors
/// [`Kind::Resolve`] when a closure has not what it is used for; [`Kind::Usage`]
/// when two closures have the same path.
pub fn place(
    placings: &[Placing],
    read: BTreeMap<TreePath, Entry>,
    base: &Tree,
    text: &dyn Fn(&TreePath, &Content) -> Result<Vec<u8>>,
) -> Result<Placed> {
    let mut placed = Placed { entries: read };
    let registered = registration::text(&paths(placings)?);
    placed.add(
        TreePath::from(REGISTRATION),
        inline(registered.into_bytes()),
        0o644,
    );
    for placing in placings {
        for path in &placing.copy_to_root {
            copy(&mut placed, placing, path, base)?;
        }
        if placing.system {
            system::place(&mut placed, placing, text)?;
        }
    }
    if base.entries.is_empty() {
        skeleton(&mut placed);
    }
    Ok(placed)
}

/// The folders that a kernel and an init expect, where no other root brings them.
fn skeleton(placed: &mut Placed) {
    for (path, mode) in [
        ("dev", 0o755),
        ("etc", 0o755),
        ("proc", 0o755),
        ("root", 0o700),
        ("run", 0o755),
        ("sys", 0o755),
        ("tmp", 0o1777),
        ("var", 0o755),
    ] {
        if !placed.entries.contains_key(path.as_bytes()) {
            placed.add(path.into(), Node::Directory, mode);
        }
    }
}

pub(super) fn inline(bytes: Vec<u8>) -> Node {
    Node::File {
        size: bytes.len() as u64,
        content: Content::Inline(bytes.into()),
    }
}

impl Placed {
    /// Adds something that is of no store path.
    pub(super) fn add(&mut self, path: TreePath, node: Node, mode: u32) {
        let entry = outside(node, mode, &COMPONENT.into());
        self.entries.insert(path, entry);
    }

    /// Where a path leads, its links followed, and what is there.
    #[must_use]
    pub fn find(&self, path: &TreePath) -> Option<(TreePath, &Entry)> {
        // Of the folders above store paths, not all are there.
        let node = |at: &TreePath| self.entries.get(at).map(|entry| &entry.node);
        let at = follow(node, path, |_, _, _| Step::Follow)?;
        self.entries
            .get_key_value(&at)
            .map(|(path, entry)| (path.clone(), entry))
    }

    /// The names in a folder, and where they stand.
    pub(super) fn children(&self, folder: &TreePath) -> Vec<TreePath> {
        let prefix = folder.join("");
        let below = self.entries.range(prefix.clone()..);
        below
            .map_while(|(path, _)| {
                let name = path.as_bytes().strip_prefix(prefix.as_bytes())?;
                Some((!name.contains(&b'/')).then(|| path.clone()))
            })
            .flatten()
            .collect()
    }
}

fn outside(node: Node, mode: u32, component: &Arc<str>) -> Entry {
    Entry {
        node,
        mode,
        uid: 0,
        gid: 0,
        mtime: FIXED_TIME,
        xattrs: BTreeMap::new(),
        component: Arc::clone(component),
    }
}

/// Copies what is in a path of a closure to `/`.
fn copy(placed: &mut Placed, placing: &Placing, root: &StorePath, base: &Tree) -> Result<()> {
    if !placing.closure.graph.paths.contains_key(root) {
        let message = format!("the closure `{}` does not have `{root}`", placing.name);
        return Err(Error::new(Kind::Resolve, message)
            .hint("only paths of the closure can be copied to `/`"));
    }
    let top = root.in_tree();
    match placed.entries.get(&top).map(|entry| &entry.node) {
        Some(Node::Directory) => {}
        _ => {
            let message = format!("`{root}` is not a folder, and cannot be copied to `/`");
            return Err(Error::new(Kind::Resolve, message)
                .hint("put its files into a folder of a store path, at the paths of the node"));
        }
    }
    let prefix = top.join("");
    let within = placed.entries.range(prefix.clone()..);
    let found: Vec<(TreePath, Entry)> = within
        .map_while(|(path, entry)| {
            let relative = path.as_bytes().strip_prefix(prefix.as_bytes())?;
            Some((TreePath::new(relative), entry.clone()))
        })
        .collect();
    for (relative, mut entry) in found {
        let source = format!("{root}/{relative}");
        entry.mtime = FIXED_TIME;
        if entry.node == Node::Directory {
            entry.mode = 0o755;
        }
        let named = |one: &&Permission| {
            one.path.as_ref().is_none_or(|path| path == root) && one.regex.is_match(&source)
        };
        for permission in placing.permissions.iter().filter(named) {
            entry.mode = permission.mode.unwrap_or(entry.mode);
            entry.uid = permission.uid.unwrap_or(entry.uid);
            entry.gid = permission.gid.unwrap_or(entry.gid);
        }
        add_copy(placed, relative, entry, base)?;
    }
    Ok(())
}

/// Adds a copy. Where the root has a folder and the copy is a link to one, what is
/// in that is linked instead: a link in the place of `/usr/bin` would hide the root's.
fn add_copy(placed: &mut Placed, path: TreePath, entry: Entry, base: &Tree) -> Result<()> {
    // The root has a folder there, or a link to one (`/bin`): what is copied goes into it.
    let here = base.resolve(&path);
    let here = here.and_then(|at| base.entries.get(&at));
    if entry.node == Node::Directory && here.is_some_and(|here| here.node == Node::Directory) {
        return Ok(());
    }
    if let Node::Symlink(target) = &entry.node
        && is_folder(base, placed, &path)
        && let Some((real, found)) = placed.find(target)
        && found.node == Node::Directory
    {
        for child in placed.children(&real) {
            let link = TreePath::new([b"/", child.as_bytes()].concat());
            let link = Entry {
                node: Node::Symlink(link),
                ..entry.clone()
            };
            add_copy(placed, path.join(child.name()), link, base)?;
        }
        return Ok(());
    }
    match placed.entries.get(&path) {
        Some(there) if there.node == Node::Directory && entry.node == Node::Directory => {}
        Some(there) if there.node != entry.node || there.mode != entry.mode => {
            let message = format!("two store paths are copied to `/{path}`");
            let message = format!(
                "{message}: of `{}` and `{}`",
                there.component, entry.component
            );
            return Err(Error::new(Kind::Usage, message)
                .hint("copy one environment that has both, in which one of them wins"));
        }
        Some(_) => {}
        None => {
            placed.entries.insert(path, entry);
        }
    }
    Ok(())
}

/// Whether the root has a folder at a path, or a link to one.
fn is_folder(base: &Tree, placed: &Placed, path: &TreePath) -> bool {
    let node = |at: &TreePath| {
        let entry = base.entries.get(at).or_else(|| placed.entries.get(at));
        entry.map(|entry| &entry.node)
    };
    let at = follow(node, path, |_, _, _| Step::Follow);
    at.and_then(|at| node(&at)) == Some(&Node::Directory)
}
