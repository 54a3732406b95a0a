//! Images that a profile names, pinned by digest.

use super::components::{kept, locate};
use super::{Keep, Pinned, named_base};
use crate::error::{Error, Kind, Result};
use crate::profile::Profile;
use crate::profile::file::Preload;
use crate::profile::value::ImageSource;
use crate::source::oci::{Images, NamedImage, PinnedImage};

/// Every image that a profile has its node carry, sorted by reference.
#[must_use]
pub fn named_images(profile: &Profile) -> Vec<NamedImage> {
    let mut named: Vec<NamedImage> = profile.images.iter().map(name).collect();
    named.sort_by(|a, b| a.reference.cmp(&b.reference));
    named
}

fn name(image: &Preload) -> NamedImage {
    let registry = || ImageSource::registry(&image.reference);
    let own = image.reference.split_once('@').map(|(_, digest)| digest);
    let digest = image.digest.as_deref().or(own);
    NamedImage {
        reference: image.reference.to_string(),
        source: image.source.clone().unwrap_or_else(registry),
        digest: digest.and_then(|digest| digest.parse().ok()),
    }
}

/// Every image that a profile has its node carry, with what the lock has of it.
///
/// # Errors
/// [`Kind::Resolve`] when the lock does not have one.
pub fn pinned_images<'a>(
    profile: &Profile,
    pinned: &'a Pinned,
) -> Result<Vec<(NamedImage, &'a PinnedImage)>> {
    let named = named_images(profile).into_iter().map(|image| {
        let locked = pinned.image.iter().find(|locked| image.is(locked));
        let locked = locked.ok_or_else(|| {
            let message = format!("the image `{}` is not in the lock", image.reference);
            Error::new(Kind::Resolve, message).hint("renew the lock with `nodelith lock`")
        })?;
        Ok((image, locked))
    });
    named.collect()
}

/// Pins every image that `profile` names, keeping of `before` what `keep` says and what
/// still is what the profile asks for. A layout or archive that changed is pinned anew,
/// as a local file is.
///
/// # Errors
/// What [`Images::pin`] fails with, with the place in the profile.
pub fn pin_images(
    provider: &Images<'_>,
    profile: &Profile,
    architecture: &str,
    before: &[PinnedImage],
    keep: &Keep,
) -> Result<Vec<PinnedImage>> {
    let one = |image: &NamedImage| {
        let locked = before
            .iter()
            .find(|locked| image.is(locked) && kept(keep, &locked.reference));
        if let Some(locked) = locked {
            let is_there = provider.is_here(image);
            if !is_there || provider.now(image, architecture)? == locked.digest {
                return Ok(locked.clone());
            }
        }
        provider.pin(image, architecture)
    };
    let named = named_images(profile);
    let pinned = named.iter().map(|image| {
        let keys = ["images", "reference"];
        one(image).map_err(|error| locate(error, profile, &keys, Some(&image.reference)))
    });
    pinned.collect()
}

/// Every locked image of which its source has another by now, as reference, locked
/// digest and the digest there. What the profile names by digest cannot have another.
///
/// # Errors
/// When a source cannot be asked.
pub(super) fn moved(
    provider: &Images<'_>,
    profile: &Profile,
    architecture: &str,
    pinned: &Pinned,
) -> Result<Vec<[String; 3]>> {
    let mut found = Vec::new();
    let base = pinned.base.iter().map(|base| &base.image);
    let locked: Vec<_> = base.chain(&pinned.image).collect();
    for image in named_base(profile).into_iter().chain(named_images(profile)) {
        let one = locked.iter().find(|one| image.is(one));
        let Some(one) = one.filter(|_| image.digest.is_none()) else {
            continue;
        };
        match provider.now(&image, architecture) {
            Ok(now) if now == one.digest => {}
            Ok(now) => found.push([image.reference, one.digest.to_string(), now.to_string()]),
            // Without a network the rest can still be told.
            Err(error) if provider.offline && error.kind() == Kind::Network => {
                provider.report.warning(&error.message());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}
