//! `nodelith same-root`.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use insta::assert_snapshot;
use nodelith::bundle::disk::content::Content;
use nodelith::bundle::disk::gpt::{self, EMPTY, Partition};
use nodelith::bundle::root::LARGEST;
use nodelith::layer::Compression;

use crate::common::{json, nodelith, output, refused, run};
use crate::images::{export, ours};
use crate::sample;
use crate::uki::Scene;

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

/// Disks in all forms that are read, and folders with them.
#[test]
fn one_root_on_disks() {
    let scene = Scene::of(|_| {});
    let exported = json(&mut scene.export("erofs,disk,qcow2,vhd", "out"));
    let root_hash = &exported["root"]["root-hash"];
    run(Command::new("qemu-img")
        .args([
            "convert",
            "-O",
            "qcow2",
            "-c",
            "-o",
            "compression_type=zstd",
        ])
        .args(["out/disk.raw", "other.qcow2"])
        .current_dir(scene.path("")));
    let names = ["image", "other.qcow2", "out"].map(Path::new);
    let said = json(same_root(&names).current_dir(scene.path("")));
    assert_eq!(said["same"], true, "{said:#}");
    let roots = said["roots"].as_array().unwrap().iter();
    let roots: Vec<[&str; 3]> = roots
        .map(|root| {
            assert_eq!(root["root-hash"], *root_hash);
            let field = |key: &str| root[key].as_str().unwrap_or_default();
            [field("form"), field("name"), field("partition")]
        })
        .collect();
    assert_eq!(
        roots,
        [
            ["image", "image", ""],
            ["qcow2", "other.qcow2", "node_7"],
            ["qcow2", "out/disk.qcow2", "node_7"],
            ["disk", "out/disk.raw", "node_7"],
            ["disk", "out/disk.vhd", "node_7"],
            ["erofs", "out/root.erofs", ""],
        ]
    );

    // A byte of the root, and other damage.
    let refuse = |name: &str, status| {
        refused(
            same_root(&[Path::new(name)]).current_dir(scene.path("")),
            status,
        )
    };
    let disk = fs::File::options()
        .read(true)
        .write(true)
        .open(scene.path("out/disk.raw"))
        .unwrap();
    let start = gpt::read(&disk).unwrap()[&2].start;
    let mut byte = [0];
    disk.read_exact_at(&mut byte, start + 5000).unwrap();
    disk.write_all_at(&[byte[0] ^ 1], start + 5000).unwrap();
    assert_snapshot!(refuse("out/disk.raw", 4), @r"
    error: partition `node_7` of `out/disk.raw` was changed, or is another maker's EROFS image
    hint: only root images that `nodelith export` made can be compared
    ");
    run(scene.export("disk", "out").args(["--disk-size", "200M"]));
    disk_without_roots(&scene.path("out/disk.raw"));
    assert_snapshot!(refuse("out", 4), @"error: `out/disk.raw` is a disk without a root");
    fs::write(scene.path("bad.qcow2"), b"QFI\xfb\0\0\0\x09").unwrap();
    assert_snapshot!(refuse("bad.qcow2", 4), @"error: `bad.qcow2` cannot be read as qcow2: its header is cut off");
    run(&mut scene.export("uki", "out"));
    assert_snapshot!(refuse("out", 2), @r"
    error: the export in `out` has no root to compare
    hint: `erofs`, `pxe`, `disk`, `qcow2` and `vhd` have one
    ");
    // Nobody writes into a pipe: reading it would never end.
    fs::create_dir(scene.path("pipe")).unwrap();
    run(Command::new("mkfifo").arg(scene.path("pipe/export.json")));
    let mut command = Command::new("timeout");
    command.arg("60").arg(env!("CARGO_BIN_EXE_nodelith"));
    command.args(["same-root", "pipe"]);
    let said = output(command.current_dir(scene.path("")));
    assert_eq!(said.status.code(), Some(2));
}

/// Says of the root's partition that it is something else's.
fn disk_without_roots(disk: &Path) {
    run(Command::new("/sbin/sfdisk")
        .args(["--no-reread", "--no-tell-kernel", "--part-type"])
        .arg(disk)
        .args(["2", "0FC63DAF-8483-4772-8E79-3D69D8477DE4"]));
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

/// A superblock is believed up to a size, since what it says of its size is paid in memory.
#[test]
fn a_root_that_is_said_to_be_huge() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("huge");
    let mut superblock = vec![0; 1024];
    superblock[..4].copy_from_slice(&0xe0f5_e1e2_u32.to_le_bytes());
    superblock[12] = 12;
    let size = LARGEST + (1 << 30);
    let blocks = size / 4096;
    superblock[36..40].copy_from_slice(&u32::try_from(blocks).unwrap().to_le_bytes());
    let file = fs::File::create(&path).unwrap();
    file.write_all_at(&superblock, 1024).unwrap();
    file.set_len(size).unwrap();
    let mut command = same_root(&[Path::new("huge")]);
    let said = refused(command.current_dir(folder.path()), 4);
    assert_snapshot!(said, @"error: `huge` has a root of 65.00 GiB by its superblock: more than 64.00 GiB");
}

/// A description may name what leads back to its own folder.
#[test]
fn links_in_a_folder_are_not_followed_into_folders() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    fs::create_dir(&out).unwrap();
    std::os::unix::fs::symlink(".", out.join("again")).unwrap();
    let text = r#"{"schema": "nodelith.export", "files": [{"name": "again"}]}"#;
    fs::write(out.join("export.json"), text).unwrap();
    let mut command = same_root(&[Path::new("out")]);
    let said = refused(command.current_dir(folder.path()), 2);
    assert_snapshot!(said, @r"
    error: the export in `out` has no root to compare
    hint: `erofs`, `pxe`, `disk`, `qcow2` and `vhd` have one
    ");
}

/// Else a small file would have as many large roots as its table has entries.
#[test]
fn roots_that_overlap() {
    let folder = tempfile::tempdir().unwrap();
    let root = |name: &str, start: u64| Partition {
        kind: gpt::root_types("amd64").unwrap().0,
        uuid: [0; 16],
        name: name.into(),
        flags: 0,
        start: start << 20,
        size: 1 << 20,
    };
    let said = |partitions: &[Partition]| {
        let size = 4 << 20;
        let disk = Content::new(size, gpt::pieces(size, &[7; 16], partitions));
        let mut bytes = vec![0; size as usize];
        disk.read(0, &mut bytes).unwrap();
        fs::write(folder.path().join("disk"), bytes).unwrap();
        let mut command = same_root(&[Path::new("disk")]);
        refused(command.current_dir(folder.path()), 4)
    };
    let one = root("one", 1);
    let same = [one.clone(), root("far", 2), root("two", 1)];
    assert_snapshot!(said(&same), @"error: partition `two` of `disk` and `one` overlap");
    let mut inside = root("two", 1);
    inside.start += 4096;
    assert!(said(&[one.clone(), inside]).contains("overlap"));
    // A slot that is empty counts for nothing, and neighbours do not overlap.
    for other in [root(EMPTY, 1), root("next", 2)] {
        let said = said(&[one.clone(), other]);
        assert!(said.starts_with("error: partition `one` of `disk` was changed"));
    }
}
