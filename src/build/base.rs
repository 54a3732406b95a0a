//! A root that is somebody else's image: read once, and then known.
//!
//! Its layers are never unpacked and never made anew. What the rest of a build asks
//! of a root (its paths, small texts, what programs and packages it has) is read from
//! them, each streamed once, and recorded by the digest of the image's manifest.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};

use super::{Builder, findings, pause};
use crate::check::subject::{Seen, Subject, Versions, look};
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::image::annotations;
use crate::image::inherit::{Inherited, layer_id, layer_type};
use crate::image::read::Image;
use crate::image::source::reading;
use crate::layer::{FORMAT, LayerBlob};
use crate::lock::PinnedBase;
use crate::node::{self, Components};
use crate::profile::Profile;
use crate::report::{Unit, counted};
use crate::source::oci::NamedImage;
use crate::store::Store;
use crate::tree::image::{Taker, read_taking};
use crate::tree::{Content, Node, Tree, TreePath};

/// What is kept of a base's files may come to this much, in bytes.
const MOST_SEEN: usize = 96 << 20;
/// The longest text that node configuration reads, in bytes.
pub(super) const LONGEST_TEXT: u64 = 4 << 20;
/// The longest program from which a pause image is made, in bytes.
const LONGEST_PAUSE: u64 = 16 << 20;

/// A base as a build knows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Base {
    /// Every path. Other names of a file are files here; what files hold is not known,
    /// but for one that a pause image can be made from.
    pub tree: Tree,
    /// Texts that node configuration or the check reads.
    pub texts: BTreeMap<TreePath, String>,
    /// What else the check asks of files.
    pub seen: BTreeMap<TreePath, Seen>,
    /// Its layers, as they are.
    pub layers: Vec<LayerBlob>,
    /// What else an image takes over from it.
    pub inherited: Inherited,
    /// Manifest and configuration: the store keeps what a record names.
    documents: [Digest; 2],
}

/// What is taken of a file.
enum Taken {
    Text(String),
    Seen(Seen),
    Pause(Digest),
}

impl Builder<'_> {
    /// The pinned base, all of it in the store.
    pub(super) fn base(
        &self,
        named: &NamedImage,
        pinned: &PinnedBase,
        architecture: &str,
    ) -> Result<Base> {
        if let Some(base) = recorded(self.store, pinned) {
            return Ok(base);
        }
        let chosen = self.images.fetch(named, &pinned.image, architecture)?;
        let manifest = chosen.manifest().cloned().ok_or_else(|| {
            let message = format!("`{}` has no manifest", named.reference);
            Error::new(Kind::Verify, message)
        })?;
        let reference = &named.reference;
        let image = Image::in_store(reference, self.store, manifest, Some(architecture))?;
        let task = self.report.task("base", None, Unit::Count("layers"));
        let mut base = Base::read(self.store, &image)?;
        base.inherited.name = named.source.reference().map(str::to_owned);
        task.finish(&counted(base.layers.len(), "layer"));
        self.store.put_record("bases", &key(pinned), &base)?;
        Ok(base)
    }
}

/// The base as it was read before, if the store still has its layers.
pub(super) fn recorded(store: &Store, pinned: &PinnedBase) -> Option<Base> {
    let base: Base = store.record("bases", &key(pinned))?;
    let whole = base
        .layers
        .iter()
        .all(|layer| store.has(&layer.digest, Some(layer.size)));
    whole.then_some(base)
}

fn key(pinned: &PinnedBase) -> Digest {
    // What is looked for in files follows the rules.
    let rules = findings::rules();
    let parts = serde_json::json!({
        "format": FORMAT, "rules": rules, "nodelith": env!("CARGO_PKG_VERSION"),
        "image": pinned.image,
    });
    Digest::of(parts.to_string().as_bytes())
}

