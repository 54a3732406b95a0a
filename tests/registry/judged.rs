//! Debian's docker-registry, with skopeo and buildah as judges of both ways.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::common::{self, manifest_digest, run};
use super::docker::DockerRegistry;
use super::scene::{Blobs, Scene, layer, noise};

fn layers(last: u64) -> Vec<Vec<u8>> {
    vec![
        layer("usr/bin/big", &noise(1, 300_000)),
        layer("usr/bin/small", &noise(2, 20_000)),
        layer("etc/flag", &noise(last, 500)),
    ]
}

fn skopeo(arguments: &[&str]) -> Vec<u8> {
    run(Command::new("skopeo")
        .args(["--insecure-policy"])
        .args(arguments))
}

/// The digest that skopeo finds by a name.
fn skopeo_digest(name: &str) -> String {
    let found = skopeo(&["inspect", "--tls-verify=false", &format!("docker://{name}")]);
    let found: Value = serde_json::from_slice(&found).unwrap();
    found["Digest"].as_str().unwrap().to_owned()
}

/// Number of blobs that were uploaded, mounted and there, of one repository.
fn moved(pushed: &Value, repository: usize) -> [u64; 3] {
    let repository = &pushed["repositories"][repository];
    ["uploaded", "mounted", "existing"].map(|state| repository[state]["blobs"].as_u64().unwrap())
}

#[test]
fn a_push_moves_what_is_not_there_and_nothing_else() {
    let registry = DockerRegistry::start();
    let scene = Scene::new();
    let layout = scene.layout("image", &layers(3));
    let digest = manifest_digest(&layout);
    let (first, latest) = (registry.name("nodes/a:1"), registry.name("nodes/a:latest"));
    let pushed = scene.json(&["push", "image", &first, &latest]);
    assert_eq!(moved(&pushed, 0), [4, 0, 0], "{pushed:#}");
    assert_eq!(pushed["digest"], digest);
    assert_eq!(skopeo_digest(&first), digest);
    assert_eq!(skopeo_digest(&latest), digest);
    let out = scene.path("by-skopeo");
    skopeo(&[
        "copy",
        "--preserve-digests",
        "--src-tls-verify=false",
        &format!("docker://{first}"),
        &format!("oci:{}:1", out.display()),
    ]);
    assert_eq!(manifest_digest(&out), digest);

    // Again: nothing at all.
    let again = scene.json(&["push", "image", &first, &latest]);
    assert_eq!(moved(&again, 0), [0, 0, 4]);
    assert_eq!(again["repositories"][0]["manifests"], 0);

    // One layer differs, and so does the configuration.
    let before = registry.stored();
    scene.layout("changed", &layers(4));
    let changed = scene.json(&["push", "changed", &registry.name("nodes/a:2")]);
    assert_eq!(moved(&changed, 0), [2, 0, 2], "{changed:#}");
    assert!(registry.stored() - before < 8192);

    // Another repository: nothing is sent, from this machine or from a fresh one.
    let before = registry.stored();
    let other = scene.json(&["push", "image", &registry.name("nodes/b:1")]);
    assert_eq!(moved(&other, 0), [0, 4, 0], "{other:#}");
    assert_eq!(other["repositories"][0]["blobs"][0]["from"], "nodes/a");
    let fresh = Scene::new();
    fresh.layout("image", &layers(3));
    let name = registry.name("elsewhere/c");
    let other = fresh.json(&["push", "image", &name, "--mount-from", "nodes/b"]);
    assert_eq!(moved(&other, 0), [0, 4, 0], "{other:#}");
    assert_eq!(registry.stored(), before);
    assert_eq!(skopeo_digest(&name), digest);

    // Two repositories at once: sent to the first, mounted into the second.
    let fresh = Scene::new();
    fresh.layout("image", &[layer("x", &noise(9, 9000))]);
    let pushed = fresh.json(&[
        "push",
        "image",
        &registry.name("one/x:1"),
        &registry.name("two/x:1"),
        &registry.name("one/x:2"),
    ]);
    assert_eq!(
        [moved(&pushed, 0), moved(&pushed, 1)],
        [[2, 0, 0], [0, 2, 0]]
    );
    assert_eq!(
        pushed["repositories"][0]["references"]
            .as_array()
            .unwrap()
            .len(),
        2
    );

    // Another registry has none of it.
    let second = DockerRegistry::start();
    let pushed = scene.json(&["push", "image", &second.name("nodes/a:1")]);
    assert_eq!(moved(&pushed, 0), [4, 0, 0]);
    assert_eq!(skopeo_digest(&second.name("nodes/a:1")), digest);
}

