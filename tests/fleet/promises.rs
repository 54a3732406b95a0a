//! What a plan promises, of generated fleets: budgets are never passed, etcd's quorum is
//! never lost, every node that can be is reached, the order of the input does not matter.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use nodelith::fleet::obstacles::Why;
use nodelith::fleet::plan::Fate;
use nodelith::fleet::rules::Amount;
use nodelith::fleet::{Cluster, Plan, Rules};
use proptest::prelude::*;
use serde_json::Value;

use crate::objects::{Node, list};

/// A fleet that was made up.
#[derive(Debug, Clone)]
struct Fleet {
    /// Pool, zone, state of each node.
    nodes: Vec<(usize, usize, State)>,
    pools: Vec<Pool>,
    all: Option<u8>,
    zone: Option<u8>,
    first: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Old,
    Down,
    Cordoned,
    Done,
    DoneDown,
    Kept,
    KeptDown,
}

#[derive(Debug, Clone)]
struct Pool {
    most: Most,
    per_zone: Option<u8>,
    canary: Option<u8>,
    by_zone: bool,
    order: Option<u8>,
}

#[derive(Debug, Clone, Copy)]
enum Most {
    Number(u8),
    Percent(u8),
}

/// The control plane's number among pools.
const CONTROL_PLANE: usize = 3;

fn fleets() -> impl Strategy<Value = Fleet> {
    let states = prop_oneof![
        8 => Just(State::Old), 1 => Just(State::Down), 1 => Just(State::Cordoned),
        1 => Just(State::Done), 1 => Just(State::DoneDown), 1 => Just(State::Kept),
        1 => Just(State::KeptDown),
    ];
    let few = || prop::option::weighted(0.4, 1_u8..4);
    let most = prop_oneof![
        (1_u8..5).prop_map(Most::Number),
        (1_u8..=100).prop_map(Most::Percent)
    ];
    let pool = (
        most,
        few(),
        few(),
        any::<bool>(),
        prop::option::weighted(0.3, 0_u8..3),
    )
        .prop_map(|(most, per_zone, canary, by_zone, order)| Pool {
            most,
            per_zone,
            canary,
            by_zone,
            order,
        });
    let nodes = prop::collection::vec((0..=CONTROL_PLANE, 0_usize..4, states), 0..60);
    let pools = prop::collection::vec(pool, CONTROL_PLANE);
    let wide = || prop::option::weighted(0.3, 1_u8..9);
    (nodes, pools, wide(), wide(), any::<bool>()).prop_map(|(nodes, pools, all, zone, first)| {
        Fleet {
            nodes,
            pools,
            all,
            zone,
            first,
        }
    })
}

impl Fleet {
    fn rules(&self) -> String {
        let mut text = format!(
            "[image]\nreference = \"x@sha256:{}\"\nruntime = \"containerd://1.7.*\"\n[rollout]\nhold-taints = [\"keep\"]\n",
            "a".repeat(64)
        );
        let mut line = |key: &str, value: Option<String>| {
            if let Some(value) = value {
                writeln!(text, "{key} = {value}").unwrap();
            }
        };
        line("max-unavailable", self.all.map(|it| it.to_string()));
        line(
            "max-unavailable-per-zone",
            self.zone.map(|it| it.to_string()),
        );
        text.push_str("[control-plane]\norder = ");
        text.push_str(if self.first {
            "\"first\"\n"
        } else {
            "\"last\"\n"
        });
        for (at, pool) in self.pools.iter().enumerate() {
            let most = match pool.most {
                Most::Number(number) => number.to_string(),
                Most::Percent(share) => format!("\"{share}%\""),
            };
            writeln!(text, "[[pools]]\nname = \"p{at}\"\nselector = \"pool=p{at}\"\nmax-unavailable = {most}\nby-zone = {}", pool.by_zone).unwrap();
            for (key, value) in [
                ("max-unavailable-per-zone", pool.per_zone),
                ("canary", pool.canary),
                ("order", pool.order),
            ] {
                if let Some(value) = value {
                    writeln!(text, "{key} = {value}").unwrap();
                }
            }
        }
        text
    }

    fn objects(&self) -> Vec<Value> {
        let nodes = self
            .nodes
            .iter()
            .enumerate()
            .map(|(at, (pool, zone, state))| {
                let name = format!("n{at}");
                let zone = format!("z{zone}");
                let mut node = match state {
                    State::Done | State::DoneDown => Node::new(&name, &zone),
                    _ => Node::old(&name, &zone),
                };
                node = match *pool {
                    CONTROL_PLANE => node.control_plane(),
                    pool => node.label("pool", &format!("p{pool}")),
                };
                if matches!(state, State::Down | State::DoneDown | State::KeptDown) {
                    node.ready = "Unknown";
                }
                node.cordoned = *state == State::Cordoned;
                if matches!(state, State::Kept | State::KeptDown) {
                    node.taints
                        .push(serde_json::json!({"key": "keep", "effect": "NoSchedule"}));
                }
                node.json()
            });
        nodes.collect()
    }
}

/// Budgets counted anew, from the plan alone.
struct Judge<'a> {
    plan: &'a Plan<'a>,
    rules: &'a Rules,
}

