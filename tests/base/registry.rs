//! Bases in a registry: docker's media types, indexes, what a push moves.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::common::{self, all, root, run};
use super::docker::DockerRegistry;
use super::fixture::{Base, PROFILE, Scene, small};

fn skopeo(arguments: &[&str]) -> Vec<u8> {
    run(Command::new("skopeo")
        .arg("--insecure-policy")
        .args(arguments))
}

/// A profile on a base of a registry.
fn on(name: &str, more: &str) -> String {
    PROFILE.replace("oci:base:1", name) + more
}

/// Number of blobs that were uploaded, mounted and there.
fn moved(pushed: &Value) -> [u64; 3] {
    let repository = &pushed["repositories"][0];
    ["uploaded", "mounted", "existing"].map(|state| repository[state]["blobs"].as_u64().unwrap())
}

#[test]
fn layers_of_the_base_are_mounted_not_uploaded() {
    let registry = DockerRegistry::start();
    let name = registry.name("bases/small:1");
    let scene = Scene::new(&on(&name, "remove = [\"/opt\"]\n"));
    small().write(&scene.path("base"), "1");
    // As docker's own schema, in which many bases still are.
    skopeo(&[
        "copy",
        "--quiet",
        "--format",
        "v2s2",
        "--dest-tls-verify=false",
        &format!("oci:{}:1", scene.path("base").display()),
        &format!("docker://{name}"),
    ]);
    let manifest = skopeo(&[
        "inspect",
        "--raw",
        "--tls-verify=false",
        &format!("docker://{name}"),
    ]);
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let base: Vec<_> = manifest["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| layer["digest"].as_str().unwrap().to_owned())
        .collect();
    assert!(
        manifest["layers"][0]["mediaType"]
            .as_str()
            .unwrap()
            .contains("docker")
    );

    scene.built(&[]);
    assert_eq!(scene.layers()[..2], base);
    let [built, _] = scene.documents();
    let kinds: Vec<_> = built["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| layer["mediaType"].as_str().unwrap())
        .collect();
    assert!(
        kinds
            .iter()
            .all(|kind| kind.starts_with("application/vnd.oci.image.layer.v1.tar")),
        "{kinds:?}"
    );
    let said = &built["annotations"];
    assert_eq!(said["org.opencontainers.image.base.name"], json!(name));
    let locked = &scene.lock()["architecture"]["amd64"]["base"]["image"];
    assert_eq!(
        said["org.opencontainers.image.base.digest"].as_str(),
        locked["manifest"].as_str()
    );
    assert_eq!(locked["reference"].as_str(), Some(&*name));

    // Two layers of the base are mounted; removals, configuration and config go over the wire.
    let target = registry.name("nodes/small:7");
    let pushed = common::json(&mut scene.nodelith(&["push", "out", &target]));
    assert_eq!(moved(&pushed), [3, 2, 0], "{pushed:#}");
    let again = common::json(&mut scene.nodelith(&["push", "out", &target]));
    assert_eq!(moved(&again), [0, 0, 5]);
    let read = skopeo(&[
        "inspect",
        "--tls-verify=false",
        &format!("docker://{target}"),
    ]);
    let read: Value = serde_json::from_slice(&read).unwrap();
    assert_eq!(
        read["Digest"].as_str().unwrap(),
        common::manifest_digest(&scene.path("out"))
    );

    // Another machine, from the same lock: the same image.
    let other = Scene::new(&on(&name, "remove = [\"/opt\"]\n"));
    let lock = std::fs::read(scene.path("node.lock.toml")).unwrap();
    other.write("node.lock.toml", lock);
    other.built(&["--locked"]);
    assert_eq!(other.layers(), scene.layers());
    assert_eq!(other.documents(), scene.documents());
}

#[test]
fn a_tag_that_moves_changes_nothing_until_it_is_asked_for() {
    let registry = DockerRegistry::start();
    let name = registry.name("bases/small:1");
    let scene = Scene::new(&on(&name, ""));
    let push = |base: &Base| {
        let _ = std::fs::remove_dir_all(scene.path("base"));
        base.write(&scene.path("base"), "1");
        let from = format!("oci:{}:1", scene.path("base").display());
        skopeo(&[
            "copy",
            "--quiet",
            "--dest-tls-verify=false",
            &from,
            &format!("docker://{name}"),
        ]);
    };
    push(&small());
    let first = scene.built(&[]);
    push(&small().labels(json!({"vendor": "other"})));
    let same = scene.built(&[]);
    assert_eq!(same["digest"], first["digest"]);
    common::json(&mut scene.nodelith(&["lock", "node.toml", "--update", &name]));
    let moved = scene.built(&[]);
    assert_ne!(moved["digest"], first["digest"]);
    let said = scene.failing(
        2,
        &mut scene.nodelith(&["lock", "node.toml", "--update", "none"]),
    );
    assert!(said.contains("`none` is not in the lock"), "{said}");
}

#[test]
fn a_base_of_several_architectures() {
    let registry = DockerRegistry::start();
    let name = registry.name("bases/both:1");
    let scene = Scene::new(&on(&name, "").replace("\"amd64\"", "[\"amd64\", \"arm64\"]"));
    for architecture in ["amd64", "arm64"] {
        let mut base = Base {
            architecture,
            ..small()
        };
        if architecture == "arm64" {
            base.more["variant"] = json!("v8");
        }
        base.write(&scene.path(architecture), "1");
        let from = format!("oci:{}:1", scene.path(architecture).display());
        let to = format!(
            "docker://{}",
            registry.name(&format!("bases/both:{architecture}"))
        );
        skopeo(&["copy", "--quiet", "--dest-tls-verify=false", &from, &to]);
    }
    // An index of both, as pushed by any tool.
    let mut manifests = Vec::new();
    for architecture in ["amd64", "arm64"] {
        let from = format!(
            "docker://{}",
            registry.name(&format!("bases/both:{architecture}"))
        );
        let raw = skopeo(&["inspect", "--raw", "--tls-verify=false", &from]);
        let digest = nodelith::digest::Digest::of(&raw);
        manifests.push(json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest,
            "size": raw.len(), "platform": {"os": "linux", "architecture": architecture},
        }));
    }
    let kind = "application/vnd.oci.image.index.v1+json";
    let index = json!({"schemaVersion": 2, "mediaType": kind, "manifests": manifests});
    scene.write("index.json", index.to_string());
    let put = format!("http://{}/v2/bases/both/manifests/1", registry.host);
    run(Command::new("curl")
        .args([
            "-fsS",
            "-X",
            "PUT",
            "-H",
            &format!("Content-Type: {kind}"),
            "--data-binary",
        ])
        .arg(format!("@{}", scene.path("index.json").display()))
        .arg(put));
    let built = scene.built(&[]);
    assert_eq!(built["images"].as_array().unwrap().len(), 2);
    let lock = scene.lock();
    let image = |architecture: &str| lock["architecture"][architecture]["base"]["image"].clone();
    assert_eq!(image("amd64")["digest"], image("arm64")["digest"]);
    assert_ne!(image("amd64")["manifest"], image("arm64")["manifest"]);
    let index = std::fs::read_to_string(scene.path("out/index.json")).unwrap();
    let index: Value = serde_json::from_str(&index).unwrap();
    let top = index["manifests"][0]["digest"].as_str().unwrap();
    let blob = scene
        .path("out/blobs/sha256")
        .join(top.trim_start_matches("sha256:"));
    let index: Value = serde_json::from_slice(&std::fs::read(blob).unwrap()).unwrap();
    let platforms: Vec<_> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["platform"].clone())
        .collect();
    assert_eq!(
        platforms[1],
        json!({"os": "linux", "architecture": "arm64", "variant": "v8"})
    );
}

