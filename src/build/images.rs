//! The images that a profile names, as archives in the store: each image one, and each
//! blob once.
//!
//! Blobs that several images have stand in parts, one for each set of images that has
//! them; an image's archive has the rest. An image changes alone then: its own archive,
//! and a part only if what is shared changed. Bytes follow from the pinned digests and
//! the references alone, not from where the images came from.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;
use serde_json::json;

use super::Builder;
use crate::digest::Digest;
use crate::error::Result;
use crate::image::archive;
use crate::image::chosen::Chosen;
use crate::image::manifest::Descriptor;
use crate::layer::FORMAT;
use crate::lock::{self, Pinned};
use crate::node::{Archive, Carried, SharedPart, imported, untagged};
use crate::profile::Profile;
use crate::store::Store;
use crate::tree::Content;

/// So many images have layers of their own; more are put together, so that the limit
/// of layers is not theirs.
const MOST_ALONE: usize = 24;
/// Layers of images that are put together.
const BINS: usize = 16;
/// The component of all that images share.
const SHARED: &str = "images-shared";
/// The kind of records that say which archive was made of what.
const RECORD: &str = "archives";

impl Builder<'_> {
    /// The images that the profile names, their archives in the store.
    pub(super) fn carried(
        &self,
        profile: &Profile,
        architecture: &str,
        pinned: &Pinned,
    ) -> Result<Vec<Carried>> {
        let named = lock::pinned_images(profile, pinned)?;
        let outlines = named.iter().map(|(image, pinned)| {
            let outline = self.images.outline(pinned, architecture)?;
            Some((imported(&image.reference), outline))
        });
        // Where the archives were made before, their blobs are not asked for.
        if let Some(outlines) = outlines.collect::<Option<Vec<_>>>()
            && let Some(carried) = plan(&outlines).known(self.store)
        {
            return Ok(carried);
        }
        let mut images = Vec::new();
        for (image, pinned) in &named {
            let chosen = self.images.fetch(image, pinned, architecture)?;
            images.push((imported(&image.reference), chosen));
        }
        plan(&images).make(self.store)
    }
}

/// How many layers so many images need at most.
pub(super) fn layers(images: usize) -> usize {
    match images {
        0 | 1 => images,
        2..=MOST_ALONE => images + 1,
        _ => BINS + 1,
    }
}

/// Which blobs go where.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    images: Vec<Planned>,
    parts: Vec<Vec<Descriptor>>,
}

/// One image's archive.
#[derive(Debug, PartialEq, Eq)]
struct Planned {
    name: String,
    component: String,
    references: Vec<String>,
    top: Descriptor,
    blobs: Vec<Descriptor>,
    /// The parts that have the rest.
    parts: Vec<usize>,
}

/// Plans the archives of images by their references.
fn plan(images: &[(String, Chosen)]) -> Plan {
    // Several references may lead to one image.
    let mut distinct: BTreeMap<Digest, (Vec<&str>, &Chosen)> = BTreeMap::new();
    for (reference, chosen) in images {
        if let Some(top) = chosen.top() {
            let one = distinct.entry(top.digest);
            one.or_insert((Vec::new(), chosen)).0.push(reference);
        }
    }
    let mut distinct: Vec<_> = distinct.into_values().collect();
    for (references, _) in &mut distinct {
        references.sort_unstable();
        references.dedup();
    }
    distinct.sort_by(|a, b| a.0.cmp(&b.0));
    let mut owners: BTreeMap<Digest, (BTreeSet<usize>, &Descriptor)> = BTreeMap::new();
    for (number, (_, chosen)) in distinct.iter().enumerate() {
        for blob in chosen.all() {
            let owners = owners.entry(blob.digest);
            owners.or_insert((BTreeSet::new(), blob)).0.insert(number);
        }
    }
    let mut by_owners: BTreeMap<&BTreeSet<usize>, Vec<Descriptor>> = BTreeMap::new();
    for (owners, blob) in owners.values() {
        by_owners.entry(owners).or_default().push(plain(blob));
    }
    let names = names(&distinct.iter().map(|one| one.0[0]).collect::<Vec<_>>());
    let mut planned: Vec<Planned> = distinct
        .iter()
        .zip(names)
        .filter_map(|((references, chosen), name)| {
            Some(Planned {
                component: component(&name, images.len()),
                name,
                references: references.iter().map(ToString::to_string).collect(),
                top: plain(chosen.top()?),
                blobs: Vec::new(),
                parts: Vec::new(),
            })
        })
        .collect();
    let mut parts = Vec::new();
    for (owners, blobs) in by_owners {
        match owners.first() {
            Some(&only) if owners.len() == 1 => planned[only].blobs = blobs,
            _ => {
                for &owner in owners {
                    planned[owner].parts.push(parts.len());
                }
                parts.push(blobs);
            }
        }
    }
    Plan {
        images: planned,
        parts,
    }
}

