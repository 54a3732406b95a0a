//! The layers of an image: the root's own where nothing of them changed, else
//! made from them; and those of the profile's entries. What was made before, here or by
//! another machine that shares a cache, is not made again.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use super::cache::Cache;
use super::compose::Composed;
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::layer::{self, Compression, FORMAT, LayerBlob, Uncompressed};
use crate::lock::Pinned;
use crate::profile::Profile;
use crate::profile::file::{CrictlSource, KubeletSource};
use crate::source::debian::root::{Root, RootLayer};
use crate::store::Store;
use crate::tree::TreePath;

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
    (store, cache): (&Store, Option<&Cache<'_>>),
    root: &Root,
    new: &BTreeSet<Digest>,
    composed: &Composed,
    compression: Compression,
    limit: usize,
    threads: usize,
) -> Result<Vec<Layer>> {
    let kept = Kept {
        store,
        cache,
        compression,
    };
    let dropped = dropped_by_layer(root, composed);
    let nothing = BTreeSet::new();
    // Many layers at once, each with few threads of its own.
    let compressing = threads.min(THREADS_FOR_A_LAYER);
    let mut layers = root
        .layers
        .par_iter()
        .map(|layer| {
            let dropped = dropped.get(&layer.blob.digest).unwrap_or(&nothing);
            let mut layer = root_layer(&kept, layer, dropped, compressing)?;
            layer.reused &= !new.contains(&layer.blob.digest);
            Ok(layer)
        })
        .collect::<Result<Vec<_>>>()?;
    let plan = layer::plan(&composed.added, &BTreeMap::new(), limit)?;
    for planned in &plan.layers {
        let key = layer::key(&composed.added, planned, compression)?;
        layers.push(kept.or_made(
            &key,
            &planned.id,
            &|| layer::uncompressed(store, planned, &composed.added),
            || layer::make(store, planned, &composed.added, compression, threads),
        )?);
    }
    Ok(layers)
}

/// How many layers of an image are not the root's: the configuration, and one for
/// each program that comes as a release or file, and for the pause image.
///
/// # Errors
/// [`Kind::Usage`] where the profile allows too few.
pub fn reserved(profile: &Profile, pinned: &Pinned) -> Result<usize> {
    let (kubelet, crictl) = (&profile.kubelet, &profile.crictl);
    let kubelet = kubelet.source == Some(KubeletSource::File) && kubelet.file.is_some();
    let crictl = crictl.source == Some(CrictlSource::File) && crictl.file.is_some();
    let pause = profile.pause.preload == Some(true);
    let programs = pinned.component.len()
        + [kubelet, crictl, pause]
            .into_iter()
            .filter(|own| *own)
            .count();
    let (limit, needed) = (usize::from(profile.image.layers), programs + 2);
    if limit < needed {
        let message = format!("{limit} layers are too few for this image, which needs {needed}");
        let error = Error::new(Kind::Usage, message).hint(
            "each program that is no package has a layer of its own, beside the root and the configuration",
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
        &|| layer::refiltered(store, &layer.blob, dropped),
        || layer::refilter(store, &layer.blob, dropped, compression, threads),
    )
}

/// Where layers may be that were made before.
struct Kept<'a> {
    store: &'a Store,
    cache: Option<&'a Cache<'a>>,
    compression: Compression,
}

impl Kept<'_> {
    /// The layer recorded under `key`, here or in a cache, or what `make` makes.
    /// `expected` works out what a cache's must hold.
    fn or_made(
        &self,
        key: &Digest,
        id: &str,
        expected: &dyn Fn() -> Result<Uncompressed>,
        make: impl FnOnce() -> Result<LayerBlob>,
    ) -> Result<Layer> {
        let recorded = self.store.record::<LayerBlob>("layers", key);
        let here = recorded.filter(|blob| self.store.has(&blob.digest, Some(blob.size)));
        let reused = here.or_else(|| {
            let media_type = self.compression.media_type();
            self.cache?.layer(key, (id, media_type), expected)
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
        if let Some(cache) = self.cache {
            cache.used_layer(key, &layer.blob);
        }
        Ok(layer)
    }
}
