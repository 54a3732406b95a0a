//! `nodelith matrix`.

use std::fs;

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::common::{self, nodelith, refused, run};

fn profiles() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write(
        "worker.toml",
        "name = \"worker\"\nversion = \"1.2\"\narchitecture = [\"arm64\", \"amd64\"]\n\
         [kubernetes]\nversion = \"1.34\"\n[debian]\nsuite = \"trixie\"\n",
    );
    write(
        "edge.toml",
        "name = \"edge\"\nversion = \"7\"\narchitecture = \"amd64\"\n[debian]\nsuite = \"trixie\"\n",
    );
    write(
        "edge.lock.toml",
        "# A lock of another time, or of another profile.\nformat = 1\nprofile = \"edge\"\n\
         [architecture]\n",
    );
    folder
}

fn matrix(folder: &tempfile::TempDir, arguments: &[&str]) -> String {
    let mut command = nodelith();
    command.current_dir(folder.path()).arg("matrix");
    String::from_utf8(run(command.args(arguments))).unwrap()
}

/// In an order that a shell would not give.
const ALL: [&str; 3] = ["worker.toml", "edge.toml", "edge.lock.toml"];

#[test]
fn for_people_and_for_programs() {
    let folder = profiles();
    assert_snapshot!(matrix(&folder, &ALL), @r#"
    IMAGE   TAG  ARCHITECTURE  KUBERNETES  PROFILE      LOCKED
    edge    7    amd64         -           edge.toml    no
    worker  1.2  amd64         1.34        worker.toml  no
    worker  1.2  arm64         1.34        worker.toml  no
    "#);
    let mut command = nodelith();
    let told = common::json(command.current_dir(folder.path()).arg("matrix").args(ALL));
    let printed = matrix(&folder, &[&ALL[..], &["--format", "json"]].concat());
    assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), told);
    assert_eq!(told["include"].as_array().unwrap().len(), 3);
    assert_snapshot!(format!("{:#}", told["include"][0]), @r#"
    {
      "architecture": "amd64",
      "kubernetes": null,
      "lock": "edge.lock.toml",
      "locked": false,
      "name": "edge",
      "profile": "edge.toml",
      "runner": "amd64",
      "tag": "7"
    }
    "#);
}

#[test]
fn for_ci_systems() {
    let folder = profiles();
    let of = |arguments: &[&str]| {
        let printed = matrix(&folder, &[&ALL[..], arguments].concat());
        assert_eq!(printed.trim_end().lines().count(), 1, "{printed}");
        serde_json::from_str::<Value>(&printed).unwrap()
    };
    let github = of(&["--format", "github"]);
    // Any key beside these would be an axis of the matrix.
    assert_eq!(
        github.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["include"]
    );
    let runners: Vec<_> = github["include"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (&row["name"], &row["architecture"], &row["runner"]))
        .map(|(name, architecture, runner)| json!([name, architecture, runner]))
        .collect();
    assert_eq!(
        json!(runners),
        json!([
            ["edge", "amd64", "ubuntu-24.04"],
            ["worker", "amd64", "ubuntu-24.04"],
            ["worker", "arm64", "ubuntu-24.04-arm"],
        ])
    );
    let argo = of(&["--format", "argo", "--per-profile"]);
    assert_eq!(argo[1]["architecture"], "amd64,arm64");
    assert_eq!(argo.as_array().unwrap().len(), 2);
    let gitlab = of(&[
        "--format",
        "gitlab",
        "--arch",
        "arm64",
        "--runner",
        "arm64=big",
    ]);
    assert_eq!(
        gitlab,
        json!([{
            "PROFILE": "worker.toml", "NAME": "worker", "TAG": "1.2",
            "ARCHITECTURE": "arm64", "RUNNER": "big",
        }])
    );
    let lines = matrix(
        &folder,
        &[&ALL[..], &["--format", "lines", "--per-profile"]].concat(),
    );
    assert_eq!(
        lines,
        "edge.toml\tedge\t7\tamd64\nworker.toml\tworker\t1.2\tamd64,arm64\n"
    );
    // Whatever order they are named in.
    let mut other = ALL;
    other.reverse();
    let reversed = matrix(
        &folder,
        &[&other[..], &["--format", "argo", "--per-profile"]].concat(),
    );
    assert_eq!(serde_json::from_str::<Value>(&reversed).unwrap(), argo);
}

#[test]
fn a_lock_that_fits() {
    let folder = profiles();
    let locked = |lock: &str| {
        fs::write(folder.path().join("edge.lock.toml"), lock).unwrap();
        let printed = matrix(&folder, &["edge.toml", "--format", "argo"]);
        serde_json::from_str::<Value>(&printed).unwrap()[0]["locked"].clone()
    };
    let profile = nodelith::profile::Profile::load(&folder.path().join("edge.toml")).unwrap();
    assert_eq!(
        locked("format = 1\nprofile = \"edge\"\n[architecture]\n"),
        false
    );
    let selection = nodelith::lock::selection(&profile, "amd64");
    let lock = format!(
        "format = 1\nprofile = \"edge\"\n[architecture.amd64]\nselection = \"{selection}\"\n\
         source-date-epoch = 1\n"
    );
    assert_eq!(locked(&lock), true);
}

#[test]
fn what_is_refused() {
    let folder = profiles();
    let said = |arguments: &[&str]| {
        let mut command = nodelith();
        command.current_dir(folder.path()).arg("matrix");
        refused(command.args(arguments), 2)
    };
    fs::copy(
        folder.path().join("edge.toml"),
        folder.path().join("copy.toml"),
    )
    .unwrap();
    assert_snapshot!(said(&["edge.toml", "copy.toml"]), @r#"
    error: `edge.toml` and `copy.toml` are both of the image `edge`
    hint: their tags and outputs would be one another's: give one another `name`
    "#);
    assert_snapshot!(said(&["edge.toml", "--arch", "arm64"]), @r#"
    error: no profile is made for arm64
    hint: a profile says in `architecture` what it is made for
    "#);
    assert_snapshot!(said(&["edge.lock.toml"]), @"error: there is no profile, only locks");
    assert_snapshot!(said(&["edge.toml", "--runner", "arm64"]), @r#"
    error: invalid value 'arm64' for '--runner <ARCH=LABEL>': a runner is given as ARCH=LABEL

    For more information, try '--help'.
    "#);
    assert_snapshot!(said(&["none.toml"]), @r#"
    error: the profile `none.toml` does not exist
    hint: `nodelith init` writes a profile to begin with
    "#);
}
