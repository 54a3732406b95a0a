//! Changing a tree without breaking what must hold in it.

use super::{Entry, Node, Tree, TreePath};

impl Tree {
    /// Takes a path out. If other names of the file remain, the first of them
    /// becomes the file and the rest point to it. Nothing below it is touched.
    pub fn take(&mut self, path: &TreePath) -> Option<Entry> {
        let taken = self.entries.remove(path)?;
        if matches!(taken.node, Node::File { .. }) {
            let mut first: Option<TreePath> = None;
            for (name, entry) in &mut self.entries {
                if !matches!(&entry.node, Node::Hardlink(target) if target == path) {
                    continue;
                }
                if let Some(first) = &first {
                    entry.node = Node::Hardlink(first.clone());
                } else {
                    let component = entry.component.clone();
                    *entry = Entry {
                        component,
                        ..taken.clone()
                    };
                    first = Some(name.clone());
                }
            }
        }
        Some(taken)
    }

    /// Puts an entry at a path, in the place of what was there (see [`take`](Self::take)).
    pub fn put(&mut self, path: TreePath, entry: Entry) -> Option<Entry> {
        let old = self.take(&path);
        self.entries.insert(path, entry);
        old
    }

    /// The regular file at a path, through a hard link if need be.
    #[must_use]
    pub fn file(&self, path: &TreePath) -> Option<(&TreePath, &Entry)> {
        let (path, entry) = self.entries.get_key_value(path)?;
        match &entry.node {
            Node::File { .. } => Some((path, entry)),
            Node::Hardlink(target) => self
                .entries
                .get_key_value(target)
                .filter(|(_, entry)| matches!(entry.node, Node::File { .. })),
            _ => None,
        }
    }
}
