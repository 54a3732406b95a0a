//! What is pinned, when a lock changes, and what a vendor folder has.

use std::fs;

use insta::assert_snapshot;
use serde_json::Value;

use super::common::{json, output, run};
use super::scene::text;
use super::upstream::{ARCHITECTURES, PUBLISHED, path, release};
use super::{ALL, CRICTL, Stage};

const NEEDED: [&str; 6] = [
    "cni-plugins 1.9.1",
    "containerd 2.3.4",
    "crictl 1.36.0",
    "kubeadm 1.36.4",
    "kubelet 1.36.4",
    "runc 1.4.3",
];

#[test]
fn known_digests_need_no_network() {
    let stage = Stage::new(ALL);
    run(&mut stage.command(&["lock", "node.toml"]));
    assert!(stage.upstream.asked().is_empty());
    for architecture in ARCHITECTURES {
        assert_eq!(stage.versions(architecture), NEEDED);
        for [name, version, source, digest] in stage.components(architecture) {
            assert_eq!(source, "release");
            let bytes = release(&name, &version, architecture);
            assert_eq!(digest, nodelith::digest::Digest::of(&bytes).to_string());
        }
    }
    let lock = fs::read_to_string(stage.scene.path("node.lock.toml")).unwrap();
    assert!(
        !lock.contains("127.0.0.1") && !lock.contains("http"),
        "{lock}"
    );
}

#[test]
fn a_control_plane_has_kubectl() {
    let role = "version = \"1.36\"\nrole = \"control-plane\"";
    let stage = Stage::new(&ALL.replace("version = \"1.36\"", role));
    run(&mut stage.command(&["lock", "node.toml"]));
    let versions = stage.versions("arm64");
    assert!(
        versions.contains(&"kubectl 1.36.4".to_owned()),
        "{versions:?}"
    );
}

/// Of each form of checksum file.
#[test]
fn what_the_table_does_not_have_is_asked_for() {
    let unknown = [
        ("kubelet", "1.36.99"),
        ("kubeadm", "1.36.99"),
        ("crictl", "1.36.99"),
        ("containerd", "2.3.99"),
        ("runc", "1.4.99"),
        ("cni-plugins", "1.9.99"),
    ];
    let profile = ALL
        .replace("\"1.36\"", "\"1.36.99\"")
        .replace("\"2.3\"", "\"2.3.99\"")
        .replace("\"1.4.3\"", "\"1.4.99\"")
        .replace("\"1.9\"", "\"1.9.99\"")
        .replace("[crictl]\n", "[crictl]\nversion = \"1.36.99\"\n");
    let stage = Stage::new(&profile);
    let mut digests = Vec::new();
    for (name, version) in unknown {
        for architecture in ARCHITECTURES {
            digests.push(stage.upstream.publish(name, version, architecture));
        }
    }
    run(&mut stage.command(&["lock", "node.toml"]));
    for architecture in ARCHITECTURES {
        for [name, version, _, digest] in stage.components(architecture) {
            assert!(version.ends_with(".99"), "{name} {version}");
            assert!(digests.iter().any(|known| known.to_string() == digest));
        }
    }
    // Only the checksum files were read, and what is pinned now is not asked for again.
    let asked = stage.upstream.asked();
    assert!(
        asked.iter().all(|path| path.contains(".sha256")),
        "{asked:?}"
    );
    run(&mut stage.command(&["lock", "node.toml"]));
    assert!(stage.upstream.asked().is_empty());
}

