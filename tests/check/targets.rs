//! Every kind of target: the same root says the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nodelith::digest::Digest;
use serde_json::{Value, json};

use super::common::{document, nodelith, output, refused, run};

const ROOT: &str = "tests/check/fixtures/kubeadm-1.20";

/// The findings of a target, without its name.
fn findings(target: &str) -> Value {
    let output = output(nodelith().args(["check", target, "--json", "--date", "2022-01-01"]));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{target}: {said}");
    let mut value = document(&output.stdout);
    value["target"] = Value::Null;
    value
}

/// A tar archive of the fixture, owned by root.
fn tar(folder: &Path, name: &str, compress: &str) -> String {
    let path = folder.join(name);
    run(Command::new("tar")
        .args([
            "--owner=0",
            "--group=0",
            "--numeric-owner",
            "--sort=name",
            compress,
            "-cf",
        ])
        .arg(&path)
        .args(["-C", ROOT, "."]));
    path.to_str().unwrap().to_owned()
}

/// An image layout of tars, the lowest first.
fn layout(folder: &Path, layers: &[PathBuf]) -> PathBuf {
    let layout = folder.join("layout");
    let blobs = layout.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let put = |bytes: &[u8]| {
        let digest = Digest::of(bytes);
        fs::write(blobs.join(digest.hex()), bytes).unwrap();
        json!({"digest": digest, "size": bytes.len()})
    };
    let with = |mut descriptor: Value, kind: &str| {
        descriptor["mediaType"] = kind.into();
        descriptor
    };
    let tars: Vec<Vec<u8>> = layers.iter().map(|path| fs::read(path).unwrap()).collect();
    let diff_ids: Vec<_> = tars.iter().map(|tar| Digest::of(tar)).collect();
    let config = json!({
        "architecture": "amd64", "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    let config = put(config.to_string().as_bytes());
    let layers: Vec<_> = tars
        .iter()
        .map(|tar| with(put(tar), "application/vnd.oci.image.layer.v1.tar"))
        .collect();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": with(config, "application/vnd.oci.image.config.v1+json"), "layers": layers,
    });
    let manifest = with(
        put(manifest.to_string().as_bytes()),
        "application/vnd.oci.image.manifest.v1+json",
    );
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    fs::write(layout.join("index.json"), index.to_string()).unwrap();
    fs::write(
        layout.join("oci-layout"),
        "{\"imageLayoutVersion\":\"1.0.0\"}",
    )
    .unwrap();
    layout
}

#[test]
fn the_same_root_says_the_same_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = findings(ROOT);
    assert_eq!(
        wanted["counts"]["error"],
        wanted["findings"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|finding| finding["severity"] == "error")
            .count()
    );
    for (name, compress) in [
        ("r.tar", "--no-auto-compress"),
        ("r.tar.gz", "-z"),
        ("r.tar.xz", "-J"),
        ("r.tar.zst", "--zstd"),
    ] {
        let path = tar(folder.path(), name, compress);
        assert_eq!(findings(&path), wanted, "{name}");
    }
    let image = layout(folder.path(), &[folder.path().join("r.tar")]);
    let image = image.to_str().unwrap().to_owned();
    assert_eq!(findings(&image), wanted);
    assert_eq!(findings(&format!("oci:{image}")), wanted);
    let archive = folder.path().join("image.tar");
    run(Command::new("tar")
        .arg("-cf")
        .arg(&archive)
        .args(["-C", &image, "."]));
    assert_eq!(findings(archive.to_str().unwrap()), wanted);
    assert_eq!(
        findings(&format!("oci-archive:{}", archive.display())),
        wanted
    );
}

/// What a later layer changes or takes away is no finding any more.
#[test]
fn lower_layers_are_hidden() {
    let folder = tempfile::tempdir().unwrap();
    tar(folder.path(), "r.tar", "--no-auto-compress");
    let upper = folder.path().join("upper");
    fs::create_dir_all(upper.join("etc/containerd")).unwrap();
    fs::write(
        upper.join("etc/containerd/config.toml"),
        "version = 2\nrequired_plugins = [\"io.containerd.grpc.v1.cri\"]\n",
    )
    .unwrap();
    fs::write(upper.join("etc/.wh.fstab"), "").unwrap();
    run(Command::new("tar")
        .args(["--owner=0", "--group=0", "-C"])
        .arg(&upper)
        .arg("-cf")
        .arg(folder.path().join("u.tar"))
        .arg("."));
    let image = layout(
        folder.path(),
        &[folder.path().join("r.tar"), folder.path().join("u.tar")],
    );
    let found = findings(image.to_str().unwrap()).to_string();
    assert!(found.contains("ND-DOC-003"));
    for id in ["ND-CRI-001", "ND-NODE-004", "ND-CRI-019"] {
        assert!(!found.contains(id), "{id}");
    }
}

