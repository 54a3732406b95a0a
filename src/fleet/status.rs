//! How far a rollout is: every node as `kubectl get nodes -o wide` shows it, and what is
//! wrong with it.

mod html;
mod output;

use serde::Serialize;

use super::objects::{CRI_SOCKET, Cluster, Node};
use super::output::names_docker;
use super::rules::{Looks, Rules};

pub use html::html;
pub use output::{json, table};

/// All nodes, and what is wrong with them.
#[derive(Debug)]
pub struct Status<'a> {
    /// By name.
    pub nodes: Vec<Row<'a>>,
    /// Pools that have nodes, in the rules' order; none without rules.
    pub pools: Vec<Progress<'a>>,
}

/// One node.
#[derive(Debug)]
pub struct Row<'a> {
    /// The node.
    pub node: &'a Node,
    /// Its pool's name.
    pub pool: Option<&'a str>,
    /// Whether the rules hold its pool: it counts neither way.
    pub held: bool,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Its sort.
    pub id: Wrong,
    /// In words.
    pub message: String,
}

/// What can be wrong with a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wrong {
    /// kubelet still runs pods through Docker.
    Docker,
    /// The runtime is not the image's.
    Runtime,
    /// Something else is not the image's.
    Image,
    /// kubeadm's annotation names a socket of Docker, which the node does not use.
    CriSocket,
    /// The node is not Ready.
    NotReady,
    /// The node is cordoned.
    Cordoned,
    /// No pool's selector fits it.
    NoPool,
}

/// How far a pool is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress<'a> {
    /// Its name.
    pub name: &'a str,
    /// Why it is held, if it is.
    pub held: Option<&'a str>,
    /// How many nodes it has.
    pub nodes: usize,
    /// How many have nothing wrong with them.
    pub done: usize,
}

impl<'a> Status<'a> {
    /// Looks at every node. Without rules a node only must be Ready and free of Docker;
    /// `ignore_cordon` lets cordoned nodes pass.
    #[must_use]
    pub fn of(cluster: &'a Cluster, rules: Option<&'a Rules>, ignore_cordon: bool) -> Self {
        let mut pools: Vec<_> = rules
            .iter()
            .flat_map(|rules| &rules.pools)
            .map(|pool| Progress {
                name: &pool.name,
                held: pool.hold.as_deref(),
                nodes: 0,
                done: 0,
            })
            .collect();
        let nodes = cluster.nodes.values().map(|node| {
            let at = rules.and_then(|rules| rules.pool_of(node));
            let pool = rules.zip(at).map(|(rules, at)| &rules.pools[at]);
            let mut problems = problems(node, pool.map(|pool| &pool.image.looks));
            if rules.is_some() && pool.is_none() {
                problems.push(Problem::new(Wrong::NoPool, "no pool's selector fits it"));
            }
            problems.retain(|problem| !(ignore_cordon && problem.id == Wrong::Cordoned));
            if let Some(progress) = at.map(|at| &mut pools[at]) {
                progress.nodes += 1;
                progress.done += usize::from(problems.is_empty());
            }
            Row {
                node,
                pool: pool.map(|pool| pool.name.as_str()),
                held: pool.is_some_and(|pool| pool.hold.is_some()),
                problems,
            }
        });
        let nodes = nodes.collect();
        pools.retain(|pool| pool.nodes > 0);
        Self { nodes, pools }
    }

    /// Whether nothing is left to be done: there are nodes, and those of pools that are not
    /// held have nothing wrong with them.
    #[must_use]
    pub fn is_done(&self) -> bool {
        let mut counted = self.nodes.iter().filter(|row| !row.held);
        !self.nodes.is_empty() && counted.all(|row| row.problems.is_empty())
    }

    /// How many nodes have nothing wrong with them.
    #[must_use]
    pub fn done(&self) -> usize {
        let good = self.nodes.iter().filter(|row| row.problems.is_empty());
        good.count()
    }
}

impl Problem {
    fn new(id: Wrong, message: impl Into<String>) -> Self {
        Self {
            id,
            message: message.into(),
        }
    }
}

fn problems(node: &Node, looks: Option<&Looks>) -> Vec<Problem> {
    let mut found = Vec::new();
    let runtime = looks.and_then(|looks| looks.runtime.as_ref());
    if let Some(version) = node.runtime.strip_prefix("docker://") {
        found.push(Problem::new(
            Wrong::Docker,
            format!("still docker {version}"),
        ));
    } else if let Some(wanted) = runtime.filter(|wanted| !wanted.fits(&node.runtime)) {
        found.push(Problem::new(
            Wrong::Runtime,
            format!("runtime is not `{wanted}`"),
        ));
    }
    if let Some(looks) = looks {
        let others = Looks {
            runtime: None,
            ..looks.clone()
        };
        let different = others.differences(node);
        if !different.is_empty() {
            let message = format!("not the planned image: {}", different.join(", "));
            found.push(Problem::new(Wrong::Image, message));
        }
    }
    let socket = node.annotations.get(CRI_SOCKET);
    if socket.is_some_and(|socket| names_docker(socket)) && !node.is_docker() {
        found.push(Problem::new(
            Wrong::CriSocket,
            format!("stale annotation {CRI_SOCKET}"),
        ));
    }
    match (node.ready, &node.since) {
        (Some(true), _) => {}
        (Some(false), Some(since)) => {
            found.push(Problem::new(
                Wrong::NotReady,
                format!("NotReady since {since}"),
            ));
        }
        (Some(false), None) => found.push(Problem::new(Wrong::NotReady, "NotReady")),
        (None, _) => found.push(Problem::new(Wrong::NotReady, "kubelet never reported")),
    }
    if node.cordoned {
        found.push(Problem::new(Wrong::Cordoned, "cordoned"));
    }
    found
}
