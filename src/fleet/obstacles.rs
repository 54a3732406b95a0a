//! Why a node cannot be reimaged, as far as its own state and its pods tell.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::objects::{Budget, Cluster, Key, Node, Owner, Pod};
use super::rules::{Pool, Rules};
use crate::compat::{Version, kubernetes};

/// Taints of nodes that are about to go, with what set them.
const LEAVING: [(&str, &str); 4] = [
    (
        "ToBeDeletedByClusterAutoscaler",
        "the cluster autoscaler is removing it",
    ),
    ("karpenter.sh/disrupted", "Karpenter is replacing it"),
    ("karpenter.sh/disruption", "Karpenter is replacing it"),
    (
        "node.cloudprovider.kubernetes.io/shutdown",
        "its machine is shut down",
    ),
];

/// How many pods or nodes a message names.
const NAMED: usize = 3;

/// What sort of obstacle it is. Those that rules can allow are read from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// No pool's selector fits it.
    #[serde(skip_deserializing)]
    NoPool,
    /// The rules hold its pool.
    #[serde(skip_deserializing)]
    Hold,
    /// A taint says that it is to be left alone.
    Taint,
    /// Pods keep data in `PersistentVolumes` of the node.
    LocalVolume,
    /// Pods have emptyDir volumes.
    EmptyDir,
    /// Nothing would make these pods again.
    NoController,
    /// A `PodDisruptionBudget` lets no pod go.
    DisruptionBudget,
    /// Pods mount Docker's socket, which the image lacks.
    DockerSocket,
    /// The image's kubelet does not go with the API server.
    VersionSkew,
    /// etcd would lose its quorum.
    #[serde(skip_deserializing)]
    EtcdQuorum,
    /// Nodes that stay unavailable use up the budget.
    #[serde(skip_deserializing)]
    Unavailable,
}

/// One obstacle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Obstacle {
    /// Its sort.
    pub id: Why,
    /// In words, with the first of the pods.
    pub message: String,
    /// All pods that it is about, as NAMESPACE/NAME.
    pub pods: Vec<String>,
}

/// What draining a node takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drain {
    /// There are emptyDir volumes to be deleted.
    pub empty_dir: bool,
    /// There are pods without a controller.
    pub no_controller: bool,
    /// `PodDisruptionBudgets` are to be passed by.
    pub no_eviction: bool,
}

impl Drain {
    /// All that a pool's rules allow, for pods that are not known.
    #[must_use]
    pub fn allowed_by(pool: &Pool) -> Self {
        let allowed = |why: Why| pool.allow.contains(&why);
        Self {
            empty_dir: allowed(Why::EmptyDir),
            no_controller: allowed(Why::NoController),
            no_eviction: allowed(Why::DisruptionBudget),
        }
    }
}

/// What is asked of the cluster once, for all nodes.
pub struct Survey<'a> {
    rules: &'a Rules,
    pods: BTreeMap<&'a str, Vec<(&'a Key, &'a Pod)>>,
    /// Budgets that let nothing go, by namespace.
    strict: BTreeMap<&'a str, Vec<(&'a Key, &'a Budget)>>,
    cluster: &'a Cluster,
    servers: Option<(Version, Version)>,
}

impl<'a> Survey<'a> {
    /// Looks through a cluster.
    #[must_use]
    pub fn new(cluster: &'a Cluster, rules: &'a Rules) -> Self {
        let mut pods: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (key, pod) in &cluster.pods {
            if !pod.node.is_empty() {
                pods.entry(pod.node.as_str()).or_default().push((key, pod));
            }
        }
        let mut strict: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (key, budget) in &cluster.budgets {
            if budget.allowed <= 0 || budget.never {
                strict
                    .entry(key.0.as_str())
                    .or_default()
                    .push((key, budget));
            }
        }
        Self {
            rules,
            pods,
            strict,
            cluster,
            servers: servers(cluster, rules),
        }
    }

    /// What stands in a node's way, but for budgets, and what draining it takes.
    #[must_use]
    pub fn look(&self, node: &Node, pool: Option<&Pool>) -> (Vec<Obstacle>, Drain) {
        let mut found = Vec::new();
        let Some(pool) = pool else {
            let message = "no pool's selector fits it".to_owned();
            return (vec![Obstacle::new(Why::NoPool, message)], Drain::default());
        };
        if let Some(reason) = &pool.hold {
            let message = format!("the rules hold its pool: {reason}");
            found.push(Obstacle::new(Why::Hold, message));
        }
        found.extend(self.taints(node));
        found.extend(self.skew(pool));
        let of_pods = self.of_pods(node);
        let allowed = |why: Why| pool.allow.contains(&why);
        let drain = match self.cluster.pods.is_empty() {
            true => Drain::allowed_by(pool),
            false => {
                let is_there = |why: Why| of_pods.iter().any(|one| one.id == why) && allowed(why);
                Drain {
                    empty_dir: is_there(Why::EmptyDir),
                    no_controller: is_there(Why::NoController),
                    no_eviction: is_there(Why::DisruptionBudget),
                }
            }
        };
        found.extend(of_pods);
        found.retain(|obstacle| !allowed(obstacle.id));
        (found, drain)
    }

    fn taints(&self, node: &Node) -> Vec<Obstacle> {
        let taints = node.taints.iter().filter_map(|taint| {
            let known = LEAVING.iter().find(|(key, _)| *key == taint.key);
            let held = self.rules.hold_taints.contains(&taint.key);
            let why = known.map(|(_, why)| *why);
            let why = why.or_else(|| held.then_some("the rules hold such nodes"))?;
            let message = format!("it has the taint `{}`: {why}", taint.key);
            Some(Obstacle::new(Why::Taint, message))
        });
        taints.collect()
    }