/// rpm's database, as rpm writes it: an SQLite file with a row for each header.
#[test]
fn packages_of_rpm() {
    const SCRIPT: &str = r#"
import sqlite3, struct, sys
def header(name, version, release, epoch=None):
    store, tags = b"", []
    for tag, text in ((1000, name), (1001, version), (1002, release)):
        tags.append(struct.pack(">IIII", tag, 6, len(store), 1))
        store += text.encode() + b"\0"
    if epoch is not None:
        store += b"\0" * (-len(store) % 4)
        tags.append(struct.pack(">IIII", 1003, 4, len(store), 1))
        store += struct.pack(">I", epoch)
    # A long text, so that rows need overflow pages.
    tags.append(struct.pack(">IIII", 1005, 6, len(store), 1))
    store += b"x" * 20000 + b"\0"
    return struct.pack(">II", len(tags), len(store)) + b"".join(tags) + store
db = sqlite3.connect(sys.argv[1])
db.execute("CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)")
rows = [("containerd.io", "1.6.4", "3.1.el9"), ("kubelet", "1.24.1", "0"), ("runc", "1.1.4", "1", 4)]
rows += [("filler-%d" % number, "1", "1") for number in range(500)]
for row in rows:
    db.execute("INSERT INTO Packages (blob) VALUES (?)", (header(*row),))
db.commit()
"#;
    let folder = tempfile::tempdir().unwrap();
    let rpm = folder.path().join("var/lib/rpm");
    fs::create_dir_all(&rpm).unwrap();
    run(Command::new("python3")
        .args(["-c", SCRIPT])
        .arg(rpm.join("rpmdb.sqlite")));
    let target = folder.path().to_str().unwrap();
    let said = document(&output(nodelith().args(["check", target, "--json"])).stdout);
    assert_eq!(said["versions"]["containerd"]["version"], "1.6.4");
    assert_eq!(
        said["versions"]["containerd"]["from"],
        "package `containerd.io` 1.6.4-3.1.el9"
    );
    assert_eq!(said["versions"]["kubernetes"]["version"], "1.24.1");
    assert_eq!(said["versions"]["runc"]["from"], "package `runc` 4:1.1.4-1");
    // Another form of the database is said to be unread, and half a one is no crash.
    fs::write(rpm.join("Packages.db"), "RpmP").unwrap();
    let whole = fs::read(rpm.join("rpmdb.sqlite")).unwrap();
    fs::write(rpm.join("rpmdb.sqlite"), &whole[..whole.len() / 2]).unwrap();
    let said = document(&output(nodelith().args(["check", target, "--json"])).stdout).to_string();
    assert!(
        said.contains("not read: /var/lib/rpm/Packages.db"),
        "{said}"
    );
    assert!(
        said.contains("not read: /var/lib/rpm/rpmdb.sqlite"),
        "{said}"
    );
}

#[test]
fn what_cannot_be_read_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let saved = folder.path().join("saved.tar");
    fs::write(folder.path().join("manifest.json"), "[]").unwrap();
    run(Command::new("tar")
        .arg("-cf")
        .arg(&saved)
        .arg("-C")
        .arg(folder.path())
        .arg("manifest.json"));
    let said = refused(nodelith().arg("check").arg(&saved), 2);
    assert!(
        said.contains("docker save") && said.contains("skopeo copy"),
        "{said}"
    );
    let said = refused(
        nodelith().args([
            "check",
            "docker://127.0.0.1:1/node:1",
            "--plain-http",
            "--retries",
            "0",
        ]),
        5,
    );
    assert!(said.contains("127.0.0.1:1"), "{said}");
    let said = refused(nodelith().arg("check"), 2);
    assert!(said.contains("there is nothing to look at"), "{said}");
    refused(nodelith().args(["check", "not-there"]), 2);
    refused(
        nodelith().args(["check", "--containerd-config", "not-there"]),
        7,
    );
    refused(nodelith().args(["check", ROOT, "--date", "yesterday"]), 2);
    refused(
        nodelith().args(["check", ROOT, "--containerd-version", "new"]),
        2,
    );
}

/// Pods are given copies of files of the root.
#[test]
fn a_root_without_a_hosts_file() {
    let root = || super::scene::root().config("version = 2\n");
    assert!(root().finds("ND-NODE-017"));
    assert!(!root().file("etc/hosts", "").finds("ND-NODE-017"));
    let loose = super::scene::scene().config("version = 2\n");
    assert!(!loose.finds("ND-NODE-017"));
}
