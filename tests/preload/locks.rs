//! What is pinned of an image, when that changes, and what a vendor folder has.

use std::fs;

use super::common::{json, output, run};
use super::{Stage, digest};

const APP: &str = "\n[[images]]\nreference = \"REGISTRY/team/app:1\"\n";

fn text<'a>(image: &'a toml::Table, key: &str) -> &'a str {
    image.get(key).map_or("", |value| value.as_str().unwrap())
}

#[test]
fn an_image_is_pinned_by_index_and_manifest_and_stays() {
    let stage = Stage::new(APP);
    let layout = stage.layout("one", &["amd64", "arm64"], "first");
    stage.push("one", "team/app:1");
    run(&mut stage.command(&["lock", "node.toml"]));
    let images = stage.images("amd64");
    assert_eq!(images.len(), 1);
    let first = digest(&layout);
    assert_eq!(
        text(&images[0], "reference"),
        stage.registry.name("team/app:1")
    );
    assert_eq!(text(&images[0], "digest"), first);
    assert_ne!(text(&images[0], "manifest"), first);
    assert!(!images[0].contains_key("source"));
    let lock = fs::read_to_string(stage.scene.path("node.lock.toml")).unwrap();

    // A tag that moved moves nothing until that is asked for.
    let layout = stage.layout("two", &["amd64", "arm64"], "second");
    stage.push("two", "team/app:1");
    run(&mut stage.command(&["lock", "node.toml"]));
    assert_eq!(
        fs::read_to_string(stage.scene.path("node.lock.toml")).unwrap(),
        lock
    );
    let said = output(&mut stage.command(&["lock", "node.toml", "--outdated", "--json"]));
    assert_eq!(said.status.code(), Some(1), "{said:?}");
    let said: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
    let reference = stage.registry.name("team/app:1");
    assert_eq!(said["outdated"][0]["name"], *reference);
    assert_eq!(said["outdated"][0]["newest"], digest(&layout));
    let changed = json(&mut stage.command(&["lock", "node.toml", "--update", &reference]));
    assert_eq!(changed["changes"][0]["before"], first);
    assert_eq!(changed["changes"][0]["after"], digest(&layout));
    assert_eq!(text(&stage.images("amd64")[0], "digest"), digest(&layout));
}

#[test]
fn layouts_and_archives_are_followed_as_files_are() {
    let stage = Stage::new(
        "\n[[images]]\nreference = \"r.example/app:1\"\nsource = \"oci:one\"\n\
         [[images]]\nreference = \"r.example/other:1\"\nsource = \"oci-archive:other.tar\"\n",
    );
    let layout = stage.layout("one", &["amd64"], "first");
    let other = stage.layout("other", &["arm64", "amd64"], "other");
    let mut tar = std::process::Command::new("tar");
    run(tar
        .arg("-cf")
        .arg(stage.scene.path("other.tar"))
        .arg("-C")
        .arg(&other)
        .arg("."));
    run(&mut stage.command(&["lock", "node.toml"]));
    let images = stage.images("amd64");
    assert_eq!(text(&images[0], "source"), "oci:one");
    assert_eq!(text(&images[0], "digest"), digest(&layout));
    assert_eq!(text(&images[0], "manifest"), digest(&layout));
    assert_eq!(text(&images[1], "source"), "oci-archive:other.tar");
    assert_eq!(text(&images[1], "digest"), digest(&other));

    // Gone is not changed: the store has it.
    fs::remove_dir_all(&layout).unwrap();
    run(&mut stage.command(&["lock", "node.toml"]));
    assert_eq!(stage.images("amd64"), images);
    let layout = stage.layout("one", &["amd64"], "second");
    let locked = output(&mut stage.command(&["build", "node.toml", "--locked"]));
    assert_eq!(locked.status.code(), Some(3), "{locked:?}");
    run(&mut stage.command(&["lock", "node.toml"]));
    assert_eq!(text(&stage.images("amd64")[0], "digest"), digest(&layout));
}

#[test]
fn a_vendor_folder_has_all_blobs() {
    let stage = Stage::new(APP);
    stage.layout("one", &["amd64", "arm64"], "first");
    stage.push("one", "team/app:1");
    run(&mut stage.command(&["lock", "node.toml"]));
    run(&mut stage.command(&["vendor", "node.toml", "--output", "vendor"]));
    // Index, manifest, configuration and two layers, of the one architecture.
    let blobs = fs::read_dir(stage.scene.path("vendor/images")).unwrap();
    assert_eq!(blobs.count(), 5);
    let again = [
        "vendor",
        "node.toml",
        "--output",
        "again",
        "--vendor",
        "vendor",
    ];
    fs::remove_dir_all(stage.scene.path("store")).unwrap();
    drop(stage.registry);
    let mut command = stage.scene.nodelith(&again);
    run(command.arg("--keyring").arg(stage.mirror.keyring()));
    let blobs = fs::read_dir(stage.scene.path("again/images")).unwrap();
    assert_eq!(blobs.count(), 5);
}

#[test]
fn a_digest_in_the_profile_is_held_to() {
    let stage = Stage::new(APP);
    let layout = stage.layout("one", &["amd64", "arm64"], "first");
    stage.push("one", "team/app:1");
    let profile = fs::read_to_string(stage.scene.path("node.toml")).unwrap();
    let wanted = digest(&layout);
    stage
        .scene
        .write("node.toml", format!("{profile}digest = \"{wanted}\"\n"));
    stage.layout("two", &["amd64", "arm64"], "second");
    stage.push("two", "team/app:1");
    run(&mut stage.command(&["lock", "node.toml"]));
    let image = stage.images("amd64").remove(0);
    assert_eq!(text(&image, "digest"), wanted);
    // The manifest's own digest will do, and then is all there is.
    let manifest = text(&image, "manifest").to_owned();
    stage
        .scene
        .write("node.toml", format!("{profile}digest = \"{manifest}\"\n"));
    run(&mut stage.command(&["lock", "node.toml"]));
    let image = stage.images("amd64").remove(0);
    assert_eq!(text(&image, "digest"), manifest);
    assert_eq!(text(&image, "manifest"), manifest);
}
