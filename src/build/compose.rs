//! Puts a profile's own entries over a root's: the stated rule for conflicts.
//!
//! The profile wins over the root for files and links. What it replaces or removes
//! of packages is taken out of the layer that had it, so that each path stands in
//! one layer; the layers of somebody else's image stay as they are, with whiteouts
//! for what is removed in a layer over them. A path that leads through a link to a directory (`/bin`) is
//! followed as the node itself would follow it. Directories that exist keep the
//! root's owner and mode; a directory is never replaced by anything else, nor
//! anything else by a directory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::error::{Error, Kind, Result};
use crate::tree::{Entry, FIXED_TIME, Node, Tree, TreePath};

/// A root with a profile's entries over it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composed {
    /// The profile's entries, with the directories that they need.
    pub added: Tree,
    /// Paths of the root that are in it no longer: replaced or removed.
    pub dropped: BTreeSet<TreePath>,
}

impl Composed {
    /// Paths of the root that are replaced.
    pub fn replaced(&self) -> impl Iterator<Item = &TreePath> {
        let dropped = self.dropped.iter();
        dropped.filter(|path| self.added.entries.contains_key(*path))
    }

    /// Paths of the root that are gone, each with all that was below it: what needs a
    /// whiteout in a layer over the root's.
    pub fn gone<'a>(&'a self, root: &'a Tree) -> impl Iterator<Item = &'a TreePath> {
        let is_folder = |path: &TreePath| {
            let ours = self.added.entries.get(path);
            let there = ours.or_else(|| {
                let there = root.entries.get(path);
                there.filter(|_| !self.dropped.contains(path))
            });
            there.is_some_and(|entry| entry.node == Node::Directory)
        };
        self.dropped.iter().filter(move |path| {
            !self.added.entries.contains_key(*path)
                && path.parent().is_none_or(|parent| is_folder(&parent))
        })
    }

    /// The whole tree.
    #[must_use]
    pub fn over(&self, mut root: Tree) -> Tree {
        for path in &self.dropped {
            root.entries.remove(path);
        }
        let added = self.added.entries.iter();
        root.entries
            .extend(added.map(|(path, entry)| (path.clone(), entry.clone())));
        root
    }
}

/// Puts `entries` over `root` and takes `removed` out of it.
///
/// # Errors
/// [`Kind::Usage`] when an entry and the root do not go together.
pub fn compose(
    root: &Tree,
    entries: BTreeMap<TreePath, Entry>,
    removed: &BTreeSet<TreePath>,
) -> Result<Composed> {
    let mut composed = Composed {
        added: Tree::default(),
        dropped: BTreeSet::new(),
    };
    for path in removed {
        let path = follow(root, &BTreeSet::new(), path)?;
        remove(root, &path, &mut composed.dropped);
    }
    for (path, entry) in entries {
        let path = follow(root, &composed.dropped, &path)?;
        add(root, &mut composed, path, entry)?;
    }
    Ok(composed)
}

fn remove(root: &Tree, path: &TreePath, dropped: &mut BTreeSet<TreePath>) {
    let below = root.entries.range(path.clone()..);
    for (found, _) in below.take_while(|(found, _)| found.as_bytes().starts_with(path.as_bytes())) {
        if found.is_within(path.as_bytes()) {
            dropped.insert(found.clone());
        }
    }
}

fn add(root: &Tree, composed: &mut Composed, path: TreePath, entry: Entry) -> Result<()> {
    add_parents(root, composed, &path, &entry.component)?;
    let is_directory = entry.node == Node::Directory;
    if let Some(there) = root.entries.get(&path)
        && !composed.dropped.contains(&path)
    {
        match (there.node == Node::Directory, is_directory) {
            (true, true) => return Ok(()),
            (false, false) => {
                composed.dropped.insert(path.clone());
            }
            (true, false) => return Err(conflict(&path, "is a directory in the root")),
            (false, true) => return Err(conflict(&path, "is not a directory in the root")),
        }
    }
    composed.added.entries.insert(path, entry);
    Ok(())
}

/// Adds the directories above `path`: the root's own where it has them.
fn add_parents(
    root: &Tree,
    composed: &mut Composed,
    path: &TreePath,
    component: &Arc<str>,
) -> Result<()> {
    let mut parent = path.parent();
    while let Some(folder) = parent {
        let known = composed.added.entries.get(&folder);
        let known = known.or_else(|| {
            let there = root.entries.get(&folder);
            there.filter(|there| {
                there.node == Node::Directory || !composed.dropped.contains(&folder)
            })
        });
        match known {
            Some(entry) if entry.node != Node::Directory => {
                return Err(conflict(&folder, "is not a directory"));
            }
            Some(entry) => {
                // The same directory, as part of what the profile needs.
                let entry = Entry {
                    component: Arc::clone(component),
                    ..entry.clone()
                };
                composed.added.entries.insert(folder.clone(), entry);
            }
            None => {
                let entry = directory(component);
                composed.added.entries.insert(folder.clone(), entry);
            }
        }
        parent = folder.parent();
    }
    Ok(())
}

