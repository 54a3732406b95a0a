//! From a lock to an image: what is remade, what is reused.
//!
//! ```text
//! unchanged?   the same profile and lock led to an image whose blobs are all there: done
//! programs     releases → the programs in them
//! root         packages → unpacked, configured, packed, once for each set (sandbox)
//! compose      the profile's own entries over the root (pure)
//! layers       the root's layers as they are, or without what was replaced; the profile's
//! image        configuration and manifest
//! cache        roots and layers of other machines, through a registry
//! ```

pub mod cache;
pub mod compose;
pub mod excludes;
mod files;
mod findings;
pub mod layers;
pub mod pause;
pub mod preview;
pub mod programs;
mod root;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

use self::files::PinnedFiles;
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::image::annotations;
use crate::image::config::{ImageSpec, Run};
use crate::image::manifest::{self, Built};
use crate::layer::{Compression, FORMAT, LayerBlob};
use crate::lock::{self, Pinned};
use crate::node::{self, Components, Configuration, RootFacts};
use crate::profile::Profile;
use crate::report::Report;
use crate::sandbox::Mode;
use crate::source::debian::archive::mirror::Mirrors;
use crate::source::fetch::Fetcher;
use crate::source::release::Provider;
use crate::store::Store;
use crate::tree::{Content, Entry, FIXED_TIME, Node};

pub use crate::node::SETTINGS_PATH;
pub use layers::Layer;
pub use root::worker;

/// What a build uses.
pub struct Builder<'a> {
    /// The store.
    pub store: &'a Store,
    /// Where progress goes.
    pub report: &'a Report,
    /// Downloads what is not in the store.
    pub fetcher: &'a Fetcher,
    /// Where the archives are; made only when something must be fetched.
    pub mirrors: &'a dyn Fn() -> Result<Mirrors>,
    /// Brings releases.
    pub releases: &'a Provider<'a>,
    /// How package scripts are run.
    pub sandbox: Mode,
    /// How many threads to use.
    pub threads: usize,
    /// Where other machines' work is taken from and given to.
    pub cache: Option<&'a cache::Cache<'a>>,
    /// Why errors that the check finds are accepted; none where they are not.
    pub accept_findings: Option<&'a str>,
}

/// What a build of one architecture came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The image, all of it in the store.
    pub image: Built,
    /// Its layers; none of them made, when nothing had changed.
    pub layers: Vec<Layer>,
    /// Whether the same profile and lock had led to this image before.
    pub unchanged: bool,
}

/// What an image's key led to.
#[derive(Serialize, Deserialize)]
struct Record {
    image: Built,
    layers: Vec<LayerBlob>,
}