#[test]
fn what_is_printed_of_a_push_and_a_pull() {
    let registry = DockerRegistry::start();
    let scene = Scene::new();
    let layout = scene.layout("image", &layers(3));
    let digest = manifest_digest(&layout);
    let said = run(&mut scene.nodelith(&["push", "image", &registry.name("a:1")]));
    let said = super::scene::without_ports(&String::from_utf8(said).unwrap());
    insta::assert_snapshot!(said);
    let name = registry.name("b");
    let said = run(&mut scene.nodelith(&["push", "image", &name, "--format", "digest"]));
    assert_eq!(String::from_utf8(said).unwrap(), format!("{digest}\n"));
    let said = run(&mut scene.nodelith(&["push", "image", &name, "--format", "json"]));
    assert_eq!(common::document(&said)["digest"], digest);

    let fresh = Scene::new();
    let said = run(&mut fresh.nodelith(&["pull", &registry.name("a:1")]));
    insta::assert_snapshot!(String::from_utf8(said).unwrap());
    let again = fresh.json(&["pull", &registry.name("a:1")]);
    assert_eq!(again["received"]["blobs"], 0);
    assert_eq!(again["unchanged"], true);
}

#[test]
fn what_skopeo_and_buildah_pushed_is_pulled_and_the_other_way_round() {
    let registry = DockerRegistry::start();
    let scene = Scene::new();
    let layout = scene.layout("image", &layers(3));
    let from = format!("oci:{}", layout.display());
    for (format, name) in [("oci", "by-skopeo"), ("v2s2", "docker")] {
        let name = registry.name(name);
        skopeo(&[
            "copy",
            "--dest-tls-verify=false",
            "--format",
            format,
            &from,
            &format!("docker://{name}"),
        ]);
        let output = scene.path(format);
        let pulled = scene.json(&["pull", &name, "-o", format]);
        assert_eq!(pulled["digest"], skopeo_digest(&name));
        let found = skopeo(&["inspect", &format!("oci:{}", output.display())]);
        let found: Value = serde_json::from_slice(&found).unwrap();
        assert_eq!(found["Digest"], pulled["digest"]);
        let shown = scene.json(&["show", &format!("oci:{format}"), "--files"]);
        assert_eq!(shown["files"].as_array().unwrap().len(), 7, "{shown:#}");
        // And pushed on, as it is.
        let pushed = scene.json(&["push", format, &registry.name("again")]);
        assert_eq!(pushed["digest"], pulled["digest"]);
        assert_eq!(skopeo_digest(&registry.name("again")), pulled["digest"]);
    }
    if !common::root("buildah") {
        return;
    }
    let store = tempfile::tempdir().unwrap();
    let buildah = |arguments: &[&str]| {
        let mut command = Command::new("buildah");
        command.arg("--root").arg(store.path().join("root"));
        command.arg("--runroot").arg(store.path().join("run"));
        command.args(["--storage-driver", "vfs"]).args(arguments);
        String::from_utf8(run(&mut command)).unwrap()
    };
    let pushed = scene.json(&["push", "image", &registry.name("for-buildah")]);
    let from = format!("docker://{}", registry.name("for-buildah"));
    let container = buildah(&["from", "--tls-verify=false", &from]);
    let container = container.trim();
    buildah(&["config", "--label", "by=buildah", container]);
    let target = format!("docker://{}", registry.name("by-buildah:1"));
    let image = buildah(&["commit", container]);
    buildah(&["push", "--tls-verify=false", image.trim(), &target]);
    let pulled = scene.json(&["pull", &registry.name("by-buildah:1"), "-o", "buildahs"]);
    assert_ne!(pulled["digest"], pushed["digest"]);
    let shown = scene.json(&["show", "buildahs", "--files"]);
    assert!(shown["files"].as_array().unwrap().len() >= 7);
}

