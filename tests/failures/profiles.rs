//! Profiles that mean nothing.

use insta::assert_snapshot;

use super::scene::{HELLO, Scene};

/// What is said about `HELLO` with more text at its end.
fn refused(more: &str) -> String {
    let scene = Scene::new(&format!("{HELLO}{more}"));
    scene.failing(2, &mut scene.nodelith(&["build", "node.toml"]))
}

#[test]
fn an_unknown_key() {
    assert_snapshot!(refused("pakages = [\"bash\"]\n"), @r#"
    error: unknown key `pakages`
      --> node.toml:10:1
       |
    10 | pakages = ["bash"]
       | ^^^^^^^
    hint: did you mean `packages`?
    "#);
}

#[test]
fn a_wrong_type() {
    assert_snapshot!(refused("components = \"main\"\n\n[sysctl]\nnet.ipv4.ip_forward = [1]\n"), @r#"
    error: invalid type: string "main", expected a list
      --> node.toml:10:14
       |
    10 | components = "main"
       |              ^^^^^^
    hint: write it as a list: ["main"]
    "#);
}

#[test]
fn an_impossible_value() {
    assert_snapshot!(refused("\n[image]\nlayers = 200\n"), @r"
    error: 200 is not a number of layers
      --> node.toml:12:10
       |
    12 | layers = 200
       |          ^^^
    hint: 2 to 127 are possible; 64 is the default
    ");
}

#[test]
fn an_impossible_name() {
    assert_snapshot!(refused("\n[[users]]\nname = \"Grace Hopper\"\n"), @r#"
    error: `Grace Hopper` is not a user or group name
      --> node.toml:12:8
       |
    12 | name = "Grace Hopper"
       |        ^^^^^^^^^^^^^^
    hint: write it like `core`
    "#);
}

#[test]
fn not_toml() {
    assert_snapshot!(refused("\n[image\n"), @r"
    error: unclosed table, expected `]`
      --> node.toml:11:7
       |
    11 | [image
       |       ^
    ");
}

#[test]
fn not_text() {
    let scene = Scene::new("");
    scene.write("node.toml", [0xff, 0xfe, 0, 1]);
    assert_snapshot!(scene.failing(2, &mut scene.nodelith(&["build", "node.toml"])), @"error: `node.toml` cannot be a profile: it is not UTF-8 text");
}

#[test]
fn an_empty_profile() {
    let scene = Scene::new("");
    assert_snapshot!(scene.failing(2, &mut scene.nodelith(&["build", "node.toml"])), @r"
    error: the profile says of nothing that a root could come from
    hint: add `[debian]` with a suite or `[base.image]` with a reference, or extend a profile that has one
    ");
}

#[test]
fn a_circle_of_extends() {
    let scene = Scene::new(&format!("extends = \"one.toml\"\n{HELLO}"));
    scene.write("one.toml", "extends = [\"two.toml\"]\n");
    scene.write("two.toml", "extends = [\"node.toml\"]\n");
    assert_snapshot!(scene.failing(2, &mut scene.nodelith(&["build", "node.toml"])), @r#"
    error: profiles extend one another in a circle: `node.toml` → `one.toml` → `two.toml` → `node.toml`
     --> two.toml:1:12
      |
    1 | extends = ["node.toml"]
      |            ^^^^^^^^^^^
    hint: take one of them out of `extends`
    "#);
}

#[test]
fn a_missing_profile_to_extend() {
    let scene = Scene::new(&format!("extends = \"one.toml\"\n{HELLO}"));
    assert_snapshot!(scene.failing(2, &mut scene.nodelith(&["build", "node.toml"])), @r#"
    error: the extended profile `one.toml` does not exist
     --> node.toml:1:11
      |
    1 | extends = "one.toml"
      |           ^^^^^^^^^^
    hint: paths in `extends` are relative to the file that names them
    "#);
}

#[test]
fn a_missing_profile() {
    let scene = Scene::new("");
    assert_snapshot!(scene.failing(2, &mut scene.nodelith(&["build", "nodes.toml"])), @r"
    error: the profile `nodes.toml` does not exist
    hint: `nodelith init` writes a profile to begin with
    ");
}

#[test]
fn a_folder_in_place_of_a_profile() {
    let scene = Scene::new("");
    std::fs::create_dir(scene.path("nodes")).unwrap();
    assert_snapshot!(scene.failing(2, &mut scene.nodelith(&["build", "nodes"])), @"error: `nodes` cannot be a profile: it is a folder");
}

#[test]
fn a_missing_local_file() {
    let more = "\n[[files]]\npath = \"/etc/motd\"\nsource = \"motd\"\n";
    let scene = Scene::new(&format!("{HELLO}{more}"));
    let mirror = super::common::mirror::Mirror::of(&[super::common::mirror::Recipe {
        name: "hello",
        ..Default::default()
    }]);
    assert_snapshot!(scene.failing(3, &mut scene.build(&mirror)), @r"
       resolving 1 package in 1 suite in [SECONDS]
    error: the profile names `motd`: No such file or directory
    hint: it was looked for at `[SCENE]/motd`
    ");
}

#[test]
fn an_architecture_that_the_profile_is_not_made_for() {
    let scene = Scene::new(HELLO);
    let mut build = scene.nodelith(&["build", "node.toml", "--arch", "arm64"]);
    assert_snapshot!(scene.failing(2, &mut build), @r"
    error: the profile is not made for `arm64`
    hint: it is for amd64; see `architecture` in it
    ");
}