impl Builder<'_> {
    /// Builds the image of `profile` for `architecture` from what `pinned` names.
    ///
    /// # Errors
    /// What fetching, package scripts, or the profile's own entries fail with.
    pub fn build(
        &self,
        profile: &Profile,
        architecture: &str,
        pinned: &Pinned,
        compression: Compression,
    ) -> Result<Outcome> {
        self.clear_abandoned(architecture)?;
        let files = lock::verify_files(self.store, pinned, &profile.local_files())?;
        let lock = Digest::of(json!(pinned).to_string().as_bytes());
        let key = json!({
            "format": FORMAT, "profile": profile, "architecture": architecture,
            "lock": lock, "compression": compression.to_string(),
            "checks": findings::rules(), "accepted": self.accept_findings,
        });
        let key = Digest::of(key.to_string().as_bytes());
        let before = self.unchanged(&key);
        if let Some(outcome) = before.clone()
            && !self.cache.is_some_and(cache::Cache::gives)
        {
            return Ok(outcome);
        }
        let components = Components::find(profile, |name| {
            let mut packages = pinned.package.iter();
            let package = packages.find(|package| package.name == name)?;
            Some(&package.version)
        });
        // Nothing is fetched for what cannot become a node.
        node::check(
            profile,
            &components.clone().with(programs::outlines(pinned)),
        )?;
        let reserved = layers::reserved(profile, pinned)?;
        let components = components.with(self.programs(pinned, architecture)?);
        let (root, new) = self.root(profile, architecture, pinned, reserved)?;
        let facts = RootFacts::new(&root.tree, &root.texts);
        let files = PinnedFiles::new(self.store, files, &root.tree, architecture);
        let mut configuration =
            node::configure(profile, architecture, &components, &facts, &files)?;
        for warning in &configuration.warnings {
            self.report.warning(warning);
        }
        let settings = settings(&configuration)?;
        configuration.entries.insert(SETTINGS_PATH.into(), settings);
        let composed = compose::compose(&root.tree, configuration.entries, &configuration.removed)?;
        let accepted = findings::check(
            self,
            &findings::Made {
                profile,
                pinned,
                components: &components,
                root: &root,
                composed: &composed,
            },
        )?;
        let task = self.report.task("layers", None, crate::report::Unit::Bytes);
        let layers = layers::layers(
            (self.store, self.cache),
            &root,
            &new,
            &composed,
            compression,
            usize::from(profile.image.layers),
            self.threads,
        )?;
        let made = layers.iter().filter(|layer| !layer.reused).count();
        task.finish(&format!("{made} of {} made", layers.len()));
        let blobs: Vec<LayerBlob> = layers.iter().map(|layer| layer.blob.clone()).collect();
        let mut spec = spec(profile, architecture, pinned, &lock);
        if let Some(reason) = accepted {
            spec.annotations
                .insert(annotations::ACCEPTED.into(), reason);
        }
        let image = manifest::assemble(self.store, &spec, &blobs)?;
        let record = Record {
            image,
            layers: blobs,
        };
        self.store.put_record("images", &key, &record)?;
        if let Some(cache) = self.cache {
            cache.give();
        }
        Ok(Outcome {
            unchanged: before.is_some_and(|before| before.image == record.image),
            image: record.image,
            layers,
        })
    }

    fn unchanged(&self, key: &Digest) -> Option<Outcome> {
        let record: Record = self.store.record("images", key)?;
        let whole = record
            .image
            .blobs()
            .all(|blob| self.store.has(&blob.digest, Some(blob.size)));
        let layers = record.layers.into_iter();
        whole.then(|| Outcome {
            image: record.image,
            layers: layers.map(|blob| Layer { blob, reused: true }).collect(),
            unchanged: true,
        })
    }
}

/// The file that says what was set.
fn settings(configuration: &Configuration) -> Result<Entry> {
    let mut text = serde_json::to_string_pretty(&configuration.settings)
        .map_err(|error| Error::new(Kind::Io, format!("writing settings: {error}")))?;
    text.push('\n');
    let node = Node::File {
        size: text.len() as u64,
        content: Content::Inline(text.into_bytes().into()),
    };
    Ok(Entry {
        node,
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime: FIXED_TIME,
        xattrs: BTreeMap::new(),
        component: node::COMPONENT.into(),
    })
}

fn spec(profile: &Profile, architecture: &str, pinned: &Pinned, lock: &Digest) -> ImageSpec {
    let mut said = profile.image.annotations.clone();
    said.insert(annotations::TITLE.into(), profile.name.clone());
    said.insert(annotations::VERSION.into(), profile.version.clone());
    said.insert(annotations::PROFILE.into(), profile.name.clone());
    said.insert(annotations::LOCK.into(), lock.to_string());
    if let Some(version) = &profile.kubernetes.version {
        said.insert(annotations::KUBERNETES.into(), version.clone());
    }
    if profile.pause.preload == Some(true) {
        said.insert(annotations::PAUSE.into(), pause::NAME.into());
    }
    said.extend(programs::annotations(profile, pinned));
    ImageSpec {
        architecture: architecture.to_owned(),
        created: pinned.source_date_epoch,
        labels: profile.image.labels.clone(),
        annotations: said,
        run: Run::Init,
    }
}
