//! What cannot be built, told in one message at its place.

use insta::assert_snapshot;
use serde_json::json;

use super::common::scratch;
use super::fixture::{Base, Layer, PROFILE, Scene, small};

/// What a build says that must fail; nothing is left behind of an image.
fn said(status: i32, profile: &str, base: &Base) -> String {
    let (scene, _) = Scene::on(profile, base);
    let said = scene.failing(status, &mut scene.build(&[]));
    assert!(!scene.path("out").exists());
    let folder = scene.path("");
    let folder = folder.to_str().unwrap();
    let said = said.replace(folder.trim_end_matches('/'), "[SCENE]");
    // What went before takes some time or other.
    let said = said[said.find("error:").unwrap()..].to_owned();
    assert!(!said.contains(scratch().to_str().unwrap()), "{said}");
    said
}

fn with(more: &str) -> String {
    format!("{PROFILE}{more}")
}

#[test]
fn things_of_debian_alone() {
    assert_snapshot!(said(2, &with("[debian]\nsuite = \"trixie\"\n"), &small()), @r##"
    error: `[debian]` and `[base.image]` exclude each other
     --> node.toml:5:1
      |
    5 | [base.image]
      | ^^^^^^^^^^^^
    hint: a root comes from a Debian archive or from an image: keep one
    "##);
    assert_snapshot!(said(2, &with("[containerd]\nsource = \"package\"\n"), &small()), @r##"
    error: containerd comes from a package, but the root is an image
     --> node.toml:8:10
      |
    8 | source = "package"
      |          ^^^^^^^^^
    hint: set `source = "release"`; or take it out, and what the image has is used
    "##);
    assert_snapshot!(said(2, &with("[kubelet]\npackage = \"kubelet\"\n"), &small()), @r##"
    error: kubelet comes from a package, but the root is an image
     --> node.toml:8:11
      |
    8 | package = "kubelet"
      |           ^^^^^^^^^
    hint: set `source = "release"`; or take it out, and what the image has is used
    "##);
    assert_snapshot!(said(2, &with("[kernel]\npackage = \"linux-image-cloud-amd64\"\n"), &small()), @r##"
    error: the kernel comes from a package, but the root is an image
     --> node.toml:8:11
      |
    8 | package = "linux-image-cloud-amd64"
      |           ^^^^^^^^^^^^^^^^^^^^^^^^^
    hint: take `package` out: the image's own kernel is used
    "##);
    assert_snapshot!(said(2, "name = \"node\"\narchitecture = \"amd64\"\n[base.image]\nremove = [\"/x\"]\n", &small()), @r##"
    error: `[base.image]` names no image
     --> node.toml:3:1
      |
    3 | [base.image]
      | ^^^^^^^^^^^^
    hint: for example: reference = "registry.example/node-base:9"
    "##);
    assert_snapshot!(said(2, "name = \"node\"\narchitecture = \"amd64\"\n[base.image]\nreference = \"debian:trixie\"\n", &small()), @r##"
    error: `debian:trixie` is not a full reference
     --> node.toml:4:13
      |
    4 | reference = "debian:trixie"
      |             ^^^^^^^^^^^^^^^
    hint: give the registry, and a tag or digest, like `docker.io/library/debian:trixie`; a layout is `oci:DIR`
    "##);
}

#[test]
fn what_is_not_in_the_base() {
    assert_snapshot!(said(2, &with("remove = [\"/etc/none\"]\n"), &small()), @r##"
    error: the base has no `/etc/none` to remove
     --> node.toml:7:11
      |
    7 | remove = ["/etc/none"]
      |           ^^^^^^^^^^^
    hint: take it off the list
    "##);
    assert_snapshot!(said(2, &with("[units]\nenable = [\"agents.service\"]\n"), &small()), @r##"
    error: the node has no unit `agents.service`
     --> node.toml:8:11
      |
    8 | enable = ["agents.service"]
      |           ^^^^^^^^^^^^^^^^
    hint: did you mean `agent.service`?
    "##);
}

#[test]
fn paths_that_do_not_go_together() {
    assert_snapshot!(said(2, &with("[[files]]\npath = \"/etc/motd/x\"\ntext = \"\"\n"), &small()), @r##"
    error: the profile makes `/etc/motd`, which is not a directory
    hint: choose another path in the profile
    "##);
    assert_snapshot!(said(2, &with("[[files]]\npath = \"/etc/site\"\ntext = \"\"\n"), &small()), @r##"
    error: `/etc/site` is a directory in the root
     --> node.toml:8:8
      |
    8 | path = "/etc/site"
      |        ^^^^^^^^^^^
    hint: name a file in it
    "##);
}

#[test]
fn images_that_cannot_be_a_root() {
    let none = Base::of(Vec::new());
    assert_snapshot!(said(3, PROFILE, &none), @r##"
    error: the image `oci:base:1` has no layers
     --> node.toml:6:13
      |
    6 | reference = "oci:base:1"
      |             ^^^^^^^^^^^^
    hint: it cannot be the root of a node
    "##);
    let arm = Base {
        architecture: "arm64",
        ..small()
    };
    assert_snapshot!(said(3, PROFILE, &arm), @r##"
    error: opening image `oci:[SCENE]/base:1`: the image is for `linux/arm64`, not for `linux/amd64`
     --> node.toml:6:13
      |
    6 | reference = "oci:base:1"
      |             ^^^^^^^^^^^^
    "##);
    let windows = Base {
        more: json!({"os": "windows"}),
        ..small()
    };
    assert_snapshot!(said(3, PROFILE, &windows), @r##"
    error: opening image `oci:[SCENE]/base:1`: the image is for `windows/amd64`, not for `linux/amd64`
     --> node.toml:6:13
      |
    6 | reference = "oci:base:1"
      |             ^^^^^^^^^^^^
    "##);
    let digest = format!("digest = \"sha256:{}\"\n", "0".repeat(64));
    let said = said(4, &with(&digest), &small());
    assert!(said.contains("and the profile says sha256:0000"), "{said}");
}

#[test]
fn too_many_layers() {
    let many = || {
        let layers = (0..4).map(|number| Layer::new().file(&format!("file-{number}"), "x"));
        Base::of(layers.collect())
    };
    assert_snapshot!(said(2, &with("[image]\nlayers = 4\n"), &many()), @r##"
    error: 4 layers are too few for this image, which needs 5: 4 are the base's
     --> node.toml:8:10
      |
    8 | layers = 4
      |          ^
    hint: set `layers = 5` in `[image]`, or more: 127 is the most that there can be
    "##);
    let hundred = (0..127).map(|number| Layer::new().file(&format!("file-{number}"), "x"));
    assert_snapshot!(said(2, PROFILE, &Base::of(hundred.collect())), @r##"
    error: 64 layers are too few for this image, which needs 128: 127 are the base's
     --> node.toml:6:13
      |
    6 | reference = "oci:base:1"
      |             ^^^^^^^^^^^^
    hint: no image has more than 127: choose a base of fewer layers
    "##);
}

#[test]
fn a_layer_that_was_changed_on_the_way() {
    let (scene, layers) = Scene::on(PROFILE, &small());
    let hex = layers[1].trim_start_matches("sha256:");
    let blob = scene.path("base/blobs/sha256").join(hex);
    let mut bytes = std::fs::read(&blob).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&blob, bytes).unwrap();
    let said = scene.failing(4, &mut scene.build(&[]));
    assert!(said.contains("does not match its digest"), "{said}");
    assert!(!scene.path("store/blobs/sha256").join(hex).exists());
}
