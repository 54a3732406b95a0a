//! Reads what the files of an image hold, each layer once.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::Read;

use rayon::iter::{ParallelBridge, ParallelIterator};

use super::{Place, in_layer};
use crate::error::{Error, Kind, Result};
use crate::image::read::{Image, ImageLayer};
use crate::image::source::reading;
use crate::layer::compress::decompress;
use crate::layer::untar;
use crate::tree::TreePath;

/// Gives each of `files` with its content to `give`: layers in parallel, each
/// streamed once from front to back, so in no order that one could rely on.
///
/// Layers are verified against their own digest, not against their diff ID:
/// that was done when the image's tree was read, on the same bytes.
///
/// # Errors
/// When a layer is not there, does not match its digest or is malformed, or
/// what `give` fails with.
pub fn read_contents(
    image: &Image,
    files: &BTreeMap<TreePath, Place>,
    give: &(dyn Fn(&TreePath, &mut (dyn Read + Send)) -> Result<()> + Sync),
) -> Result<()> {
    let mut layers: BTreeMap<usize, BTreeMap<usize, &TreePath>> = BTreeMap::new();
    for (path, place) in files {
        let members = layers.entry(place.layer).or_default();
        members.insert(place.member, path);
    }
    let mut layers: Vec<_> = layers
        .into_iter()
        .map(|(number, members)| (&image.layers[number], members))
        .collect();
    layers.sort_by_key(|(layer, _)| Reverse(layer.descriptor.size));
    layers
        .into_iter()
        .par_bridge()
        .try_for_each(|(layer, members)| read_layer(image, layer, &members, give))
}

fn read_layer(
    image: &Image,
    layer: &ImageLayer,
    members: &BTreeMap<usize, &TreePath>,
    give: &(dyn Fn(&TreePath, &mut (dyn Read + Send)) -> Result<()> + Sync),
) -> Result<()> {
    let said = |error| in_layer(image, layer, error);
    let plain = decompress(image.layer(layer).map_err(said)?);
    let plain = plain.map_err(|error| said(reading(&error)))?;
    let mut reader = untar::Reader::new(plain, layer.descriptor.digest);
    let mut at = 0;
    for (&member, path) in members {
        loop {
            if reader.advance().map_err(said)?.is_none() {
                let changed = Error::new(Kind::Verify, "it changed while it was read");
                return Err(said(changed));
            }
            at += 1;
            if at > member {
                break;
            }
        }
        give(path, &mut reader)?;
    }
    reader.drain().map(drop).map_err(said)
}
