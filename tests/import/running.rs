//! Imported profiles are built, and a real containerd runs with what they have.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::common::containerd::{Daemon, Suite};
use super::common::{all, nodelith, root, run, scratch};
use super::{NODES, import, name};

/// The node's image, unpacked, and the suite that it is of.
fn built(node: &str, kubernetes: Option<&str>) -> (tempfile::TempDir, Suite) {
    let folder = tempfile::tempdir_in(scratch()).unwrap();
    run(&mut import(node, kubernetes, folder.path()));
    let mut build = nodelith();
    build.args(["build", "--ignore-valid-until", "--output", "image"]);
    build.args(["--compression", "none"]);
    build.arg(folder.path().join("node.toml"));
    run(build.current_dir(folder.path()));
    let mut unpack = Command::new("umoci");
    unpack.args(["unpack", "--image", "image:1", "bundle"]);
    run(unpack.current_dir(folder.path()));
    let profile = fs::read_to_string(folder.path().join("node.toml")).unwrap();
    let suites = [Suite::Bookworm, Suite::Trixie, Suite::Forky];
    let said = |suite: &Suite| profile.contains(&format!("suite = \"{}\"", suite.name()));
    let suite = suites.into_iter().find(said).unwrap();
    (folder, suite)
}

/// What containerd says of its configuration, running with the node's.
fn dumped(folder: &tempfile::TempDir, suite: Suite) -> toml::Table {
    let etc = folder.path().join("bundle/rootfs/etc/containerd");
    let lay = |over: &Path| {
        fs::create_dir_all(over.join("etc")).unwrap();
        run(Command::new("cp").arg("-a").arg(&etc).arg(over.join("etc")));
    };
    let daemon = Daemon::over(suite, lay).unwrap();
    let dump = run(daemon.inside("containerd").args(["config", "dump"]));
    let status = run(daemon.crictl().args([
        "--runtime-endpoint",
        "unix:///run/containerd/containerd.sock",
        "info",
    ]));
    assert!(String::from_utf8(status).unwrap().contains("RuntimeReady"));
    toml::from_str(&String::from_utf8(dump).unwrap()).unwrap()
}

fn at<'t>(table: &'t toml::Table, path: &[&str]) -> &'t toml::Value {
    let (first, rest) = path.split_first().unwrap();
    rest.iter().fold(&table[*first], |value, key| &value[*key])
}

const CRI: &str = "io.containerd.grpc.v1.cri";

#[test]
fn a_docker_node_of_2020() {
    if !root("building a node and running containerd") {
        return;
    }
    let (node, kubernetes) = NODES[0];
    let (folder, suite) = built(node, kubernetes);
    let dump = dumped(&folder, suite);
    let cri = |path: &[&str]| at(&dump, &[&["plugins", CRI], path].concat()).clone();
    assert_eq!(cri(&["max_concurrent_downloads"]), 6.into());
    assert_eq!(
        cri(&["containerd", "runtimes", "runc", "options", "SystemdCgroup"]),
        true.into()
    );
    assert_eq!(
        cri(&["containerd", "runtimes", "crun", "options", "BinaryName"]),
        "/usr/bin/crun".into()
    );
    assert_eq!(
        cri(&["registry", "config_path"]),
        "/etc/containerd/certs.d".into()
    );
    assert_eq!(at(&dump, &["debug", "level"]), &"debug".into());
    let etc = folder.path().join("bundle/rootfs/etc");
    let hosts = fs::read_to_string(etc.join("containerd/certs.d/docker.io/hosts.toml")).unwrap();
    assert!(hosts.contains("https://mirror.example"), "{hosts}");
    let local = etc.join("containerd/certs.d/registry.local:5000");
    assert!(local.join("ca.crt").exists() && local.join("hosts.toml").exists());
}

#[test]
fn all_of_them() {
    if !root("building nodes and running containerd") || !all("the other imported nodes, built") {
        return;
    }
    for (node, kubernetes) in &NODES[1..] {
        let (folder, suite) = built(node, *kubernetes);
        let dump = dumped(&folder, suite);
        assert_eq!(
            at(
                &dump,
                &[
                    "plugins",
                    CRI,
                    "containerd",
                    "runtimes",
                    "runc",
                    "options",
                    "SystemdCgroup"
                ]
            ),
            &true.into(),
            "{}",
            name(node)
        );
    }
}
