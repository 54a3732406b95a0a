//! docs/fleet.md shows what the program says.

use std::fs;

use crate::objects;
use crate::scene::{Scene, repository, said};

/// Blocks of text of the page, in order.
fn blocks() -> Vec<String> {
    let page = fs::read_to_string(repository().join("docs/fleet.md")).unwrap();
    let blocks = page.split("```text\n").skip(1);
    blocks
        .map(|rest| rest.split_once("```").unwrap().0.to_owned())
        .collect()
}

#[test]
fn the_page_is_true() {
    let scene = Scene::new(&objects::sample());
    let more = [
        "cluster.json",
        "--runbook",
        "rollout.md",
        "--picture",
        "rollout.svg",
    ];
    let plan = scene.plan(&more).output().unwrap();
    assert_eq!(plan.status.code(), Some(1), "{}", said(&plan));
    let status = scene.fleet(&["status", "--rules", "fleet.toml", "cluster.json"]);
    let status = { status }.output().unwrap();
    assert_eq!(status.status.code(), Some(1), "{}", said(&status));
    let book = scene.read("rollout.md");
    let (_, first) = book.split_once("\n## Wave 1").unwrap();
    let (first, _) = first.split_once("\n## Wave 2").unwrap();
    let shown = [
        String::from_utf8(plan.stdout).unwrap(),
        format!("## Wave 1{first}").replace("```", "~~~"),
        String::from_utf8(status.stdout).unwrap(),
    ];
    let blocks = blocks();
    assert_eq!(blocks.len(), shown.len());
    for (block, shown) in blocks.iter().zip(&shown) {
        assert!(
            block.trim_end() == shown.trim_end(),
            "put this into docs/fleet.md:\n{shown}"
        );
    }
    let picture = fs::read_to_string(repository().join("docs/fleet.svg")).unwrap_or_default();
    let made = scene.read("rollout.svg");
    assert!(picture == made, "put this into docs/fleet.svg:\n{made}");
}
