//! Locks that are broken, missing, or not to be changed.

use std::fs;

use insta::assert_snapshot;

use super::common::mirror::{Mirror, Recipe};
use super::scene::{HELLO, Scene};

fn archive() -> Mirror {
    let recipe = |name| Recipe {
        name,
        ..Recipe::default()
    };
    Mirror::of(&[recipe("hello"), recipe("other")])
}

#[test]
fn broken() {
    let mirror = archive();
    let scene = Scene::locked(HELLO, &mirror);
    let lock = fs::read_to_string(scene.path("node.lock.toml")).unwrap();
    let broken = lock.replace("name = \"hello\"", "name = \"hello");
    assert_ne!(lock, broken);
    scene.write("node.lock.toml", broken);
    assert_snapshot!(scene.failing(2, &mut scene.build(&mirror)), @r#"
    error: reading the lock: invalid basic string, expected `"`
      --> node.lock.toml:19:14
       |
    19 | name = "hello
       |              ^
    hint: take it from version control again, or remove it, and the next build makes a new one
    "#);
}

#[test]
fn with_a_digest_that_is_none() {
    let mirror = archive();
    let scene = Scene::locked(HELLO, &mirror);
    let lock = fs::read_to_string(scene.path("node.lock.toml")).unwrap();
    let lines = lock
        .lines()
        .map(|line| match line.starts_with("digest = ") {
            true => "digest = \"sha256:beef\"",
            false => line,
        });
    scene.write("node.lock.toml", lines.collect::<Vec<_>>().join("\n"));
    assert_snapshot!(scene.failing(2, &mut scene.build(&mirror)), @r#"
    error: reading the lock: `sha256:beef` is not a digest of the form sha256:HEX
      --> node.lock.toml:25:10
       |
    25 | digest = "sha256:beef"
       |          ^^^^^^^^^^^^^
    hint: take it from version control again, or remove it, and the next build makes a new one
    "#);
}

#[test]
fn with_conflict_marks() {
    let mirror = archive();
    let scene = Scene::locked(HELLO, &mirror);
    let lock = fs::read_to_string(scene.path("node.lock.toml")).unwrap();
    scene.write("node.lock.toml", format!("<<<<<<< HEAD\n{lock}"));
    assert_snapshot!(scene.failing(2, &mut scene.build(&mirror)), @r"
    error: reading the lock: key with no value, expected `=`
     --> node.lock.toml:1:9
      |
    1 | <<<<<<< HEAD
      |         ^
    hint: take it from version control again, or remove it, and the next build makes a new one
    ");
}

#[test]
fn of_a_newer_format() {
    let mirror = archive();
    let scene = Scene::locked(HELLO, &mirror);
    let lock = fs::read_to_string(scene.path("node.lock.toml")).unwrap();
    let at = lock.find("format = ").unwrap();
    let rest = &lock[at..];
    let line = &rest[..rest.find('\n').unwrap()];
    let newer = lock.replace(line, "format = 9999\ninvented-later = true");
    scene.write("node.lock.toml", newer);
    assert_snapshot!(scene.failing(3, &mut scene.build(&mirror)), @r"
    error: `node.lock.toml` has format 9999, and this nodelith knows 1
    hint: use a newer nodelith, or remove the file, and the next build makes a new one
    ");
}

#[test]
fn missing_where_none_may_be_made() {
    let (scene, mirror) = (Scene::new(HELLO), archive());
    assert_snapshot!(scene.failing(3, scene.build(&mirror).arg("--locked")), @r"
    error: there is no lock `node.lock.toml`, and `--locked` forbids to make one
    hint: run `nodelith lock` and keep the lock with the profile
    ");
}

#[test]
fn not_of_this_profile_any_more() {
    let mirror = archive();
    let scene = Scene::locked(HELLO, &mirror);
    scene.write(
        "node.toml",
        HELLO.replace("\"hello\"]", "\"hello\", \"other\"]"),
    );
    assert_snapshot!(scene.failing(3, scene.build(&mirror).arg("--locked")), @r"
    error: the lock `node.lock.toml` is not what the profile asks for, and `--locked` forbids to change it
    hint: run `nodelith lock` and keep the lock with the profile
    ");
}

#[test]
fn an_update_of_a_package_that_is_not_in_it() {
    let mirror = archive();
    let scene = Scene::locked(HELLO, &mirror);
    let mut update = scene.lock(&mirror);
    assert_snapshot!(scene.failing(2, update.args(["--update", "helo"])), @r"
       resolving 2 packages in 1 suite in [SECONDS]
    error: `helo` is not in the lock
    hint: `nodelith lock --update` without names renews everything
    ");
}

#[test]
fn missing_where_one_is_needed() {
    let (scene, mirror) = (Scene::new(HELLO), archive());
    assert_snapshot!(scene.failing(3, &mut scene.with(&mirror, &["vendor", "node.toml"])), @r"
    error: there is no lock `node.lock.toml`
    hint: make one with `nodelith lock`
    ");
}

#[test]
fn in_a_folder_that_is_not_there() {
    let (scene, mirror) = (Scene::new(HELLO), archive());
    let mut lock = scene.lock(&mirror);
    assert_snapshot!(scene.failing(7, lock.args(["--lock", "locks/node.lock.toml"])), @r"
       resolving 2 packages in 1 suite in [SECONDS]
    error: making a file in `locks`: No such file or directory
    ");
}
