//! Pins an image, and brings a pinned one into the store.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::{NamedImage, PinnedImage};
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::image::chosen::{self, Chosen};
use crate::image::contents::{Contents, MOST_BYTES};
use crate::image::manifest::Descriptor;
use crate::image::read::is_there;
use crate::image::source::{Verified, reading};
use crate::registry::{Reference, Registries, Wanted, media_type_of};
use crate::report::{Report, Unit, counted};
use crate::source::fetch::{Download, Fetcher};
use crate::store::Store;

/// The folder of a vendor folder that has images' blobs, each by its digest, in hexadecimal.
pub const VENDORED: &str = "images";

/// The kind of records that name what must be at hand to know an image: its documents
/// and configuration.
const RECORD: &str = "oci";

/// Brings images.
pub struct Images<'a> {
    /// The store.
    pub store: &'a Store,
    /// Where progress goes.
    pub report: &'a Report,
    /// Brings what a vendor folder has.
    pub fetcher: &'a Fetcher,
    /// Where images are.
    pub registries: &'a Registries,
    /// Whether no registry may be asked.
    pub offline: bool,
    /// The vendor folder, where it is the only source.
    pub vendor: Option<PathBuf>,
}

impl Images<'_> {
    /// Pins what a profile names for `architecture`. Manifests and configuration are in
    /// the store then; of a layout or archive also the layers.
    ///
    /// # Errors
    /// [`Kind::Resolve`] when there is no such image, or none for the architecture;
    /// [`Kind::Verify`] when it has another digest than the profile says, or something
    /// is not what its own digest says; [`Kind::Network`] when it cannot be asked for.
    pub fn pin(&self, image: &NamedImage, architecture: &str) -> Result<PinnedImage> {
        let mut chosen = match image.source.local() {
            Some(place) => {
                let (chosen, contents) = open(&place, image, architecture)?;
                self.keep(&chosen, &contents)?;
                chosen
            }
            None => self.ask(image, architecture)?,
        };
        let (Some(top), Some(manifest)) = (chosen.top(), chosen.manifest()) else {
            return Err(empty());
        };
        let (mut digest, manifest) = (top.digest, manifest.digest);
        if let Some(wanted) = image.digest {
            if wanted != digest && wanted == manifest {
                // The manifest alone was meant.
                digest = manifest;
                chosen.documents.drain(..chosen.documents.len() - 1);
            }
            if wanted != digest {
                let message = format!(
                    "`{}` has digest {digest}, and the profile says {wanted}",
                    image.source
                );
                return Err(Error::new(Kind::Verify, message)
                    .hint("if the other image is meant, write its digest into the profile"));
            }
        }
        self.remember(&manifest, &chosen)?;
        Ok(PinnedImage {
            reference: image.reference.clone(),
            source: image.elsewhere(),
            digest,
            manifest,
            size: chosen.all().map(|blob| blob.size).sum(),
        })
    }

    /// What a registry has for an architecture, without the layers.
    fn ask(&self, image: &NamedImage, architecture: &str) -> Result<Chosen> {
        let mut reference = reference(image)?;
        if reference.digest.is_none() {
            reference.digest = image.digest;
        }
        if self.offline {
            return Err(not_to_be_asked(&image.source.to_string()));
        }
        let wanted = Wanted {
            architectures: vec![architecture.to_owned()],
            without_layers: true,
        };
        let pulled = self.registries.pull(&reference, &wanted)?;
        self.in_store(pulled.top.digest, architecture)
    }

    /// Has the store keep what must be at hand to know an image.
    fn remember(&self, manifest: &Digest, chosen: &Chosen) -> Result<()> {
        let documents = chosen.documents.iter().map(|one| one.descriptor.digest);
        let config = chosen.blobs.first().map(|config| config.digest);
        let digests: Vec<Digest> = documents.chain(config).collect();
        self.store.put_record(RECORD, manifest, &digests)
    }

    /// Whether the image's layout or archive is on this machine.
    #[must_use]
    pub fn is_here(&self, image: &NamedImage) -> bool {
        image.source.local().is_some_and(|place| is_there(&place))
    }

    /// The digest that a profile's image leads to now.
    ///
    /// # Errors
    /// As for [`pin`](Self::pin).
    pub fn now(&self, image: &NamedImage, architecture: &str) -> Result<Digest> {
        let Some(place) = image.source.local() else {
            if self.offline {
                return Err(not_to_be_asked(&image.source.to_string()));
            }
            let found = self.registries.resolve(&reference(image)?)?;
            return Ok(found.digest);
        };
        let (chosen, _) = open(&place, image, architecture)?;
        chosen.top().map(|top| top.digest).ok_or_else(empty)
    }

    /// Puts a pinned image into the store, all of it verified, and gives what it
    /// consists of.
    ///
    /// # Errors
    /// [`Kind::Verify`] when something is not what its digest says; [`Kind::Resolve`]
    /// when the image is nowhere any more, [`Kind::Network`] when it cannot be had.
    pub fn fetch(
        &self,
        image: &NamedImage,
        pinned: &PinnedImage,
        architecture: &str,
    ) -> Result<Chosen> {
        if let Some(chosen) = self.whole(pinned, architecture)? {
            return Ok(chosen);
        }
        let local = image.source.local();
        let fetched = match (&self.vendor, local) {
            (Some(vendor), _) => self.take_from_vendor(vendor, pinned, architecture),
            (None, Some(place)) => self.take_from_place(&place, image, pinned, architecture),
            (None, None) => self.take_from_registry(image, pinned, architecture),
        };
        fetched?;
        let chosen = self.in_store(pinned.digest, architecture)?;
        if chosen.manifest().map(|manifest| manifest.digest) != Some(pinned.manifest) {
            let message = format!(
                "the lock says that {} is `{}` for {architecture}, and it is another",
                pinned.manifest, pinned.reference
            );
            return Err(Error::new(Kind::Verify, message).hint(renew(pinned)));
        }
        self.remember(&pinned.manifest, &chosen)?;
        Ok(chosen)
    }

    /// The image, if all of it is in the store as it should be.
    fn whole(&self, pinned: &PinnedImage, architecture: &str) -> Result<Option<Chosen>> {
        let Some(chosen) = self.outline(pinned, architecture) else {
            return Ok(None);
        };
        let missing = self.missing(&chosen)?;
        Ok(missing.is_empty().then_some(chosen))
    }

    /// What a pinned image consists of, if documents and configuration are in the store.
    #[must_use]
    pub fn outline(&self, pinned: &PinnedImage, architecture: &str) -> Option<Chosen> {
        // The store keeps what a record names, as long as somebody asks for the record.
        let _: Option<Vec<Digest>> = self.store.record(RECORD, &pinned.manifest);
        let chosen = self.in_store(pinned.digest, architecture).ok()?;
        let manifest = chosen.manifest()?.digest;
        (manifest == pinned.manifest).then_some(chosen)
    }

    /// The blobs that the store does not have; damaged ones are removed from it.
    fn missing<'a>(&self, chosen: &'a Chosen) -> Result<Vec<&'a Descriptor>> {
        let states = chosen.blobs.par_iter().map(|blob| {
            let there = self.store.has_whole(&blob.digest, Some(blob.size))?;
            Ok((!there).then_some(blob))
        });
        let states: Vec<Option<&Descriptor>> = states.collect::<Result<_>>()?;
        Ok(states.into_iter().flatten().collect())
    }

    /// An image of which at least documents and configuration are in the store.
    fn in_store(&self, top: Digest, architecture: &str) -> Result<Chosen> {
        let top = self.describe(top)?;
        Chosen::descend(top, architecture, &|one| self.small(&one.digest, one.size))
    }

    /// An index or manifest of the store.
    fn describe(&self, digest: Digest) -> Result<Descriptor> {
        let bytes = self.small(&digest, MOST_BYTES)?;
        Ok(Descriptor {
            // What a registry calls it is not in its bytes, and must not count.
            media_type: media_type_of(None, &bytes)?,
            digest,
            size: bytes.len() as u64,
            annotations: BTreeMap::new(),
            platform: None,
        })
    }

    fn small(&self, digest: &Digest, size: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = self.store.open_blob(digest)?;
        Verified::new(file.take(size.min(MOST_BYTES) + 1), *digest, None)
            .read_to_end(&mut bytes)
            .map_err(|error| reading(&error))?;
        Ok(bytes)
    }

    fn take_from_registry(
        &self,
        image: &NamedImage,
        pinned: &PinnedImage,
        architecture: &str,
    ) -> Result<()> {
        if self.offline {
            return Err(not_to_be_asked(&pinned.reference));
        }
        let mut reference = reference(image)?;
        // The tag may name another by now.
        reference.digest = Some(pinned.digest);
        let wanted = Wanted {
            architectures: vec![architecture.to_owned()],
            without_layers: false,
        };
        let pulled = self.registries.pull(&reference, &wanted);
        pulled.map(drop).map_err(|error| match error.kind() {
            Kind::Resolve => error.hint(renew(pinned)),
            _ => error,
        })
    }

    fn take_from_place(
        &self,
        place: &str,
        image: &NamedImage,
        pinned: &PinnedImage,
        architecture: &str,
    ) -> Result<()> {
        let (chosen, contents) = open(place, image, architecture)?;
        let has = |digest| chosen.all().any(|one| one.digest == digest);
        if !has(pinned.digest) || !has(pinned.manifest) {
            let found = chosen.top().map(|top| top.digest.to_string());
            let message = format!(
                "`{}` has digest {}, and the lock says {}",
                image.source,
                found.unwrap_or_default(),
                pinned.digest
            );
            return Err(Error::new(Kind::Verify, message).hint(renew(pinned)));
        }
        self.keep(&chosen, &contents)
    }

    /// Copies an image of a layout or archive into the store.
    fn keep(&self, chosen: &Chosen, contents: &Contents) -> Result<()> {
        for document in &chosen.documents {
            self.store.put(&document.bytes)?;
        }
        let missing = self.missing(chosen)?;
        missing.into_par_iter().try_for_each(|blob| {
            let source = contents.blob(blob)?;
            let mut source = Verified::new(source, blob.digest, Some(blob.size));
            let mut kept = self.store.writer()?;
            io::copy(&mut source, &mut kept).map_err(|error| {
                reading(&error)
                    .context(format!("reading `{}`", contents.reference))
                    .hint("it was damaged after it was made: make it again")
            })?;
            kept.commit().map(drop)
        })
    }

    /// Takes what a vendor folder has: documents first, since these name the rest.
    fn take_from_vendor(
        &self,
        vendor: &Path,
        pinned: &PinnedImage,
        architecture: &str,
    ) -> Result<()> {
        let item = |digest: Digest, size: Option<u64>| {
            let place = vendor.join(VENDORED).join(digest.hex());
            Download {
                urls: vec![place.display().to_string()],
                digest,
                size,
                name: pinned.reference.clone(),
            }
        };
        let task = self.report.task("fetching", None, Unit::Bytes);
        let get = |one: &Descriptor| {
            self.fetcher
                .download(&[item(one.digest, Some(one.size))], &task)?;
            self.small(&one.digest, one.size)
        };
        self.fetcher.download(&[item(pinned.digest, None)], &task)?;
        let chosen = Chosen::descend(self.describe(pinned.digest)?, architecture, &get)?;
        let items: Vec<Download> = chosen
            .blobs
            .iter()
            .map(|blob| item(blob.digest, Some(blob.size)))
            .collect();
        self.fetcher.download(&items, &task)?;
        task.finish(&counted(items.len(), "blob"));
        Ok(())
    }
}

/// The image in a layout or archive.
fn open(place: &str, image: &NamedImage, architecture: &str) -> Result<(Chosen, Contents)> {
    chosen::open(place, &image.reference, architecture).map_err(|error| match error.kind() {
        Kind::Verify if place.starts_with("oci-archive:") => error.hint(
            "an archive is made by `skopeo copy FROM oci-archive:FILE`, or by `docker save` from version 25 on",
        ),
        _ => error,
    })
}

/// The reference of an image in a registry.
fn reference(image: &NamedImage) -> Result<Reference> {
    let text = image.source.reference().unwrap_or(&image.reference);
    text.parse()
}

fn renew(pinned: &PinnedImage) -> String {
    format!(
        "to take what is there now, renew the lock with `nodelith lock --update {}`",
        pinned.reference
    )
}

fn not_to_be_asked(what: &str) -> Error {
    Error::new(
        Kind::Network,
        format!("`{what}` is not in the store, and the network is not to be used"),
    )
    .hint("run once without `--offline`, or `nodelith vendor` where there is a network")
}

fn empty() -> Error {
    Error::new(Kind::Verify, "not a valid image: it has no manifest")
}