/// A root that mmdebstrap makes, as an image that buildah pushes.
#[test]
fn a_root_of_mmdebstrap_pushed_by_buildah() {
    if !all("a base made by mmdebstrap and buildah") || !root("buildah") {
        return;
    }
    let registry = DockerRegistry::start();
    let name = registry.name("bases/debian:trixie");
    let scene = Scene::new(&on(
        &name,
        "remove = [\"/usr/share/doc\"]\n\n[units]\nenable = [\"systemd-networkd.service\"]\nmask = [\"systemd-resolved.service\"]\n",
    ));
    let tar = scene.path("root.tar");
    run(Command::new("mmdebstrap")
        .env("SOURCE_DATE_EPOCH", "1700000000")
        .args([
            "--quiet",
            "--variant=minbase",
            "--include=systemd,systemd-sysv,systemd-resolved",
            "trixie",
        ])
        .arg(&tar));
    let buildah = |arguments: &[&str]| {
        let mut command = Command::new("buildah");
        command
            .args(["--storage-driver", "vfs", "--root"])
            .arg(scene.path("storage"))
            .arg("--runroot")
            .arg(scene.path("run"));
        run(command.args(arguments))
    };
    let container = String::from_utf8(buildah(&["from", "scratch"])).unwrap();
    let container = container.trim();
    buildah(&["add", "--quiet", container, tar.to_str().unwrap(), "/"]);
    buildah(&[
        "config",
        "--env",
        "LANG=C.UTF-8",
        "--label",
        "maker=buildah",
        container,
    ]);
    buildah(&["commit", "--quiet", container, "base"]);
    buildah(&[
        "push",
        "--quiet",
        "--tls-verify=false",
        "base",
        &format!("docker://{name}"),
    ]);
    std::fs::remove_file(&tar).unwrap();
    std::fs::remove_dir_all(scene.path("storage")).unwrap();

    let built = scene.built(&["--compression", "gzip"]);
    let manifest = skopeo(&[
        "inspect",
        "--raw",
        "--tls-verify=false",
        &format!("docker://{name}"),
    ]);
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(
        scene.layers()[0],
        manifest["layers"][0]["digest"].as_str().unwrap()
    );
    let lock = scene.lock();
    let base = &lock["architecture"]["amd64"]["base"];
    assert!(
        base["os"]
            .as_str()
            .unwrap()
            .starts_with("Debian GNU/Linux 13")
    );
    assert!(base["packages"].as_table().unwrap().contains_key("systemd"));
    let [_, config] = scene.documents();
    assert_eq!(config["config"]["Labels"]["maker"], "buildah");
    assert!(
        config["config"]["Env"]
            .as_array()
            .unwrap()
            .contains(&json!("LANG=C.UTF-8"))
    );
    let pushed =
        common::json(&mut scene.nodelith(&["push", "out", &registry.name("nodes/debian:7")]));
    let [uploaded, mounted, _] = moved(&pushed);
    assert_eq!((uploaded, mounted), (3, 1), "{pushed:#}");
    let unpacked = scene.unpacked();
    assert!(!unpacked.join("usr/share/doc").exists());
    let masked = unpacked.join("etc/systemd/system/systemd-resolved.service");
    assert_eq!(std::fs::read_link(masked).unwrap(), Path::new("/dev/null"));
    assert_eq!(
        std::fs::read_link(unpacked.join("bin")).unwrap(),
        Path::new("usr/bin")
    );
    assert!(
        built["images"][0]["base"]["replaced"]
            .as_array()
            .unwrap()
            .contains(&json!("usr/lib/os-release"))
    );
}
