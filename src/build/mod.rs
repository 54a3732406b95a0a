//! From a lock to an image: what is remade, what is reused.
//!
//! ```text
//! unchanged?   the same profile and lock led to an image whose blobs are all there: done
//! programs     releases → the programs in them
//! images       images that the profile names → archives of them
//! root         packages → unpacked, configured, packed, once for each set (sandbox)
//! base         or somebody else's image → read, once for each
//! closures     store paths, verified, over the root or as the root
//! compose      the profile's own entries over the root (pure)
//! layers       the root's layers as they are, or without what was replaced; the profile's
//! image        configuration and manifest
//! cache        roots and layers of other machines, through a registry
//! ```

pub mod base;
pub mod cache;
pub mod compose;
pub mod excludes;
mod files;
mod findings;
mod images;
pub mod layers;
mod nix;
pub mod pause;
pub mod preview;
pub mod programs;
mod root;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::json;

use self::base::Base;
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
use crate::source::debian::root::Root;
use crate::source::fetch::Fetcher;
use crate::source::nix::StoreRoot;
use crate::source::oci::Images;
use crate::source::release::Provider;
use crate::store::Store;
use crate::tree::{Content, Entry, FIXED_TIME, Node, Tree, TreePath};

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
    /// Where the Nix store is.
    pub nix_root: &'a StoreRoot,
    /// Brings images.
    pub images: &'a Images<'a>,
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
    /// What became of the base's paths, where the root is somebody else's image.
    pub over: Option<Over>,
}

/// What the profile's own entries did to a base.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Over {
    /// Paths of the base that have other content now.
    pub replaced: Vec<TreePath>,
    /// Paths of the base that are gone, with all below them.
    pub removed: Vec<TreePath>,
}

/// What an image's key led to.
#[derive(Serialize, Deserialize)]
struct Record {
    image: Built,
    layers: Vec<LayerBlob>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    over: Option<Over>,
}

/// What a profile's own entries are put over.
enum Ground {
    /// A root of packages, and those of its layers that this build made.
    Packages(Root, BTreeSet<Digest>),
    /// Somebody else's image.
    Base(Box<Base>),
}

impl Ground {
    fn tree(&self) -> &Tree {
        match self {
            Self::Packages(root, _) => &root.tree,
            Self::Base(base) => &base.tree,
        }
    }

    fn texts(&self) -> &BTreeMap<TreePath, String> {
        match self {
            Self::Packages(root, _) => &root.texts,
            Self::Base(base) => &base.texts,
        }
    }

    fn texts_mut(&mut self) -> &mut BTreeMap<TreePath, String> {
        match self {
            Self::Packages(root, _) => &mut root.texts,
            Self::Base(base) => &mut base.texts,
        }
    }

    fn base(&self) -> Option<&Base> {
        match self {
            Self::Packages(..) => None,
            Self::Base(base) => Some(base),
        }
    }
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
        let base = lock::pinned_base(profile, pinned)?;
        let base = base.map(|(named, base)| self.base(&named, base, architecture));
        let base = base.transpose()?;
        let mut components = Components::find(profile, |name| pinned.version_of(name));
        if let Some(base) = &base {
            components = base.components(profile, components);
        }
        // Nothing more is fetched for what cannot become a node.
        node::check(
            profile,
            &components.clone().with(programs::outlines(pinned)),
        )?;
        let shares = layers::Shares::of(profile, pinned)?;
        let components = components.with(self.programs(pinned, architecture)?);
        let carried = self.carried(profile, architecture, pinned)?;
        let mut ground = match base {
            Some(base) => Ground::Base(Box::new(base)),
            None => {
                let reserved = shares.reserved();
                let (root, new) = self.root(profile, architecture, pinned, reserved)?;
                Ground::Packages(root, new)
            }
        };
        let mut closures = self.closures(profile, pinned, &mut ground)?;
        let whole = match &closures {
            Some(closures) => Cow::Owned(closures.over(ground.tree().clone())),
            None => Cow::Borrowed(ground.tree()),
        };
        let facts = RootFacts::new(&whole, ground.texts());
        let files = PinnedFiles::new(self.store, files, carried, &whole, architecture);
        let mut configuration =
            node::configure(profile, architecture, &components, &facts, &files)?;
        for warning in &configuration.warnings {
            self.report.warning(warning);
        }
        let stand_in = configuration.stand_in.take();
        let settings = settings(&configuration)?;
        configuration.entries.insert(SETTINGS_PATH.into(), settings);
        let own = compose::compose(&whole, configuration.entries, &configuration.removed)?;
        let composed = match &mut closures {
            Some(closures) => Cow::Owned(closures.under(&own, ground.tree())?),
            None => Cow::Borrowed(&own),
        };
        let accepted = findings::check(
            self,
            &findings::Made {
                profile,
                pinned,
                components: &components,
                ground: &ground,
                composed: &composed,
            },
        )?;
        let task = self.report.task("layers", None, crate::report::Unit::Bytes);
        let kept = layers::Kept {
            store: self.store,
            cache: self.cache,
            compression,
        };
        let parts = layers::Parts {
            composed: &composed,
            closures: closures.as_ref(),
            own: &own.added,
        };
        let layers = match &ground {
            Ground::Packages(root, new) => {
                layers::layers(&kept, root, new, &parts, &shares, self.threads)?
            }
            Ground::Base(base) => {
                layers::over_base(&kept, profile, base, &parts, &shares, self.threads)?
            }
        };
        let made = layers.iter().filter(|layer| !layer.reused).count();
        task.finish(&format!("{made} of {} made", layers.len()));
        let blobs: Vec<LayerBlob> = layers.iter().map(|layer| layer.blob.clone()).collect();
        let mut spec = spec(profile, architecture, pinned, &lock);
        if let Some(base) = ground.base() {
            spec.labels = base.inherited.labelled(&spec.labels, &spec.annotations);
            spec.base = Some(base.inherited.clone());
        }
        if let Some(stand_in) = stand_in {
            spec.annotations.insert(annotations::PAUSE.into(), stand_in);
        }
        if let Some(reason) = accepted {
            spec.annotations
                .insert(annotations::ACCEPTED.into(), reason);
        }
        let image = manifest::assemble(self.store, &spec, &blobs)?;
        let over = ground.base().map(|base| Over {
            replaced: composed.replaced().cloned().collect(),
            removed: composed.gone(&base.tree).cloned().collect(),
        });
        let record = Record {
            image,
            layers: blobs,
            over,
        };
        self.store.put_record("images", &key, &record)?;
        if let Some(cache) = self.cache {
            cache.give();
        }
        Ok(Outcome {
            unchanged: before.is_some_and(|before| before.image == record.image),
            image: record.image,
            layers,
            over: record.over,
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
            over: record.over,
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
    if !pinned.image.is_empty() {
        let images = pinned.image.iter();
        let images: Vec<_> = images
            .map(|one| format!("{}={}", node::imported(&one.reference), one.digest))
            .collect();
        said.insert(annotations::IMAGES.into(), images.join(","));
    }
    said.extend(programs::annotations(profile, pinned));
    ImageSpec {
        architecture: architecture.to_owned(),
        created: pinned.source_date_epoch,
        labels: profile.image.labels.clone(),
        annotations: said,
        run: Run::Init,
        base: None,
    }
}
