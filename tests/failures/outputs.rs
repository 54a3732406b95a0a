//! Places where no image can be put.

use std::fs;

use insta::assert_snapshot;

use super::common::mirror::{Mirror, Recipe};
use super::sandboxes::{as_nobody, of_nobody};
use super::scene::Scene;

#[test]
fn a_folder_that_holds_something_else() {
    let (scene, mirror) = Scene::built();
    scene.write("mine/diary.txt", "dear diary");
    let mut build = scene.with(&mirror, &["build", "node.toml", "--output", "mine"]);
    assert_snapshot!(scene.failing(2, &mut build), @r"
    error: `mine` is not an image layout: it holds `diary.txt`
    hint: choose another folder for the image, or empty this one
    ");
}

#[test]
fn a_file_where_the_folder_should_be() {
    let (scene, mirror) = Scene::built();
    scene.write("mine", "dear diary");
    let mut build = scene.with(&mirror, &["build", "node.toml", "--output", "mine"]);
    assert_snapshot!(scene.failing(2, &mut build), @r"
    error: `mine` is a file, not a folder
    hint: choose another folder for the image with `--output`
    ");
}

#[test]
fn a_file_above_where_the_folder_should_be() {
    let (scene, mirror) = Scene::built();
    scene.write("mine", "dear diary");
    let mut build = scene.with(&mirror, &["build", "node.toml", "--output", "mine/image"]);
    assert_snapshot!(scene.failing(2, &mut build), @r"
    error: `mine` is a file, not a folder
    hint: choose another folder for the image with `--output`
    ");
}

#[test]
fn a_broken_index() {
    let (scene, mirror) = Scene::built();
    let blobs = fs::read_dir(scene.path("out/blobs/sha256"))
        .unwrap()
        .count();
    scene.write("out/index.json", "{");
    assert_snapshot!(scene.failing(7, &mut scene.build(&mirror)), @r"
    error: reading `out/index.json`: EOF while parsing an object at line 1 column 1
    hint: choose another folder, or remove this one
    ");
    assert_eq!(
        fs::read_dir(scene.path("out/blobs/sha256"))
            .unwrap()
            .count(),
        blobs
    );
}

#[test]
fn a_folder_that_only_others_may_write_to() {
    let mirror = Mirror::of(&[Recipe {
        name: "hello",
        ..Recipe::default()
    }]);
    let Some(scene) = of_nobody(&mirror) else {
        return;
    };
    fs::create_dir(scene.path("theirs")).unwrap();
    let build = scene.with(&mirror, &["build", "node.toml", "--output", "theirs/a/b"]);
    let said = scene.failing(7, &mut as_nobody(&build, ""));
    assert_snapshot!(said, @r"
    error: making a folder in `theirs`: Permission denied
    hint: choose another folder for the image with `--output`
    ");
    // Before anything was fetched.
    assert!(!said.contains("fetching"));
}
