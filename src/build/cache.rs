//! Work shared through registries: what one machine made, another one takes.
//!
//! A cache is a repository. Each root and each layer has a tag in it, `KIND-HEX` by the key
//! under which the store records it, so that what is there is found without a list; the
//! store's record is the artifact's configuration, its blobs are the layers.
//!
//! ```text
//! entry     what a tag names: encoded, and read again with all doubt
//! ```
//!
//! Nothing that a cache does stops a build: what cannot be reached or is not what it
//! should be is told as a warning, and made here. A layer's content is worked out here in
//! any case and compared; a root is held against its layers, but that the packages lead to
//! it is taken on trust ([`Root::received`]).

mod entry;

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::image::manifest::Descriptor;
use crate::layer::{self, LayerBlob, Uncompressed};
use crate::registry::{Reference, Registries};
use crate::report::{Report, counted};
use crate::source::debian::root::{Job, Root};
use crate::store::Store;

use entry::Entry;

/// The most bytes that an entry's blobs may have together.
const MOST_BYTES: u64 = 64 << 30;

/// What an entry is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Root,
    Layer,
}

impl What {
    fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Layer => "layer",
        }
    }

    /// The kind of records that say the same in the store.
    fn records(self) -> &'static str {
        match self {
            Self::Root => "roots",
            Self::Layer => "layers",
        }
    }
}

/// A repository that is a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place(Reference);

impl FromStr for Place {
    type Err = Error;

    /// Takes `HOST/NAME`, without tag and digest.
    fn from_str(text: &str) -> Result<Self> {
        let reference: Reference = text.parse()?;
        let name = text.rsplit('/').next().unwrap_or_default();
        if name.contains(['@', ':']) {
            let message = format!("`{text}` names a tag, and a cache is a whole repository");
            return Err(
                Error::new(Kind::Usage, message).hint(format!("name it as `{}`", reference.name()))
            );
        }
        Ok(Self(reference))
    }
}

impl Place {
    fn name(&self) -> String {
        self.0.name()
    }

    fn tagged(&self, what: What, key: &Digest) -> Reference {
        Reference {
            tag: Some(format!("{}-{}", what.name(), key.hex())),
            ..self.0.clone()
        }
    }
}

/// The caches of a build.
pub struct Cache<'a> {
    store: &'a Store,
    report: &'a Report,
    registries: &'a Registries,
    from: &'a [Place],
    to: &'a [Place],
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Repositories that are not asked any more.
    lost: BTreeSet<String>,
    /// Entries that are of no use, by their references.
    refused: BTreeSet<String>,
    /// How many came.
    taken: BTreeMap<What, usize>,
    /// What this build used, by kind and key: to be given to others.
    used: BTreeMap<(What, Digest), Entry>,
}

impl<'a> Cache<'a> {
    /// Caches to take from and to give to.
    #[must_use]
    pub fn new(
        store: &'a Store,
        report: &'a Report,
        registries: &'a Registries,
        (from, to): (&'a [Place], &'a [Place]),
    ) -> Self {
        Self {
            store,
            report,
            registries,
            from,
            to,
            state: Mutex::default(),
        }
    }

    /// Whether what a build uses is given to others.
    pub(super) fn gives(&self) -> bool {
        !self.to.is_empty()
    }

    /// The root of a job, now recorded in the store; `wanted` are the texts kept aside.
    pub(super) fn root(&self, job: &Job, wanted: fn(&[u8]) -> bool) -> Option<Root> {
        [false, true].into_iter().find_map(|clamped| {
            let key = job.key(clamped);
            self.take(What::Root, &key, |root: Root, bring| {
                if !job.fits(clamped, &root) {
                    return Err(Error::new(Kind::Verify, "its times are another lock's"));
                }
                bring(
                    &root
                        .layers
                        .iter()
                        .map(|layer| &layer.blob)
                        .collect::<Vec<_>>(),
                )?;
                root.received(self.store, job.layer_limit, wanted)
            })
        })
    }

    /// The layer of a key, now recorded in the store. `expected` is what is to be in it.
    pub(super) fn layer(
        &self,
        key: &Digest,
        (id, media_type): (&str, &str),
        expected: &dyn Fn() -> Result<Uncompressed>,
    ) -> Option<LayerBlob> {
        self.take(What::Layer, key, |blob: LayerBlob, bring| {
            let same =
                blob.id == id && blob.media_type == media_type && blob.annotations.is_empty();
            if !same || blob.uncompressed() != expected()? {
                return Err(Error::new(Kind::Verify, "it is another layer"));
            }
            bring(&[&blob])?;
            layer::read_through(self.store, &blob)?;
            Ok(blob)
        })
    }

