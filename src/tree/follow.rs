//! Following links within a tree.

use std::collections::BTreeSet;

use super::{Node, Tree, TreePath};

/// Links followed on the way to one path, as in Linux.
const MOST_LINKS: usize = 40;

/// What is done with a part of a path.
pub enum Step {
    /// It is gone through as it is, whether or not anything is there.
    Through,
    /// Its link is followed.
    Follow,
    /// The path leads nowhere.
    Nowhere,
}

/// Where a path leads within a root, of which `get` tells what is where. `step` says what
/// to do with each part, from what is there and whether it is the last one. None if links
/// go in a circle.
pub fn follow<'n>(
    get: impl Fn(&TreePath) -> Option<&'n Node>,
    path: &TreePath,
    step: impl Fn(&TreePath, Option<&Node>, bool) -> Step,
) -> Option<TreePath> {
    let mut waiting = parts(path);
    let mut at = TreePath::default();
    let mut links = 0;
    while let Some(part) = waiting.pop() {
        if part == b".." {
            at = at.parent().unwrap_or_default();
            continue;
        }
        let next = at.join(&part);
        let node = get(&next);
        match (step(&next, node, waiting.is_empty()), node) {
            (Step::Nowhere, _) => return None,
            (Step::Follow, Some(Node::Symlink(target))) => {
                links += 1;
                if links > MOST_LINKS {
                    return None;
                }
                if target.as_bytes().starts_with(b"/") {
                    at = TreePath::default();
                }
                waiting.extend(parts(target));
            }
            (Step::Through | Step::Follow, _) => at = next,
        }
    }
    Some(at)
}

impl Tree {
    fn node(&self, path: &TreePath) -> Option<&Node> {
        self.entries.get(path).map(|entry| &entry.node)
    }

    /// Where a path leads when every link is followed within the root, the last one too;
    /// none if nothing is there or links go in a circle.
    #[must_use]
    pub fn resolve(&self, path: &TreePath) -> Option<TreePath> {
        follow(
            |at| self.node(at),
            path,
            |_, node, _| match node {
                Some(_) => Step::Follow,
                None => Step::Nowhere,
            },
        )
    }

    /// Where what is put at a path comes to be: links in its folders are followed within
    /// the root, but for those that are `gone`; nothing of it need be there, and its last
    /// part is kept. None if links go in a circle.
    #[must_use]
    pub fn place(&self, path: &TreePath, gone: &BTreeSet<TreePath>) -> Option<TreePath> {
        follow(
            |at| self.node(at),
            path,
            |at, _, last| match last || gone.contains(at) {
                true => Step::Through,
                false => Step::Follow,
            },
        )
    }
}

/// A path's parts, the last first.
fn parts(path: &TreePath) -> Vec<Vec<u8>> {
    path.as_bytes()
        .rsplit(|&byte| byte == b'/')
        .filter(|part| !part.is_empty() && *part != b".")
        .map(<[u8]>::to_vec)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::tree::{Entry, FIXED_TIME};

    #[test]
    fn links_are_followed_within_the_root() {
        let mut tree = Tree::default();
        for (path, target) in [
            ("etc", ""),
            ("etc/os-release", "../usr/lib/os-release"),
            ("lib", "/usr/lib"),
            ("loop", "loop"),
            ("usr", ""),
            ("usr/lib", ""),
            ("usr/lib/os-release", "./os.release.d/fedora"),
            ("usr/lib/os.release.d", ""),
            ("usr/lib/os.release.d/fedora", ""),
        ] {
            let node = match target {
                "" => Node::Directory,
                target => Node::Symlink(target.into()),
            };
            let entry = Entry {
                node,
                mode: 0o755,
                uid: 0,
                gid: 0,
                mtime: FIXED_TIME,
                xattrs: BTreeMap::new(),
                component: "".into(),
            };
            tree.entries.insert(path.into(), entry);
        }
        let found = |path: &str| tree.resolve(&path.into()).map(|path| path.to_string());
        let fedora = Some("usr/lib/os.release.d/fedora".to_owned());
        assert_eq!(found("etc/os-release"), fedora);
        assert_eq!(found("lib/os-release"), fedora);
        assert_eq!(found("loop"), None);
        assert_eq!(found("etc/none"), None);
        let place = |path: &str, gone: &[&str]| {
            let gone = gone.iter().map(|path| TreePath::from(*path)).collect();
            let place = tree.place(&path.into(), &gone);
            place.map(|path| path.to_string())
        };
        assert_eq!(place("lib/new/a", &[]).as_deref(), Some("usr/lib/new/a"));
        assert_eq!(place("lib/new", &["lib"]).as_deref(), Some("lib/new"));
        let link = Some("etc/os-release".to_owned());
        assert_eq!(place("etc/os-release", &[]), link);
        assert_eq!(place("loop/a", &[]), None);
    }
}
