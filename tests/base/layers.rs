//! What stays of a base as it is, and what comes over it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::common::{manifest_digest, run};
use super::fixture::{Base, Layer, PROFILE, Scene, TIME, small};

/// Over the small base: files, a unit, a user, removals.
const MORE: &str = r##"
remove = ["/etc/site/b", "/opt", "/lib/systemd/system/agent.service"]

[image]
labels = { owner = "us" }

[sysctl]
net.ipv4.ip_forward = 1

[modules]
load = ["overlay"]

[[files]]
path = "/etc/motd"
text = "ours\n"

[[files]]
path = "/bin/added"
text = "#!/bin/sh\n"
mode = "0755"

[[files]]
path = "/etc/site/c"
text = "c\n"

[[files]]
path = "/usr/lib/systemd/system/ours.service"
text = "[Service]\nExecStart=/bin/added\n[Install]\nWantedBy=multi-user.target\n"

[units]
enable = ["ours.service"]

[[users]]
name = "ops"
uid = 1500
"##;

/// What umoci reads.
const GZIP: [&str; 2] = ["--compression", "gzip"];

fn profile() -> String {
    format!("{PROFILE}{MORE}")
}

#[test]
fn layers_of_the_base_are_as_they_were() {
    let (scene, base) = Scene::on(&profile(), &small());
    let built = scene.built(&[]);
    let layers = scene.layers();
    assert_eq!(layers[..2], base);
    let of_the_base = &built["images"][0]["layers"];
    assert_eq!(of_the_base[0]["id"], "base-00");
    assert_eq!(of_the_base[0]["reused"], true);
    assert_eq!(of_the_base[2]["id"], "removed");
    // Byte for byte, in whatever compression they came.
    for (number, digest) in base.iter().enumerate() {
        let hex = digest.trim_start_matches("sha256:");
        let blob = |layout: &str| fs::read(scene.path(layout).join("blobs/sha256").join(hex));
        assert_eq!(blob("out").unwrap(), blob("base").unwrap(), "{number}");
    }
    let [manifest, _] = scene.documents();
    let types: Vec<_> = ["", "+gzip", "+zstd", "+zstd"]
        .map(|end| format!("application/vnd.oci.image.layer.v1.tar{end}"))
        .into();
    let found = manifest["layers"].as_array().unwrap();
    let found: Vec<_> = found.iter().map(|layer| &layer["mediaType"]).collect();
    assert_eq!(found, types.iter().collect::<Vec<_>>());
    // With another compression of ours they still are.
    scene.built(&["--compression", "none"]);
    assert_eq!(scene.layers()[..2], base);
}

#[test]
fn configuration_is_handed_on() {
    let (scene, _) = Scene::on(&profile(), &small());
    scene.built(&[]);
    let [manifest, config] = scene.documents();
    assert_eq!(config["architecture"], "amd64");
    assert_eq!(config["created"], "2026-01-02T03:04:05Z");
    let run = &config["config"];
    assert_eq!(
        run["Env"],
        json!(["PATH=/opt/bin:/usr/bin", "LANG=C.UTF-8"])
    );
    assert_eq!(run["Cmd"], json!(["/sbin/init"]));
    assert!(
        run["Entrypoint"].is_null() && run["User"].is_null(),
        "{run:#}"
    );
    let labels = json!({
        "vendor": "small", "owner": "us", "org.opencontainers.image.version": "7",
    });
    assert_eq!(run["Labels"], labels);
    let history = config["history"].as_array().unwrap();
    let by: Vec<_> = history.iter().map(|one| &one["created_by"]).collect();
    let expected = [
        "base 00",
        "base 01",
        "nodelith removed",
        "nodelith configuration",
    ];
    assert_eq!(
        by,
        expected
            .iter()
            .map(|one| json!(one))
            .collect::<Vec<_>>()
            .iter()
            .collect::<Vec<_>>()
    );
    let diff_ids = config["rootfs"]["diff_ids"].as_array().unwrap();
    assert_eq!(diff_ids.len(), manifest["layers"].as_array().unwrap().len());
    // skopeo reads all of it, and verifies each layer on the way.
    let inspected = run_skopeo(&[
        "inspect",
        "--config",
        &format!("oci:{}:7", scene.path("out").display()),
    ]);
    let inspected: Value = serde_json::from_slice(&inspected).unwrap();
    assert_eq!(inspected["config"]["Labels"], labels);
    let copy = scene.path("copy");
    run_skopeo(&[
        "copy",
        "--preserve-digests",
        &format!("oci:{}:7", scene.path("out").display()),
        &format!("oci:{}:7", copy.display()),
    ]);
    assert_eq!(manifest_digest(&copy), manifest_digest(&scene.path("out")));
}

fn run_skopeo(arguments: &[&str]) -> Vec<u8> {
    run(Command::new("skopeo")
        .arg("--insecure-policy")
        .args(arguments))
}

