//! Labels, taints and annotations: which of them kubelet sets when it registers a node,
//! which others do, which stay behind.

use toml::{Table, Value};

use super::super::work::{Found, Work};
use super::found;
use crate::check::document::Node;
use crate::compat::kubelet;
use crate::fleet::objects::{CONTAINERD_SOCKET, CRI_SOCKET};

/// What kubelet may say of itself in Kubernetes' own namespaces
/// (`k8s.io/kubelet/pkg/apis`, `IsKubeletLabel`).
const ALLOWED: [&str; 2] = ["kubelet.kubernetes.io", "node.kubernetes.io"];

/// Labels and who sets them.
const KNOWN: [(&str, &str); 16] = [
    ("kubernetes.io/arch", "kubelet says it of itself"),
    ("kubernetes.io/os", "kubelet says it of itself"),
    ("kubernetes.io/hostname", "kubelet says it of itself"),
    ("beta.kubernetes.io/arch", "kubelet says it of itself"),
    ("beta.kubernetes.io/os", "kubelet says it of itself"),
    (
        "node-role.kubernetes.io/master",
        "kubeadm gives it to a control plane",
    ),
    (
        "node-role.kubernetes.io/control-plane",
        "kubeadm gives it to a control plane",
    ),
    (
        "node.kubernetes.io/exclude-from-external-load-balancers",
        "kubeadm gives it to a control plane",
    ),
    ("node.kubernetes.io/instance-type", CLOUD),
    ("beta.kubernetes.io/instance-type", CLOUD),
    ("topology.kubernetes.io/region", CLOUD),
    ("topology.kubernetes.io/zone", CLOUD),
    ("failure-domain.beta.kubernetes.io/region", CLOUD),
    ("failure-domain.beta.kubernetes.io/zone", CLOUD),
    (
        "node.cluster.x-k8s.io/uninitialized",
        "Cluster API sets it and takes it away",
    ),
    ("projectcalico.org/operator-node-migration", ADD_ON),
];
const CLOUD: &str = "the cloud's controller says it";
const ADD_ON: &str = "an add-on writes it on every node";

/// Namespaces of labels and annotations that programs of the cluster write.
const WRITTEN: [&str; 15] = [
    "csi.volume.kubernetes.io",
    "feature.node.kubernetes.io",
    "flannel.alpha.coreos.com",
    "io.cilium.network",
    "k3s.io",
    "k8s.ovn.org",
    "kube-router.io",
    "network.cilium.io",
    "nfd.node.kubernetes.io",
    "node.alpha.kubernetes.io",
    "projectcalico.org",
    "topology.ebs.csi.aws.com",
    "topology.gke.io",
    "volumes.kubernetes.io",
    "weave.works",
];

/// Taints that the cluster sets and takes away.
const PASSING: [&str; 6] = [
    "node.kubernetes.io",
    "node.cloudprovider.kubernetes.io",
    "node-role.kubernetes.io",
    "node.cluster.x-k8s.io",
    "node.cilium.io",
    "ToBeDeletedByClusterAutoscaler",
];

pub(super) fn import(work: &mut Work<'_>, node: &Node) {
    let clouded = node.at(&["spec", "providerID"]).is_some();
    for (name, value) in entries(node, &["metadata", "labels"]) {
        let found = found(work, &format!("label {name}"), value);
        label(
            work,
            &found,
            name,
            value.text().unwrap_or_default(),
            clouded,
        );
    }
    let taints = node.at(&["spec", "taints"]).map_or(&[][..], Node::items);
    for one in taints {
        taint(work, one);
    }
    for (name, value) in entries(node, &["metadata", "annotations"]) {
        let found = found(work, &format!("annotation {name}"), value);
        annotation(work, &found, name, value.text().unwrap_or_default());
    }
}

fn entries<'n>(node: &'n Node, path: &[&str]) -> impl Iterator<Item = (&'n str, &'n Node)> {
    node.at(path).into_iter().flat_map(Node::entries)
}

/// What stands before the slash.
fn namespace(name: &str) -> &str {
    name.split_once('/').map_or("", |(before, _)| before)
}

fn is_of(name: &str, namespaces: &[&str]) -> bool {
    namespaces.contains(&namespace(name)) || namespaces.contains(&name)
}

