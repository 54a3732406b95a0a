//! Which store paths share a layer.
//!
//! Paths of one package (its outputs, its versions) are a group; large groups have a
//! layer of their own, small ones share bins by a hash of the package's name, as
//! everywhere ([`crate::layer::plan`]). A path changes with whatever it refers to, so
//! roots, and small paths with a wide closure of their own, change at every update:
//! these are together in one small layer, `nix-roots`, so that the bins stay.
//!
//! A path of several closures stands in a layer of the first that has it. A closure
//! with a number of layers of its own is a *pool* apart; the others share one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::path::StorePath;
use super::place::Placing;
use super::read::component;
use crate::layer::plan::{ALONE, Grouping};

/// A path whose own closure has this many paths is taken to change at every update.
/// Changing this changes the layers of every image with store paths.
const WIDE: usize = 64;

/// The layer of what changes at every update, in the shared pool.
pub(super) const ROOTS: &str = "nix-roots";

/// Store paths whose layers are planned together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pool {
    /// The closure's name; none for what is shared.
    pub name: Option<String>,
    /// The most layers; none for those that are left.
    pub limit: Option<usize>,
    /// Where each component belongs.
    pub groups: BTreeMap<Arc<str>, Grouping>,
}

impl Pool {
    /// What a layer of the pool is called.
    #[must_use]
    pub fn layer(&self, planned: &str) -> String {
        match (&self.name, planned) {
            (Some(name), "root") => format!("nix.{name}"),
            (Some(name), id) => id.replacen("nix", &format!("nix.{name}"), 1),
            (None, "root") => "nix".into(),
            (None, id) => id.into(),
        }
    }
}

/// The pools of these closures: those with layers of their own in their order, then
/// the shared one, in which the registration and further links stand too.
#[must_use]
pub fn grouping(placings: &[Placing]) -> Vec<Pool> {
    let mut seen = BTreeSet::new();
    let mut pools = Vec::new();
    let mut shared = Pool::default();
    let own = Grouping::Layer(ROOTS.into());
    shared.groups.insert(super::place::COMPONENT.into(), own);
    for placing in placings {
        let graph = &placing.closure.graph;
        let paths: Vec<&StorePath> = graph
            .paths
            .keys()
            .filter(|path| seen.insert((*path).clone()))
            .collect();
        let groups = assign(placing, &paths);
        match placing.layers {
            Some(limit) => pools.push(Pool {
                name: Some(placing.name.clone()),
                limit: Some(limit),
                groups,
            }),
            None => shared.groups.extend(groups),
        }
    }
    pools.push(shared);
    pools
}

fn assign(placing: &Placing, paths: &[&StorePath]) -> BTreeMap<Arc<str>, Grouping> {
    let closure = &placing.closure;
    let mut weights: BTreeMap<&str, u64> = BTreeMap::new();
    for path in paths {
        let size = closure
            .graph
            .paths
            .get(*path)
            .map_or(0, |info| info.nar_size);
        *weights.entry(path.package()).or_default() += size;
    }
    let one = |path: &&StorePath| {
        let package = path.package();
        let small = weights.get(package).is_none_or(|weight| *weight < ALONE);
        let restless = closure.roots.contains(*path) || closure.is_wide(path, WIDE);
        let grouping = match small && restless {
            true => Grouping::Layer(ROOTS.into()),
            false => Grouping::Group(format!("nix:{package}").into()),
        };
        (component(path), grouping)
    };
    paths.iter().map(one).collect()
}
