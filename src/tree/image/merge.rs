//! Puts layers on top of one another, as the OCI image specification says
//! ("Applying Changesets").

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Changes, Place};
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::tree::{Entry, FIXED_TIME, Node, Tree, TreePath};

/// The merged tree, and of each of its regular files where its bytes are and, if
/// they were looked at, their digest.
pub(super) type Merged = (Tree, BTreeMap<TreePath, Content>);
type Content = (Place, Option<Digest>);

/// Merges layers, the lowest first.
pub(super) fn merge(layers: Vec<Changes>) -> Result<Merged> {
    let mut merge = Merge::default();
    for (number, changes) in layers.into_iter().enumerate() {
        let mut gone = Vec::new();
        for path in &changes.gone {
            gone.push(merge.resolve(path)?);
        }
        for path in &changes.emptied {
            // The directory itself stays, wherever a link may lead to it.
            merge.clear_below(&merge.resolve(&path.join("x"))?.parent().unwrap_or_default());
        }
        for path in &gone {
            merge.remove(path);
        }
        for (member, path, entry, digest) in changes.brought {
            let place = Place {
                layer: number,
                member,
            };
            merge.bring(&path, entry, (place, digest))?;
        }
    }
    Ok(merge.finish())
}

/// A tree under construction: names of one file share an inode number.
#[derive(Default)]
struct Merge {
    names: BTreeMap<TreePath, (Entry, Option<usize>)>,
    inodes: Vec<Content>,
}

impl Merge {
    fn bring(&mut self, path: &TreePath, entry: Entry, content: Content) -> Result<()> {
        let path = self.resolve(path)?;
        self.ensure_parents(&path, &entry.component);
        let new = match &entry.node {
            Node::Hardlink(target) => {
                let target = self.resolve(target)?;
                let linked = self
                    .names
                    .get(&target)
                    .filter(|(there, _)| there.node != Node::Directory);
                let (there, inode) = linked.cloned().ok_or_else(|| {
                    let message = format!("hard link `{path}` to `{target}`, which is not there");
                    Error::new(Kind::Verify, message)
                })?;
                (
                    Entry {
                        component: entry.component,
                        ..there
                    },
                    inode,
                )
            }
            Node::File { .. } => {
                self.inodes.push(content);
                (entry, Some(self.inodes.len() - 1))
            }
            _ => (entry, None),
        };
        if new.0.node != Node::Directory {
            self.clear_below(&path);
        }
        self.names.insert(path, new);
        Ok(())
    }

    /// Where a path leads when links in its directories are followed within the root.
    fn resolve(&self, path: &TreePath) -> Result<TreePath> {
        const MOST_LINKS: u32 = 255;
        // Where a directory stands, all above it are directories too.
        let Some(parent) = path.parent() else {
            return Ok(path.clone());
        };
        let is_folder = |path: &TreePath| {
            self.names
                .get(path)
                .is_some_and(|(entry, _)| entry.node == Node::Directory)
        };
        if parent.as_bytes().is_empty() || is_folder(&parent) {
            return Ok(path.clone());
        }
        let mut at = TreePath::default();
        let mut rest: Vec<Vec<u8>> = parts(&parent);
        let mut links = 0;
        while let Some(part) = rest.pop() {
            match &part[..] {
                b"" | b"." => continue,
                b".." => at = at.parent().unwrap_or_default(),
                name => {
                    let next = at.join(name);
                    match self.names.get(&next).map(|(entry, _)| &entry.node) {
                        Some(Node::Symlink(target)) => {
                            links += 1;
                            if links > MOST_LINKS {
                                let message = format!("too many links on the way to `{path}`");
                                return Err(Error::new(Kind::Verify, message));
                            }
                            if target.as_bytes().starts_with(b"/") {
                                at = TreePath::default();
                            }
                            rest.extend(parts(target));
                        }
                        _ => at = next,
                    }
                }
            }
        }
        Ok(at.join(path.name()))
    }

    /// Directories that no layer named but that must be there.
    fn ensure_parents(&mut self, path: &TreePath, component: &Arc<str>) {
        let mut above = path.parent();
        while let Some(folder) = above {
            if self
                .names
                .get(&folder)
                .is_some_and(|(entry, _)| entry.node == Node::Directory)
            {
                return;
            }
            above = folder.parent();
            let entry = Entry {
                node: Node::Directory,
                mode: 0o755,
                uid: 0,
                gid: 0,
                mtime: FIXED_TIME,
                xattrs: BTreeMap::new(),
                component: Arc::clone(component),
            };
            self.names.insert(folder, (entry, None));
        }
    }

    fn remove(&mut self, path: &TreePath) {
        self.clear_below(path);
        self.names.remove(path);
    }

    fn clear_below(&mut self, path: &TreePath) {
        if path.as_bytes().is_empty() {
            self.names.retain(|name, _| name.as_bytes().is_empty());
            return;
        }
        // '0' is the byte after '/'.
        let from = TreePath::new([path.as_bytes(), b"/"].concat());
        let to = TreePath::new([path.as_bytes(), b"0"].concat());
        let below: Vec<TreePath> = self
            .names
            .range(from..to)
            .map(|(name, _)| name.clone())
            .collect();
        for name in below {
            self.names.remove(&name);
        }
    }

    /// Of the names of one file the first is the file, the others are hard links.
    fn finish(self) -> Merged {
        let mut tree = Tree::default();
        let mut files = BTreeMap::new();
        let mut first: BTreeMap<usize, TreePath> = BTreeMap::new();
        for (path, (mut entry, inode)) in self.names {
            if let Some(inode) = inode {
                match first.get(&inode) {
                    Some(file) => entry.node = Node::Hardlink(file.clone()),
                    None => {
                        first.insert(inode, path.clone());
                        files.insert(path.clone(), self.inodes[inode]);
                    }
                }
            }
            tree.entries.insert(path, entry);
        }
        (tree, files)
    }
}

/// A path's parts, the last first.
fn parts(path: &TreePath) -> Vec<Vec<u8>> {
    path.as_bytes()
        .rsplit(|&byte| byte == b'/')
        .map(<[u8]>::to_vec)
        .collect()
}
