//! What is said of each node, and the profile that is made of it.

use std::fs;

use insta::assert_snapshot;

use super::common::json;
use super::{NODES, import, name, output, run};
use crate::common::nodelith;

#[test]
fn each_has_its_report_and_profile() {
    for (node, kubernetes) in NODES {
        let folder = tempfile::tempdir().unwrap();
        let said = run(&mut import(node, kubernetes, folder.path()));
        let report = String::from_utf8(said).unwrap();
        let profile = fs::read_to_string(folder.path().join("node.toml")).unwrap();
        assert_snapshot!(name(node), format!("{report}\n\n=====\n{profile}"));
        assert!(!report.contains("hunter2") && !profile.contains("hunter2"));
        assert!(!report.contains("PRIVATE KEY") && !profile.contains("PRIVATE KEY"));
    }
}

/// The same node gives the same profile, and `check` finds no error in it.
#[test]
fn profiles_are_well_and_the_same_again() {
    for (node, kubernetes) in NODES {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for folder in [&one, &two] {
            run(&mut import(node, kubernetes, folder.path()));
        }
        let text = |folder: &tempfile::TempDir| fs::read(folder.path().join("node.toml")).unwrap();
        assert_eq!(text(&one), text(&two));
        let profile = one.path().join("node.toml");
        let check = output(nodelith().arg("check").arg(&profile));
        let said = String::from_utf8_lossy(&check.stdout);
        assert!(check.status.success(), "{node}:\n{said}");
    }
}

#[test]
fn every_setting_is_in_one_part() {
    let folder = tempfile::tempdir().unwrap();
    let (node, kubernetes) = NODES[0];
    let document = json(&mut import(node, kubernetes, folder.path()));
    let settings = document["settings"].as_array().unwrap();
    let count = |part: &str| settings.iter().filter(|one| one["part"] == part).count();
    for part in ["carried", "changed", "lost"] {
        assert_eq!(document[part], count(part), "{part}");
    }
    // Every key of daemon.json, by the place where it stands.
    let text = fs::read_to_string(format!("{node}/etc/docker/daemon.json")).unwrap();
    let daemon: serde_json::Value = serde_json::from_str(&text).unwrap();
    let daemon = daemon.as_object().unwrap();
    assert!(daemon.len() >= 40, "{}", daemon.len());
    assert!(!document.to_string().contains("hunter2"));
    for key in daemon.keys() {
        let named = |one: &&serde_json::Value| {
            let setting = one["setting"].as_str().unwrap();
            one["place"]["file"] == "/etc/docker/daemon.json"
                && (setting == format!("docker {key}")
                    || setting.starts_with(&format!("docker {key}.")))
        };
        assert!(settings.iter().any(|one| named(&one)), "{key}");
    }
    // The authority of a registry is beside the profile, its client's key is not.
    let files = document["files"].as_array().unwrap();
    assert_eq!(files.len(), 1);
    let authority = folder.path().join(files[0].as_str().unwrap());
    assert!(
        fs::read_to_string(authority)
            .unwrap()
            .contains("BEGIN CERTIFICATE")
    );
}

/// A default runtime is one of those that daemon.json or the flags add, in any order.
#[test]
fn default_runtimes_are_found_wherever_they_were_added() {
    let default = r#"{"default-runtime": "crun"}"#;
    let added = r#"{"runtimes": {"crun": {"path": "/usr/bin/crun"}}}"#;
    for (daemon, flags) in [
        (default, "--add-runtime=crun=/usr/bin/crun"),
        (added, "--default-runtime=crun"),
        (
            "{}",
            "--default-runtime=crun --add-runtime=crun=/usr/bin/crun",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let node = folder.path().join("node");
        for (path, text) in [
            ("etc/docker/daemon.json", daemon.to_owned()),
            ("etc/default/docker", format!("DOCKER_OPTS=\"{flags}\"\n")),
        ] {
            fs::create_dir_all(node.join(path).parent().unwrap()).unwrap();
            fs::write(node.join(path), text).unwrap();
        }
        let mut import = import(node.to_str().unwrap(), Some("1.33"), folder.path());
        let report = String::from_utf8(run(&mut import)).unwrap();
        let profile = fs::read_to_string(folder.path().join("node.toml")).unwrap();
        assert!(profile.contains("default-runtime = \"crun\""), "{report}");
    }
}
