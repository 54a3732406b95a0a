//! The plan of a rollout.
//!
//! Every node either has its image, is reimaged in one wave, or is blocked with its
//! obstacles. Waves are filled one after the other ([`schedule`]).

mod schedule;

use std::time::Duration;

use super::objects::{Cluster, Node};
use super::obstacles::{Drain, Obstacle, Survey};
use super::rules::{Pool, Rules};
use schedule::{Fleet, Seat};

pub use schedule::Limits;

/// A plan.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The rules that it was made by.
    pub rules: &'a Rules,
    /// All nodes by name.
    pub nodes: Vec<Planned<'a>>,
    /// Waves in order.
    pub waves: Vec<Wave>,
    /// Whether there were pods in the input; without them obstacles are not seen.
    pub pods_known: bool,
}

/// A node in a plan.
#[derive(Debug)]
pub struct Planned<'a> {
    /// The node.
    pub node: &'a Node,
    /// The number of its pool.
    pub pool: Option<usize>,
    /// Its zone; empty if it has none.
    pub zone: &'a str,
    /// What becomes of it.
    pub fate: Fate,
    /// Why it is blocked.
    pub obstacles: Vec<Obstacle>,
    /// What draining it takes.
    pub drain: Drain,
}

/// What becomes of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It has its image.
    Done,
    /// It is reimaged in the wave of this index.
    Reimage(usize),
    /// It cannot be.
    Blocked,
}

/// Nodes that are reimaged at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wave {
    /// Indices of its nodes, rising.
    pub nodes: Vec<usize>,
    /// Pools that they are of, rising.
    pub pools: Vec<usize>,
    /// Whether it tries the image on a few.
    pub canary: bool,
    /// How many nodes of its pools are unavailable while it lasts, by pool.
    pub unavailable: Vec<usize>,
    /// When it begins, from the start of the rollout, if each node takes the time that the
    /// rules name.
    pub start: Duration,
    /// How long to wait after it.
    pub soak: Duration,
}

/// How many nodes there are of a sort.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// All.
    pub all: usize,
    /// Those that have their image.
    pub done: usize,
    /// Those that will be reimaged.
    pub reimage: usize,
    /// Those that cannot be.
    pub blocked: usize,
    /// Those that are unavailable now.
    pub unavailable: usize,
}

impl<'a> Plan<'a> {
    /// Plans a rollout.
    #[must_use]
    pub fn make(cluster: &'a Cluster, rules: &'a Rules) -> Self {
        let survey = Survey::new(cluster, rules);
        let mut nodes: Vec<_> = cluster
            .nodes
            .values()
            .map(|node| planned(node, rules, &survey))
            .collect();
        let seats = nodes.iter().map(|planned| Seat {
            pool: planned.pool,
            zone: planned.zone,
            available: planned.node.is_available(),
            up: planned.node.ready == Some(true),
            wanted: planned.fate != Fate::Done && planned.obstacles.is_empty(),
            done: planned.fate == Fate::Done,
            name: &planned.node.name,
        });
        let (waves, stuck) = Fleet::new(seats.collect(), rules).waves();
        for (at, wave) in waves.iter().enumerate() {
            for &node in &wave.nodes {
                nodes[node].fate = Fate::Reimage(at);
            }
        }
        for (node, obstacle) in stuck {
            nodes[node].obstacles.push(obstacle);
        }
        Self {
            rules,
            nodes,
            waves: timed(waves, rules),
            pods_known: !cluster.pods.is_empty(),
        }
    }

    /// How many of its nodes are of what sort; of one pool, or of all.
    #[must_use]
    pub fn counts(&self, pool: Option<usize>) -> Counts {
        let nodes = self.nodes.iter();
        let nodes = nodes.filter(|planned| pool.is_none() || planned.pool == pool);
        nodes.fold(Counts::default(), |counts, planned| Counts {
            all: counts.all + 1,
            done: counts.done + usize::from(planned.fate == Fate::Done),
            reimage: counts.reimage + usize::from(matches!(planned.fate, Fate::Reimage(_))),
            blocked: counts.blocked + usize::from(planned.fate == Fate::Blocked),
            unavailable: counts.unavailable + usize::from(!planned.node.is_available()),
        })
    }

    /// Pools that have nodes, with their numbers.
    pub fn pools(&self) -> impl Iterator<Item = (usize, &'a Pool)> {
        let mut used = vec![false; self.rules.pools.len()];
        for pool in self.nodes.iter().filter_map(|planned| planned.pool) {
            used[pool] = true;
        }
        let pools = self.rules.pools.iter().enumerate();
        pools.filter(move |(at, _)| used[*at])
    }

    /// The pools of a wave.
    pub fn pools_of(&self, wave: &Wave) -> impl Iterator<Item = &'a Pool> {
        let rules = self.rules;
        wave.pools
            .clone()
            .into_iter()
            .map(move |at| &rules.pools[at])
    }

    /// Commands that must succeed after a wave, each once.
    #[must_use]
    pub fn gates(&self, wave: &Wave) -> Vec<&'a str> {
        let mut gates = Vec::new();
        for gate in self.pools_of(wave).flat_map(|pool| &pool.gates) {
            if !gates.contains(&gate.as_str()) {
                gates.push(gate.as_str());
            }
        }
        gates
    }

    /// How long all of it takes, the last soak included.
    #[must_use]
    pub fn duration(&self) -> Duration {
        let last = self.waves.last();
        last.map_or(Duration::ZERO, |wave| {
            wave.start + self.rules.node_time + wave.soak
        })
    }
}

fn planned<'a>(node: &'a Node, rules: &'a Rules, survey: &Survey<'_>) -> Planned<'a> {
    let pool = rules.pool_of(node);
    let found = pool.map(|at| &rules.pools[at]);
    let zone = node.zone(&rules.zone_label);
    let is_done = found.is_some_and(|pool| pool.image.looks.fit(node));
    let (fate, (obstacles, drain)) = match is_done {
        true => (Fate::Done, (Vec::new(), Drain::default())),
        false => (Fate::Blocked, survey.look(node, found)),
    };
    Planned {
        node,
        pool,
        zone,
        fate,
        obstacles,
        drain,
    }
}

/// Gives each wave its times.
fn timed(waves: Vec<Wave>, rules: &Rules) -> Vec<Wave> {
    let mut now = Duration::ZERO;
    let timed = waves.into_iter().map(|wave| {
        let soaks = wave.pools.iter().map(|&pool| rules.pools[pool].soak);
        let soak = soaks.max().unwrap_or_default();
        let start = now;
        now = now.saturating_add(rules.node_time).saturating_add(soak);
        Wave {
            start,
            soak,
            ..wave
        }
    });
    timed.collect()
}
