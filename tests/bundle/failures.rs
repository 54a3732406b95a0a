//! Exports that cannot be: one clear message, and nothing left behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use insta::assert_snapshot;
use nodelith::layer::Compression;

use crate::common::{output, refused, run, skip};
use crate::images::{export, largest_blob, ours};
use crate::{sample, uki};

/// A folder with an image `image` and an export `out` of an earlier one.
struct Scene(tempfile::TempDir);

impl Scene {
    fn new() -> Self {
        Self::of(&sample::tree())
    }

    fn of(tree: &nodelith::tree::Tree) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let image = ours(folder.path(), tree, Compression::ZSTD, 64);
        fs::rename(image, folder.path().join("image")).unwrap();
        fs::remove_dir_all(folder.path().join("store")).unwrap();
        let scene = Self(folder);
        fs::create_dir(scene.path("out")).unwrap();
        fs::write(scene.path("out/root.erofs"), "the old one").unwrap();
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn export(&self, image: &str, formats: &str, to: &str) -> Command {
        let mut command = export(image, formats, Path::new(to));
        command.current_dir(self.0.path()).arg("--quiet");
        command
    }

    /// What is said; the earlier export is still there, and nothing else.
    fn fails(&self, status: i32, command: &mut Command) -> String {
        let said = refused(command, status);
        let files: Vec<_> = fs::read_dir(self.path("out")).unwrap().collect();
        assert_eq!(files.len(), 1, "{files:?}");
        let old = fs::read(self.path("out/root.erofs")).unwrap();
        assert_eq!(old, b"the old one");
        let errors = said.lines().filter(|line| line.starts_with("error"));
        assert_eq!(errors.count(), 1, "{said}");
        said
    }
}

fn digests() -> insta::internals::SettingsBindDropGuard {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter("[0-9a-f]{64}", "[HEX]");
    settings.bind_to_scope()
}

