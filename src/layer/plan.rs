//! Which entries go into which layer.
//!
//! Components are put together by *group* (the source package, Nix's package). A group of at
//! least [`ALONE`] bytes has a layer of its own; the others fall into a fixed
//! number of bins by a hash of the group's name, so that the split needs no
//! earlier image to be stable. Components that belong to no package (conffiles,
//! generated files, configuration, kubelet …) have layers of their own, small
//! and apart, because they change most often.
//!
//! Each file, link and device stands in exactly one layer; a hard link stands
//! where the file is that it names. A directory stands in its component's layer
//! and, with the same metadata, in every layer that has something below it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::tree::{Entry, Node, Tree, TreePath};

/// Groups of at least this many bytes of content have a layer of their own.
/// Changing this changes the layers of every image.
pub const ALONE: u64 = 4 << 20;

/// The number of bins for smaller groups. Changing this changes the layers of every image.
pub const BINS: usize = 16;

/// The number of layers allowed unless the profile says otherwise: buildkit's mounts fail near 70.
pub const DEFAULT_LIMIT: usize = 64;

/// The greatest number of layers that can be asked for: container engines refuse more than 127.
pub const MAX_LIMIT: usize = 127;

/// The layers of an image, what changes most often last.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// In the order in which they stand in the image.
    pub layers: Vec<PlannedLayer>,
}

/// One layer of a [`Plan`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedLayer {
    /// `deb:SOURCE`, `bin-NN`, or a special component's name (`generated`, `configuration`).
    pub id: String,
    /// The components whose entries it holds, sorted.
    pub components: Vec<Arc<str>>,
    /// Its entries, sorted, directories before what is in them.
    pub entries: Vec<TreePath>,
    /// The sum of its files' contents in bytes.
    pub content_size: u64,
}

/// Plans the layers of `tree`.
///
/// `sources` gives a component's group: the source package of `deb:NAME`. A
/// `deb:` component that it lacks is its own group. All other components are special.
///
/// # Errors
/// When `limit` is out of range or smaller than what the tree needs, a hard
/// link leads nowhere, or a directory is missing from the tree.
pub fn plan(tree: &Tree, sources: &BTreeMap<Arc<str>, Arc<str>>, limit: usize) -> Result<Plan> {
    by_group(tree, limit, &|component| match group(component, sources) {
        Some(group) => Assigned::Group(group),
        None => Assigned::Place(special(component)),
    })
}

/// Where a component belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grouping {
    /// With others of this group (`KIND:NAME`), in a layer or bin.
    Group(Arc<str>),
    /// In the layer of this name, whatever its size.
    Layer(Arc<str>),
}

/// Plans the layers of `tree` by what `groups` says of each component. One that it
/// lacks is special, as in [`plan`].
///
/// # Errors
/// As [`plan`].
pub fn plan_grouped(
    tree: &Tree,
    groups: &BTreeMap<Arc<str>, Grouping>,
    limit: usize,
) -> Result<Plan> {
    by_group(tree, limit, &|component| match groups.get(component) {
        Some(Grouping::Group(group)) => Assigned::Group(group.to_string()),
        Some(Grouping::Layer(id)) => Assigned::Place(Place {
            rank: 3,
            id: id.to_string(),
        }),
        None => Assigned::Place(special(component)),
    })
}

/// A component's group, or its place if it belongs to none.
enum Assigned {
    Group(String),
    Place(Place),
}

type Assign<'a> = dyn Fn(&Arc<str>) -> Assigned + 'a;

fn by_group(tree: &Tree, limit: usize, assign: &Assign<'_>) -> Result<Plan> {
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Error::new(
            Kind::Usage,
            format!("a limit of {limit} layers is not possible"),
        )
        .hint(format!("choose from 1 to {MAX_LIMIT}")));
    }
    let weights = weigh(tree)?;
    let places = place(&weights, assign, limit)?;
    let mut gathered: BTreeMap<Place, Gathered> = BTreeMap::new();
    for (path, entry) in &tree.entries {
        let Some(place) = places.get(&home(tree, path, entry)?.component) else {
            continue; // every component was weighed
        };
        let layer = gathered.entry(place.clone()).or_default();
        layer.components.insert(entry.component.clone());
        if let Node::File { size, .. } = entry.node {
            layer.content_size += size;
        }
        add_with_parents(tree, &mut layer.entries, path)?;
    }
    let layers = gathered
        .into_iter()
        .map(|(place, layer)| PlannedLayer {
            id: place.id,
            components: layer.components.into_iter().collect(),
            entries: layer.entries.into_iter().collect(),
            content_size: layer.content_size,
        })
        .collect();
    Ok(Plan { layers })
}

#[derive(Default)]
struct Gathered {
    components: BTreeSet<Arc<str>>,
    entries: BTreeSet<TreePath>,
    content_size: u64,
}

/// A layer's place in the image: rank first, then name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    rank: u8,
    id: String,
}