#[test]
fn indexes_go_whole_or_by_architecture() {
    let registry = DockerRegistry::start();
    let scene = Scene::new();
    let mut blobs = Blobs::default();
    let shared = layer("shared", &noise(5, 50_000));
    let images: Vec<Value> = ["amd64", "arm64"]
        .iter()
        .map(|name| blobs.image(name, &[shared.clone(), layer("own", name.as_bytes())]))
        .collect();
    let index = blobs.index(&images);
    blobs.write(&scene.path("image"), std::slice::from_ref(&index));
    let name = registry.name("multi:1");
    let pushed = scene.json(&["push", "image", &name]);
    assert_eq!(pushed["digest"], index["digest"]);
    assert_eq!(moved(&pushed, 0), [5, 0, 0]);
    let raw = skopeo(&[
        "inspect",
        "--raw",
        "--tls-verify=false",
        &format!("docker://{name}"),
    ]);
    let raw: Value = serde_json::from_slice(&raw).unwrap();
    assert_eq!(raw["manifests"], json!(images));
    skopeo(&[
        "copy",
        "--preserve-digests",
        "--all",
        "--src-tls-verify=false",
        &format!("docker://{name}"),
        &format!("oci:{}", scene.path("all").display()),
    ]);
    assert_eq!(manifest_digest(&scene.path("all")), index["digest"]);

    let pulled = scene.json(&["pull", &name, "-o", "pulled"]);
    assert_eq!(pulled["digest"], index["digest"]);
    assert_eq!(manifest_digest(&scene.path("pulled")), index["digest"]);
    let one = scene.json(&["pull", &name, "--arch", "arm64", "-o", "one"]);
    assert_eq!(one["digest"], images[1]["digest"]);
    let shown = scene.json(&["show", "one", "--arch", "arm64"]);
    assert_eq!(shown["architecture"], "arm64");
    let both = scene.json(&["pull", &name, "--arch", "amd64,arm64", "-o", "both"]);
    assert_eq!(
        both["digests"],
        json!([images[0]["digest"], images[1]["digest"]])
    );
    let said = scene.failing(3, &["pull", &name, "--arch", "riscv64"]);
    assert!(said.contains("no image for `riscv64`"), "{said}");
    // Pinned by digest.
    let pinned = format!("{name}@{}", index["digest"].as_str().unwrap());
    let pulled = scene.json(&["pull", &pinned, "-o", "pinned"]);
    assert_eq!(pulled["digest"], index["digest"]);
    // One architecture of it alone.
    let pushed = scene.json(&["push", "image", &registry.name("arm"), "--arch", "arm64"]);
    assert_eq!(pushed["digest"], images[1]["digest"]);
    let said = scene.failing(
        2,
        &[
            "push",
            "image",
            &format!(
                "{}@{}",
                registry.name("arm"),
                images[0]["digest"].as_str().unwrap()
            ),
        ],
    );
    assert!(said.contains("is sha256:"), "{said}");
}

#[test]
fn images_in_registries_are_shown_and_compared() {
    let registry = DockerRegistry::start();
    let scene = Scene::new();
    scene.layout("image", &layers(3));
    scene.layout("changed", &layers(4));
    let (one, other) = (registry.name("a:1"), registry.name("a:2"));
    scene.json(&["push", "image", &one]);
    scene.json(&["push", "changed", &other]);
    let fresh = Scene::new();
    let shown = fresh.json(&["show", &format!("docker://{one}")]);
    assert_eq!(shown["layers"].as_array().unwrap().len(), 3);
    // Only manifest and configuration were needed.
    let stored = fs::read_dir(fresh.path("store/blobs/sha256"))
        .unwrap()
        .count();
    assert_eq!(stored, 2);
    let (one, other) = (format!("docker://{one}"), format!("docker://{other}"));
    let difference = fresh.json(&["diff", &one, &other]);
    assert_eq!(
        difference["files"],
        json!([{"path": "etc/flag", "difference": "content"}])
    );
    assert_eq!(difference["download"]["layers"], 1);
    let said = fresh.failing(3, &["show", &format!("docker://{}", registry.name("a:3"))]);
    assert!(said.contains("there is no image"), "{said}");
}

