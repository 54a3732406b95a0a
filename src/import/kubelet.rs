//! kubelet: its flags, and its configuration as far as the cluster does not give it.

use serde_json::json;

use super::docker::field;
use super::work::{Found, Where, Work, may_be_shown};
use crate::check::document::Node;
use crate::check::facts::kubelet::Flag;
use crate::compat::kubelet;

const WHOSE: &str = "kubelet";

/// Where Kubernetes' images were until 2023.
const FROZEN: &str = "k8s.gcr.io";

/// What the node itself or kubeadm says, and what becomes of it.
enum Fate {
    /// The new node has it too.
    Same(&'static str),
    /// It is one node's alone.
    Node(&'static str),
    /// It went with dockershim.
    Gone(&'static str),
}

/// Flags and fields that no profile has, with what to say of them.
const FATES: [(&str, Fate); 38] = [
    ("bootstrap-kubeconfig", Fate::Same("kubeadm's unit says it")),
    ("kubeconfig", Fate::Same("kubeadm's unit says it")),
    ("config", Fate::Same("kubeadm's unit says it")),
    (
        "config-dir",
        Fate::Same("the new node has a folder of its own"),
    ),
    (
        "container-runtime",
        Fate::Same("the new node's runtime is a remote one: containerd"),
    ),
    (
        "container-runtime-endpoint",
        Fate::Same("it is containerd's socket"),
    ),
    (
        "containerRuntimeEndpoint",
        Fate::Same("it is containerd's socket"),
    ),
    (
        "image-service-endpoint",
        Fate::Same("it is containerd's socket"),
    ),
    (
        "imageServiceEndpoint",
        Fate::Same("it is containerd's socket"),
    ),
    (
        "volume-plugin-dir",
        Fate::Same("it is in /var, which can be written"),
    ),
    (
        "volumePluginDir",
        Fate::Same("it is in /var, which can be written"),
    ),
    ("apiVersion", Fate::Same("it is the kind of the file")),
    ("kind", Fate::Same("it is the kind of the file")),
    (
        "authentication",
        Fate::Same("the cluster says it when the node joins"),
    ),
    (
        "authorization",
        Fate::Same("the cluster says it when the node joins"),
    ),
    (
        "clusterDNS",
        Fate::Same("the cluster says it when the node joins"),
    ),
    (
        "clusterDomain",
        Fate::Same("the cluster says it when the node joins"),
    ),
    (
        "cluster-dns",
        Fate::Same("the cluster says it when the node joins"),
    ),
    (
        "cluster-domain",
        Fate::Same("the cluster says it when the node joins"),
    ),
    (
        "rotateCertificates",
        Fate::Same("the cluster says it when the node joins"),
    ),
    (
        "staticPodPath",
        Fate::Same("a control plane has it, a worker does not"),
    ),
    (
        "pod-manifest-path",
        Fate::Same("a control plane has it, a worker does not"),
    ),
    (
        "resolvConf",
        Fate::Same("it is the list of systemd-resolved"),
    ),
    (
        "resolv-conf",
        Fate::Same("it is the list of systemd-resolved"),
    ),
    (
        "hostname-override",
        Fate::Node("give it to the node when it boots"),
    ),
    ("node-ip", Fate::Node("give it to the node when it boots")),
    (
        "provider-id",
        Fate::Node("give it to the node when it boots"),
    ),
    (
        "providerID",
        Fate::Node("give it to the node when it boots"),
    ),
    (
        "cni-conf-dir",
        Fate::Gone("containerd looks into /etc/cni/net.d"),
    ),
    (
        "cni-bin-dir",
        Fate::Gone("containerd looks into /opt/cni/bin"),
    ),
    ("docker", Fate::Gone("nothing asks Docker any more")),
    (
        "docker-endpoint",
        Fate::Gone("nothing asks Docker any more"),
    ),
    (
        "experimental-dockershim-root-directory",
        Fate::Gone("nothing asks Docker any more"),
    ),
    (
        "image-pull-progress-deadline",
        Fate::Gone("containerd has `pull-progress-timeout`"),
    ),
    (
        "network-plugin-mtu",
        Fate::Gone("the network add-on sets it"),
    ),
    (
        "non-masquerade-cidr",
        Fate::Gone("the network add-on does it"),
    ),
    (
        "redirect-container-streaming",
        Fate::Gone("streams go through kubelet"),
    ),
    (
        "cni-cache-dir",
        Fate::Gone("containerd keeps it in /var/lib/cni"),
    ),
];

/// Reads what kubelet was told.
pub(super) fn import(work: &mut Work<'_>) {
    let kubelet = &work.facts.kubelet;
    for (number, one) in kubelet.flags.iter().enumerate() {
        let found = Found {
            value: may_be_shown(&one.name, &one.value).then(|| one.value.clone()),
            ..work.found(
                WHOSE,
                &format!("--{}", one.name),
                Where {
                    text: one.text,
                    at: one.at,
                },
                None,
            )
        };
        let later = kubelet.flags[number + 1..]
            .iter()
            .any(|other| other.name == one.name);
        match later {
            true => work.same(&found, "the same flag later on counts"),
            false => flag(work, &found, one),
        }
    }
    for (number, config) in kubelet.configs.iter().enumerate() {
        let root = match &config.node {
            Ok(root) => root,
            Err(broken) => {
                let at = Where {
                    text: config.text,
                    at: broken.span.start,
                };
                let found = work.found(WHOSE, "configuration", at, None);
                work.lost(&found, &format!("it cannot be read: {}", broken.why));
                continue;
            }
        };
        for (name, node) in root.entries() {
            let found = work.found(WHOSE, name, node, Some(node));
            let later = kubelet.configs[number + 1..].iter();
            let later = later
                .filter_map(|other| other.root())
                .any(|root| root.get(name).is_some());
            match later {
                true if !matches!(name, "kind" | "apiVersion") => {
                    work.same(&found, "the same field of a later file counts");
                }
                _ => named(work, &found, name, node),
            }
        }
    }
}

fn fate(name: &str) -> Option<&'static Fate> {
    FATES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, fate)| fate)
}

