//! The layers of an image: the root's own where nothing of them changed, else
//! made from them; and those of the profile's entries.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use super::nix::Closures;
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::layer::{self, Compression, FORMAT, LayerBlob, PlannedLayer};
use crate::lock::Pinned;
use crate::profile::Profile;
use crate::profile::file::{CrictlSource, KubeletSource};
use crate::source::debian::root::{Root, RootLayer};
use crate::store::Store;
use crate::tree::{Tree, TreePath};

/// Layers left for programs of the profile's own, as soon as it has any, where the
/// limit leaves room: so that one program more or less makes no other root.
const PROGRAMS: usize = 11;
/// A limit leaves room when it is at least this.
const ROOMY: usize = 32;

/// Compressing threads of a layer, when many are made at once. Bytes do not depend on it.
const THREADS_FOR_A_LAYER: usize = 2;

/// A layer of an image, and whether this build made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// The layer.
    pub blob: LayerBlob,
    /// Whether it was there before.
    pub reused: bool,
}

/// What an image's layers are made from.
pub(super) struct Parts<'a> {
    /// The root, which has layers.
    pub root: &'a Root,
    /// Those of them that this build has made already.
    pub new: &'a BTreeSet<Digest>,
    /// Paths of the root that are in the image no longer.
    pub dropped: &'a BTreeSet<TreePath>,
    /// The closures, if there are any.
    pub closures: Option<&'a Closures>,
    /// The profile's entries.
    pub own: &'a Tree,
}

/// Gives the image's layers in order, making those that are not in the store.
///
/// # Errors
/// When a layer cannot be read or written.
pub(super) fn layers(
    store: &Store,
    parts: &Parts<'_>,
    shares: &Shares,
    compression: Compression,
    threads: usize,
) -> Result<Vec<Layer>> {
    let dropped = dropped_by_layer(parts.root, parts.dropped);
    let nothing = BTreeSet::new();
    // Many layers at once, each with few threads of its own.
    let compressing = threads.min(THREADS_FOR_A_LAYER);
    let mut layers = parts
        .root
        .layers
        .par_iter()
        .map(|layer| {
            let dropped = dropped.get(&layer.blob.digest).unwrap_or(&nothing);
            let mut layer = root_layer(store, layer, dropped, compression, compressing)?;
            layer.reused &= !parts.new.contains(&layer.blob.digest);
            Ok(layer)
        })
        .collect::<Result<Vec<_>>>()?;
    let make = |planned: &PlannedLayer, tree: &Tree, threads| {
        let key = layer::key(tree, planned, compression)?;
        cached(store, &key, || {
            layer::make(store, planned, tree, compression, threads)
        })
        .map(|mut layer| {
            // The same entries may have had another name.
            layer.blob.id.clone_from(&planned.id);
            layer
        })
    };
    if let Some(closures) = parts.closures {
        let plans = closures.plan(shares.closures)?;
        let planned = plans.iter().flat_map(|(plan, tree)| {
            let layers = plan.layers.iter();
            layers.map(move |planned| (planned, tree))
        });
        let planned: Vec<_> = planned.collect();
        let made = planned.par_iter();
        let made = made.map(|(planned, tree)| make(planned, tree, compressing));
        layers.extend(made.collect::<Result<Vec<_>>>()?);
    }
    let plan = layer::plan(parts.own, &BTreeMap::new(), shares.limit)?;
    for planned in &plan.layers {
        layers.push(make(planned, parts.own, threads)?);
    }
    Ok(layers)
}

/// How the layers that an image may have are shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shares {
    /// All of them.
    limit: usize,
    /// Those of the configuration, and of programs and images that are no packages.
    own: usize,
    /// Those of closures with layers of their own.
    apart: usize,
    /// The most for the other closures together.
    closures: usize,
}

/// The fewest layers that closures can share: what changes often, and the rest.
const FEWEST_FOR_CLOSURES: usize = 2;

