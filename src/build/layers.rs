//! The layers of an image: the root's own where nothing of them changed, else
//! made from them; and those of the profile's entries. What was made before, here or by
//! another machine that shares a cache, is not made again.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use super::base::Base;
use super::cache::Cache;
use super::compose::Composed;
use super::images;
use super::nix::Closures;
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::layer::{self, Compression, FORMAT, LayerBlob, Plan, PlannedLayer, Uncompressed};
use crate::lock::Pinned;
use crate::profile::Profile;
use crate::profile::file::{CrictlSource, KubeletSource};
use crate::source::debian::root::{Root, RootLayer};
use crate::store::Store;
use crate::tree::{Entry, Tree, TreePath};

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

/// What an image's layers are made from, beside its root.
pub(super) struct Parts<'a> {
    /// The closures' and the profile's entries over the root.
    pub composed: &'a Composed,
    /// The closures, if there are any.
    pub closures: Option<&'a Closures>,
    /// The profile's entries.
    pub own: &'a Tree,
}

/// Gives the layers of an image on a root of packages in order, making those that are
/// not in the store; `new` are those of the root that this build has made already.
///
/// # Errors
/// When a layer cannot be read or written.
pub(super) fn layers(
    kept: &Kept<'_>,
    root: &Root,
    new: &BTreeSet<Digest>,
    parts: &Parts<'_>,
    shares: &Shares,
    threads: usize,
) -> Result<Vec<Layer>> {
    let dropped = dropped_by_layer(root, &parts.composed.dropped);
    let nothing = BTreeSet::new();
    // Many layers at once, each with few threads of its own.
    let compressing = threads.min(THREADS_FOR_A_LAYER);
    let mut layers = root
        .layers
        .par_iter()
        .map(|layer| {
            let dropped = dropped.get(&layer.blob.digest).unwrap_or(&nothing);
            let mut layer = root_layer(kept, layer, dropped, compressing)?;
            layer.reused &= !new.contains(&layer.blob.digest);
            Ok(layer)
        })
        .collect::<Result<Vec<_>>>()?;
    layers.extend(Plans::of(parts, shares, shares.limit)?.make(kept, parts.own, threads)?);
    Ok(layers)
}

/// Which layers come over the root's.
struct Plans {
    /// Those of closures, each with the tree that its entries are of.
    closures: Vec<(Plan, Tree)>,
    /// The profile's.
    own: Plan,
}

impl Plans {
    /// Plans them; the profile's are `limit` at most.
    fn of(parts: &Parts<'_>, shares: &Shares, limit: usize) -> Result<Self> {
        let closures = parts.closures.map(|all| all.plan(shares.closures));
        Ok(Self {
            closures: closures.transpose()?.unwrap_or_default(),
            own: layer::plan(parts.own, &BTreeMap::new(), limit)?,
        })
    }

    /// How many they are.
    fn len(&self) -> usize {
        let closures = self.closures.iter().map(|(plan, _)| plan.layers.len());
        closures.sum::<usize>() + self.own.layers.len()
    }

    /// Makes them, the closures' first; `own` are the profile's entries.
    fn make(&self, kept: &Kept<'_>, own: &Tree, threads: usize) -> Result<Vec<Layer>> {
        let make = |planned: &PlannedLayer, tree: &Tree, threads| -> Result<Layer> {
            let (store, compression) = (kept.store, kept.compression);
            let key = layer::key(tree, planned, compression)?;
            let mut layer = kept.or_made(
                &key,
                &planned.id,
                Some(&|| layer::uncompressed(store, planned, tree)),
                || layer::make(store, planned, tree, compression, threads),
            )?;
            // The same entries may have had another name.
            layer.blob.id.clone_from(&planned.id);
            Ok(layer)
        };
        let planned = self.closures.iter().flat_map(|(plan, tree)| {
            let layers = plan.layers.iter();
            layers.map(move |planned| (planned, tree))
        });
        let planned: Vec<_> = planned.collect();
        let compressing = threads.min(THREADS_FOR_A_LAYER);
        let made = planned.par_iter();
        let made = made.map(|(planned, tree)| make(planned, tree, compressing));
        let mut layers = made.collect::<Result<Vec<_>>>()?;
        for planned in &self.own.layers {
            layers.push(make(planned, own, threads)?);
        }
        Ok(layers)
    }
}

/// The id of the layer that takes paths out of a base.
const REMOVED: &str = "removed";

