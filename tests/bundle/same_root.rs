//! `nodelith same-root`.

use std::fs;
use std::path::Path;
use std::process::Command;

use insta::assert_snapshot;
use nodelith::layer::Compression;

use crate::common::{json, nodelith, output, refused, run};
use crate::images::{export, ours};
use crate::sample;

fn same_root(names: &[&Path]) -> Command {
    let mut command = nodelith();
    command.arg("same-root").args(names);
    command
}

#[test]
fn one_root_in_several_forms() {
    let folder = tempfile::tempdir().unwrap();
    let tree = sample::tree();
    let one = ours(folder.path(), &tree, Compression::ZSTD, 64);
    let two = ours(folder.path(), &tree, Compression::GZIP, 4);
    let out = folder.path().join("out");
    let said = json(&mut export(&one, "erofs", &out));
    let root_hash = &said["root"]["root-hash"];
    let image = out.join("root.erofs");
    // A partition may be larger than what is in it.
    let file = fs::File::options().append(true).open(&image).unwrap();
    file.set_len(file.metadata().unwrap().len() + 12_345)
        .unwrap();
    let said = json(&mut same_root(&[&one, &two, &image]));
    assert_eq!(said["same"], true);
    for (number, form) in ["image", "image", "erofs"].iter().enumerate() {
        assert_eq!(said["roots"][number]["root-hash"], *root_hash);
        assert_eq!(said["roots"][number]["form"], *form);
    }
}

#[test]
fn another_mode_is_another_root() {
    let folder = tempfile::tempdir().unwrap();
    let mut tree = sample::tree();
    ours(folder.path(), &tree, Compression::ZSTD, 64);
    tree.entries.get_mut(&b"bin/sh"[..]).unwrap().mode = 0o700;
    ours(folder.path(), &tree, Compression::GZIP, 64);
    let mut command = same_root(&[Path::new("zstd-3-64"), Path::new("gzip-6-64")]);
    let done = output(command.arg("-q").current_dir(folder.path()));
    assert_eq!(done.status.code(), Some(1));
    let mut settings = insta::Settings::clone_current();
    settings.add_filter("[0-9a-f]{64}", "[HEX]");
    let _bound = settings.bind_to_scope();
    assert_snapshot!(String::from_utf8_lossy(&done.stdout), @r"
    ROOT HASH                                                         FORM   NAME
    [HEX]  image  zstd-3-64
    [HEX]  image  gzip-6-64

    2 different roots
    ");
}

#[test]
fn a_changed_root_image_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let tree = sample::tree();
    let one = ours(folder.path(), &tree, Compression::ZSTD, 64);
    run(&mut export(&one, "erofs", &folder.path().join("out")));
    let image = folder.path().join("out/root.erofs");
    let mut bytes = fs::read(&image).unwrap();
    let last = bytes.len() - 5000;
    bytes[last] ^= 1;
    fs::write(&image, &bytes).unwrap();
    let refuse = |status| {
        let mut command = same_root(&[Path::new("out/root.erofs")]);
        refused(command.current_dir(folder.path()), status)
    };
    assert_snapshot!(refuse(4), @r"
    error: `out/root.erofs` was changed, or is another maker's EROFS image
    hint: only root images that `nodelith export` made can be compared
    ");
    // Shorter than its superblock says.
    fs::write(&image, &bytes[..8192]).unwrap();
    assert_snapshot!(refuse(4), @"error: `out/root.erofs` is cut off: it has 8192 of 9519104 bytes");
    // By other tools.
    let root = folder.path().join("root");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("a"), "a").unwrap();
    fs::remove_file(&image).unwrap();
    run(Command::new("mkfs.erofs").arg(&image).arg(&root));
    refuse(4);
}
