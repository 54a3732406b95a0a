//! What a profile comes to, without building it: for those who want to look.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{base, compose, layers, programs, root};
use crate::check::subject::Seen;
use crate::compat::Version;
use crate::digest::Digest;
use crate::error::Result;
use crate::lock::Pinned;
use crate::node::{self, Archive, Carried, Components, LocalFiles, OnDisk, RootFacts};
use crate::profile::Profile;
use crate::profile::value::LocalFile;
use crate::store::Store;
use crate::tree::{Content, Tree, TreePath};

/// A profile's node, as far as it can be known.
#[derive(Debug)]
pub struct Preview {
    /// Its paths: all of them where the root has been made before, else those that
    /// the profile itself makes.
    pub tree: Tree,
    /// Texts of the root.
    pub texts: BTreeMap<TreePath, String>,
    /// The versions that are pinned.
    pub components: Components,
    /// What was seen in files of somebody else's image that is the root.
    pub seen: BTreeMap<TreePath, Seen>,
    /// The labels of such an image.
    pub labels: BTreeMap<String, String>,
    /// Whether all of it is in the tree: never with closures, which only a build reads.
    pub whole: bool,
}

/// Works out what a profile comes to: with the root that the store has for what
/// is pinned, else without one. `containerd` is its version, where nothing pins one.
///
/// # Errors
/// Where the profile's settings do not go together.
pub fn preview(
    store: &Store,
    profile: &Profile,
    architecture: &str,
    pinned: Option<&Pinned>,
    containerd: Option<Version>,
) -> Result<Preview> {
    let mut components = Components::find(profile, |name| pinned?.version_of(name));
    let base = pinned.and_then(|pinned| pinned.base.as_ref());
    let base = base.and_then(|base| base::recorded(store, base));
    if let Some(base) = &base {
        components = base.components(profile, components);
    }
    // Closures are read by builds alone.
    let mut fetched = profile.nix.is_empty();
    if let Some(pinned) = pinned {
        let known = programs::known(store, pinned)?;
        fetched &= known.is_some();
        components = components.with(known.unwrap_or_else(|| programs::outlines(pinned)));
    }
    components.containerd = containerd.or(components.containerd);
    let (mut seen, mut labels) = (BTreeMap::new(), BTreeMap::new());
    let made = match (pinned, base) {
        (Some(_), Some(base)) if fetched => {
            seen = base.seen;
            labels = base.inherited.labels();
            Some((base.tree, base.texts))
        }
        (Some(pinned), None) if profile.debian.is_some() && fetched => {
            let reserved = layers::Shares::of(profile, pinned)?.reserved();
            let job = root::job(store, profile, architecture, pinned, reserved, 1)?;
            job.recorded(store).map(|root| (root.tree, root.texts))
        }
        _ => None,
    };
    let looking = Looking(pinned.map(outlines).unwrap_or_default());
    let configure = |profile: &Profile, tree: &Tree, texts: &BTreeMap<TreePath, String>| {
        let facts = RootFacts::new(tree, texts);
        node::configure(profile, architecture, &components, &facts, &looking)
    };
    let Some((tree, texts)) = made else {
        // What only a root can tell is left out.
        let mut profile = profile.clone();
        profile.units = Default::default();
        profile.users.clear();
        profile.authorities.clear();
        if let Some(base) = &mut profile.base_image {
            base.remove.clear();
        }
        profile.pause.preload = None;
        profile.cni.plugins = None;
        if components.containerd.is_none() {
            profile.containerd = Default::default();
        }
        for file in &mut profile.files {
            file.owner = None;
        }
        let accounts = [
            ("etc/passwd", "root:x:0:0:::\n"),
            ("etc/group", "root:x:0:\n"),
        ];
        let accounts = accounts.map(|(path, text)| (TreePath::from(path), text.to_owned()));
        let configuration = configure(&profile, &Tree::default(), &accounts.into())?;
        return Ok(Preview {
            tree: Tree {
                entries: configuration.entries,
            },
            texts: BTreeMap::new(),
            components,
            seen,
            labels,
            whole: false,
        });
    };
    let configuration = configure(profile, &tree, &texts)?;
    let composed = compose::compose(&tree, configuration.entries, &configuration.removed)?;
    seen.retain(|path, _| !composed.dropped.contains(path));
    Ok(Preview {
        tree: composed.over(tree),
        texts,
        components,
        seen,
        labels,
        whole: true,
    })
}

/// The images that a build would put into the node, without their bytes.
fn outlines(pinned: &Pinned) -> Vec<Carried> {
    let images = pinned.image.iter().enumerate();
    let images = images.map(|(number, image)| Carried {
        name: number.to_string(),
        component: node::COMPONENT.to_owned(),
        references: vec![node::imported(&image.reference)],
        archive: Archive {
            manifest: image.digest,
            size: 0,
            content: Content::Inline(Arc::default()),
            stand_in: None,
        },
        shared: Vec::new(),
    });
    images.collect()
}

/// Local files as they are on disk; of images that a build would make, that they are there.
struct Looking(Vec<Carried>);

impl LocalFiles for Looking {
    fn content(&self, file: &LocalFile) -> Result<(u64, Content)> {
        OnDisk.content(file)
    }

    fn read(&self, file: &LocalFile) -> Result<Vec<u8>> {
        OnDisk.read(file)
    }

    fn archive(&self, reference: &str) -> Result<Archive> {
        Ok(Archive {
            manifest: Digest::of(reference.as_bytes()),
            size: 0,
            content: Content::Inline(Arc::default()),
            stand_in: None,
        })
    }

    fn images(&self) -> Vec<Carried> {
        self.0.clone()
    }
}