type Scope<'a> = (Option<usize>, Option<&'a str>);

impl<'a> Judge<'a> {
    /// Everything that a node counts in.
    fn scopes(&self, at: usize) -> [Scope<'a>; 4] {
        let node = &self.plan.nodes[at];
        let zone = Some(node.zone);
        [
            (None, None),
            (None, zone),
            (node.pool, None),
            (node.pool, zone),
        ]
    }

    fn most(&self, scope: Scope<'_>) -> usize {
        let size = self.count((0..self.plan.nodes.len()).collect(), scope);
        let amount: Option<Amount> = match scope {
            (None, None) => self.rules.max_unavailable,
            (None, Some(_)) => self.rules.max_unavailable_per_zone,
            (Some(pool), None) => Some(self.rules.pools[pool].max_unavailable),
            (Some(pool), Some(_)) => self.rules.pools[pool].max_unavailable_per_zone,
        };
        match amount {
            None => usize::MAX,
            Some(Amount::Number(number)) => number,
            Some(Amount::Percent(share)) => (size * usize::from(share) / 100).max(1),
        }
    }

    fn count(&self, nodes: BTreeSet<usize>, scope: Scope<'_>) -> usize {
        let nodes = nodes.into_iter();
        nodes.filter(|&at| self.scopes(at).contains(&scope)).count()
    }

    fn judge(&self) -> Result<(), TestCaseError> {
        let nodes = &self.plan.nodes;
        let mut down: BTreeSet<_> = (0..nodes.len())
            .filter(|&at| !nodes[at].node.is_available())
            .collect();
        let mut dead: BTreeSet<_> = (0..nodes.len())
            .filter(|&at| nodes[at].node.ready != Some(true))
            .collect();
        let members: BTreeSet<_> = (0..nodes.len())
            .filter(|&at| nodes[at].node.is_control_plane())
            .collect();
        let quorum = members.len() / 2 + 1;
        let mut seen = BTreeMap::new();
        for (number, wave) in self.plan.waves.iter().enumerate() {
            prop_assert!(!wave.nodes.is_empty());
            let picked: BTreeSet<_> = wave.nodes.iter().copied().collect();
            prop_assert_eq!(picked.len(), wave.nodes.len());
            for &at in &picked {
                prop_assert_eq!(seen.insert(at, number), None, "a node is reimaged once");
                prop_assert_eq!(nodes[at].fate, Fate::Reimage(number));
            }
            let during: BTreeSet<_> = down.union(&picked).copied().collect();
            for scope in picked.iter().flat_map(|&at| self.scopes(at)) {
                let most = self.most(scope);
                let before = self.count(down.clone(), scope);
                let now = self.count(during.clone(), scope);
                prop_assert!(
                    now <= most.max(before),
                    "wave {number}: {now} of {most} in {scope:?}"
                );
                // Nodes that are down are no licence to take many at once.
                prop_assert!(self.count(picked.clone(), scope) <= most);
            }
            let masters: BTreeSet<_> = picked.intersection(&members).copied().collect();
            if !masters.is_empty() {
                prop_assert_eq!(
                    picked.len(),
                    1,
                    "the control plane goes alone, one at a time"
                );
                let up = members
                    .iter()
                    .filter(|at| !dead.contains(at) && !masters.contains(at));
                prop_assert!(up.count() >= quorum, "wave {} loses quorum", number);
            }
            for at in picked {
                down.remove(&at);
                dead.remove(&at);
            }
        }
        // Who is left is done, or has a reason that holds.
        for (at, planned) in nodes.iter().enumerate() {
            let ids: Vec<_> = planned.obstacles.iter().map(|one| one.id).collect();
            let is_blocked = planned.fate == Fate::Blocked;
            prop_assert_eq!(is_blocked, !ids.is_empty(), "{}", planned.node.name);
            if ids == [Why::Unavailable] {
                let full = self
                    .scopes(at)
                    .into_iter()
                    .any(|scope| self.count(down.clone(), scope) >= self.most(scope));
                prop_assert!(
                    full && planned.node.is_available(),
                    "{} could go",
                    planned.node.name
                );
            }
            if ids == [Why::EtcdQuorum] {
                let up = members
                    .iter()
                    .filter(|other| !dead.contains(other) && **other != at);
                prop_assert!(up.count() < quorum, "{} could go", planned.node.name);
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn are_kept(fleet in fleets(), turn in 0_usize..60) {
        let rules = Rules::parse(&fleet.rules(), Path::new("fleet.toml")).unwrap();
        let mut objects = fleet.objects();
        let cluster = Cluster::parse(&list(&objects), "cluster.json").unwrap();
        let plan = Plan::make(&cluster, &rules);
        Judge { plan: &plan, rules: &rules }.judge()?;

        let turn = turn.min(objects.len());
        objects.rotate_left(turn);
        objects.reverse();
        let again = Cluster::parse(&list(&objects), "cluster.json").unwrap();
        let again = Plan::make(&again, &rules);
        prop_assert_eq!(nodelith::fleet::output::json(&plan), nodelith::fleet::output::json(&again));
    }
}