/// Gives the layers of an image on somebody else's: the base's as they are, one with
/// whiteouts for what is gone of it, those of closures, and the profile's.
///
/// # Errors
/// [`Kind::Usage`] where the profile allows too few; when a layer cannot be written.
pub(super) fn over_base(
    kept: &Kept<'_>,
    profile: &Profile,
    base: &Base,
    parts: &Parts<'_>,
    shares: &Shares,
    threads: usize,
) -> Result<Vec<Layer>> {
    let mut layers: Vec<Layer> = base
        .layers
        .iter()
        .map(|blob| Layer {
            blob: blob.clone(),
            reused: true,
        })
        .collect();
    let gone: BTreeSet<TreePath> = parts.composed.gone(&base.tree).cloned().collect();
    let taken = layers.len() + usize::from(!gone.is_empty());
    let plans = Plans::of(parts, shares, layer::plan::MAX_LIMIT)?;
    enough(profile, taken, taken + plans.len())?;
    if !gone.is_empty() {
        let folders = folders(&base.tree, &gone);
        let key = serde_json::json!({
            "format": FORMAT, "gone": gone, "folders": folders,
            "compression": kept.compression.to_string(),
        });
        let key = Digest::of(key.to_string().as_bytes());
        // It is made sooner than it is fetched.
        layers.push(kept.or_made(&key, REMOVED, None, || {
            layer::make_whiteouts(kept.store, REMOVED, &folders, &gone, kept.compression)
        })?);
    }
    layers.extend(plans.make(kept, parts.own, threads)?);
    Ok(layers)
}

/// The folders above what is gone, as the base has them.
fn folders(base: &Tree, gone: &BTreeSet<TreePath>) -> Tree {
    let mut folders = Tree::default();
    for path in gone {
        let mut above = path.parent();
        while let Some(folder) = above {
            above = folder.parent();
            if let Some(entry) = base.entries.get(&folder) {
                let entry = Entry {
                    component: REMOVED.into(),
                    ..entry.clone()
                };
                folders.entries.insert(folder, entry);
            }
        }
    }
    folders
}

/// Refuses an image of more layers than the profile allows; `base` of them are given.
fn enough(profile: &Profile, base: usize, needed: usize) -> Result<()> {
    let limit = usize::from(profile.image.layers);
    if needed <= limit {
        return Ok(());
    }
    let message = format!(
        "{limit} layers are too few for this image, which needs {needed}: {base} are the base's"
    );
    let most = layer::plan::MAX_LIMIT;
    let hint = match needed <= most {
        true => format!(
            "set `layers = {needed}` in `[image]`, or more: {most} is the most that there can be"
        ),
        false => format!("no image has more than {most}: choose a base of fewer layers"),
    };
    let error = Error::new(Kind::Usage, message).hint(hint);
    let place = profile.place(&["image", "layers"], None);
    let place = place.or_else(|| profile.place(&["base", "image", "reference"], None));
    Err(match place {
        Some(place) => error.at(place),
        None => error,
    })
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
    /// that comes as a release or file, for the pause image, and for images;
    /// over another root a quarter for closures; the rest for the root.
    ///
    /// # Errors
    /// [`Kind::Usage`] where the profile allows too few.
    pub(super) fn of(profile: &Profile, pinned: &Pinned) -> Result<Self> {
        let (kubelet, crictl) = (&profile.kubelet, &profile.crictl);
        let kubelet = kubelet.source == Some(KubeletSource::File) && kubelet.file.is_some();
        let crictl = crictl.source == Some(CrictlSource::File) && crictl.file.is_some();
        let pause = profile.pause.preload == Some(true);
        let programs = images::layers(pinned.image.len())
            + pinned.component.len()
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
        // Of a base it is counted when its layers are known.
        if limit < needed && profile.base_image.is_none() {
            let message =
                format!("{limit} layers are too few for this image, which needs {needed}");
            let error = Error::new(Kind::Usage, message).hint(
                "each program that is no package has a layer of its own, and so have images, beside the root and the configuration",
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
    kept: &Kept<'_>,
    layer: &RootLayer,
    dropped: &BTreeSet<TreePath>,
    threads: usize,
) -> Result<Layer> {
    let (store, compression) = (kept.store, kept.compression);
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
    kept.or_made(
        &Digest::of(parts.to_string().as_bytes()),
        &layer.blob.id,
        Some(&|| layer::refiltered(store, &layer.blob, dropped)),
        || layer::refilter(store, &layer.blob, dropped, compression, threads),
    )
}

/// Where layers may be that were made before, and how new ones are compressed.
pub(super) struct Kept<'a> {
    /// The store, which has what is made.
    pub store: &'a Store,
    /// Other machines' work.
    pub cache: Option<&'a Cache<'a>>,
    /// How layers are compressed.
    pub compression: Compression,
}

impl Kept<'_> {
    /// The layer recorded under `key`, here or in a cache, or what `make` makes.
    /// `expected` works out what a cache's must hold; without it, none is asked.
    fn or_made(
        &self,
        key: &Digest,
        id: &str,
        expected: Option<&dyn Fn() -> Result<Uncompressed>>,
        make: impl FnOnce() -> Result<LayerBlob>,
    ) -> Result<Layer> {
        let recorded = self.store.record::<LayerBlob>("layers", key);
        let here = recorded.filter(|blob| self.store.has(&blob.digest, Some(blob.size)));
        let reused = here.or_else(|| {
            let media_type = self.compression.media_type();
            self.cache?.layer(key, (id, media_type), expected?)
        });
        let layer = match reused {
            Some(blob) => Layer { blob, reused: true },
            None => {
                let blob = make()?;
                self.store.put_record("layers", key, &blob)?;
                Layer {
                    blob,
                    reused: false,
                }
            }
        };
        if let Some(cache) = self.cache
            && expected.is_some()
        {
            cache.used_layer(key, &layer.blob);
        }
        Ok(layer)
    }
}
