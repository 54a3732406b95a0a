//! What a profile comes to, without building it: for those who want to look.

use std::collections::BTreeMap;

use super::{compose, layers, programs, root};
use crate::error::Result;
use crate::lock::Pinned;
use crate::node::{self, Components, OnDisk, RootFacts};
use crate::profile::Profile;
use crate::store::Store;
use crate::tree::{Tree, TreePath};

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
    /// Whether the root is in it.
    pub whole: bool,
}

/// Works out what a profile comes to: with the root that the store has for what
/// is pinned, else without one.
///
/// # Errors
/// Where the profile's settings do not go together.
pub fn preview(
    store: &Store,
    profile: &Profile,
    architecture: &str,
    pinned: Option<&Pinned>,
) -> Result<Preview> {
    let components = Components::find(profile, |name| {
        let mut packages = pinned?.package.iter();
        let package = packages.find(|package| package.name == name)?;
        Some(&package.version)
    });
    let components = match pinned {
        Some(pinned) => components.with(programs::outlines(pinned)),
        None => components,
    };
    let made = match pinned {
        Some(pinned) if profile.debian.is_some() => {
            let reserved = layers::reserved(profile, pinned)?;
            root::job(store, profile, architecture, pinned, reserved, 1)?.recorded(store)
        }
        _ => None,
    };
    let configure = |profile: &Profile, tree: &Tree, texts: &BTreeMap<TreePath, String>| {
        let facts = RootFacts::new(tree, texts);
        node::configure(profile, architecture, &components, &facts, &OnDisk)
    };
    let Some(made) = made else {
        // What only a root can tell is left out.
        let mut profile = profile.clone();
        profile.units = Default::default();
        profile.users.clear();
        profile.authorities.clear();
        let configuration = configure(&profile, &Tree::default(), &BTreeMap::new())?;
        return Ok(Preview {
            tree: Tree {
                entries: configuration.entries,
            },
            texts: BTreeMap::new(),
            components,
            whole: false,
        });
    };
    let configuration = configure(profile, &made.tree, &made.texts)?;
    let composed = compose::compose(&made.tree, configuration.entries, &configuration.removed)?;
    Ok(Preview {
        tree: composed.over(made.tree),
        texts: made.texts,
        components,
        whole: true,
    })
}
