//! The whole way: a node with Docker is imported, its image built, exported and booted, and
//! the cluster's nodes are as the booted one says.

use std::process::Command;

use serde_json::Value;

use super::common::{all, document, json, manifest_digest, nodelith, output, root, run};
use super::page::shown;
use super::scene::{New, Scene, after, list, repository};

#[test]
fn from_a_docker_node_to_a_fleet_that_is_done() {
    let what = "importing a node, building, booting and rolling out its image";
    if !root(what) || !all(what) {
        return;
    }
    let scene = Scene::new();
    let path = |name: &str| scene.path(name);
    let mut import = nodelith();
    import.arg("import").arg(path("worker-17.tar"));
    run(import.arg("--output").arg(path("worker.toml")));
    let check = run(nodelith().arg("check").arg(path("worker.toml")));
    assert!(!String::from_utf8(check).unwrap().contains("error"));
    let mut build = nodelith();
    build.args(["build", "--ignore-valid-until", "--output"]);
    build
        .arg(path("image"))
        .arg("--lock")
        .arg(path("lock.toml"));
    run(build.arg(path("worker.toml")));
    let mut export = nodelith();
    export.arg("export").arg(path("image"));
    export.args(["--to", "erofs,verity,tar", "--output"]);
    let exported = json(export.arg(path("bundle")));
    assert_eq!(exported["image"], manifest_digest(&path("image")));
    // What was set up on the node is in the image: Docker's mirror is now containerd's.
    let mut tar = Command::new("tar");
    tar.arg("-xOf").arg(path("bundle/root.tar"));
    let hosts = run(tar.arg("etc/containerd/certs.d/docker.io/hosts.toml"));
    let hosts = String::from_utf8(hosts).unwrap();
    assert!(hosts.contains("https://mirror.example"), "{hosts}");
    std::fs::remove_file(path("bundle/root.tar")).unwrap();

    let proof = boot(&scene);
    let new = described(&scene, &proof);
    assert!(
        new.runtime.starts_with("containerd://1.6."),
        "{}",
        new.runtime
    );
    scene.write("after.json", &list(&after(&new)));
    let rules = std::fs::read_to_string(path("fleet.toml")).unwrap();
    let (before, rest) = rules.split_once("@sha256:").unwrap();
    let digest = manifest_digest(&path("image"));
    scene.write("fleet.toml", &format!("{before}@{digest}{}", &rest[64..]));

    let status = |line: &str| scene.shell(line).status.code();
    let plan = |file: &str| format!("nodelith fleet plan {file} --rules fleet.toml");
    let look = |file: &str| format!("nodelith fleet status {file} --rules fleet.toml");
    // A pod that mounts Docker's socket blocks its node until it is gone.
    assert_eq!(status(&plan("cluster-as-it-is.json")), Some(1));
    assert_eq!(status(&plan("nodes.json")), Some(0));
    assert_eq!(status(&look("nodes.json")), Some(1));
    assert_eq!(
        status(&look("after.json")),
        Some(0),
        "{}",
        scene.said(&look("after.json"))
    );
    assert_eq!(status(&plan("after.json")), Some(0));
    let done = scene.said(&plan("after.json"));
    assert!(done.contains("6 on the image"), "{done}");
    // Half of the way is not done.
    let mut half = super::scene::before();
    half[3] = after(&new)[3].clone();
    scene.write("half.json", &list(&half));
    assert_eq!(status(&look("half.json")), Some(1));
}

/// Boots the image once, as the guide does, and returns what is in the proof.
fn boot(scene: &Scene) -> Value {
    // `ci/boot` brings the tools.
    if Command::new("qemu-system-x86_64")
        .arg("--version")
        .output()
        .is_err()
    {
        run(Command::new("ci/boot")
            .current_dir(repository())
            .arg("--help"));
    }
    let mut boot = nodelith();
    boot.args(["boot", "--boots", "1", "--deadline", "900"]);
    boot.arg("--output")
        .arg(scene.path("boot.json"))
        .arg(scene.path("image"));
    let said = output(&mut boot);
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(
        said.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&said.stderr)
    );
    let shown = shown().into_iter().find(|shown| shown.slow).unwrap();
    assert!(shown.command.starts_with("nodelith boot --boots 1"));
    // The guide has these rows, and no others.
    let shown = rows(shown.output.iter().map(String::as_str));
    assert!(shown.len() > 5);
    assert_eq!(
        shown,
        rows(text.lines()),
        "put this into the guide:\n{text}"
    );
    document(&std::fs::read(scene.path("boot.json")).unwrap())
}

/// What is the same each time of the rows of a proof: seconds, packages and versions move.
fn rows<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    let rows = lines.filter(|line| line.starts_with("first  "));
    let columns = rows.map(|line| {
        let words: Vec<_> = line.split_whitespace().take(4).collect();
        words.join(" ").replace(char::is_numeric, "0")
    });
    columns.collect()
}

/// What kubelet would say of the booted node.
fn described(scene: &Scene, proof: &Value) -> New {
    let image = &proof["images"][0];
    let checks = image["checks"].as_array().unwrap();
    let containerd = checks
        .iter()
        .find(|check| check["check"] == "containerd")
        .unwrap();
    let version = containerd["message"]
        .as_str()
        .unwrap()
        .split(',')
        .next()
        .unwrap();
    let mut show = nodelith();
    show.arg("show").arg(scene.path("image")).arg("--packages");
    let packages = String::from_utf8(run(&mut show)).unwrap();
    let kernel = packages.split_whitespace().find_map(|word| {
        word.strip_prefix("linux-image-")
            .filter(|version| version.starts_with(|c: char| c.is_ascii_digit()))
    });
    New {
        runtime: format!("containerd://{version}"),
        os_image: image["system"].as_str().unwrap().to_owned(),
        kernel: kernel.unwrap().to_owned(),
    }
}