/// A descriptor without what whoever named the blob said besides.
fn plain(blob: &Descriptor) -> Descriptor {
    Descriptor {
        annotations: BTreeMap::new(),
        platform: None,
        ..blob.clone()
    }
}

/// Short names of images: the last part of the repository, told apart where it must be.
fn names(references: &[&str]) -> Vec<String> {
    let last = |reference: &str| {
        let name = untagged(reference.split('@').next().unwrap_or(reference));
        name.rsplit('/').next().unwrap_or(name).to_owned()
    };
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for reference in references {
        *count.entry(last(reference)).or_default() += 1;
    }
    let name = |reference: &&str| {
        let name = last(reference);
        match count.get(&name) {
            Some(1) => name,
            _ => format!("{name}-{}", short(&Digest::of(reference.as_bytes()))),
        }
    };
    references.iter().map(name).collect()
}

fn short(digest: &Digest) -> String {
    digest.hex()[..12].to_owned()
}

fn component(name: &str, images: usize) -> String {
    if images <= MOST_ALONE {
        return format!("image:{name}");
    }
    let bin = usize::from(Digest::of(name.as_bytes()).bytes()[0]) % BINS;
    format!("images-{bin:02}")
}

impl Plan {
    /// What was made of this before, if the store still has it.
    fn known(&self, store: &Store) -> Option<Vec<Carried>> {
        let known = |key: &Digest| {
            let (digest, size): (Digest, u64) = store.record(RECORD, key)?;
            store.has(&digest, Some(size)).then_some((digest, size))
        };
        let parts = self.parts.iter().map(|part| known(&part_key(part)));
        let parts: Vec<_> = parts.collect::<Option<_>>()?;
        let archives = self.images.iter().map(|image| known(&image.key()));
        let archives: Vec<_> = archives.collect::<Option<_>>()?;
        Some(self.carried(&archives, &parts))
    }

    /// Makes archives and parts of blobs that are in the store.
    fn make(&self, store: &Store) -> Result<Vec<Carried>> {
        let record = |key: Digest, made: (Digest, u64)| {
            store.put_record(RECORD, &key, &made)?;
            Ok(made)
        };
        let part = |blobs: &Vec<Descriptor>| {
            let made = archive::part(store, &blobs.iter().collect::<Vec<_>>())?;
            record(part_key(blobs), made)
        };
        let parts: Vec<_> = self.parts.par_iter().map(part).collect::<Result<_>>()?;
        let archive = |image: &Planned| {
            let references = image.references.iter();
            let named: Vec<_> = references.map(|one| (&**one, &image.top)).collect();
            let blobs: Vec<_> = image.blobs.iter().collect();
            record(image.key(), archive::write(store, &named, &blobs)?)
        };
        let archives: Vec<_> = self.images.par_iter().map(archive).collect::<Result<_>>()?;
        Ok(self.carried(&archives, &parts))
    }