#[test]
fn no_such_image_or_format() {
    let scene = Scene::new();
    let said = scene.fails(2, &mut scene.export("nowhere", "erofs", "out"));
    assert_snapshot!(said, @r"
    error: there is no image `nowhere`
    hint: name one as oci:DIR[:TAG], oci-archive:FILE, or a path that exists
    ");
    let said = scene.fails(2, &mut scene.export("image", "erofs,ext4", "out"));
    assert_snapshot!(said, @r"
    error: invalid value 'ext4' for '--to <FORMAT>'
      [possible values: tar, erofs, verity, squashfs, uki, pxe, disk, qcow2, vhd, gce, sysupdate]

    For more information, try '--help'.
    ");
    fs::write(scene.path("file"), "").unwrap();
    let said = scene.fails(2, &mut scene.export("image", "erofs", "file"));
    assert_snapshot!(said, @r"
    error: `file` is a file, not a folder
    hint: choose another folder with `--output`
    ");
}

#[test]
fn a_damaged_layer() {
    let _bound = digests();
    let scene = Scene::new();
    let blob = largest_blob(&scene.path("image"));
    let good = fs::read(&blob).unwrap();
    fs::remove_file(&blob).unwrap(); // it may share its bytes with others
    let mut bad = good.clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    for bytes in [&bad[..], &good[..middle]] {
        fs::write(&blob, bytes).unwrap();
        let said = scene.fails(4, &mut scene.export("image", "tar,verity", "out"));
        assert!(said.contains("error: reading layer sha256:"), "{said}");
    }
    // Such that it can be unpacked: the last bytes of an archive are not looked at.
    let mut bad = good.clone();
    bad.push(0);
    fs::write(&blob, &bad).unwrap();
    let said = scene.fails(4, &mut scene.export("image", "tar,verity", "out"));
    assert_snapshot!(said, @"error: reading layer sha256:[HEX] of `image`: the archive is malformed: blob sha256:[HEX] has not the size that it should have");
    fs::remove_file(&blob).unwrap();
    let said = scene.fails(7, &mut scene.export("image", "tar,verity", "out"));
    assert_snapshot!(said, @"error: reading layer sha256:[HEX] of `image`: opening `image/blobs/sha256/[HEX]`: No such file or directory");
}

#[test]
fn what_erofs_cannot_hold() {
    let mut tree = sample::tree();
    let entry = tree.entries.get_mut(&b"bin/sh"[..]).unwrap();
    entry.xattrs.insert("system.nfs4_acl".into(), vec![1]);
    let scene = Scene::of(&tree);
    let said = scene.fails(2, &mut scene.export("image", "erofs", "out"));
    assert_snapshot!(said, @r"
    error: extended attribute `system.nfs4_acl` of `bin/sh` is of a kind that EROFS lacks
    hint: an EROFS image cannot hold it; a tar can
    ");
    // A tar holds it.
    run(&mut scene.export("image", "tar", "other"));
}

#[test]
fn no_mksquashfs() {
    let mut tree = sample::tree();
    tree.entries.remove(&b"etc/old"[..]);
    let scene = Scene::of(&tree);
    let mut command = scene.export("image", "squashfs", "out");
    let said = scene.fails(2, command.env("PATH", "/nowhere"));
    assert_snapshot!(said, @r"
    error: squashfs needs `mksquashfs`, which is not there
    hint: install squashfs-tools 4.5 or later; or take `erofs`, which needs no other program
    ");
    let old = scene.path("bin/mksquashfs");
    fs::create_dir(scene.path("bin")).unwrap();
    fs::write(
        &old,
        "#!/bin/sh\necho mksquashfs version 4.4 '(2019/08/29)'\n",
    )
    .unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&old, mode).unwrap();
    let mut command = scene.export("image", "squashfs", "out");
    let said = scene.fails(2, command.env("PATH", scene.path("bin")));
    assert_snapshot!(said, @r"
    error: squashfs needs `mksquashfs`, and 4.4 is too old
    hint: install squashfs-tools 4.5 or later; or take `erofs`, which needs no other program
    ");
    // One that fails.
    fs::write(
        &old,
        "#!/bin/sh\n[ $1 = -version ] && echo mksquashfs version 4.5 && exit\n\
         echo FATAL ERROR: no >&2; exit 1\n",
    )
    .unwrap();
    let mut command = scene.export("image", "squashfs", "out");
    let said = scene.fails(7, command.env("PATH", scene.path("bin")));
    assert_snapshot!(said, @"error: `mksquashfs` failed: FATAL ERROR: no");
}

#[test]
fn what_squashfs_cannot_hold() {
    let scene = Scene::new();
    let said = scene.fails(2, &mut scene.export("image", "squashfs", "out"));
    assert_snapshot!(said, @r"
    error: the time of `etc/old` is before 1970 or after 2106
    hint: a squashfs cannot say it; a tar can
    ");
}

/// A file system of 4 MiB, gone with this.
struct Small(PathBuf);

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn no_room() {
    let scene = Scene::new();
    let small = Small(scene.path("small"));
    fs::create_dir(&small.0).unwrap();
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=4m", "none"]);
    if !output(mount.arg(&small.0)).status.success() {
        skip("a file system that fills up (needs root and the right to mount)");
        return;
    }
    for formats in ["erofs", "tar", "verity,tar"] {
        let said = scene.fails(7, &mut scene.export("image", formats, "small/out"));
        let (first, hint) = said.split_once('\n').unwrap();
        assert!(
            first.starts_with("error: writing `small/out/root."),
            "{said}"
        );
        assert!(first.ends_with(": No space left on device"), "{said}");
        assert_eq!(hint, "hint: free some space, and run the same again\n");
        assert_eq!(fs::read_dir(small.0.join("out")).unwrap().count(), 0);
    }
}

/// There is room for the root image, and then none for the disk.
#[test]
fn no_room_for_the_disk() {
    let scene = uki::Scene::of(|_| {});
    let small = Small(scene.path("small"));
    fs::create_dir(&small.0).unwrap();
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=15m", "none"]);
    if !output(mount.arg(&small.0)).status.success() {
        skip("a file system that fills up (needs root and the right to mount)");
        return;
    }
    for format in ["disk", "qcow2", "vhd", "gce"] {
        let mut command = scene.export(format, "small/out");
        let said = refused(command.args(["--quiet", "--disk-size", "1G"]), 7);
        let begin = "error: writing `small/out/disk.";
        assert!(said.starts_with(begin), "{format}: {said}");
        let end = ": No space left on device\nhint: free some space, and run the same again\n";
        assert!(said.ends_with(end), "{format}: {said}");
        assert_eq!(fs::read_dir(small.0.join("out")).unwrap().count(), 0);
    }
}