impl Shares {
    /// The shares of an image: one layer for the configuration, and for each program
    /// that comes as a release or file, and for the pause image; over a Debian root a
    /// quarter for closures; the rest for the root.
    ///
    /// # Errors
    /// [`Kind::Usage`] where the profile allows too few.
    pub(super) fn of(profile: &Profile, pinned: &Pinned) -> Result<Self> {
        let (kubelet, crictl) = (&profile.kubelet, &profile.crictl);
        let kubelet = kubelet.source == Some(KubeletSource::File) && kubelet.file.is_some();
        let crictl = crictl.source == Some(CrictlSource::File) && crictl.file.is_some();
        let pause = profile.pause.preload == Some(true);
        let programs = pinned.component.len()
            + [kubelet, crictl, pause]
                .into_iter()
                .filter(|own| *own)
                .count();
        let limit = usize::from(profile.image.layers);
        let apart = profile.nix.iter().filter_map(|one| one.layers);
        let apart = apart.map(|layers| usize::from(layers.get())).sum();
        let only_closures = profile.debian.is_none() && profile.base_image.is_none();
        let (root, fewest) = match (profile.nix.is_empty(), only_closures) {
            (true, _) => (1, 0),
            (false, true) => (0, FEWEST_FOR_CLOSURES),
            (false, false) => (1, FEWEST_FOR_CLOSURES),
        };
        let needed = root + programs + 1 + apart + fewest;
        if limit < needed {
            let message =
                format!("{limit} layers are too few for this image, which needs {needed}");
            let error = Error::new(Kind::Usage, message).hint(
                "each program that is no package has a layer of its own, beside the root and the configuration",
            );
            return Err(match profile.place(&["image", "layers"], None) {
                Some(place) => error.at(place),
                None => error,
            });
        }
        let own = match programs {
            0 => 1,
            _ if limit >= ROOMY => 1 + programs.max(PROGRAMS),
            _ => 1 + programs,
        };
        let left = limit.saturating_sub(root + own + apart).max(fewest);
        let closures = match (fewest, only_closures) {
            (0, _) => 0,
            (_, true) => left,
            (_, false) => left.min((limit / 4).max(fewest)),
        };
        Ok(Self {
            limit,
            own,
            apart,
            closures,
        })
    }

    /// How many layers are not the root's.
    pub(super) fn reserved(&self) -> usize {
        self.own + self.apart + self.closures
    }
}

/// Which paths each layer of the root loses.
fn dropped_by_layer(
    root: &Root,
    gone: &BTreeSet<TreePath>,
) -> BTreeMap<Digest, BTreeSet<TreePath>> {
    let mut homes: BTreeMap<&str, Digest> = BTreeMap::new();
    for layer in &root.layers {
        for component in &layer.components {
            homes.insert(component, layer.blob.digest);
        }
    }
    let mut dropped: BTreeMap<Digest, BTreeSet<TreePath>> = BTreeMap::new();
    for path in gone {
        if let Some(entry) = root.tree.entries.get(path)
            && let Some(home) = homes.get(&*entry.component)
        {
            dropped.entry(*home).or_default().insert(path.clone());
        }
    }
    dropped
}

fn root_layer(
    store: &Store,
    layer: &RootLayer,
    dropped: &BTreeSet<TreePath>,
    compression: Compression,
    threads: usize,
) -> Result<Layer> {
    if dropped.is_empty() && compression == Compression::ZSTD {
        return Ok(Layer {
            blob: layer.blob.clone(),
            reused: true,
        });
    }
    let parts = serde_json::json!({
        "format": FORMAT,
        "layer": layer.blob.digest,
        "dropped": dropped,
        "compression": compression.to_string(),
    });
    cached(store, &Digest::of(parts.to_string().as_bytes()), || {
        layer::refilter(store, &layer.blob, dropped, compression, threads)
    })
}

/// The layer recorded under `key`, or what `make` makes.
fn cached(store: &Store, key: &Digest, make: impl FnOnce() -> Result<LayerBlob>) -> Result<Layer> {
    if let Some(blob) = store.record::<LayerBlob>("layers", key)
        && store.has(&blob.digest, Some(blob.size))
    {
        return Ok(Layer { blob, reused: true });
    }
    let blob = make()?;
    store.put_record("layers", key, &blob)?;
    Ok(Layer {
        blob,
        reused: false,
    })
}
