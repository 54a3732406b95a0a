//! What is said where an image cannot be had.

use insta::assert_snapshot;

use super::{Stage, digest};

const APP: &str = "\n[[images]]\nreference = \"REGISTRY/team/app:1\"\n";

#[test]
fn a_registry_that_lacks_the_image_or_the_architecture() {
    let stage = Stage::new(APP);
    let lock = || stage.failing(3, &mut stage.command(&["lock", "node.toml"]));
    assert_snapshot!(lock(), @r#"
        plain HTTP to `REGISTRY`, which is on this machine and has no TLS
        error: pulling `REGISTRY/team/app:1`: there is no image `REGISTRY/team/app:1`
          --> node.toml:12:13
           |
        12 | reference = "REGISTRY/team/app:1"
           |             ^
        hint: check registry, repository and tag
        "#);
    stage.layout("arm", &["arm64", "s390x"], "arm");
    stage.push("arm", "team/app:1");
    assert_snapshot!(lock(), @r#"
        plain HTTP to `REGISTRY`, which is on this machine and has no TLS
        error: pulling `REGISTRY/team/app:1`: no image for `amd64`
          --> node.toml:12:13
           |
        12 | reference = "REGISTRY/team/app:1"
           |             ^
        hint: there are `arm64`, `s390x`
        "#);
    stage.layout("arm", &["arm64"], "arm");
    stage.push("arm", "team/app:1");
    assert_snapshot!(lock(), @r#"
        plain HTTP to `REGISTRY`, which is on this machine and has no TLS
             pulling 1 blob in [SECONDS]
        error: pulling `REGISTRY/team/app:1`: opening image `REGISTRY/team/app:1`: the image is for `arm64`, not for `amd64`
          --> node.toml:12:13
           |
        12 | reference = "REGISTRY/team/app:1"
           |             ^
        "#);
}

#[test]
fn a_layout_that_is_not_there_or_has_another_digest() {
    let stage =
        Stage::new("\n[[images]]\nreference = \"r.example/app:1\"\nsource = \"oci:images/app\"\n");
    let lock = |status| stage.failing(status, &mut stage.command(&["lock", "node.toml"]));
    assert_snapshot!(lock(2), @r#"
        error: `[SCENE]/images/app` is not an image layout: it has no index.json
          --> node.toml:12:13
           |
        12 | reference = "r.example/app:1"
           |             ^
        "#);
    let layout = stage.layout("images/app", &["amd64"], "app");
    let profile = std::fs::read_to_string(stage.scene.path("node.toml")).unwrap();
    let zeros = "0".repeat(64);
    stage.scene.write(
        "node.toml",
        format!("{profile}digest = \"sha256:{zeros}\"\n"),
    );
    let said = lock(4).replace(&digest(&layout), "DIGEST");
    assert_snapshot!(said, @r#"
        error: `oci:images/app` has digest DIGEST, and the profile says sha256:[DIGEST]
          --> node.toml:12:13
           |
        12 | reference = "r.example/app:1"
           |             ^
        hint: if the other image is meant, write its digest into the profile
        "#);
}

#[test]
fn offline() {
    let stage = Stage::new(APP);
    let said = stage.failing(5, &mut stage.command(&["lock", "node.toml", "--offline"]));
    assert_snapshot!(said, @r#"
        error: `REGISTRY/team/app:1` is not in the store, and the network is not to be used
          --> node.toml:12:13
           |
        12 | reference = "REGISTRY/team/app:1"
           |             ^
        hint: run once without `--offline`, or `nodelith vendor` where there is a network
        "#);
}

#[test]
fn what_is_no_source() {
    let stage =
        Stage::new("\n[[images]]\nreference = \"r.example/app:1\"\nsource = \"https://x\"\n");
    let said = stage.failing(2, &mut stage.command(&["lock", "node.toml"]));
    assert_snapshot!(said, @r#"
        error: `https://x` is not where an image is
          --> node.toml:13:10
           |
        13 | source = "https://x"
           |          ^
        hint: write it like `registry.example/app:1.0`, `oci:images/app:1.0` or `oci-archive:images/app.tar`
        "#);
}
