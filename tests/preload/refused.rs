//! What is said where an image cannot be had.

use std::fs;

use insta::assert_snapshot;

use super::common::{output, run};
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
    let profile = fs::read_to_string(stage.scene.path("node.toml")).unwrap();
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

/// What a registry has dropped since the lock was made.
#[test]
fn what_vanished() {
    let stage = Stage::new(APP);
    let layout = stage.layout("one", &["amd64", "arm64"], "one");
    stage.push("one", "team/app:1");
    run(&mut stage.command(&["lock", "node.toml"]));
    let repositories = "data/docker/registry/v2/repositories/team/app/_manifests";
    fs::remove_dir_all(stage.registry.path().join(repositories)).unwrap();
    // What the store has is not asked for again, but it has no layers yet.
    let mut vendor = stage.command(&["vendor", "node.toml", "--output", "vendor"]);
    let said = stage.failing(3, &mut vendor);
    let said = said.replace(&digest(&layout), "DIGEST");
    assert_snapshot!(said, @r#"
            fetching 1 package in [SECONDS]
        plain HTTP to `REGISTRY`, which is on this machine and has no TLS
        error: pulling `REGISTRY/team/app:1@DIGEST`: there is no image `REGISTRY/team/app:1@DIGEST`
        hint: check registry, repository and tag
        hint: to take what is there now, renew the lock with `nodelith lock --update REGISTRY/team/app:1`
        "#);
}

#[test]
fn archives_that_are_none_or_damaged() {
    let profile =
        "\n[[images]]\nreference = \"r.example/app:1\"\nsource = \"oci-archive:app.tar\"\n";
    let stage = Stage::new(profile);
    let layout = stage.layout("app", &["amd64"], "app");
    let pack = |layout: &std::path::Path| {
        let mut tar = std::process::Command::new("tar");
        run(tar
            .arg("-cf")
            .arg(stage.scene.path("app.tar"))
            .arg("-C")
            .arg(layout)
            .arg("."));
    };
    let lock = || {
        let said = output(&mut stage.command(&["lock", "node.toml"]));
        let text = String::from_utf8(said.stderr).unwrap();
        let error = text.lines().find(|line| line.starts_with("error: "));
        (said.status.code(), error.unwrap_or_default().to_owned())
    };
    // Not there, no archive, none of images.
    let (status, said) = lock();
    assert_eq!(status, Some(7), "{said}");
    assert!(
        said.contains("app.tar") && said.contains("No such file"),
        "{said}"
    );
    stage.scene.write("app.tar", vec![7; 4096]);
    let (status, said) = lock();
    assert_eq!(status, Some(4), "{said}");
    assert!(said.contains("app.tar"), "{said}");
    let empty = stage.scene.path("empty");
    fs::create_dir(&empty).unwrap();
    pack(&empty);
    let said = stage.failing(4, &mut stage.command(&["lock", "node.toml"]));
    assert_snapshot!(said, @r#"
        error: opening image `oci-archive:[SCENE]/app.tar`: not a valid image: it has no `index.json`
          --> node.toml:12:13
           |
        12 | reference = "r.example/app:1"
           |             ^
        hint: an archive is made by `skopeo copy FROM oci-archive:FILE`, or by `docker save` from version 25 on
        "#);
    // A layer whose bytes are others, and one that is not there.
    let mut tried = 0;
    for blob in fs::read_dir(layout.join("blobs/sha256")).unwrap() {
        let path = blob.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        if bytes.starts_with(b"own") {
            tried += 1;
            let mut other = bytes.clone();
            other[600] ^= 1;
            fs::write(&path, other).unwrap();
            pack(&layout);
            let (status, said) = lock();
            assert_eq!(status, Some(4), "{said}");
            assert!(said.contains("does not match its digest"), "{said}");
            fs::remove_file(&path).unwrap();
            pack(&layout);
            let (status, said) = lock();
            assert_eq!(status, Some(4), "{said}");
            fs::write(&path, bytes).unwrap();
        }
    }
    assert_eq!(tried, 1);
    pack(&layout);
    assert_eq!(lock().0, Some(0));
}

/// A digest in reference and beside it.
#[test]
fn two_digests() {
    let digest = |digit: &str| format!("sha256:{}", digit.repeat(64));
    let stage = Stage::new(&format!(
        "\n[[images]]\nreference = \"r.example/app@{}\"\ndigest = \"{}\"\n",
        digest("0"),
        digest("1")
    ));
    let said = stage.failing(2, &mut stage.command(&["lock", "node.toml"]));
    assert_snapshot!(said, @r#"
        error: the image has one digest in its reference and another beside it
          --> node.toml:12:13
           |
        12 | reference = "r.example/app@sha256:[DIGEST]"
           |             ^
        hint: keep the one that is meant
        "#);
}

#[test]
fn a_registry_that_is_down() {
    if !super::common::all("images of a registry that is down: it is tried for 15 s") {
        return;
    }
    let stage = Stage::new(APP);
    let host = stage.registry.host.clone();
    let Stage {
        scene,
        mirror,
        registry,
    } = stage;
    drop(registry);
    let said = scene.failing_anyhow(5, &mut scene.with(&mirror, &["lock", "node.toml"]));
    assert!(
        said.contains(&host) && said.contains("reference = "),
        "{said}"
    );
}
