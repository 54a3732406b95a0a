//! What differs between the trees of two images.

use std::collections::BTreeMap;

use super::image::{FileContent, ImageTree};
use super::{Entry, Node, TreePath};
use crate::digest::Digest;

/// How a path differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// Only the second has it.
    Added,
    /// Only the first has it.
    Removed,
    /// Another type, content or link target.
    Content,
    /// Only mode, owner or extended attributes differ.
    Metadata,
}

/// Every path that differs, sorted. Times do not count: they tell of the
/// package's build, not of what a node does with the file.
#[must_use]
pub fn compare(before: &ImageTree, after: &ImageTree) -> BTreeMap<TreePath, Difference> {
    let mut differences = BTreeMap::new();
    for (path, old) in &before.tree.entries {
        let difference = match after.tree.entries.get(path) {
            None => Some(Difference::Removed),
            Some(new) => differ((before, path, old), (after, path, new)),
        };
        differences.extend(difference.map(|difference| (path.clone(), difference)));
    }
    let new = after.tree.entries.keys();
    let added = new.filter(|path| !before.tree.entries.contains_key(*path));
    differences.extend(added.map(|path| (path.clone(), Difference::Added)));
    differences
}

type Side<'a> = (&'a ImageTree, &'a TreePath, &'a Entry);

fn differ(old: Side<'_>, new: Side<'_>) -> Option<Difference> {
    if essence(old) != essence(new) {
        return Some(Difference::Content);
    }
    let metadata =
        |(_, _, entry): Side<'_>| (entry.mode, entry.uid, entry.gid, entry.xattrs.clone());
    (metadata(old) != metadata(new)).then_some(Difference::Metadata)
}

/// What a path is, wherever its bytes stand and whichever of its names is the first.
#[derive(PartialEq)]
enum Essence {
    File(Option<Digest>),
    Other(Node),
}

fn essence((tree, path, entry): Side<'_>) -> Essence {
    let digest = |path| tree.files.get(path).map(|file: &FileContent| file.digest);
    match &entry.node {
        Node::File { .. } => Essence::File(digest(path)),
        Node::Hardlink(target) => Essence::File(digest(target)),
        node => Essence::Other(node.clone()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::tree::image::Place;
    use crate::tree::{Content, FIXED_TIME};

    fn tree(entries: &[(&str, &str, u32)]) -> ImageTree {
        let mut tree = ImageTree::default();
        for (path, text, mode) in entries {
            let digest = Digest::of(text.as_bytes());
            let node = Node::File {
                size: text.len() as u64,
                content: Content::Blob(digest),
            };
            let entry = Entry {
                node,
                mode: *mode,
                uid: 0,
                gid: 0,
                mtime: FIXED_TIME,
                xattrs: BTreeMap::new(),
                component: Arc::from("layer"),
            };
            let path = TreePath::from(*path);
            let place = Place {
                layer: 0,
                member: 0,
            };
            let file = FileContent { digest, place };
            tree.files.insert(path.clone(), file);
            tree.tree.entries.insert(path, entry);
        }
        tree
    }

    #[test]
    fn each_kind_of_difference_is_seen() {
        let before = tree(&[
            ("gone", "", 0o644),
            ("mode", "", 0o644),
            ("text", "a", 0o644),
            ("same", "", 0o644),
        ]);
        let after = tree(&[
            ("mode", "", 0o755),
            ("new", "", 0o644),
            ("text", "b", 0o644),
            ("same", "", 0o644),
        ]);
        let found: Vec<_> = compare(&before, &after)
            .into_iter()
            .map(|(path, difference)| (path.to_string(), difference))
            .collect();
        let expected = [
            ("gone", Difference::Removed),
            ("mode", Difference::Metadata),
            ("new", Difference::Added),
            ("text", Difference::Content),
        ];
        assert_eq!(
            found,
            expected.map(|(path, difference)| (path.to_owned(), difference))
        );
    }
}
