//! What a base says it is: os-release and databases of packages, in the lock and for
//! the check.

use std::process::Command;

use serde_json::{Value, json};

use super::common::{self, run};
use super::fixture::{Base, Layer, PROFILE, Scene};

/// Alpine's shape: apk's database, os-release below /etc, no systemd.
fn alpine(musl: &str) -> Base {
    let database = format!(
        "C:Q1x=\nP:musl\nV:{musl}\nA:x86_64\nF:lib\nR:ld-musl-x86_64.so.1\n\nP:containerd\nV:2.1.4-r0\nA:x86_64\n\n"
    );
    Base::of(vec![
        Layer::new()
            .folder("etc")
            .file(
                "etc/os-release",
                "ID=alpine\nPRETTY_NAME=\"Alpine Linux v3.22\"\n",
            )
            .file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
            .file("etc/group", "root:x:0:root\n")
            .folder("lib/apk/db")
            .file("lib/apk/db/installed", database)
            .folder("usr/bin")
            .program("usr/bin/containerd"),
    ])
}

/// Rocky's shape: rpm's database in SQLite, os-release behind links.
fn rocky() -> Base {
    const SCRIPT: &str = r#"
import sqlite3, struct, sys
def header(name, version, release):
    store, tags = b"", []
    for tag, text in ((1000, name), (1001, version), (1002, release)):
        tags.append(struct.pack(">IIII", tag, 6, len(store), 1))
        store += text.encode() + b"\0"
    return struct.pack(">II", len(tags), len(store)) + b"".join(tags) + store
db = sqlite3.connect(sys.argv[1])
db.execute("CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)")
for row in [("containerd.io", "1.7.27", "3.1.el9"), ("systemd", "252", "51.el9"), ("bash", "5.1.8", "9.el9")]:
    db.execute("INSERT INTO Packages (blob) VALUES (?)", (header(*row),))
db.commit()
"#;
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("rpmdb.sqlite");
    run(Command::new("python3").args(["-c", SCRIPT]).arg(&database));
    let database = std::fs::read(&database).unwrap();
    Base::of(vec![
        Layer::new()
            .folder("etc")
            .link("etc/os-release", "../usr/lib/os-release")
            .folder("usr/lib/os.release.d")
            .file(
                "usr/lib/os.release.d/rocky",
                "NAME=\"Rocky Linux\"\nPRETTY_NAME=\"Rocky Linux 9.6 (Blue Onyx)\"\nID=rocky\n",
            )
            .link("usr/lib/os-release", "./os.release.d/rocky")
            .file("etc/passwd", "root:x:0:0:root:/root:/bin/bash\n")
            .file("etc/group", "root:x:0:\n"),
        Layer::new()
            .folder("var/lib/rpm")
            .file("var/lib/rpm/rpmdb.sqlite", database)
            .folder("usr/bin")
            .program("usr/bin/containerd"),
    ])
}

fn base(scene: &Scene) -> Value {
    let lock = scene.lock();
    let base = lock["architecture"]["amd64"]["base"].clone();
    serde_json::to_value(base).unwrap()
}

/// What the check finds out about the image in `out`.
fn checked(scene: &Scene) -> Value {
    let arguments = ["check", "out", "--fail-on", "never"];
    common::json(&mut scene.nodelith(&arguments))
}

#[test]
fn packages_of_apk() {
    let (scene, _) = Scene::on(PROFILE, &alpine("1.2.5-r10"));
    scene.built(&[]);
    let locked = base(&scene);
    assert_eq!(locked["os"], "Alpine Linux v3.22");
    assert_eq!(
        locked["packages"],
        json!({"musl": "1.2.5-r10", "containerd": "2.1.4-r0"})
    );
    let epoch = &scene.lock()["architecture"]["amd64"]["source-date-epoch"];
    assert_eq!(epoch.as_integer(), Some(1_767_323_045));
    let found = checked(&scene);
    assert_eq!(found["versions"]["containerd"]["version"], "2.1.4");
    // containerd is configured as that version reads it, the name of the image is Alpine's place.
    let shown = common::json(&mut scene.nodelith(&["show", "out", "--files", "--packages"]));
    assert_eq!(shown["packages"]["musl"], "1.2.5-r10");
    let files = shown["files"].as_array().unwrap();
    let path = |path: &str| files.iter().filter(|file| file["path"] == path).count();
    assert_eq!(path("usr/lib/os-release"), 0);
    assert_eq!(path("etc/containerd/config.toml"), 1);

    // A new base shows what it changes.
    alpine("1.2.6-r0").write(&scene.path("base"), "1");
    let said = scene.failing(3, &mut scene.build(&["--locked"]));
    assert!(said.contains("is not what the profile asks for"), "{said}");
    let outdated = scene
        .nodelith(&["lock", "node.toml", "--outdated", "--json"])
        .output()
        .unwrap();
    assert_eq!(outdated.status.code(), Some(1));
    let outdated = common::document(&outdated.stdout);
    assert_eq!(outdated["outdated"][0]["name"], "oci:base:1");
    let renewed = common::json(&mut scene.nodelith(&["lock", "node.toml"]));
    let changes = renewed["changes"].as_array().unwrap();
    assert_eq!(changes[0]["name"], "musl");
    assert_eq!(
        [&changes[0]["before"], &changes[0]["after"]],
        ["1.2.5-r10", "1.2.6-r0"]
    );
    assert_eq!(changes[1]["name"], "oci:base:1");
    assert_eq!(changes.len(), 2);
}

#[test]
fn packages_of_rpm() {
    let (scene, _) = Scene::on(PROFILE, &rocky());
    scene.built(&["--compression", "gzip"]);
    let locked = base(&scene);
    assert_eq!(locked["os"], "Rocky Linux 9.6 (Blue Onyx)");
    assert_eq!(locked["packages"]["containerd.io"], "1.7.27-3.1.el9");
    let found = checked(&scene);
    assert_eq!(found["versions"]["containerd"]["version"], "1.7.27");
    // The profile is looked at with the base under it.
    let arguments = ["check", "node.toml", "--fail-on", "never"];
    let profile = common::json(&mut scene.nodelith(&arguments));
    assert_eq!(profile["versions"]["containerd"]["version"], "1.7.27");
    let shown = scene.nodelith(&["show", "out"]).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("\nbase          sha256:"), "{shown}");
    let root = scene.unpacked();
    let text = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    // The link is replaced, not what it leads to.
    assert!(text("usr/lib/os-release").ends_with("ID=rocky\nIMAGE_ID=node\nIMAGE_VERSION=7\n"));
    assert!(!text("usr/lib/os.release.d/rocky").contains("IMAGE_ID"));
    // 1.7 has the second version of its configuration.
    assert!(text("etc/containerd/config.toml").contains("version = 2"));
}

#[test]
fn a_database_that_is_not_read_is_told() {
    let mut old = rocky();
    old.layers.push(
        Layer::new()
            .file("var/lib/rpm/.wh.rpmdb.sqlite", "")
            .file("var/lib/rpm/Packages", "Berkeley")
            .finish(),
    );
    let (scene, _) = Scene::on(PROFILE, &old);
    let said = scene.nodelith(&["lock", "node.toml"]).output().unwrap();
    let said = String::from_utf8(said.stderr).unwrap();
    assert!(said.contains("/var/lib/rpm/Packages: a database"), "{said}");
    assert!(base(&scene)["packages"].is_null());
}
