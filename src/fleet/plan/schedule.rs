//! Which nodes go in which wave.
//!
//! Pools of the same order form a group; groups come one after the other, and a group's
//! waves are filled greedily: nodes that are unavailable already first (they use up no more
//! of any budget, only a wave's size), then available ones, from the pool's zones by turns,
//! as long as no budget is passed. What a group must leave behind because a node of a later
//! group is unavailable now is taken up again after that one was reimaged. What is left
//! when a whole pass brings nothing cannot be reached: some nodes stay unavailable and use
//! up a budget, or etcd's quorum is at stake.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::Wave;
use crate::fleet::obstacles::{Obstacle, Why, some};
use crate::fleet::rules::{Amount, Rules};

/// A node as the schedule sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seat<'a> {
    pub(super) name: &'a str,
    pub(super) pool: Option<usize>,
    pub(super) zone: &'a str,
    pub(super) available: bool,
    /// Whether its etcd runs: kubelet is Ready, cordoned or not.
    pub(super) up: bool,
    /// Whether it is to be reimaged.
    pub(super) wanted: bool,
    /// Whether it has its image.
    pub(super) done: bool,
}

/// Numbers of nodes by everything that has a budget.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    all: usize,
    zones: Vec<usize>,
    pools: Vec<usize>,
    /// By pool and zone.
    both: BTreeMap<(usize, usize), usize>,
}

/// Where a node stands: its pool's number (one past the last for none) and its zone's.
type Spot = (usize, usize);

pub(super) struct Fleet<'a> {
    rules: &'a Rules,
    seats: Vec<Seat<'a>>,
    spots: Vec<Spot>,
    /// How many there are.
    sizes: Limits,
    /// How many may be unavailable.
    most: Limits,
    /// How many are unavailable.
    load: Limits,
    /// Members of etcd, those that are up.
    members: usize,
    up: usize,
    /// Nodes to be reimaged, by pool and zone: those that are unavailable, and the others.
    broken: Queues,
    sound: Queues,
    /// Pools that have yet to try the image on a few.
    canaries: BTreeMap<usize, usize>,
}

type Queues = Vec<BTreeMap<usize, VecDeque<usize>>>;

impl Limits {
    fn new(pools: usize, zones: usize) -> Self {
        Self {
            all: 0,
            zones: vec![0; zones],
            pools: vec![0; pools],
            both: BTreeMap::new(),
        }
    }

    fn add(&mut self, (pool, zone): Spot) {
        self.all += 1;
        self.zones[zone] += 1;
        self.pools[pool] += 1;
        *self.both.entry((pool, zone)).or_default() += 1;
    }

    fn remove(&mut self, (pool, zone): Spot) {
        self.all -= 1;
        self.zones[zone] -= 1;
        self.pools[pool] -= 1;
        if let Some(number) = self.both.get_mut(&(pool, zone)) {
            *number -= 1;
        }
    }

    fn both(&self, spot: Spot) -> usize {
        self.both.get(&spot).copied().unwrap_or_default()
    }

    /// Whether one more may be added, by what the others allow.
    fn has_room(&self, most: &Self, spot: Spot) -> bool {
        let (pool, zone) = spot;
        self.all < most.all
            && self.pools[pool] < most.pools[pool]
            && self.zones[zone] < most.zones[zone]
            && self.both(spot) < most.both(spot)
    }
}

impl<'a> Fleet<'a> {
    pub(super) fn new(seats: Vec<Seat<'a>>, rules: &'a Rules) -> Self {
        let pools = rules.pools.len() + 1;
        let zones: BTreeSet<_> = seats.iter().map(|seat| seat.zone).collect();
        let zones: BTreeMap<_, _> = zones.into_iter().zip(0..).collect();
        let spots: Vec<Spot> = seats
            .iter()
            .map(|seat| (seat.pool.unwrap_or(pools - 1), zones[seat.zone]))
            .collect();
        let mut sizes = Limits::new(pools, zones.len());
        let mut load = sizes.clone();
        let mut broken: Queues = vec![BTreeMap::new(); pools];
        let mut sound = broken.clone();
        let mut done = vec![0; pools];
        for (at, (seat, &spot)) in seats.iter().zip(&spots).enumerate() {
            sizes.add(spot);
            if !seat.available {
                load.add(spot);
            }
            done[spot.0] += usize::from(seat.done && seat.available);
            let queues = match seat.available {
                true => &mut sound,
                false => &mut broken,
            };
            if seat.wanted {
                queues[spot.0].entry(spot.1).or_default().push_back(at);
            }
        }
        // Those that are down first: where a member of etcd that is only cordoned must wait
        // for them, it must not stand before them.
        for queue in broken.iter_mut().flat_map(BTreeMap::values_mut) {
            queue.make_contiguous().sort_by_key(|&at| seats[at].up);
        }
        let control_plane = rules.pools.len().checked_sub(1);
        let members = seats
            .iter()
            .filter(|seat| seat.pool == control_plane && control_plane.is_some());
        // A canary has sung already where as many nodes have the image.
        let canaries = rules.pools.iter().enumerate().filter_map(|(at, pool)| {
            let few = pool.canary?.of(sizes.pools[at]);
            (done[at] < few).then_some((at, few))
        });
        Self {
            rules,
            most: most(&sizes, rules),
            members: members.clone().count(),
            up: members.filter(|seat| seat.up).count(),
            canaries: canaries.collect(),
            seats,
            spots,
            sizes,
            load,
            broken,
            sound,
        }
    }

