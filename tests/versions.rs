//! `nodelith versions`: what goes with what, as a person and as a program reads it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::process::Command;

use insta_cmd::{assert_cmd_snapshot, get_cargo_bin};
use serde_json::Value;

fn versions(arguments: &[&str]) -> Command {
    let mut command = Command::new(get_cargo_bin("nodelith"));
    command.env_clear().arg("versions").args(arguments);
    command
}

fn json(arguments: &[&str]) -> Value {
    let output = versions(arguments).arg("--json").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn of_everything() {
    assert_cmd_snapshot!(versions(&[]));
}

#[test]
fn of_one_kubernetes() {
    assert_cmd_snapshot!("kubernetes-1.20", versions(&["1.20.15"]));
    assert_cmd_snapshot!("kubernetes-1.35", versions(&["v1.35"]));
}

#[test]
fn of_one_containerd() {
    assert_cmd_snapshot!("containerd-2.2.1", versions(&["--containerd", "2.2.1"]));
    assert_cmd_snapshot!(
        "kubernetes-1.33-containerd-1.7-on-a-day",
        versions(&["1.33", "--containerd", "1.7", "--date", "2026-05-01"])
    );
}

#[test]
fn what_is_not_known() {
    assert_cmd_snapshot!(versions(&["1.12"]), @"");
    assert_cmd_snapshot!(versions(&["2.1"]), @"");
    assert_cmd_snapshot!(versions(&["newest"]), @"");
    assert_cmd_snapshot!(versions(&["--containerd", "1.2.14"]), @"");
    assert_cmd_snapshot!(versions(&["--date", "tomorrow"]), @"");
    // Newer ones are taken for the newest that are known, and a warning says so.
    assert_cmd_snapshot!(versions(&["1.99", "--containerd", "3.0.1"]), @"");
}

#[test]
fn for_programs() {
    let all = json(&[]);
    assert_eq!(
        (&all["schema"], &all["version"], &all["date"]),
        (&"nodelith.versions".into(), &1.into(), &Value::Null)
    );
    assert_eq!(all["kubernetes"].as_array().unwrap().len(), 20);
    assert_eq!(all["containerd"].as_array().unwrap().len(), 9);
    for minor in all["kubernetes"].as_array().unwrap() {
        let pairs = minor["containerd"].as_array().unwrap();
        assert_eq!(pairs.len(), 9);
        assert!(
            pairs.iter().any(|pair| pair["fit"] == "published"),
            "{minor}"
        );
        assert!(!minor["source"].as_str().unwrap().is_empty());
    }
    let one = json(&["1.34", "--containerd", "2.3.1", "--date", "2026-11-25"]);
    insta::assert_json_snapshot!(one);
}