    fn carried(&self, archives: &[(Digest, u64)], parts: &[(Digest, u64)]) -> Vec<Carried> {
        let part = |&number: &usize| {
            let (digest, size) = parts[number];
            SharedPart {
                name: short(&part_key(&self.parts[number])),
                component: SHARED.to_owned(),
                size,
                content: Content::Blob(digest),
            }
        };
        let images = self.images.iter().zip(archives);
        let images = images.map(|(image, &(digest, size))| Carried {
            name: image.name.clone(),
            component: image.component.clone(),
            references: image.references.clone(),
            archive: Archive {
                size,
                content: Content::Blob(digest),
                manifest: image.top.digest,
                stand_in: None,
            },
            shared: image.parts.iter().map(part).collect(),
        });
        images.collect()
    }
}

impl Planned {
    fn key(&self) -> Digest {
        let key = json!([FORMAT, self.references, self.top, self.blobs]);
        Digest::of(key.to_string().as_bytes())
    }
}

fn part_key(blobs: &[Descriptor]) -> Digest {
    Digest::of(json!([FORMAT, blobs]).to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::contents::Document;

    fn blob(name: &str) -> Descriptor {
        Descriptor {
            media_type: "x".into(),
            digest: Digest::of(name.as_bytes()),
            size: name.len() as u64,
            annotations: BTreeMap::new(),
            platform: None,
        }
    }

    fn image(reference: &str, manifest: &str, blobs: &[&str]) -> (String, Chosen) {
        let chosen = Chosen {
            documents: vec![Document {
                descriptor: blob(manifest),
                bytes: Vec::new(),
            }],
            blobs: blobs.iter().map(|name| blob(name)).collect(),
        };
        (reference.to_owned(), chosen)
    }

    #[test]
    fn every_blob_is_in_one_place() {
        let images = [
            image("r.example/a:1", "ma", &["ca", "base", "go", "a"]),
            image("r.example/b:1", "mb", &["cb", "base", "go", "b"]),
            image("r.example/c:1", "mc", &["cc", "base", "c"]),
            image("r.example/alone:1", "md", &["cd", "d"]),
        ];
        let plan = plan(&images);
        assert_eq!(plan.parts.len(), 2);
        let parts: Vec<_> = plan.images.iter().map(|one| one.parts.len()).collect();
        let names: Vec<_> = plan.images.iter().map(|one| &*one.name).collect();
        assert_eq!(names, ["a", "alone", "b", "c"]);
        assert_eq!(parts, [2, 0, 2, 1]);
        let own = plan.images.iter().map(|one| one.blobs.len()).sum::<usize>();
        let shared = plan.parts.iter().map(Vec::len).sum::<usize>();
        assert_eq!((own, shared), (12, 2));
        // The order of the list changes nothing.
        let mut turned = images.clone();
        turned.reverse();
        assert_eq!(super::plan(&turned), plan);
    }

    #[test]
    fn references_to_one_image_share_its_archive() {
        let plan = plan(&[
            image("r.example/b:1", "m", &["c", "l"]),
            image("r.example/a:2", "m", &["c", "l"]),
        ]);
        assert_eq!(plan.images.len(), 1);
        assert_eq!(
            plan.images[0].references,
            ["r.example/a:2", "r.example/b:1"]
        );
        assert!(plan.parts.is_empty());
    }

    #[test]
    fn names_are_short_and_told_apart() {
        let names = names(&[
            "r:5000/x/app:1",
            "r.example/y/app:1",
            "r.example/db@sha256:00",
        ]);
        assert!(names[0].starts_with("app-") && names[1].starts_with("app-"));
        assert_ne!(names[0], names[1]);
        assert_eq!(names[2], "db");
    }

    #[test]
    fn many_images_share_layers() {
        let many = 100;
        let components = (0..many).map(|number| component(&format!("app-{number}"), many));
        let components: BTreeSet<_> = components.collect();
        assert!(components.len() < layers(many));
        assert_eq!(component("app", 3), "image:app");
    }
}