    /// All waves, and why the nodes that are left cannot be reached.
    pub(super) fn waves(mut self) -> (Vec<Wave>, Vec<(usize, Obstacle)>) {
        let mut groups: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
        for (at, pool) in self.rules.pools.iter().enumerate() {
            groups.entry(pool.order).or_default().push(at);
        }
        let mut waves = Vec::new();
        loop {
            let before = waves.len();
            for pools in groups.values() {
                while let Some(wave) = self.wave(pools) {
                    waves.push(wave);
                }
            }
            if waves.len() == before {
                break;
            }
        }
        let stuck = self.stuck();
        (waves, stuck)
    }

    /// The next wave of a group, if it can have one.
    fn wave(&mut self, pools: &[usize]) -> Option<Wave> {
        let canaries: Vec<_> = pools
            .iter()
            .filter_map(|pool| Some((*pool, *self.canaries.get(pool)?)))
            .collect();
        for (pool, few) in canaries {
            let picked = self.fill(&[pool], few);
            self.canaries.remove(&pool);
            if !picked.is_empty() {
                return Some(self.close(picked, true));
            }
        }
        let most = match pools.iter().any(|&pool| self.is_control_plane(pool)) {
            true => 1,
            false => usize::MAX,
        };
        let picked = self.fill(pools, most);
        (!picked.is_empty()).then(|| self.close(picked, false))
    }

    /// Takes nodes out of the queues, at most so many.
    fn fill(&mut self, pools: &[usize], most: usize) -> Vec<usize> {
        let mut picking = Picking {
            picked: Vec::new(),
            size: Limits::new(self.sizes.pools.len(), self.sizes.zones.len()),
            most,
        };
        for broken in [true, false] {
            for &pool in pools {
                self.fill_from(pool, broken, &mut picking);
            }
        }
        picking.picked
    }

    /// Takes nodes of one pool, from its zones by turns.
    fn fill_from(&mut self, pool: usize, broken: bool, picking: &mut Picking) {
        let queues = match broken {
            true => &mut self.broken,
            false => &mut self.sound,
        };
        let mut queues = std::mem::take(&mut queues[pool]);
        let mut empty = Vec::new();
        let by_zone = self.rules.pools[pool].by_zone;
        let mut only = (picking.picked.iter())
            .map(|&at| self.spots[at])
            .find(|spot| spot.0 == pool && by_zone)
            .map(|spot| spot.1);
        loop {
            let before = picking.picked.len();
            for (&zone, queue) in &mut queues {
                let is_full = match broken {
                    true => picking.size.pools[pool] >= self.most.pools[pool],
                    false => self.load.pools[pool] >= self.most.pools[pool],
                };
                if is_full || picking.picked.len() >= picking.most {
                    break;
                }
                if only.is_some_and(|only| only != zone) {
                    continue;
                }
                let Some(&next) = queue.front() else { continue };
                if !self.may_go(next, picking) {
                    continue;
                }
                queue.pop_front();
                if queue.is_empty() {
                    empty.push(zone);
                }
                picking.size.add(self.spots[next]);
                picking.picked.push(next);
                if !broken {
                    self.load.add(self.spots[next]);
                }
                only = by_zone.then_some(zone);
            }
            if picking.picked.len() == before {
                break;
            }
        }
        for zone in empty {
            queues.remove(&zone);
        }
        let place = match broken {
            true => &mut self.broken,
            false => &mut self.sound,
        };
        place[pool] = queues;
    }

    /// Whether a node may join a wave.
    fn may_go(&self, at: usize, picking: &Picking) -> bool {
        let (seat, spot) = (self.seats[at], self.spots[at]);
        let load = match seat.available {
            true => &self.load,
            false => &picking.size,
        };
        load.has_room(&self.most, spot)
            && (!self.is_control_plane(spot.0) || self.keeps_quorum(seat))
    }

    /// Whether etcd keeps its quorum without this member. A member that is down is made anew
    /// only while the others are a quorum: if they are not, its data may be the last.
    fn keeps_quorum(&self, seat: Seat<'_>) -> bool {
        let stay = self.up - usize::from(seat.up);
        !self.rules.control_plane.stacked_etcd || stay >= self.quorum()
    }

    fn quorum(&self) -> usize {
        self.members / 2 + 1
    }