fn label(work: &mut Work<'_>, found: &Found, name: &str, value: &str, clouded: bool) {
    let known = KNOWN.iter().find(|(known, _)| *known == name);
    if let Some((_, who)) = known {
        match *who == CLOUD && !clouded {
            true => work.lost(
                found,
                "it is this one node's, and no cloud says it: give it with `kubectl label` after it joined, or in kubelet's `--node-labels` when it boots",
            ),
            false => work.same(found, who),
        }
        return;
    }
    if is_of(name, &WRITTEN) {
        work.same(found, ADD_ON);
        return;
    }
    let of_kubernetes = |namespace: &str| {
        let domains = ["kubernetes.io", "k8s.io"];
        domains.iter().any(|domain| {
            let before = namespace.strip_suffix(domain);
            before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
        })
    };
    let allowed = |namespace: &str| {
        ALLOWED.iter().any(|one| {
            let before = namespace.strip_suffix(one);
            before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
        })
    };
    let namespace = namespace(name);
    if of_kubernetes(namespace) && !allowed(namespace) {
        work.lost(
            found,
            "kubelet may not give it to itself: `kubectl label` after the node joined, unless its object stays",
        );
        return;
    }
    if !is_name(name) || !(value.is_empty() || is_value(value)) {
        work.lost(found, "it is no label that Kubernetes takes");
        return;
    }
    let path = ["kubelet", "flags", "node-labels"];
    let said = format!("{name}={value}");
    let before = work
        .draft
        .get(&path)
        .and_then(Value::as_str)
        .unwrap_or_default();
    if before.split(',').any(|one| one == said) {
        work.same(found, "kubelet's own flag says it");
        return;
    }
    let all = match before {
        "" => said,
        before => format!("{before},{said}"),
    };
    work.changed(
        found,
        &path,
        all,
        "every node of this image gets it when it registers: take out what is this one node's alone",
    );
}

/// A qualified name.
fn is_name(name: &str) -> bool {
    let (namespace, name) = name.split_once('/').unwrap_or(("x", name));
    let is_domain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
    is_value(name) && !namespace.is_empty() && namespace.chars().all(is_domain)
}

fn is_value(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let end = |c: char| c.is_ascii_alphanumeric();
    text.len() <= 63 && text.starts_with(end) && text.ends_with(end) && text.chars().all(inner)
}

/// kubelet registers with taints: a field since 1.23, a flag before.
fn taint(work: &mut Work<'_>, taint: &Node) {
    let text = |key: &str| taint.get(key).and_then(Node::text).unwrap_or_default();
    let (key, value, effect) = (text("key"), text("value"), text("effect"));
    let mut found = work.found(super::WHOSE, &format!("taint {key}"), taint, None);
    let said = match value {
        "" => format!("{key}:{effect}"),
        value => format!("{key}={value}:{effect}"),
    };
    found.value = super::may_be_shown(key, &said).then(|| said.clone());
    if is_of(key, &PASSING) {
        work.same(&found, "the cluster sets it, and takes it away");
        return;
    }
    let effects = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
    if !is_name(key) || !(value.is_empty() || is_value(value)) || !effects.contains(&effect) {
        work.lost(&found, "it is no taint that Kubernetes takes");
        return;
    }
    let why = "nodes of this image get it when they register; a node whose object stays keeps what it has";
    let minor = work.kubernetes.minor;
    let usable = crate::compat::kubernetes::minor(minor)
        .is_some_and(|known| known.row.config_drop_ins.are_usable());
    let path = match usable {
        true => ["kubelet", "config", "registerWithTaints"],
        false => ["kubelet", "flags", "register-with-taints"],
    };
    // The flag of the old node, wherever its value stands now.
    let flag = work
        .draft
        .get(&["kubelet", "flags", "register-with-taints"]);
    let flag = flag.and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut table = Table::new();
    for (name, text) in [("effect", effect), ("key", key), ("value", value)] {
        if !text.is_empty() {
            table.insert(name.to_owned(), text.into());
        }
    }
    let table = Value::Table(table);
    let listed = work.draft.get(&["kubelet", "config", "registerWithTaints"]);
    let mut listed = listed
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    if flag.split(',').any(|one| one == said) || listed.contains(&table) {
        work.same(&found, "kubelet's own settings say it");
    } else if !flag.is_empty() || (!usable && kubelet::has_flag(path[2], minor) == Some(true)) {
        let all = match flag.as_str() {
            "" => said,
            flag => format!("{flag},{said}"),
        };
        work.changed(
            &found,
            &["kubelet", "flags", "register-with-taints"],
            all,
            why,
        );
    } else if usable {
        listed.push(table);
        work.changed(&found, &path, Value::Array(listed), why);
    } else {
        work.lost(
            &found,
            "kubelet is told by its cluster alone: set `registerWithTaints` there",
        );
    }
}

fn annotation(work: &mut Work<'_>, found: &Found, name: &str, value: &str) {
    if name == CRI_SOCKET {
        match value.contains("docker") {
            true => {
                let why = format!(
                    "kubeadm reads it when it upgrades: on a node whose object stays, set it to {CONTAINERD_SOCKET} (`kubectl annotate --overwrite`)"
                );
                work.otherwise(found, &why);
            }
            false => work.same(found, "it is containerd's socket"),
        }
    } else if is_of(name, &WRITTEN) || namespace(name).ends_with(".projectcalico.org") {
        work.same(found, ADD_ON);
    } else {
        work.lost(
            found,
            "kubelet sets no annotations: `kubectl annotate` after the node joined, if something reads it, unless its object stays",
        );
    }
}