#[test]
fn configuration_renews_no_lock_and_versions_do() {
    let stage = Stage::new(ALL);
    let lock = |stage: &Stage| fs::read(stage.scene.path("node.lock.toml")).unwrap();
    run(&mut stage.command(&["lock", "node.toml"]));
    let first = lock(&stage);
    let edits = "plugins = [\"loopback\"]\n\n[crictl]\ntimeout = 5\n";
    stage.scene.write(
        "node.toml",
        ALL.replace("\n[crictl]\n", edits)
            .replace("[kubelet]\n", "[kubelet]\nflags = { v = 2 }\n"),
    );
    run(&mut stage.command(&["lock", "node.toml"]));
    assert_eq!(lock(&stage), first);

    // A newer table alone renews nothing; the names that are asked for are renewed.
    let mut table = fs::read_to_string(stage.scene.path("releases.toml")).unwrap();
    for (name, version) in [
        ("kubelet", "1.36.5"),
        ("kubeadm", "1.36.5"),
        ("runc", "1.4.4"),
    ] {
        table += &format!("[{name}.sha256.\"{version}\"]\n");
        for architecture in ARCHITECTURES {
            let digest = stage.upstream.publish(name, version, architecture);
            table += &format!("{architecture} = \"{}\"\n", digest.hex());
        }
    }
    stage.scene.write("releases.toml", table);
    run(&mut stage.command(&["lock", "node.toml"]));
    assert_eq!(lock(&stage), first);
    let mut outdated = stage.command(&["lock", "node.toml", "--outdated", "--arch", "amd64"]);
    let outdated = output(&mut outdated);
    assert_eq!(outdated.status.code(), Some(1));
    assert_snapshot!(text(&outdated.stdout), @r"
    NAME     LOCKED  NEWEST  SUITE
    kubeadm  1.36.4  1.36.5  releases
    kubelet  1.36.4  1.36.5  releases
    runc     1.4.3   1.4.4   releases
    ");
    let update = run(&mut stage.command(&["lock", "node.toml", "--update", "kubelet"]));
    assert_snapshot!(text(&update), @r"
    NAME             BEFORE  AFTER
    kubelet (amd64)  1.36.4  1.36.5
    kubelet (arm64)  1.36.4  1.36.5

    node.lock.toml
    ");
    assert!(
        stage
            .versions("arm64")
            .contains(&"kubeadm 1.36.4".to_owned())
    );
    // All that can be renewed: runc is not, since the profile names one.
    run(&mut stage.command(&["lock", "node.toml", "--update"]));
    let versions = stage.versions("arm64");
    assert!(
        versions.contains(&"kubeadm 1.36.5".to_owned()),
        "{versions:?}"
    );
    assert!(versions.contains(&"runc 1.4.3".to_owned()), "{versions:?}");

    // Another version in the profile: what is not of it stays.
    stage
        .scene
        .write("node.toml", ALL.replace("\"1.4.3\"", "\"1.4.4\""));
    let changes = json(&mut stage.command(&["lock", "node.toml", "--arch", "amd64"]));
    let [change] = &changes["changes"].as_array().unwrap()[..] else {
        panic!("{changes:#}");
    };
    assert_eq!(
        (&change["name"], &change["after"]),
        (&"runc".into(), &"1.4.4".into())
    );
}

/// Kubernetes 1.37 has no crictl in the table: the nearest older one, and a note.
#[test]
fn crictl_of_an_older_minor() {
    let stage = Stage::new(&CRICTL.replace("\"1.36\"", "\"1.37\""));
    let locked = output(&mut stage.command(&["lock", "node.toml"]));
    assert!(locked.status.success());
    assert_eq!(stage.versions("amd64"), ["crictl 1.36.0"]);
    assert_snapshot!(stage.scene.named(&locked.stderr), @r"
    no crictl of Kubernetes 1.37 is known: it is 1.36.0, of the nearest older minor
       resolving 1 package in 1 suite in [SECONDS]
    wrote the lock `node.lock.toml`
    ");
}

#[test]
fn a_vendor_folder_has_releases() {
    let stage = Stage::new(ALL);
    run(&mut stage.command(&["lock", "node.toml"]));
    run(&mut stage.command(&["vendor", "node.toml"]));
    for (name, version) in PUBLISHED.into_iter().filter(|(name, _)| *name != "kubectl") {
        for architecture in ARCHITECTURES {
            let bytes = release(name, version, architecture);
            let hex = nodelith::digest::Digest::of(&bytes).hex();
            let path = stage.scene.path("vendor/components").join(hex);
            assert_eq!(fs::read(path).unwrap(), bytes, "{name} {architecture}");
        }
    }
    // From that folder alone, into another store.
    stage.upstream.asked();
    let mut again = stage.command(&["vendor", "node.toml", "--vendor", "vendor", "-o", "again"]);
    run(again.args(["--store", "other"]));
    assert!(stage.upstream.asked().is_empty());
    let list = |folder: &str| -> Vec<_> {
        let entries = fs::read_dir(stage.scene.path(folder)).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(list("again/components"), list("vendor/components"));
    // A file of it that was changed is not taken.
    let bytes = release("runc", "1.4.3", "amd64");
    let hex = nodelith::digest::Digest::of(&bytes).hex();
    stage.scene.write(&format!("vendor/components/{hex}"), b"x");
    let mut wrong = stage.command(&["vendor", "node.toml", "--vendor", "vendor", "-o", "third"]);
    let said = stage.failing_anyhow(4, wrong.args(["--store", "third-store"]));
    assert!(
        said.contains("`runc 1.4.3` is not what was asked for"),
        "{said}"
    );
}

/// A local file takes the place of the download: held against what is known, else
/// pinned as it is.
#[test]
fn local_files() {
    let stage = Stage::new(CRICTL);
    let known = release("crictl", "1.36.0", "amd64");
    stage.scene.write("known.tgz", &known);
    let component = ["--component", "crictl=known.tgz"];
    run(stage.command(&["lock", "node.toml"]).args(component));
    let [[_, _, source, digest]] = &stage.components("amd64")[..] else {
        panic!();
    };
    assert_eq!(source, "release");
    assert_eq!(*digest, nodelith::digest::Digest::of(&known).to_string());
    run(stage.command(&["vendor", "node.toml"]).args(component));
    assert!(stage.upstream.asked().is_empty());

    // One that nobody knows.
    stage.scene.write(
        "node.toml",
        CRICTL.replace("[crictl]\n", "[crictl]\nversion = \"1.36.0-site.1\"\n"),
    );
    let own = super::upstream::tar(&[("crictl", "#!/bin/sh\necho mine\n")], &[]);
    stage.scene.write("own.tgz", &own);
    let mut lock = stage.command(&["lock", "node.toml", "--component", "crictl=own.tgz"]);
    let locked = output(&mut lock);
    assert!(locked.status.success());
    assert_snapshot!(stage.scene.named(&locked.stderr), @r"
    `own.tgz` is pinned as `crictl 1.36.0-site.1` for amd64 as it is: no digest of that release is known
       resolving 1 package in 1 suite in [SECONDS]
    wrote the lock `node.lock.toml`
    ");
    let [[_, version, source, _]] = &stage.components("amd64")[..] else {
        panic!();
    };
    assert_eq!(
        (version.as_str(), source.as_str()),
        ("1.36.0-site.1", "local")
    );
    // It is in the store now, and is not asked for elsewhere.
    run(&mut stage.command(&["vendor", "node.toml"]));
    assert!(stage.upstream.asked().is_empty());
}

#[test]
fn json_has_them_too() {
    let stage = Stage::new(CRICTL);
    let changes = json(&mut stage.command(&["lock", "node.toml"]));
    let names: Vec<&Value> = changes["changes"].as_array().unwrap().iter().collect();
    assert!(names.iter().any(|change| change["name"] == "crictl"
        && change["after"] == "1.36.0"
        && change["before"].is_null()));
}

/// Programs for the architecture are what a release must hold.
#[test]
fn the_server_publishes_what_the_tests_say() {
    assert_eq!(
        path("runc", "1.4.3", "arm64"),
        "/github.com/opencontainers/runc/releases/download/v1.4.3/runc.arm64"
    );
    assert_eq!(
        release("crictl", "1.0.0", "amd64"),
        release("crictl", "1.0.0", "amd64")
    );
}
