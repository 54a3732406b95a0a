//! Generated trees: odd names, deep and wide directories, sizes around the borders
//! of blocks, every kind of entry.

use std::collections::BTreeMap;

use nodelith::tree::{Entry, FIXED_TIME, Node, Tree, TreePath};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::common::all;
use crate::{judge, memory, sample};

/// A name; most are short, some odd, some as long as can be.
fn name() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        4 => b'a'..=b'e',
        1 => any::<u8>().prop_filter("no separator", |&byte| byte != 0 && byte != b'/'),
    ];
    let length = prop_oneof![8 => 1..6_usize, 1 => 200..=255_usize];
    let name = length.prop_flat_map(move |length| vec(byte.clone(), length));
    name.prop_filter("names of their own", |name| {
        !matches!(&name[..], b"." | b"..")
    })
}

fn size() -> impl Strategy<Value = usize> {
    let border = prop_oneof![
        Just(0),
        Just(4032_usize),
        Just(4064),
        Just(4096),
        Just(12_288)
    ];
    prop_oneof![
        0..200_usize,
        0..20_000_usize,
        (border, 0..4_usize).prop_map(|(border, more)| (border + more).saturating_sub(2)),
    ]
}

fn node() -> impl Strategy<Value = Node> {
    // Zeros and noise: both kinds of content have ways of their own.
    let file = (size(), any::<bool>()).prop_map(|(size, zero)| {
        sample::inline(if zero {
            vec![0; size]
        } else {
            sample::noise(size)
        })
    });
    prop_oneof![
        6 => file,
        4 => Just(Node::Directory),
        2 => vec(any::<u8>().prop_filter("no NUL", |&byte| byte != 0), 1..100)
            .prop_map(|target| Node::Symlink(TreePath::new(target))),
        1 => (0..4096_u32, 0..1_u32 << 20).prop_map(|(major, minor)| Node::CharDevice(major, minor)),
        1 => (0..4096_u32, 0..1_u32 << 20).prop_map(|(major, minor)| Node::BlockDevice(major, minor)),
        1 => Just(Node::Fifo),
    ]
}

fn entry() -> impl Strategy<Value = Entry> {
    let owner = || prop_oneof![4 => Just(0_u32), 1 => 0..70_000_u32, 1 => 0..u32::MAX];
    let time = prop_oneof![Just(FIXED_TIME), 0..2_000_000_000_i64];
    let attributes = btree_map("user\\.[a-z]{1,9}", vec(any::<u8>(), 0..60), 0..3);
    let attributes = prop_oneof![3 => Just(BTreeMap::new()), 1 => attributes];
    (node(), 0..0o10000_u32, owner(), owner(), time, attributes).prop_map(
        |(node, mode, uid, gid, mtime, xattrs)| {
            // Linux has attributes of users on files and directories only.
            let may = matches!(node, Node::File { .. } | Node::Directory);
            Entry {
                mode: if matches!(node, Node::Symlink(_)) {
                    0o777
                } else {
                    mode
                },
                node,
                uid,
                gid,
                mtime,
                xattrs: if may { xattrs } else { BTreeMap::new() },
                component: "x".into(),
            }
        },
    )
}

/// What is put where: each into one of the directories that there are by then.
fn tree() -> impl Strategy<Value = Tree> {
    let parts = vec((any::<prop::sample::Index>(), name(), entry()), 0..120);
    let links = vec(
        (
            any::<prop::sample::Index>(),
            any::<prop::sample::Index>(),
            name(),
        ),
        0..8,
    );
    (parts, links, any::<bool>()).prop_map(|(parts, links, deep)| {
        let mut tree = Tree::default();
        let root = sample::entry(Node::Directory, 0o755, "x");
        tree.entries.insert(TreePath::default(), root);
        let mut folders = vec![TreePath::default()];
        for (index, name, entry) in parts {
            // The last of them for deep trees, any for wide ones.
            let folder = match deep {
                true => folders.last().cloned().unwrap_or_default(),
                false => folders[index.index(folders.len())].clone(),
            };
            let path = folder.join(&name);
            // Judges go by whole paths, which Linux limits.
            if path.as_bytes().len() > 3000 || tree.entries.contains_key(&path) {
                continue;
            }
            if entry.node == Node::Directory {
                folders.push(path.clone());
            }
            tree.entries.insert(path, entry);
        }
        for (from, to, name) in links {
            let files: Vec<_> = tree
                .entries
                .iter()
                .filter(|(_, entry)| matches!(entry.node, Node::File { .. }))
                .map(|(path, entry)| (path.clone(), entry.clone()))
                .collect();
            if files.is_empty() {
                break;
            }
            let (file, entry) = files[from.index(files.len())].clone();
            let path = folders[to.index(folders.len())].join(&name);
            // A file's first name is the file.
            if path > file && !tree.entries.contains_key(&path) {
                let node = Node::Hardlink(file);
                tree.entries.insert(path, Entry { node, ..entry });
            }
        }
        tree
    })
}

#[test]
fn judges_agree_on_generated_trees() {
    let cases = if all("most of the generated trees") {
        400
    } else {
        24
    };
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    });
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("root.erofs");
    let result = runner.run(&tree(), |tree| {
        let made = memory::write(&tree, &image).unwrap();
        judge::fsck(&image, &tree);
        judge::kernel(&image, &tree);
        prop_assert_eq!(memory::hash(&tree).hashes.root(), made.hashes.root());
        Ok(())
    });
    result.unwrap();
}
