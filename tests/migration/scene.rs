//! A cluster of nodes with Docker, a folder with what is known of it, and the programs of an
//! operator's machine.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::common::{run, shared_store};

pub const NODE: &str = "tests/import/fixtures/docker-1.20";
const GUIDE: &str = "docs/migrating-from-docker.md";
const CRI_SOCKET: &str = "kubeadm.alpha.kubernetes.io/cri-socket";

/// What a node says of itself once it has the image.
pub struct New {
    pub runtime: String,
    pub os_image: String,
    pub kernel: String,
}

pub struct Scene(tempfile::TempDir);

impl Scene {
    /// With the guide's rules, an archive of the fixture, and the cluster before.
    pub fn new() -> Self {
        let scene = Self(tempfile::tempdir().unwrap());
        let mut tar = Command::new("tar");
        tar.arg("-C").arg(repository().join(NODE)).arg("-cf");
        run(tar.arg(scene.path("worker-17.tar")).arg("."));
        let page = guide();
        let (_, rules) = page.split_once("```toml\n# fleet.toml\n").unwrap();
        scene.write("fleet.toml", rules.split_once("```").unwrap().0);
        let nodes = before();
        let builder = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": "builder-0", "namespace": "ci",
                "ownerReferences": [{"kind": "StatefulSet", "name": "builder", "controller": true}],
            },
            "spec": {
                "nodeName": "worker-19",
                "containers": [{"name": "build", "image": "registry.example/ci/build:4"}],
                "volumes": [{"name": "docker", "hostPath": {"path": "/var/run/docker.sock"}}],
            },
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        });
        let moved = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": "web-7d4b9", "namespace": "shop",
                "ownerReferences": [{"kind": "ReplicaSet", "name": "web", "controller": true}],
            },
            "spec": {"nodeName": "worker-17", "containers": [{"name": "web", "image": "nginx:1.21"}]},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        });
        let whole = [&nodes[..], &[builder, moved.clone()]].concat();
        scene.write("cluster-as-it-is.json", &list(&whole));
        scene.write("nodes.json", &list(&[&nodes[..], &[moved]].concat()));
        scene.programs();
        scene
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// `nodelith`, and a stand-in for kubectl that prints the cluster.
    fn programs(&self) {
        fs::create_dir(self.path("bin")).unwrap();
        symlink(env!("CARGO_BIN_EXE_nodelith"), self.path("bin/nodelith")).unwrap();
        let kubectl = self.path("bin/kubectl");
        fs::write(&kubectl, "#!/bin/sh\ncat cluster-as-it-is.json\n").unwrap();
        fs::set_permissions(&kubectl, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Runs a line of the guide as a shell does.
    pub fn shell(&self, line: &str) -> Output {
        let mut command = Command::new("sh");
        command.env_clear().current_dir(self.0.path());
        for (name, value) in std::env::vars_os() {
            if name.to_string_lossy().to_lowercase().ends_with("_proxy") {
                command.env(name, value);
            }
        }
        let mut path = self.path("bin").into_os_string();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap());
        command
            .env("PATH", path)
            .env("HOME", self.0.path())
            .env("NODELITH_STORE", shared_store())
            .args(["-c", &format!("{line} 2>&1")]);
        command.output().unwrap()
    }

    /// What a line of the guide prints.
    pub fn said(&self, line: &str) -> String {
        String::from_utf8(self.shell(line).stdout).unwrap()
    }
}

pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn guide() -> String {
    fs::read_to_string(repository().join(GUIDE)).unwrap()
}

pub fn list(objects: &[Value]) -> String {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    format!("{list:#}\n")
}

/// Three workers and a control plane of three, as they were.
pub fn before() -> Vec<Value> {
    let names = [
        "cp-1",
        "cp-2",
        "cp-3",
        "worker-17",
        "worker-18",
        "worker-19",
    ];
    names.map(node).into()
}

/// A node in the shape of the fixture's.
fn node(name: &str) -> Value {
    let text = fs::read_to_string(repository().join(NODE).join("nodelith/node.json")).unwrap();
    let mut node: Value = serde_json::from_str(&text).unwrap();
    node["metadata"]["name"] = name.into();
    node["metadata"]["labels"]["kubernetes.io/hostname"] = name.into();
    node["spec"]["unschedulable"] = false.into();
    if name.starts_with("cp-") {
        let labels = node["metadata"]["labels"].as_object_mut().unwrap();
        labels.remove("node-role.kubernetes.io/worker");
        labels.insert("node-role.kubernetes.io/control-plane".into(), "".into());
        labels.insert("node-role.kubernetes.io/master".into(), "".into());
    }
    node
}

/// The same cluster when all have the image.
pub fn after(new: &New) -> Vec<Value> {
    let mut nodes = before();
    for node in &mut nodes {
        let info = &mut node["status"]["nodeInfo"];
        info["containerRuntimeVersion"] = new.runtime.clone().into();
        info["osImage"] = new.os_image.clone().into();
        info["kernelVersion"] = new.kernel.clone().into();
        node["metadata"]["annotations"][CRI_SOCKET] =
            "unix:///var/run/containerd/containerd.sock".into();
    }
    nodes
}