#[test]
fn umoci_sees_what_was_asked_for() {
    let (scene, _) = Scene::on(&profile(), &small());
    let built = scene.built(&GZIP);
    let root = scene.unpacked();
    let text = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    // Removed: a file, a folder with all that is in it, one behind a link.
    for gone in [
        "etc/site/b",
        "opt",
        "usr/lib/systemd/system/agent.service",
        "usr/lib/doomed",
    ] {
        assert!(!root.join(gone).exists(), "{gone}");
    }
    // Replaced and added, links to directories followed and kept.
    assert_eq!(text("etc/motd"), "ours\n");
    assert_eq!(text("etc/site/a"), "a\n");
    assert_eq!(text("etc/site/c"), "c\n");
    assert_eq!(
        fs::read_link(root.join("bin")).unwrap(),
        Path::new("usr/bin")
    );
    assert!(root.join("usr/bin/added").is_file());
    assert!(text("etc/passwd").contains("ops:x:1500:1500"));
    assert!(text("etc/passwd").starts_with("root:x:0:0"));
    let release = text("usr/lib/os-release");
    assert_eq!(
        release,
        "ID=small\nPRETTY_NAME=\"Small Linux 1\"\nIMAGE_ID=node\nIMAGE_VERSION=7\n"
    );
    let enabled = root.join("etc/systemd/system/multi-user.target.wants/ours.service");
    let target = fs::read_link(enabled).unwrap();
    assert_eq!(target, Path::new("/usr/lib/systemd/system/ours.service"));
    assert!(text("usr/lib/sysctl.d/90-nodelith.conf").contains("net.ipv4.ip_forward = 1"));
    // Nobody ran what this file says was run.
    assert!(!root.join("etc/.updated").exists());
    // Folders are as the base has them.
    let site = fs::metadata(root.join("etc/site")).unwrap();
    assert_eq!(site.mode() & 0o7777, 0o750);
    if rustix::process::geteuid().is_root() {
        assert_eq!(site.uid(), 7);
    }
    assert_eq!(site.mtime(), i64::try_from(TIME).unwrap());
    // And it is said.
    let over = &built["images"][0]["base"];
    assert_eq!(
        over["removed"],
        json!(["etc/site/b", "opt", "usr/lib/systemd/system/agent.service"])
    );
    let replaced = over["replaced"].as_array().unwrap();
    for path in ["etc/motd", "etc/passwd", "usr/lib/os-release"] {
        assert!(replaced.contains(&json!(path)), "{path}: {replaced:?}");
    }
}

#[test]
fn the_same_digest_twice_and_from_separate_stores() {
    let (scene, _) = Scene::on(&profile(), &small());
    let first = scene.built(&[]);
    let again = scene.built(&["--locked"]);
    assert_eq!(again["unchanged"], true);
    assert_eq!(again["images"][0]["base"], first["images"][0]["base"]);
    let (other, _) = Scene::on(&profile(), &small());
    let second = other.built(&[]);
    assert_eq!(first["digest"], second["digest"]);
    let lock = |scene: &Scene| fs::read_to_string(scene.path("node.lock.toml")).unwrap();
    assert_eq!(lock(&scene), lock(&other));
    // The base is read once: what is configured anew asks no layer.
    scene.write(
        "node.toml",
        profile().replace("ours\\n", "else\\n").trim_start(),
    );
    fs::remove_dir_all(scene.path("base")).unwrap();
    let changed = scene.built(&["--locked"]);
    let made: Vec<_> = changed["images"][0]["layers"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|layer| layer["reused"] == false)
        .map(|layer| layer["id"].clone())
        .collect();
    assert_eq!(made, ["configuration"]);
}

#[test]
fn without_removals_there_is_no_layer_for_them() {
    let (scene, base) = Scene::on(PROFILE, &small());
    let built = scene.built(&[]);
    let layers = built["images"][0]["layers"].as_array().unwrap();
    let ids: Vec<_> = layers
        .iter()
        .map(|layer| layer["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["base-00", "base-01", "configuration"]);
    assert_eq!(scene.layers()[..2], base);
}

#[test]
fn a_folder_may_take_the_place_of_a_link() {
    let base = Base::of(vec![
        Layer::new()
            .folder("etc")
            .file("etc/passwd", "root:x:0:0::/root:/bin/sh\n")
            .folder("var/opt")
            .link("opt", "var/opt"),
    ]);
    let profile = format!(
        "{PROFILE}remove = [\"/opt\"]\n[[files]]\npath = \"/opt/tool/run\"\ntext = \"x\"\n"
    );
    let (scene, _) = Scene::on(&profile, &base);
    scene.built(&GZIP);
    let root = scene.unpacked();
    assert!(root.join("opt").symlink_metadata().unwrap().is_dir());
    assert!(root.join("opt/tool/run").is_file());
    assert!(!root.join("var/opt/tool").exists());
    // Without the removal the link is followed.
    let (scene, _) = Scene::on(&profile.replace("remove", "# remove"), &base);
    scene.built(&GZIP);
    let root = scene.unpacked();
    assert_eq!(
        fs::read_link(root.join("opt")).unwrap(),
        Path::new("var/opt")
    );
    assert!(root.join("var/opt/tool/run").is_file());
}

#[test]
fn hard_links_and_whiteouts_of_the_base_are_read() {
    let (scene, _) = Scene::on(
        &format!("{PROFILE}remove = [\"/usr/bin/tool\"]\n"),
        &small(),
    );
    scene.built(&GZIP);
    let root = scene.unpacked();
    assert!(!root.join("usr/bin/tool").exists());
    // The other name keeps the file.
    assert_eq!(
        fs::read_to_string(root.join("usr/bin/tool-2")).unwrap(),
        "#!/bin/sh\n"
    );
    // What a layer of the base took away is not there to be removed.
    scene.write(
        "node.toml",
        format!("{PROFILE}remove = [\"/usr/lib/doomed\"]\n").trim_start(),
    );
    let said = scene.failing(2, &mut scene.build(&[]));
    assert!(
        said.contains("the base has no `/usr/lib/doomed` to remove"),
        "{said}"
    );
    assert!(said.contains("node.toml:7:"), "{said}");
}
