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

/// A directory of 100,000 entries, of which many have names as long as can be, and a path
/// of 500 directories, each with files of sizes around the borders of blocks.
#[test]
fn wide_and_deep() {
    if !all("a directory of 100,000 entries, and one 500 deep") {
        return;
    }
    let mut tree = root();
    let mut add = |path: &str, node: Node| {
        let mode = if node == Node::Directory {
            0o755
        } else {
            0o644
        };
        tree.entries
            .insert(path.into(), sample::entry(node, mode, "x"));
    };
    add("wide", Node::Directory);
    let long = "long".repeat(62);
    for number in 0..100_000 {
        let name = match number % 10 {
            0 => format!("wide/{number:06}{long}"),
            _ => format!("wide/{number}"),
        };
        add(&name, sample::inline(number.to_string().into_bytes()));
    }
    // What a block holds beside an inode of 32 or of 64 bytes, and whole blocks.
    let borders = [0, 4032, 4064, 4096, 8128, 8160, 8192, 12_288];
    let noise = sample::noise(13_000);
    let mut path = "deep".to_owned();
    for depth in 0..500_usize {
        add(&path, Node::Directory);
        let border = borders[depth % borders.len()];
        for size in [border.max(1) - 1, border, border + 1] {
            add(&format!("{path}/{size}"), sample::inline(&noise[..size]));
        }
        path += "/d";
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