impl Base {
    /// Reads a base whose blobs are in `store`.
    ///
    /// # Errors
    /// When it has layers that cannot be handed on, or one cannot be read.
    pub fn read(store: &Store, image: &Image) -> Result<Self> {
        let bytes = AtomicUsize::new(0);
        let taker = Taker {
            wants: &|path, size| wants(path, size),
            take: &|path, size, content| {
                let taken = take(store, path, size, content)?;
                let amount = match &taken {
                    Some(Taken::Text(text)) => text.len(),
                    _ => 0,
                };
                if bytes.fetch_add(amount, Ordering::Relaxed) + amount > MOST_SEEN {
                    let message = "its configuration files are too many for a root";
                    return Err(Error::new(Kind::Verify, message));
                }
                Ok(taken)
            },
        };
        let mut read = read_taking(image, &taker)?;
        let layers = image.layers.iter().zip(&read.extents).enumerate();
        let layers = layers
            .map(|(number, (layer, extent))| {
                let said = |key: &str| layer.descriptor.annotations.get(key).cloned();
                Ok(LayerBlob {
                    id: said(annotations::LAYER).unwrap_or_else(|| layer_id(number)),
                    media_type: layer_type(&layer.descriptor.media_type)?.to_owned(),
                    digest: layer.descriptor.digest,
                    size: layer.descriptor.size,
                    diff_id: layer.diff_id,
                    uncompressed_size: extent.size,
                    files: extent.members,
                    annotations: layer.descriptor.annotations.clone(),
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let inherited = Inherited::of(image)?;
        name_links_files(&mut read.tree);
        let (mut texts, mut seen) = (BTreeMap::new(), BTreeMap::new());
        for (path, taken) in read.seen {
            match taken {
                Taken::Text(text) => drop(texts.insert(path, text)),
                Taken::Seen(one) => drop(seen.insert(path, one)),
                Taken::Pause(digest) => {
                    if let Some(entry) = read.tree.entries.get_mut(&path)
                        && let Node::File { content, .. } = &mut entry.node
                    {
                        *content = Content::Blob(digest);
                    }
                }
            }
        }
        Ok(Self {
            tree: read.tree,
            texts,
            seen,
            layers,
            inherited,
            documents: [image.manifest.digest, image.config_descriptor.digest],
        })
    }

    /// The base as the check sees it, without what is `gone` of it.
    pub(super) fn add_to(&self, subject: &mut Subject, gone: impl Fn(&TreePath) -> bool) {
        for (path, seen) in &self.seen {
            if !gone(path) {
                subject.add(path.clone(), seen.clone());
            }
        }
    }

    /// The programs that the base has, where the profile says nothing of its own.
    #[must_use]
    pub fn components(&self, profile: &Profile, mut components: Components) -> Components {
        let mut subject = Subject::new("base", true);
        self.add_to(&mut subject, |_| false);
        let found = Versions::find(&subject);
        if profile.containerd.source.is_none() {
            components.containerd = found.containerd.map(|said| said.version);
        }
        if profile.kubelet.source.is_none() {
            components.kubelet = found.kubernetes.map(|said| said.version);
        }
        if let (None, Some(said)) = (profile.crictl.source, found.crictl) {
            components.crictl = Some(said.version);
        }
        components
    }
}

fn wants(path: &TreePath, size: u64) -> bool {
    let bytes = path.as_bytes();
    (node::facts::wanted(bytes) && size <= LONGEST_TEXT)
        || look::wants(bytes, size)
        || (bytes == pause::PROGRAM.as_bytes() && size <= LONGEST_PAUSE)
}

fn take(
    store: &Store,
    path: &TreePath,
    size: u64,
    content: &mut (dyn Read + Send),
) -> Result<Option<Taken>> {
    let whole = |content: &mut (dyn Read + Send)| {
        let mut bytes = Vec::new();
        let read = content.read_to_end(&mut bytes);
        read.map_err(|error| reading(&error)).map(|_| bytes)
    };
    if path.as_bytes() == pause::PROGRAM.as_bytes() {
        return Ok(Some(Taken::Pause(store.put(&whole(content)?)?)));
    }
    if node::facts::wanted(path.as_bytes()) && size <= LONGEST_TEXT {
        let bytes = whole(content)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        return Ok(Some(Taken::Text(text)));
    }
    let seen = look::look(path, size, content).map_err(|error| reading(&error))?;
    Ok(seen.map(|seen| match seen {
        Seen::Text(text) => Taken::Text(text),
        other => Taken::Seen(other),
    }))
}

/// Makes further names of a file look like files: nothing of a base is packed again,
/// and whoever asks what is at a path means the file.
fn name_links_files(tree: &mut Tree) {
    let links = tree.entries.iter().filter_map(|(path, entry)| {
        let Node::Hardlink(target) = &entry.node else {
            return None;
        };
        let file = tree.entries.get(target)?;
        Some((path.clone(), file.node.clone()))
    });
    let links: Vec<_> = links.collect();
    for (path, node) in links {
        if let Some(entry) = tree.entries.get_mut(&path) {
            entry.node = node;
        }
    }
}
