//! The layers of an image: the root's own where nothing of them changed, else
//! made from them; and those of the profile's entries.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use super::base::Base;
use super::compose::Composed;
use super::images;
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::layer::{self, Compression, FORMAT, LayerBlob};
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

/// Gives the image's layers in order, making those that are not in the store;
/// `new` are those of the root that this build has made already.
///
/// # Errors
/// When a layer cannot be read or written.
pub fn layers(
    store: &Store,
    root: &Root,
    new: &BTreeSet<Digest>,
    composed: &Composed,
    compression: Compression,
    limit: usize,
    threads: usize,
) -> Result<Vec<Layer>> {
    let dropped = dropped_by_layer(root, composed);
    let nothing = BTreeSet::new();
    // Many layers at once, each with few threads of its own.
    let compressing = threads.min(THREADS_FOR_A_LAYER);
    let mut layers = root
        .layers
        .par_iter()
        .map(|layer| {
            let dropped = dropped.get(&layer.blob.digest).unwrap_or(&nothing);
            let mut layer = root_layer(store, layer, dropped, compression, compressing)?;
            layer.reused &= !new.contains(&layer.blob.digest);
            Ok(layer)
        })
        .collect::<Result<Vec<_>>>()?;
    let plan = layer::plan(&composed.added, &BTreeMap::new(), limit)?;
    for planned in &plan.layers {
        let key = layer::key(&composed.added, planned, compression)?;
        layers.push(cached(store, &key, || {
            layer::make(store, planned, &composed.added, compression, threads)
        })?);
    }
    Ok(layers)
}

/// The id of the layer that takes paths out of a base.
const REMOVED: &str = "removed";

/// Gives the layers of an image on somebody else's: the base's as they are, one with
/// whiteouts for what is gone of it, and the profile's.
///
/// # Errors
/// [`Kind::Usage`] where the profile allows too few; when a layer cannot be written.
pub fn over_base(
    store: &Store,
    profile: &Profile,
    base: &Base,
    composed: &Composed,
    compression: Compression,
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
    let gone: BTreeSet<TreePath> = composed.gone(&base.tree).cloned().collect();
    let taken = layers.len() + usize::from(!gone.is_empty());
    let plan = layer::plan(&composed.added, &BTreeMap::new(), layer::plan::MAX_LIMIT)?;
    enough(profile, taken, taken + plan.layers.len())?;
    if !gone.is_empty() {
        let folders = folders(&base.tree, &gone);
        let key = serde_json::json!({
            "format": FORMAT, "gone": gone, "folders": folders,
            "compression": compression.to_string(),
        });
        let key = Digest::of(key.to_string().as_bytes());
        layers.push(cached(store, &key, || {
            layer::make_whiteouts(store, REMOVED, &folders, &gone, compression)
        })?);
    }
    for planned in &plan.layers {
        let key = layer::key(&composed.added, planned, compression)?;
        layers.push(cached(store, &key, || {
            layer::make(store, planned, &composed.added, compression, threads)
        })?);
    }
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

/// How many layers of an image are not the root's: the configuration, and one for
/// each program that comes as a release or file, for the pause image, and for images.
///
/// # Errors
/// [`Kind::Usage`] where the profile allows too few.
pub fn reserved(profile: &Profile, pinned: &Pinned) -> Result<usize> {
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
    let (limit, needed) = (usize::from(profile.image.layers), programs + 2);
    if limit < needed {
        let message = format!("{limit} layers are too few for this image, which needs {needed}");
        let error = Error::new(Kind::Usage, message).hint(
            "each program that is no package has a layer of its own, and so have images, beside the root and the configuration",
        );
        return Err(match profile.place(&["image", "layers"], None) {
            Some(place) => error.at(place),
            None => error,
        });
    }
    Ok(match programs {
        0 => 1,
        _ if limit >= ROOMY => 1 + programs.max(PROGRAMS),
        _ => 1 + programs,
    })
}

/// Which paths each layer of the root loses.
fn dropped_by_layer(root: &Root, composed: &Composed) -> BTreeMap<Digest, BTreeSet<TreePath>> {
    let mut homes: BTreeMap<&str, Digest> = BTreeMap::new();
    for layer in &root.layers {
        for component in &layer.components {
            homes.insert(component, layer.blob.digest);
        }
    }
    let mut dropped: BTreeMap<Digest, BTreeSet<TreePath>> = BTreeMap::new();
    for path in &composed.dropped {
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