#[test]
fn https_needs_an_authority_and_this_machine_may_do_without() {
    let registry = DockerRegistry::start_secure();
    let scene = Scene::new();
    scene.layout("image", &layers(3));
    let name = registry.name("a:1");
    let authority = registry.path().join("ca.pem");
    let secure = |arguments: &[&str]| {
        let mut command = scene.nodelith(arguments);
        command.env_remove("NODELITH_PLAIN_HTTP");
        command
    };
    let mut push = secure(&["push", "image", &name, "--ca-file"]);
    let pushed = common::json(push.arg(&authority));
    assert_eq!(moved(&pushed, 0), [4, 0, 0]);
    let said = common::refused(&mut secure(&["pull", &name]), 5);
    assert!(said.contains("with `--ca-file`"), "{said}");
    let mut pull = secure(&["pull", &name, "-o", "pulled", "--ca-file"]);
    assert_eq!(
        common::json(pull.arg(&authority))["digest"],
        pushed["digest"]
    );
    // Plain HTTP, though the registry has HTTPS.
    let said = scene.failing(5, &["pull", &name, "-o", "plain"]);
    assert!(said.contains("400 Bad Request"), "{said}");

    let plain = DockerRegistry::start();
    let output = common::output(&mut secure(&["push", "image", &plain.name("a:1")]));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let note = format!("plain HTTP to `{}`, which is on this machine", plain.host);
    assert!(said.contains(&note), "{said}");
    // What is not this machine's has to be asked for.
    let elsewhere = plain.name("a:1").replace("127.0.0.1", "0.0.0.0");
    let said = common::refused(&mut secure(&["pull", &elsewhere, "-o", "elsewhere"]), 5);
    assert!(said.contains("say `--plain-http`"), "{said}");
    assert!(!said.contains("trying"), "{said}");
}

/// Debian's essential packages and one setting.
const FLAG: &str = r#"
[sysctl]
net.core.somaxconn = 1024
"#;

#[test]
fn one_changed_flag_of_a_node_is_kilobytes() {
    let registry = DockerRegistry::start();
    let scene = Scene::new();
    let folder = scene.folder.path();
    let profile = format!("{}{FLAG}", common::mirror::MINIMAL);
    let build = |text: &str, out: &str| {
        let profile = common::profile(folder, text);
        let mut command = common::nodelith();
        command.arg("build").arg(profile).arg("-o");
        run(command.arg(folder.join(out)));
    };
    build(&profile, "node");
    build(&profile.replace("1024", "4096"), "changed");
    let pushed = scene.json(&["push", "node", &registry.name("node:1")]);
    let [uploaded, ..] = moved(&pushed, 0);
    assert!(uploaded > 3, "{pushed:#}");
    let changed = scene.json(&["push", "changed", &registry.name("node:2")]);
    let repository = &changed["repositories"][0];
    assert_eq!(repository["uploaded"]["blobs"], 2, "{changed:#}");
    assert!(repository["uploaded"]["bytes"].as_u64().unwrap() < 64 << 10);
    assert_eq!(skopeo_digest(&registry.name("node:2")), changed["digest"]);
    let pulled = scene.json(&["pull", &registry.name("node:2"), "-o", "pulled"]);
    assert_eq!(
        pulled["digest"],
        manifest_digest(Path::new(&folder.join("changed")))
    );
    let same = scene.json(&["diff", "changed", "pulled"]);
    assert_eq!(same["same"], true);
}
