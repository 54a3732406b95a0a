//! Stores that are full, damaged, not ours, or wanted by two at once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use insta::assert_snapshot;
use nodelith::digest::Digest;

use super::common::mirror::{Mirror, Recipe};
use super::common::{output, run, skip};
use super::scene::{HELLO, Scene, replace, text};

/// Where the store has these bytes.
pub fn blob(scene: &Scene, bytes: &[u8]) -> PathBuf {
    let name = Digest::of(bytes).hex();
    scene.path("store/blobs/sha256").join(name)
}

/// A small file system of its own, gone with this.
struct Small(PathBuf);

impl Small {
    fn mount(at: &Path, size: &str) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mut mount = Command::new("mount");
        mount.args([
            "-t",
            "tmpfs",
            "-o",
            &format!("size={size},mode=755"),
            "none",
        ]);
        if output(mount.arg(at)).status.success() {
            return Some(Self(at.to_owned()));
        }
        skip("small file systems that fill up (needs root and the right to mount)");
        None
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn two_builds_at_once_make_one_image() {
    let (scene, mirror) = Scene::built();
    let digest = scene.image();
    let lock = fs::read(scene.path("node.lock.toml")).unwrap();
    run(&mut scene.build(&mirror));
    assert_eq!(scene.image(), digest);
    assert_eq!(fs::read(scene.path("node.lock.toml")).unwrap(), lock);
}

#[test]
fn no_room_for_a_package() {
    let mirror = Mirror::of(&[Recipe {
        name: "hello",
        files: &[("usr/share/hello", &[b'x'; 4_000_000])],
        ..Recipe::default()
    }]);
    let scene = Scene::locked(HELLO, &mirror);
    let Some(_small) = Small::mount(&scene.path("store"), "2m") else {
        return;
    };
    let said = scene.failing_anyhow(7, &mut scene.build(&mirror));
    assert_snapshot!(said, @r"
    error: no space left for the store, writing `store/partial/[DIGEST]`
    hint: free some space and run the same again (what was downloaded is kept), or choose another place with `--store`
    ");
    assert!(!scene.path("out").exists());
}

#[test]
fn no_room_for_the_root() {
    let (built, mirror) = Scene::built();
    let scene = Scene::new(super::common::mirror::MINIMAL);
    let Some(_small) = Small::mount(&scene.path("store"), "60m") else {
        return;
    };
    fs::copy(built.path("node.lock.toml"), scene.path("node.lock.toml")).unwrap();
    // Which package it is that finds no room depends on the machine.
    let said = scene.failing(7, &mut scene.build(&mirror));
    assert!(said.contains("error: unpacking package `"), "{said}");
    assert!(
        said.ends_with(
            ": No space left on device\nhint: free some space, and run the same again\n"
        ),
        "{said}"
    );
}

#[test]
fn no_room_for_the_image() {
    let (scene, mirror) = Scene::built();
    let Some(_small) = Small::mount(&scene.path("full"), "4m") else {
        return;
    };
    let mut build = scene.with(&mirror, &["build", "node.toml", "--output", "full/image"]);
    let said = scene.failing_anyhow(7, &mut build);
    assert_snapshot!(said, @r"
    error: copying to `full/image/blobs/sha256/[DIGEST]`: No space left on device
    hint: free some space, and run the same again
    ");
    assert!(!scene.path("full/image/index.json").exists());
    scene.assert_nothing_under_way();
}

#[test]
fn a_damaged_package_is_fetched_again() {
    let (scene, mirror) = Scene::built();
    let digest = scene.image();
    let package = fs::read(mirror.package("base-files")).unwrap();
    let path = blob(&scene, &package);
    let mut damaged = package.clone();
    damaged[package.len() / 2] ^= 1;
    for bytes in [&damaged[..], &package[..1000]] {
        replace(&path, bytes);
        fs::remove_dir_all(scene.path("store/records")).unwrap();
        fs::remove_dir_all(scene.path("out")).unwrap();
        let done = output(&mut scene.build(&mirror));
        assert!(done.status.success(), "{}", text(&done.stderr));
        assert_eq!(fs::read(&path).unwrap(), package);
        assert_eq!(scene.image(), digest);
    }
}

#[test]
fn a_damaged_package_and_no_mirror() {
    let (scene, mirror) = Scene::built();
    let path = blob(&scene, &fs::read(mirror.package("base-files")).unwrap());
    let length = fs::metadata(&path).unwrap().len();
    replace(&path, &vec![0; length as usize]);
    fs::remove_dir_all(scene.path("store/records")).unwrap();
    let mut build = scene.nodelith(&["build", "node.toml", "--output", "out", "--offline"]);
    let build = build.args(["--mirror", "http://127.0.0.1:1"]);
    assert_snapshot!(scene.failing(5, build), @r"
    warning: the store's copy of `base-files [VERSION]` was damaged, and is removed
    error: `base-files [VERSION]` is not in the store, and the network is not to be used
    hint: run once without `--offline`, or `nodelith vendor` where there is a network
    ");
}

#[test]
fn a_damaged_layer_does_not_get_into_an_image() {
    let (scene, mirror) = Scene::built();
    let digest = scene.image();
    let layers = fs::read_dir(scene.path("out/blobs/sha256")).unwrap();
    let layer = layers
        .map(|entry| entry.unwrap().path())
        .max_by_key(|path| path.metadata().unwrap().len())
        .unwrap();
    let path = scene
        .path("store/blobs/sha256")
        .join(layer.file_name().unwrap());
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    replace(&path, &bytes);
    let mut build = scene.with(&mirror, &["build", "node.toml", "--output", "again"]);
    assert_snapshot!(scene.failing_anyhow(4, &mut build), @r"
    error: blob sha256:[DIGEST] was damaged in the store, and is removed
    hint: build again: it is then made anew
    ");
    assert!(!scene.path("again/index.json").exists());
    assert_eq!(scene.image(), digest);
    // What was damaged is gone from the store, so the next build makes it anew.
    fs::remove_dir_all(scene.path("out")).unwrap();
    run(&mut scene.build(&mirror));
    assert_eq!(scene.image(), digest);
}

#[test]
fn a_damaged_list_of_packages_is_fetched_again() {
    let mirror = Mirror::of(&[Recipe {
        name: "hello",
        ..Recipe::default()
    }]);
    let scene = Scene::locked(HELLO, &mirror);
    let list = mirror
        .path()
        .join("dists/trixie/main/binary-amd64/Packages.xz");
    let path = blob(&scene, &fs::read(list).unwrap());
    let length = fs::metadata(&path).unwrap().len();
    replace(&path, &vec![0; length as usize]);
    run(scene.lock(&mirror).arg("--update"));
}

#[test]
fn a_file_where_the_store_should_be() {
    let scene = Scene::new(HELLO);
    scene.write("store", "not a folder");
    assert_snapshot!(scene.failing_anyhow(7, &mut scene.nodelith(&["build", "node.toml"])), @r"
    error: making the store's folder `store/blobs/sha256`: Not a directory
    hint: choose another folder for the store with `--store` or in `NODELITH_STORE`
    ");
}

#[test]
fn a_store_that_may_only_be_read() {
    let (scene, mirror) = Scene::built();
    let store = scene.path("store");
    let Some(small) = Small::mount(&scene.path("readable"), "200m") else {
        return;
    };
    run(Command::new("cp").arg("-a").arg(&store).arg(&small.0));
    run(Command::new("mount")
        .args(["-o", "remount,ro"])
        .arg(&small.0));
    let mut build = scene.build(&mirror);
    let said = scene.failing(7, build.args(["--store", "readable/store"]));
    assert_snapshot!(said, @r"
    error: opening lock `readable/store/locks/use`: Read-only file system
    hint: choose another folder for the store with `--store` or in `NODELITH_STORE`
    ");
}
