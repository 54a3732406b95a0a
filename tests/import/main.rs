//! From nodes as they are to profiles: what is carried, changed, lost, and that the
//! settings that matter are there in a running containerd.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod collected;
#[path = "../common/mod.rs"]
mod common;
mod generated;
mod nodes;
mod refused;
mod running;

use std::path::Path;
use std::process::Command;

use common::{nodelith, output, run};

/// Nodes in the shape of those that are known, and the Kubernetes of the new one where
/// the old one does not say.
const NODES: [(&str, Option<&str>); 7] = [
    ("tests/import/fixtures/docker-1.20", None),
    ("tests/import/fixtures/containerd-1.4", None),
    ("tests/import/fixtures/kops-1.27", None),
    ("tests/import/fixtures/kubespray-1.31", Some("1.31")),
    ("tests/import/fixtures/eks-1.29", Some("1.29")),
    ("tests/check/fixtures/kubeadm-1.20", Some("1.20")),
    ("tests/check/fixtures/moved-by-hand", Some("1.23")),
];

/// `nodelith import` of a node into `FOLDER/node.toml`.
fn import(node: &str, kubernetes: Option<&str>, folder: &Path) -> Command {
    let mut command = nodelith();
    command.arg("import").arg(node).arg("--output");
    command.arg(folder.join("node.toml"));
    if let Some(version) = kubernetes {
        command.args(["--kubernetes", version]);
    }
    command
}

/// The last part of a path.
fn name(node: &str) -> &str {
    node.rsplit('/').next().unwrap()
}
