//! Somebody else's image that is the root, pinned by digest, with what it says it is.

use super::components::{kept, locate};
use super::{Keep, Pinned, PinnedBase};
use crate::error::{Error, Kind, Result};
use crate::image::inherit::Inherited;
use crate::image::read::Image;
use crate::profile::Profile;
use crate::source::base::Facts;
use crate::source::oci::{Images, NamedImage};
use crate::tree::FIXED_TIME;

/// The image that is the root of a profile, if there is one.
#[must_use]
pub fn named_base(profile: &Profile) -> Option<NamedImage> {
    let image = profile.base_image.as_ref()?;
    Some(NamedImage {
        reference: image.reference.to_string(),
        source: image.reference.clone(),
        digest: image.digest.as_ref().and_then(|digest| digest.parse().ok()),
    })
}

/// The image that is the root of a profile, with what the lock has of it.
///
/// # Errors
/// [`Kind::Resolve`] when the lock has none, or another.
pub fn pinned_base<'a>(
    profile: &Profile,
    pinned: &'a Pinned,
) -> Result<Option<(NamedImage, &'a PinnedBase)>> {
    let Some(named) = named_base(profile) else {
        return Ok(None);
    };
    let locked = pinned.base.as_ref();
    let locked = locked.filter(|locked| named.is(&locked.image));
    let locked = locked.ok_or_else(|| {
        let message = format!("the base `{}` is not in the lock", named.reference);
        Error::new(Kind::Resolve, message).hint("renew the lock with `nodelith lock`")
    })?;
    Ok(Some((named, locked)))
}

/// Pins the base of `profile` and reads what it says it is, keeping `before` where `keep`
/// says so and it still is what the profile asks for; gives the base's own time, too, in
/// seconds since the epoch. A layout or archive that changed is pinned anew.
///
/// # Errors
/// What pinning and reading the image fail with, with the place in the profile.
pub fn pin_base(
    images: &Images<'_>,
    profile: &Profile,
    architecture: &str,
    before: Option<&Pinned>,
    keep: &Keep,
) -> Result<Option<(PinnedBase, i64)>> {
    let Some(named) = named_base(profile) else {
        return Ok(None);
    };
    let pin = || {
        let locked = before.and_then(|before| Some((before.base.as_ref()?, before)));
        if let Some((locked, before)) = locked
            && named.is(&locked.image)
            && kept(keep, &locked.image.reference)
            && (!images.is_here(&named) || images.now(&named, architecture)? == locked.image.digest)
        {
            return Ok((locked.clone(), before.source_date_epoch));
        }
        read(images, &named, architecture)
    };
    let keys = ["base", "image", "reference"];
    pin()
        .map(Some)
        .map_err(|error| locate(error, profile, &keys, None))
}

fn read(images: &Images<'_>, named: &NamedImage, architecture: &str) -> Result<(PinnedBase, i64)> {
    let pinned = images.pin(named, architecture)?;
    let chosen = images.fetch(named, &pinned, architecture)?;
    let manifest = chosen.manifest().cloned().ok_or_else(|| {
        let message = format!("`{}` has no manifest", named.reference);
        Error::new(Kind::Verify, message)
    })?;
    let image = Image::in_store(&named.reference, images.store, manifest, Some(architecture))?;
    if image.layers.is_empty() {
        let message = format!("the image `{}` has no layers", named.reference);
        let error = Error::new(Kind::Resolve, message);
        return Err(error.hint("it cannot be the root of a node"));
    }
    let facts = Facts::read(&image)?;
    for unread in &facts.unread {
        images.report.warning(&format!(
            "the packages of the base are not all known: {unread}"
        ));
    }
    let inherited = Inherited::of(&image)?;
    let base = PinnedBase {
        os: facts.os,
        layers: image.layers.len(),
        image: pinned,
        packages: facts.packages,
    };
    // Before that no archive format can say when it was.
    let created = inherited.created.unwrap_or(FIXED_TIME).max(FIXED_TIME);
    Ok((base, created))
}
