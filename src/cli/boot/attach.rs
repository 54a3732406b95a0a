//! The proof as a referrer of the image: in its layout, or in a registry.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::super::Context;
use super::super::args::Boot;
use super::super::registry::registries;
use crate::boot::{Bundle, IN_TOTO, PREDICATE, Proof, statement};
use crate::error::{Error, Kind, Result};
use crate::image::manifest::Descriptor;
use crate::image::{Image, layout};
use crate::registry::{Artifact, Listed, Reference};

/// The annotation that tells what kind of statement an artifact holds, as other makers
/// of such artifacts have it.
const PREDICATE_TYPE: &str = "in-toto.io/predicate-type";

/// Looks whether there is something that the proofs can be attached to, before any work
/// is done for them.
pub(super) fn check(arguments: &Boot) -> Result<()> {
    match &arguments.attach {
        Some(Some(_)) if arguments.targets.len() > 1 => {
            let message = "`--attach=REF` is for one image, and there are several";
            Err(Error::new(Kind::Usage, message))
        }
        Some(_) if arguments.damage => {
            let message = "`--damage` proves nothing that could be attached";
            Err(Error::new(Kind::Usage, message))
        }
        // Of the image it is to speak, not of one machine.
        Some(_) if !arguments.credentials.is_empty() => {
            let message = "`--attach` is for what is the same of every boot, and with \
                           `--credential` it is not";
            Err(Error::new(Kind::Usage, message).hint("`--output FILE` stores the proof"))
        }
        Some(_)
            if arguments.image.is_none()
                && arguments
                    .targets
                    .iter()
                    .any(|name| Bundle::is_one(Path::new(name))) =>
        {
            let message = "`--attach` of a bundle needs the image that it was made from";
            Err(Error::new(Kind::Usage, message).hint("name it with `--image`"))
        }
        _ => Ok(()),
    }
}

/// Where the proofs of an image are attached.
pub(super) enum Place {
    /// To this manifest in a registry.
    Registry(Reference, Descriptor),
    /// To this manifest in a layout.
    Layout(PathBuf, Descriptor),
}

impl Place {
    /// Finds it, and makes sure that the image is there.
    pub(super) fn find(context: &Context, arguments: &Boot, image: &Image) -> Result<Self> {
        let nowhere = |message: &str| {
            Err(Error::new(Kind::Usage, message)
                .hint("`--attach=HOST/NAME:TAG` attaches it to the image in a registry"))
        };
        let reference = match &arguments.attach {
            Some(Some(reference)) => reference.clone(),
            _ => match image.layout() {
                Some(folder) => {
                    return Ok(Self::Layout(folder.to_owned(), image.manifest.clone()));
                }
                None if image.reference.starts_with("docker://") => image.reference.parse()?,
                None => return nowhere("nothing can be attached in an archive"),
            },
        };
        let reference = Reference {
            digest: Some(image.manifest.digest),
            ..reference
        };
        let registries = registries(context, &arguments.registry, None)?;
        let subject = registries.resolve(&reference).map_err(|error| {
            error.hint("a proof is attached to an image that is there: `nodelith push` first")
        })?;
        Ok(Self::Registry(reference, subject))
    }
}

/// Attaches what passed.
pub(super) fn attach(
    context: &Context,
    arguments: &Boot,
    place: &Place,
    proofs: &[Proof],
) -> Result<()> {
    if !proofs.iter().all(Proof::passed) {
        context
            .report
            .warning("the proof is not attached: it failed");
        return Ok(());
    }
    let (Place::Registry(_, subject) | Place::Layout(_, subject)) = place;
    let store = context.store()?;
    let _use = store.in_use()?;
    let bytes = statement(&subject.digest, proofs)?;
    let annotations = BTreeMap::from([(PREDICATE_TYPE.to_owned(), PREDICATE.to_owned())]);
    let artifact = Artifact {
        artifact_type: IN_TOTO.into(),
        blobs: vec![Descriptor {
            media_type: IN_TOTO.into(),
            digest: store.put(&bytes)?,
            size: bytes.len() as u64,
            annotations: annotations.clone(),
            platform: None,
        }],
        annotations,
    };
    let said = match place {
        Place::Registry(reference, subject) => {
            let registries = registries(context, &arguments.registry, None)?;
            let attached = registries.attach(reference, subject, &artifact)?;
            let how = match attached.listed {
                Listed::Registry => String::new(),
                Listed::Tag(tag) => format!(", listed by the tag `{tag}`"),
            };
            format!(
                "attached to `{reference}`: {}{how}",
                attached.manifest.digest
            )
        }
        Place::Layout(folder, subject) => {
            let stored = artifact.store(&store, subject)?;
            let entry = Descriptor {
                annotations: artifact.annotations.clone(),
                ..stored.manifest
            };
            let subject = &subject.digest;
            layout::attach(&store, folder, IN_TOTO, subject, &entry, &stored.blobs)?;
            format!("attached in `{}`: {}", folder.display(), entry.digest)
        }
    };
    context.report.note(&said);
    Ok(())
}