/// The entry that decides where `entry` goes: itself, or the file that a hard link names.
fn home<'a>(tree: &'a Tree, path: &TreePath, entry: &'a Entry) -> Result<&'a Entry> {
    let Node::Hardlink(target) = &entry.node else {
        return Ok(entry);
    };
    match tree.entries.get(target) {
        Some(file) if target < path && matches!(file.node, Node::File { .. }) => Ok(file),
        _ => Err(Error::new(
            Kind::Io,
            format!("hard link `{path}` to `{target}`, which is not a file that sorts before it"),
        )),
    }
}

/// Content bytes by component; components without files weigh nothing.
fn weigh(tree: &Tree) -> Result<BTreeMap<Arc<str>, u64>> {
    let mut weights = BTreeMap::new();
    for (path, entry) in &tree.entries {
        let size = match entry.node {
            Node::File { size, .. } => size,
            _ => 0,
        };
        let component = &home(tree, path, entry)?.component;
        *weights.entry(component.clone()).or_insert(0) += size;
    }
    Ok(weights)
}

/// Gives every component its place.
fn place(
    weights: &BTreeMap<Arc<str>, u64>,
    assign: &Assign<'_>,
    limit: usize,
) -> Result<BTreeMap<Arc<str>, Place>> {
    if limit == 1 {
        let root = Place {
            rank: 0,
            id: "root".into(),
        };
        return Ok(weights
            .keys()
            .map(|name| (name.clone(), root.clone()))
            .collect());
    }
    let mut places = BTreeMap::new();
    let mut groups: BTreeMap<String, u64> = BTreeMap::new();
    for (component, weight) in weights {
        match assign(component) {
            Assigned::Group(group) => *groups.entry(group).or_insert(0) += weight,
            Assigned::Place(place) => {
                places.insert(component.clone(), place);
            }
        }
    }
    let specials = places.values().collect::<BTreeSet<_>>().len();
    let needed = specials + usize::from(!groups.is_empty());
    if limit < needed {
        return Err(Error::new(
            Kind::Usage,
            format!("{limit} layers are too few for this image, which needs {needed}"),
        )
        .hint(format!(
            "raise the limit to {needed} or more, or set it to 1"
        )));
    }
    // Half of what is left for bins when it is little, so that large groups still stand apart.
    let bins = BINS.min(((limit - specials) / 2).max(1));
    let room = limit - specials - bins;
    let mut alone: Vec<(u64, &String)> = groups
        .iter()
        .filter(|&(_, &weight)| weight >= ALONE)
        .map(|(name, &weight)| (weight, name))
        .collect();
    alone.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    alone.truncate(room);
    let alone: BTreeSet<&String> = alone.into_iter().map(|(_, name)| name).collect();
    for component in weights.keys() {
        if let Assigned::Group(group) = assign(component) {
            let place = if alone.contains(&group) {
                Place { rank: 0, id: group }
            } else {
                Place {
                    rank: 1,
                    id: bin(&group, bins),
                }
            };
            places.insert(component.clone(), place);
        }
    }
    Ok(places)
}

/// The group of a component (`deb:SOURCE`); none if it is special.
fn group(component: &str, sources: &BTreeMap<Arc<str>, Arc<str>>) -> Option<String> {
    let (kind, name) = component.split_once(':').unwrap_or(("", component));
    match sources.get(component) {
        Some(group) if kind.is_empty() => Some(group.to_string()),
        Some(group) => Some(format!("{kind}:{group}")),
        None if kind == "deb" => Some(format!("deb:{name}")),
        None => None,
    }
}

/// The bin of a group, by the SHA-256 of its name.
fn bin(group: &str, bins: usize) -> String {
    let digest = Digest::of(group.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&digest.bytes()[..8]);
    let number = u64::from_be_bytes(first) % bins as u64;
    match group.split_once(':') {
        Some((kind, _)) if kind != "deb" => format!("{kind}-bin-{number:02}"),
        _ => format!("bin-{number:02}"),
    }
}

/// The place of a component that belongs to no group: later the oftener it changes.
fn special(component: &str) -> Place {
    let (rank, id) = match component {
        "conffiles" => (2, component),
        "package-database" | "generated" => (4, "generated"),
        "configuration" => (5, component),
        _ => (3, component),
    };
    Place {
        rank,
        id: id.into(),
    }
}

/// Adds `path` and the directories above it, as far as they are not there yet.
fn add_with_parents(tree: &Tree, entries: &mut BTreeSet<TreePath>, path: &TreePath) -> Result<()> {
    entries.insert(path.clone());
    let mut path = path.clone();
    while let Some(parent) = path.parent() {
        if entries.contains(&parent) {
            break;
        }
        match tree.entries.get(&parent).map(|entry| &entry.node) {
            Some(Node::Directory) => {
                entries.insert(parent.clone());
            }
            None if parent.as_bytes().is_empty() => break,
            Some(_) => {
                let message = format!("`{path}` is below `{parent}`, which is no directory");
                return Err(Error::new(Kind::Io, message));
            }
            None => {
                let message = format!("directory `{parent}` of `{path}` is not in the tree");
                return Err(Error::new(Kind::Io, message));
            }
        }
        path = parent;
    }
    Ok(())
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