fn directory(component: &Arc<str>) -> Entry {
    Entry {
        node: Node::Directory,
        mode: 0o755,
        uid: 0,
        gid: 0,
        mtime: FIXED_TIME,
        xattrs: BTreeMap::new(),
        component: Arc::clone(component),
    }
}

/// Where `path` really is: links in its folders followed inside the root, those that
/// are gone left aside, its last part kept.
fn follow(root: &Tree, gone: &BTreeSet<TreePath>, path: &TreePath) -> Result<TreePath> {
    root.place(path, gone)
        .ok_or_else(|| conflict(path, "leads through too many links"))
}

fn conflict(path: &TreePath, why: &str) -> Error {
    Error::new(
        Kind::Usage,
        format!("the profile makes `/{path}`, which {why}"),
    )
    .hint("choose another path in the profile")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Content;

    fn entry(node: Node) -> Entry {
        Entry {
            node,
            mode: 0o644,
            ..directory(&"deb:base".into())
        }
    }

    fn file() -> Entry {
        entry(Node::File {
            size: 0,
            content: Content::Inline(Arc::from(*b"")),
        })
    }

    fn root() -> Tree {
        let entries = [
            ("", directory(&"generated".into())),
            ("bin", entry(Node::Symlink("usr/bin".into()))),
            ("etc", directory(&"generated".into())),
            ("etc/motd", file()),
            ("etc/motd.d", directory(&"generated".into())),
            ("etc/motd.d/a", file()),
            ("loop", entry(Node::Symlink("loop".into()))),
            ("usr", directory(&"generated".into())),
            ("usr/bin", directory(&"generated".into())),
            ("usr/bin/tool", file()),
        ];
        let entries = entries.map(|(path, entry)| (TreePath::from(path), entry));
        Tree {
            entries: entries.into(),
        }
    }

    fn put(path: &str, entry: Entry) -> Result<Composed> {
        compose(
            &root(),
            BTreeMap::from([(path.into(), entry)]),
            &BTreeSet::new(),
        )
    }

    fn paths(paths: &BTreeSet<TreePath>) -> Vec<String> {
        paths.iter().map(TreePath::to_string).collect()
    }

    #[test]
    fn a_replaced_file_leaves_its_layer() {
        let composed = put("etc/motd", file()).unwrap();
        assert_eq!(paths(&composed.dropped), ["etc/motd"]);
        let added: Vec<_> = composed.added.entries.keys().cloned().collect();
        assert_eq!(added, ["".into(), "etc".into(), "etc/motd".into()]);
    }

    #[test]
    fn links_to_directories_are_followed() {
        let composed = put("bin/tool", file()).unwrap();
        assert_eq!(paths(&composed.dropped), ["usr/bin/tool"]);
        assert!(composed.added.entries.contains_key(&b"usr/bin/tool"[..]));
        assert!(put("loop/file", file()).is_err());
    }

    #[test]
    fn new_directories_are_made_and_old_ones_kept() {
        let composed = put("etc/new/deep/file", file()).unwrap();
        let made = &composed.added.entries[&b"etc/new/deep"[..]];
        assert_eq!((made.mode, made.uid), (0o755, 0));
        let composed = put("etc", entry(Node::Directory)).unwrap();
        assert!(composed.dropped.is_empty());
    }

    #[test]
    fn directories_and_files_do_not_replace_each_other() {
        assert!(put("etc/motd.d", file()).is_err());
        assert!(put("etc/motd", entry(Node::Directory)).is_err());
        assert!(put("etc/motd/below", file()).is_err());
    }

    #[test]
    fn what_is_removed_goes_with_all_below_it() {
        let removed = BTreeSet::from([TreePath::from("etc/motd.d")]);
        let composed = compose(&root(), BTreeMap::new(), &removed).unwrap();
        assert_eq!(paths(&composed.dropped), ["etc/motd.d", "etc/motd.d/a"]);
        assert_eq!(gone(&composed), ["etc/motd.d"]);
    }

    fn gone(composed: &Composed) -> Vec<String> {
        composed.gone(&root()).map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_replaced_is_not_gone() {
        let composed = put("etc/motd", file()).unwrap();
        assert!(gone(&composed).is_empty());
        assert_eq!(composed.replaced().count(), 1);
        // A folder that is emptied and filled anew.
        let entries = BTreeMap::from([("etc/motd.d/b".into(), file())]);
        let removed = BTreeSet::from([TreePath::from("etc/motd.d")]);
        let composed = compose(&root(), entries, &removed).unwrap();
        assert_eq!(gone(&composed), ["etc/motd.d/a"]);
        // A folder in the place of a link: what is put there goes there.
        let entries = BTreeMap::from([("bin/tool".into(), file())]);
        let removed = BTreeSet::from([TreePath::from("bin")]);
        let composed = compose(&root(), entries, &removed).unwrap();
        assert!(composed.added.entries.contains_key(&b"bin/tool"[..]));
        assert!(gone(&composed).is_empty());
        // Links on the way to what is removed are followed.
        let removed = BTreeSet::from([TreePath::from("bin/tool")]);
        let composed = compose(&root(), BTreeMap::new(), &removed).unwrap();
        assert_eq!(gone(&composed), ["usr/bin/tool"]);
    }
}
