//! Many files, and files of more than 4 GiB.

use std::process::Command;

use nodelith::digest::Digest;
use nodelith::tree::{Content, Entry, Node, Tree, TreePath};

use crate::common::{all, run};
use crate::{judge, memory, sample};

fn root() -> Tree {
    let mut tree = Tree::default();
    let entry = sample::entry(Node::Directory, 0o755, "x");
    tree.entries.insert(TreePath::default(), entry);
    tree
}

#[test]
fn a_hundred_thousand_files() {
    if !all("a root of 100,000 files") {
        return;
    }
    let mut tree = root();
    let noise = sample::noise(6000);
    for folder in 0..10 {
        let folder = format!("d{folder}");
        let entry = sample::entry(Node::Directory, 0o755, "x");
        tree.entries.insert(folder.as_str().into(), entry);
        for number in 0..10_000_usize {
            let path = format!("{folder}/file number {number}");
            // Of all sizes up to a block and a half, at times with none at all.
            let content = &noise[..(number * 37) % 6001];
            let entry = sample::entry(sample::inline(content), 0o644, "x");
            tree.entries.insert(path.as_str().into(), entry);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("root.erofs");
    memory::write(&tree, &image).unwrap();
    judge::fsck(&image, &tree);
    judge::kernel(&image, &tree);
}

#[test]
fn files_of_more_than_four_gigabytes() {
    if !all("files of more than 4 GiB") {
        return;
    }
    let mut tree = root();
    let nothing = Content::Blob(Digest::of(b""));
    for (path, size) in [("a", (4 << 30) - 1), ("b", 4 << 30), ("c", (5 << 30) + 77)] {
        let content = nothing.clone();
        let entry: Entry = sample::entry(Node::File { size, content }, 0o644, "x");
        tree.entries.insert(path.into(), entry);
    }
    let last = sample::entry(sample::inline(sample::noise(70_000)), 0o644, "x");
    tree.entries.insert("d".into(), last);
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("root.erofs");
    memory::write(&tree, &image).unwrap();
    assert!(judge::is_whole(&image, &[]));
    judge::kernel(&image, &tree);
    // Zeros take no room.
    let said = run(Command::new("du").arg("-k").arg(&image));
    let said = String::from_utf8(said).unwrap();
    let kilobytes: u64 = said.split_whitespace().next().unwrap().parse().unwrap();
    assert!(kilobytes < 10_000, "{said}");
}