    fn is_control_plane(&self, pool: usize) -> bool {
        pool + 1 == self.rules.pools.len()
    }

    /// Makes a wave of nodes, which are available afterwards.
    fn close(&mut self, mut picked: Vec<usize>, canary: bool) -> Wave {
        picked.sort_unstable();
        let pools: BTreeSet<_> = picked.iter().map(|&at| self.spots[at].0).collect();
        let pools: Vec<_> = pools.into_iter().collect();
        let unavailable = pools.iter().map(|&pool| self.load.pools[pool]).collect();
        for &at in &picked {
            self.load.remove(self.spots[at]);
            if self.is_control_plane(self.spots[at].0) && !self.seats[at].up {
                self.up += 1;
            }
            self.seats[at].available = true;
            self.seats[at].up = true;
        }
        Wave {
            nodes: picked,
            pools,
            canary,
            unavailable,
            start: Duration::ZERO,
            soak: Duration::ZERO,
        }
    }

    /// Why the nodes that are left are.
    fn stuck(&self) -> Vec<(usize, Obstacle)> {
        let queues = self.broken.iter().chain(&self.sound);
        let left = queues.flat_map(BTreeMap::values).flatten();
        // Each is asked of thousands of nodes, and is the same for many of them.
        let mut said = BTreeMap::new();
        let mut stuck: Vec<_> = left
            .map(|&at| {
                let key = (self.spots[at], self.seats[at].up);
                let obstacle = said.entry(key).or_insert_with(|| self.why(at));
                (at, obstacle.clone())
            })
            .collect();
        stuck.sort_by_key(|(at, _)| *at);
        stuck
    }

    fn why(&self, at: usize) -> Obstacle {
        let (seat, (pool, zone)) = (self.seats[at], self.spots[at]);
        if self.is_control_plane(pool) && !self.keeps_quorum(seat) {
            return Obstacle::new(Why::EtcdQuorum, self.quorum_lost());
        }
        let both = |spot: Spot| spot == (pool, zone);
        let name = |pool: usize| self.rules.pools.get(pool).map_or("", |pool| &pool.name);
        let zone_name = match seat.zone {
            "" => "nodes without a zone".to_owned(),
            zone => format!("zone `{zone}`"),
        };
        let (scope, others): (String, Vec<_>) = if self.load.pools[pool] >= self.most.pools[pool] {
            let pool_name = format!("pool `{}`", name(pool));
            (pool_name, self.unavailable(|spot| spot.0 == pool))
        } else if self.load.both((pool, zone)) >= self.most.both((pool, zone)) {
            let both_names = format!("pool `{}` in {zone_name}", name(pool));
            (both_names, self.unavailable(both))
        } else if self.load.zones[zone] >= self.most.zones[zone] {
            (zone_name, self.unavailable(|spot| spot.1 == zone))
        } else {
            ("the fleet".to_owned(), self.unavailable(|_| true))
        };
        let message = format!(
            "nodes that stay unavailable use up the budget of {scope}: {}",
            some(&others)
        );
        Obstacle::new(Why::Unavailable, message)
    }

    fn quorum_lost(&self) -> String {
        let (members, up, quorum) = (self.members, self.up, self.quorum());
        match members {
            _ if up < quorum => {
                format!("etcd has no quorum: {up} of {members} members are up, {quorum} must be")
            }
            1 => "it is the only member of etcd, whose data would be lost".to_owned(),
            _ => format!(
                "etcd would lose its quorum: {up} of {members} members are up, {quorum} must stay so"
            ),
        }
    }

    /// Names of unavailable nodes at some spots.
    fn unavailable(&self, at: impl Fn(Spot) -> bool) -> Vec<&'a str> {
        let seats = self.seats.iter().zip(&self.spots);
        seats
            .filter(|(seat, spot)| !seat.available && at(**spot))
            .map(|(seat, _)| seat.name)
            .collect()
    }
}

/// A wave that is being filled.
struct Picking {
    picked: Vec<usize>,
    size: Limits,
    most: usize,
}

/// How many may be unavailable of everything that has a budget.
fn most(sizes: &Limits, rules: &Rules) -> Limits {
    let of = |amount: Option<Amount>, size: usize| amount.map_or(usize::MAX, |it| it.of(size));
    let pools = sizes.pools.iter().enumerate().map(|(at, &size)| {
        let pool = rules.pools.get(at);
        of(pool.map(|pool| pool.max_unavailable), size)
    });
    let both = sizes.both.iter().map(|(&(pool, zone), &size)| {
        let amount = rules.pools.get(pool);
        let amount = amount.and_then(|pool| pool.max_unavailable_per_zone);
        ((pool, zone), of(amount, size))
    });
    let zones = sizes.zones.iter();
    Limits {
        all: of(rules.max_unavailable, sizes.all),
        zones: zones
            .map(|&size| of(rules.max_unavailable_per_zone, size))
            .collect(),
        pools: pools.collect(),
        both: both.collect(),
    }
}