    /// The version skew policy: kubelet is never newer than any API server, and only so
    /// many minors older.
    fn skew(&self, pool: &Pool) -> Option<Obstacle> {
        let kubelet = pool.image.looks.kubelet_version()?;
        let (oldest, newest) = self.servers?;
        let line = kubelet.line();
        let message = if line > oldest.line() {
            format!("kubelet {line} of the image would be newer than the API server {oldest}")
        } else {
            let known = kubernetes::minor(newest.minor)?;
            let most = known.row.older_by;
            if kubelet.major == newest.major && kubelet.minor + most >= newest.minor {
                return None;
            }
            format!(
                "kubelet {line} of the image would be more than {most} minors behind the API server {newest}"
            )
        };
        Some(Obstacle::new(Why::VersionSkew, message))
    }

    fn of_pods(&self, node: &Node) -> Vec<Obstacle> {
        let pods = self.pods.get(node.name.as_str());
        let pods = pods.map_or(&[][..], Vec::as_slice);
        let mut volumes = Vec::new();
        let mut empty_dirs = Vec::new();
        let mut alone = Vec::new();
        let mut sockets = Vec::new();
        let mut budgets: BTreeMap<&Key, (bool, Vec<String>)> = BTreeMap::new();
        for (key, pod) in pods {
            if pod.finished {
                continue;
            }
            let name = format!("{}/{}", key.0, key.1);
            // A DaemonSet's pod is not drained, but comes up without the socket.
            if pod.docker_socket && pod.owner != Owner::Kubelet {
                sockets.push(name.clone());
            }
            if !pod.is_evicted() {
                continue;
            }
            let bound = |claim: &String| {
                let claim = (key.0.clone(), claim.clone());
                self.cluster.local_volumes.contains_key(&claim)
            };
            if pod.claims.iter().any(bound) {
                volumes.push(name.clone());
            }
            if pod.empty_dir {
                empty_dirs.push(name.clone());
            }
            if pod.owner == Owner::Nobody {
                alone.push(name.clone());
            }
            for (budget, never) in self.budgets(key, pod) {
                let (forever, pods) = budgets.entry(budget).or_default();
                *forever |= never;
                pods.push(name.clone());
            }
        }
        let sorts = [
            (
                Why::LocalVolume,
                volumes,
                "pods keep data in volumes of this node",
            ),
            (
                Why::EmptyDir,
                empty_dirs,
                "draining deletes the emptyDir volumes of pods",
            ),
            (
                Why::NoController,
                alone,
                "nothing would make these pods again",
            ),
            (Why::DockerSocket, sockets, "pods mount Docker's socket"),
        ];
        let sorts = sorts.into_iter().filter(|(_, pods, _)| !pods.is_empty());
        let mut found: Vec<_> = sorts
            .map(|(why, pods, said)| Obstacle::of_pods(why, said, pods))
            .collect();
        found.extend(budgets.into_iter().map(|(budget, (never, pods))| {
            let when = if never {
                "never lets any"
            } else {
                "now lets none"
            };
            let said = format!(
                "PodDisruptionBudget `{}/{}` {when} of its pods go",
                budget.0, budget.1
            );
            Obstacle::of_pods(Why::DisruptionBudget, &said, pods)
        }));
        found.sort_by_key(|obstacle| obstacle.id);
        found
    }

    /// Budgets that keep a pod where it is, and whether they always will.
    fn budgets(&self, key: &Key, pod: &Pod) -> impl Iterator<Item = (&'a Key, bool)> {
        let strict = self.strict.get(key.0.as_str());
        // The eviction API lets pods go that have not begun.
        let strict = strict.filter(|_| !pod.pending);
        strict.into_iter().flatten().filter_map(|(key, budget)| {
            let fits = budget.selector.as_ref()?.fits(&pod.labels);
            let goes = budget.lets_unready_go && !pod.ready;
            (fits && !goes).then_some((*key, budget.never))
        })
    }
}

/// The oldest and newest API server: from their pods, else from the rules, else from the
/// kubelets beside them.
fn servers(cluster: &Cluster, rules: &Rules) -> Option<(Version, Version)> {
    let pods = cluster.pods.values().filter_map(|pod| pod.api_server);
    let mut versions: BTreeSet<Version> = pods.collect();
    if versions.is_empty() {
        versions.extend(rules.control_plane.version);
    }
    if versions.is_empty() {
        let nodes = cluster
            .nodes
            .values()
            .filter(|node| node.is_control_plane());
        versions = nodes.filter_map(Node::kubelet_version).collect();
    }
    Some((*versions.first()?, *versions.last()?))
}

impl Obstacle {
    /// One that is about no pods.
    #[must_use]
    pub fn new(id: Why, message: String) -> Self {
        Self {
            id,
            message,
            pods: Vec::new(),
        }
    }

    fn of_pods(id: Why, said: &str, pods: Vec<String>) -> Self {
        Self {
            id,
            message: format!("{said}: {}", some(&pods)),
            pods,
        }
    }
}

/// The first few of some names.
#[must_use]
pub fn some<T: fmt::Display>(names: &[T]) -> String {
    let named: Vec<_> = names
        .iter()
        .take(NAMED)
        .map(|name| format!("`{name}`"))
        .collect();
    match names.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}