/// Whether a name has a fate of its own, which it then has.
fn fated(work: &mut Work<'_>, found: &Found, name: &str) -> bool {
    match fate(name) {
        Some(Fate::Same(why)) => work.same(found, why),
        Some(Fate::Node(why)) => work.lost(
            found,
            &format!("it is this one node's, and images are for many: {why}"),
        ),
        Some(Fate::Gone(why)) => work.otherwise(found, &format!("it went with dockershim: {why}")),
        None => return false,
    }
    true
}

fn flag(work: &mut Work<'_>, found: &Found, flag: &Flag) {
    let (name, value) = (flag.name.as_str(), flag.value.as_str());
    let minor = work.kubernetes.minor;
    match (name, value) {
        ("network-plugin", "cni") => {
            work.same(found, "containerd's network is always by CNI");
            return;
        }
        ("network-plugin", _) => {
            work.lost(
                found,
                "containerd's network is by CNI alone: install a network add-on",
            );
            return;
        }
        ("pod-infra-container-image", image) => {
            sandbox(work, found, image);
            return;
        }
        ("cgroup-driver", _) => {
            driver(work, found, value);
            return;
        }
        _ => {}
    }
    if fated(work, found, name) {
        return;
    }
    match kubelet::has_flag(name, minor) {
        Some(true) => work.carried(found, &["kubelet", "flags", name], value),
        Some(false) => match kubelet::field_of(name) {
            Some(of) => field(work, found, of, typed(of, value), None),
            None => {
                let instead = kubelet::flag(name).and_then(|flag| flag.instead.as_deref());
                let instead = instead.unwrap_or("nothing takes its place");
                work.lost(
                    found,
                    &format!("kubelet 1.{minor} has no such flag: {instead}"),
                );
            }
        },
        None => work.lost(
            found,
            "no flag of kubelet that is known here: see what it did, and whether it is missed",
        ),
    }
}

fn named(work: &mut Work<'_>, found: &Found, name: &str, node: &Node) {
    if name == "cgroupDriver" {
        driver(work, found, node.text().unwrap_or_default());
        return;
    }
    if fated(work, found, name) {
        return;
    }
    if kubelet::field(name).is_none() {
        work.lost(
            found,
            "no field of KubeletConfiguration that is known here: kubelet passed over it",
        );
        return;
    }
    if node.value == crate::check::document::Value::Null {
        work.same(found, "it is not set");
        return;
    }
    // What kubeadm and the API server write out in full says nothing.
    let default = kubelet::field(name).and_then(|field| field.default(work.kubernetes.minor));
    let json = node.json();
    if default == Some(&json) || is_empty(&json) {
        work.same(found, "it is kubelet's default");
        return;
    }
    field(work, found, name, json, None);
}

/// What `kubeadm` writes of fields that are not set.
fn is_empty(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Null => true,
        serde_json::Value::String(text) => text == "0s" || text.is_empty(),
        serde_json::Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

fn driver(work: &mut Work<'_>, found: &Found, value: &str) {
    let path = ["containerd", "systemd-cgroup"];
    match value {
        "systemd" => work.carried(found, &path, true),
        _ => work.changed(
            found,
            &path,
            true,
            "systemd manages cgroups, on containerd's side too",
        ),
    }
}

/// The image of pods' sandboxes.
pub(super) fn sandbox(work: &mut Work<'_>, found: &Found, image: &str) {
    let minor = crate::compat::kubernetes::minor(work.kubernetes.minor);
    let expected = minor.map(|known| known.row.pause());
    if image.starts_with(FROZEN) {
        work.otherwise(
            found,
            &format!(
                "{FROZEN} is frozen: the new node has {}",
                expected.unwrap_or_default()
            ),
        );
    } else if image.contains('@') {
        work.lost(
            found,
            "the pause image is made in the node, and has another digest: name it by its tag in `[pause] image`",
        );
    } else if expected.as_deref() == Some(image) {
        work.carried(found, &["pause", "image"], image);
    } else {
        let why = format!(
            "this Kubernetes expects {}; pods run with either",
            expected.unwrap_or_default()
        );
        work.changed(found, &["pause", "image"], image, &why);
    }
}

/// A flag's value as its field has it.
fn typed(field: &str, value: &str) -> serde_json::Value {
    let known = kubelet::field(field);
    let candidates = [
        value.parse::<bool>().ok().map(|value| json!(value)),
        value.parse::<i64>().ok().map(|value| json!(value)),
        Some(json!(value)),
        Some(map(value)),
        Some(json!(value.split(',').collect::<Vec<_>>())),
    ];
    let mut candidates = candidates.into_iter().flatten();
    let fits = |value: &serde_json::Value| known.is_some_and(|field| field.kind.fits(value));
    candidates.find(fits).unwrap_or_else(|| json!(value))
}

/// `a=b,c=d` and `memory.available<100Mi` as a mapping.
fn map(value: &str) -> serde_json::Value {
    let pairs = value
        .split(',')
        .filter_map(|pair| pair.split_once(['=', '<']));
    pairs
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect()
}
