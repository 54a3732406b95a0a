//! What changes when something changes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::common::{json, nodelith};
use crate::{Image, small};

/// The ids of layers that are not the same in both.
fn changed(before: &Image, after: &Image) -> Vec<String> {
    let (before, after) = (before.layers(), after.layers());
    let ids: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let ids = ids
        .into_iter()
        .filter(|id| before.get(*id) != after.get(*id));
    ids.cloned().collect()
}

/// The layers that a build said to have made, by its own account.
fn made(image: &Image) -> Vec<String> {
    let mut command = nodelith();
    command.args(["build", "--lock"]).arg(&image.lock);
    let told = json(command.arg(&image.profile).arg("-o").arg(&image.layout));
    let layers = told["images"][0]["layers"].as_array().unwrap();
    let made = layers.iter().filter(|layer| layer["reused"] == false);
    made.map(|layer| layer["id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn one_file_of_the_profile_is_one_layer() {
    let image = small().variant("one-file", "hello", "good morning");
    assert_eq!(made(&image), ["configuration"]);
    assert_eq!(changed(small(), &image), ["configuration"]);
    // Made once, it is not made again.
    assert_eq!(made(&image), Vec::<String>::new());
}

#[test]
fn a_package_changes_its_own_layer_and_the_generated_one() {
    let image = small().variant("one-package", r#""dbus","#, r#""dbus", "socat","#);
    let image = image.build();
    let changed = changed(small(), &image);
    // What socat brings is itself, for all else that it needs is there. dpkg's
    // database is generated; conffiles, os-release and configuration are not touched.
    let own = layer_of(&image, "usr/bin/socat1");
    assert_eq!(changed, [own.as_str(), "generated"]);
    // And it takes nothing away.
    let after = files(&image);
    let mut before = files(small()).into_keys();
    assert_eq!(before.find(|path| !after.contains_key(path)), None);
}

#[test]
fn a_new_lock_of_the_same_packages_changes_no_layer() {
    let image = small().variant("new-lock", "hello", "hello");
    let text = fs::read_to_string(&image.lock).unwrap();
    let mut lock: toml::Table = text.parse().unwrap();
    let pinned = lock["architecture"]["amd64"].as_table_mut().unwrap();
    let epoch = pinned["source-date-epoch"].as_integer().unwrap();
    pinned["source-date-epoch"] = (epoch + 86_400).into();
    for release in pinned["release"].as_array_mut().unwrap() {
        let other = format!("sha256:{}", "5".repeat(64));
        release.as_table_mut().unwrap()["digest"] = other.into();
    }
    fs::write(&image.lock, toml::to_string(&lock).unwrap()).unwrap();
    // Not by way of the root that was made for the first lock.
    let store = small().packages_only("store-new-lock");
    let layout = image.folder.join("out");
    crate::common::run(&mut image.command(&store, &layout));
    assert_eq!(changed(small(), &image), Vec::<String>::new());
    let digest = crate::common::manifest_digest(&layout);
    assert_ne!(
        digest,
        small().digest,
        "the time of the lock is in the manifest"
    );
    fs::remove_dir_all(store).unwrap();
}

#[test]
fn a_conffile_that_the_profile_replaces_leaves_its_layer() {
    let text = "[[files]]\npath = \"/etc/ssh/moduli\"\ntext = \"# none\\n\"\n\n[[files]]\n";
    let image = small().variant("conffile", "[[files]]\n", text);
    assert_eq!(made(&image), ["conffiles", "configuration"]);
    assert_eq!(changed(small(), &image), ["conffiles", "configuration"]);
    assert_eq!(layer_of(small(), "etc/ssh/moduli"), "conffiles");
    assert_eq!(layer_of(&image, "etc/ssh/moduli"), "configuration");
}

/// Which layer each path is in.
fn files(image: &Image) -> BTreeMap<String, String> {
    let shown = json(nodelith().args(["show", "--files"]).arg(&image.layout));
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let files = shown["files"].as_array().unwrap().iter();
    files
        .map(|file| (text(&file["path"]), text(&file["layer"])))
        .collect()
}

fn layer_of(image: &Image, path: &str) -> String {
    files(image)[path].clone()
}