    /// What the first cache has that has something of use.
    fn take<T>(
        &self,
        what: What,
        key: &Digest,
        verify: impl Fn(T, &dyn Fn(&[&LayerBlob]) -> Result<()>) -> Result<T>,
    ) -> Option<T>
    where
        T: serde::Serialize + serde::de::DeserializeOwned,
    {
        self.from.iter().find_map(|place| {
            let reference = place.tagged(what, key);
            if self.state().lost.contains(&place.name()) {
                return None;
            }
            let tagged = match self.registries.tagged(&reference, entry::ARTIFACT_TYPE) {
                Ok(tagged) => tagged?,
                Err(error) if error.kind() == Kind::Network => {
                    self.lose(place, "is not asked any more", &error);
                    return None;
                }
                Err(error) => {
                    self.refuse(&reference, &error);
                    return None;
                }
            };
            let bring = |blobs: &[&LayerBlob]| self.bring(&reference, blobs);
            let taken = entry::read(self.store, &tagged, what, key)
                .and_then(|record| verify(record, &bring))
                .and_then(|record| {
                    self.store.put_record(what.records(), key, &record)?;
                    Ok(record)
                });
            match taken {
                Ok(record) => {
                    *self.state().taken.entry(what).or_default() += 1;
                    Some(record)
                }
                Err(error) => {
                    self.refuse(&reference, &error);
                    None
                }
            }
        })
    }

    fn bring(&self, reference: &Reference, blobs: &[&LayerBlob]) -> Result<()> {
        let sizes = blobs.iter().map(|blob| blob.size);
        let total = sizes.fold(0_u64, u64::saturating_add);
        if total > MOST_BYTES {
            return Err(Error::new(Kind::Verify, "it is larger than 64 GiB"));
        }
        let blobs: Vec<Descriptor> = blobs.iter().map(|blob| entry::descriptor(blob)).collect();
        self.registries.bring(reference, blobs).map(drop)
    }

    /// Remembers a root that this build uses.
    pub(super) fn used_root(&self, job: &Job, root: &Root) {
        if self.gives() {
            let key = job.key(root.newest > job.source_date_epoch);
            self.used(What::Root, key, Entry::of_root(self.store, &key, root));
        }
    }

    /// Remembers a layer that this build uses.
    pub(super) fn used_layer(&self, key: &Digest, blob: &LayerBlob) {
        if self.gives() {
            self.used(What::Layer, *key, Entry::of_layer(self.store, key, blob));
        }
    }

    fn used(&self, what: What, key: Digest, entry: Result<Entry>) {
        match entry {
            Ok(entry) => drop(self.state().used.insert((what, key), entry)),
            Err(error) => {
                let message = format!("the {} is not given to caches: {error}", what.name());
                self.report.warning(&message);
            }
        }
    }

    /// Gives what was used to every cache that lacks it, and says what came and went.
    pub(super) fn give(&self) {
        let used = std::mem::take(&mut self.state().used);
        let mut given = BTreeMap::new();
        for place in self.to {
            for ((what, key), entry) in &used {
                if self.state().lost.contains(&place.name()) {
                    break;
                }
                match self.give_one(&place.tagged(*what, key), entry) {
                    Ok(true) => *given.entry(*what).or_default() += 1,
                    Ok(false) => {}
                    Err(error) => self.lose(place, "is given nothing more", &error),
                }
            }
        }
        let taken = std::mem::take(&mut self.state().taken);
        for (places, did, entries) in [
            (self.from, "taken from caches", taken),
            (self.to, "given to caches", given),
        ] {
            if !places.is_empty() {
                self.report.note(&format!("{did}: {}", said(&entries)));
            }
        }
    }

    fn give_one(&self, reference: &Reference, entry: &Entry) -> Result<bool> {
        let refused = self.state().refused.contains(&reference.to_string());
        if !refused && self.registries.has_tag(reference)? {
            return Ok(false);
        }
        self.registries.put_tagged(reference, &entry.tagged())?;
        Ok(true)
    }

    fn lose(&self, place: &Place, what: &str, error: &Error) {
        if self.state().lost.insert(place.name()) {
            let message = format!("the cache `{}` {what}: {error}", place.name());
            self.report.warning(&message);
        }
    }

    fn refuse(&self, reference: &Reference, error: &Error) {
        if self.state().refused.insert(reference.to_string()) {
            let message = format!("the cache's `{reference}` is not used: {error}");
            self.report.warning(&message);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn said(entries: &BTreeMap<What, usize>) -> String {
    let entries = entries.iter();
    let said: Vec<String> = entries
        .map(|(what, count)| counted(*count, what.name()))
        .collect();
    match said.is_empty() {
        true => "nothing".to_owned(),
        false => said.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_is_a_whole_repository() {
        for (text, name) in [
            ("registry.example/cache", Some("registry.example/cache")),
            ("localhost:5000/a/b", Some("localhost:5000/a/b")),
            (
                "docker://registry.example:5000/x",
                Some("registry.example:5000/x"),
            ),
            ("registry.example/cache:latest", None),
            ("localhost:5000/a:b", None),
            ("Not/A/Name", None),
        ] {
            let place = text.parse::<Place>().ok();
            assert_eq!(place.map(|place| place.name()).as_deref(), name, "{text}");
        }
    }
}
