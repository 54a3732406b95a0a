//! Layouts that pulls write into.

use std::fs;

use serde_json::Value;

use super::scene::{Scene, layer, noise};
use super::server::Server;

fn named(scene: &Scene, folder: &str) -> Vec<String> {
    let index = fs::read(scene.path(folder).join("index.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    let entries = index["manifests"].as_array().unwrap().iter();
    entries
        .map(|entry| {
            let name = &entry["annotations"]["org.opencontainers.image.ref.name"];
            name.as_str().unwrap_or("-").to_owned()
        })
        .collect()
}

#[test]
fn a_tag_replaces_its_own_and_nothing_else() {
    let server = Server::good();
    let scene = Scene::new();
    scene.layout("one", &[layer("x", &noise(1, 1000))]);
    scene.layout("two", &[layer("x", &noise(2, 1000))]);
    let name = |tag: &str| server.name(&format!("a:{tag}"));
    scene.json(&["push", "one", &name("1"), &name("moving")]);
    scene.json(&["pull", &name("1"), "-o", "out"]);
    scene.json(&["pull", &name("moving"), "-o", "out"]);
    assert_eq!(named(&scene, "out"), ["1", "moving"]);
    let two = scene.json(&["push", "two", &name("moving")]);
    let pulled = scene.json(&["pull", &name("moving"), "-o", "out"]);
    assert_eq!(pulled["digest"], two["digest"]);
    assert_eq!(named(&scene, "out"), ["1", "moving"]);
    let pinned = format!("{}@{}", server.name("a"), two["digest"].as_str().unwrap());
    scene.json(&["pull", &pinned, "-o", "out"]);
    scene.json(&["pull", &pinned, "-o", "out"]);
    assert_eq!(named(&scene, "out"), ["1", "moving", "-"]);
    let shown = scene.json(&["show", "oci:out:moving"]);
    assert_eq!(shown["digest"], two["digest"]);
    // Of several, one must be named to be pushed.
    let said = scene.failing(3, &["push", "out", &name("3")]);
    assert!(said.contains("there are 3 images"), "{said}");
    scene.json(&["push", "oci:out:1", &name("3")]);
}

#[test]
fn a_folder_with_other_things_is_left_alone() {
    let server = Server::good();
    let scene = Scene::new();
    fs::create_dir(scene.path("out")).unwrap();
    fs::write(scene.path("out/precious"), "x").unwrap();
    let said = scene.failing(2, &["pull", &server.name("a"), "-o", "out"]);
    assert!(said.contains("it holds `precious`"), "{said}");
    assert!(server.asked("GET", "").is_empty());
}
