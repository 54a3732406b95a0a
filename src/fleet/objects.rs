//! What is known of a cluster: its nodes, and what runs on them.

use std::collections::BTreeMap;

use crate::compat::Version;

/// Label that kubelets carried the zone in before Kubernetes 1.17.
const OLD_ZONE: &str = "failure-domain.beta.kubernetes.io/zone";
/// Label of a node's zone.
pub const ZONE: &str = "topology.kubernetes.io/zone";
/// What labels that name roles begin with.
const ROLE: &str = "node-role.kubernetes.io/";
/// Another label that names a role.
const OTHER_ROLE: &str = "kubernetes.io/role";
/// Annotation in which kubeadm keeps the address of the container runtime.
pub const CRI_SOCKET: &str = "kubeadm.alpha.kubernetes.io/cri-socket";
/// What it is with containerd, as kubeadm itself writes it.
pub const CONTAINERD_SOCKET: &str = "unix:///var/run/containerd/containerd.sock";

/// Namespace and name.
pub type Key = (String, String);

/// All that was read.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// By name.
    pub nodes: BTreeMap<String, Node>,
    /// By namespace and name.
    pub pods: BTreeMap<Key, Pod>,
    /// `PodDisruptionBudgets` by namespace and name.
    pub budgets: BTreeMap<Key, Budget>,
    /// `PersistentVolumes` that live on one node, by the claim that is bound to each.
    pub local_volumes: BTreeMap<Key, String>,
}

/// A node. Texts but annotations are free of control characters.
#[derive(Debug, Default, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node {
    /// `metadata.resourceVersion`; 0 where there is none.
    pub revision: u64,
    /// Its name, a DNS subdomain (RFC 1123).
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// Its taints.
    pub taints: Vec<Taint>,
    /// Whether it is cordoned.
    pub cordoned: bool,
    /// The machine as its provider calls it.
    pub provider_id: String,
    /// The state of its Ready condition; none where kubelet never reported.
    pub ready: Option<bool>,
    /// When that state began, as the cluster writes it.
    pub since: Option<String>,
    /// `PRETTY_NAME` of its os-release.
    pub os_image: String,
    /// Its kernel's release.
    pub kernel: String,
    /// kubelet's version.
    pub kubelet: String,
    /// The container runtime and its version: `containerd://2.1.4`, `docker://19.3.15`.
    pub runtime: String,
}

/// A taint.
#[derive(Debug, Default, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Taint {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
}

/// A pod.
#[derive(Debug, Default, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pod {
    /// `metadata.resourceVersion`; 0 where there is none.
    pub revision: u64,
    /// The node that it was given to; empty if none.
    pub node: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What made it and would make it again.
    pub owner: Owner,
    /// Whether it has ended.
    pub finished: bool,
    /// Whether it has not begun.
    pub pending: bool,
    /// Whether it is Ready.
    pub ready: bool,
    /// Whether it has volumes of type emptyDir.
    pub empty_dir: bool,
    /// Whether it mounts a socket of Docker.
    pub docker_socket: bool,
    /// Claims that it uses.
    pub claims: Vec<String>,
    /// The version of the API server that it runs, if it is one.
    pub api_server: Option<Version>,
}

/// What made a pod.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// Nothing that would make it again.
    #[default]
    Nobody,
    /// A file on its node (a static pod), which the API server only mirrors.
    Kubelet,
    /// A `DaemonSet`.
    DaemonSet,
    /// Any other controller.
    Controller,
}

/// A `PodDisruptionBudget`.
#[derive(Debug, Default, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Budget {
    /// `metadata.resourceVersion`; 0 where there is none.
    pub revision: u64,
    /// Labels of the pods that it protects; none protects none.
    pub selector: Option<super::selector::Selector>,
    /// How many pods may be disrupted now.
    pub allowed: i64,
    /// Whether it never allows any.
    pub never: bool,
    /// Whether pods that are not Ready may be evicted all the same.
    pub lets_unready_go: bool,
}

impl Node {
    /// Whether it counts as available: Ready, and not cordoned.
    #[must_use]
    pub fn is_available(&self) -> bool {
        self.ready == Some(true) && !self.cordoned
    }

    /// STATUS, as kubectl prints it.
    #[must_use]
    pub fn status(&self) -> String {
        let ready = match self.ready {
            Some(true) => "Ready",
            Some(false) => "NotReady",
            None => "Unknown",
        };
        match self.cordoned {
            true => format!("{ready},SchedulingDisabled"),
            false => ready.to_owned(),
        }
    }

    /// Its roles, sorted, as kubectl finds them.
    #[must_use]
    pub fn roles(&self) -> Vec<&str> {
        let mut roles: Vec<_> = self
            .labels
            .iter()
            .filter_map(|(key, value)| match key.strip_prefix(ROLE) {
                Some(role) => Some(role).filter(|role| !role.is_empty()),
                None => (key == OTHER_ROLE && !value.is_empty()).then_some(value.as_str()),
            })
            .collect();
        roles.sort_unstable();
        roles.dedup();
        roles
    }

    /// Whether it is of the control plane (`master` until Kubernetes 1.24).
    #[must_use]
    pub fn is_control_plane(&self) -> bool {
        let roles = self.roles();
        roles.contains(&"control-plane") || roles.contains(&"master")
    }

    /// Its zone by this label, or by the one before Kubernetes 1.17; empty if it has none.
    #[must_use]
    pub fn zone(&self, label: &str) -> &str {
        let old = || self.labels.get(OLD_ZONE).filter(|_| label == ZONE);
        self.labels
            .get(label)
            .or_else(old)
            .map_or("", String::as_str)
    }

    /// Whether kubelet runs pods through Docker (dockershim or cri-dockerd).
    #[must_use]
    pub fn is_docker(&self) -> bool {
        self.runtime.starts_with("docker://")
    }

    /// kubelet's version as numbers, where it can be read.
    #[must_use]
    pub fn kubelet_version(&self) -> Option<Version> {
        version(&self.kubelet)
    }
}

/// A version with whatever a vendor adds to it: `v1.31.4-gke.1256000`, `v1.30.1+k3s1`.
pub(super) fn version(text: &str) -> Option<Version> {
    text.split(['-', '+']).next()?.parse().ok()
}

impl Pod {
    /// Whether draining its node evicts it.
    #[must_use]
    pub fn is_evicted(&self) -> bool {
        matches!(self.owner, Owner::Nobody | Owner::Controller)
    }
}
