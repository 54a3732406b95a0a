//! Closures of Nix over a root, or as the root.
//!
//! Store paths are put over the root by the same rule as a profile's own entries
//! ([`super::compose`]), and the profile's entries over both; only what is in the
//! store cannot be replaced.

use std::collections::{BTreeMap, BTreeSet};

use super::base::LONGEST_TEXT;
use super::compose::{self, Composed};
use super::root::wanted;
use super::{Builder, Ground};
use crate::error::{Error, Kind, Result};
use crate::layer::{self, Plan};
use crate::lock::Pinned;
use crate::profile::Profile;
use crate::profile::file::{CopyToRoot, NixClosure, NixPermission};
use crate::profile::value::{FileMode, Id};
use crate::report::{Unit, counted};
use crate::source::nix::{self, Permission, Placing, Pool, StorePath};
use crate::tree::{Node, Tree, TreePath};

/// The closures of an image.
pub(super) struct Closures {
    /// Their entries over the root.
    composed: Composed,
    /// Which layers they are in.
    pools: Vec<Pool>,
    /// The store's folder in the root.
    folder: TreePath,
}

impl Builder<'_> {
    /// Reads the pinned closures and puts them over the root, whose texts then are
    /// those of both; none where the profile takes none.
    pub(super) fn closures(
        &self,
        profile: &Profile,
        pinned: &Pinned,
        ground: &mut Ground,
    ) -> Result<Option<Closures>> {
        if profile.nix.is_empty() {
            return Ok(None);
        }
        let placings = profile.nix.iter().map(|one| placing(one, pinned));
        let placings: Vec<Placing> = placings.collect::<Result<_>>()?;
        let paths = nix::paths(&placings)?;
        let folder = folder(&paths)?;
        let total = paths.values().map(|info| info.nar_size).sum();
        let task = self.report.task("verifying", Some(total), Unit::Bytes);
        let read = nix::read(self.store, self.nix_root, &paths, &|size| {
            task.advance(size);
        })?;
        task.finish(&counted(paths.len(), "store path"));
        let text = |path: &TreePath, content: &_| layer::read_file(self.store, path, content);
        let placed = nix::place(&placings, read, ground.tree(), &text)?;
        let composed = compose::compose(ground.tree(), placed.entries, &BTreeSet::new())?;
        let whole = composed.over(ground.tree().clone());
        self.texts(&composed.added, &whole, &folder, ground.texts_mut())?;
        Ok(Some(Closures {
            composed,
            pools: nix::grouping(&placings),
            folder,
        }))
    }

    /// Keeps aside the texts among what was added that are asked for, by where they
    /// stand in the `whole` root.
    fn texts(
        &self,
        added: &Tree,
        whole: &Tree,
        folder: &TreePath,
        known: &mut BTreeMap<TreePath, String>,
    ) -> Result<()> {
        let outside = added.entries.keys();
        let outside = outside.filter(|path| !path.is_within(folder.as_bytes()));
        for path in outside.filter(|path| wanted(path.as_bytes())) {
            known.remove(path);
            // A link into the store leads to what was added; one to the root's own is its.
            if let Some(at) = whole.resolve(path)
                && let Some(entry) = added.entries.get(&at)
                && let Node::File { size, content } = &entry.node
                && *size <= LONGEST_TEXT
            {
                let bytes = layer::read_file(self.store, &at, content)?;
                let text = String::from_utf8_lossy(&bytes).into_owned();
                known.insert(path.clone(), text);
            }
        }
        Ok(())
    }
}

impl Closures {
    /// The root with the closures.
    pub(super) fn over(&self, root: Tree) -> Tree {
        self.composed.over(root)
    }

    /// Takes out what the profile's own entries replaced, and gives both, over the root.
    ///
    /// # Errors
    /// [`Kind::Usage`] when a path of the store was replaced.
    pub(super) fn under(&mut self, own: &Composed, root: &Tree) -> Result<Composed> {
        let stored = own
            .dropped
            .iter()
            .find(|path| path.is_within(self.folder.as_bytes()));
        if let Some(path) = stored {
            let message =
                format!("the profile replaces or removes `/{path}`, which is in the Nix store");
            return Err(Error::new(Kind::Usage, message)
                .hint("change it in Nix; what is in a store is what its hash says"));
        }
        for path in &own.dropped {
            self.composed.added.entries.remove(path);
        }
        let mut both = self.composed.clone();
        both.added.entries.extend(own.added.entries.clone());
        let of_root = own
            .dropped
            .iter()
            .filter(|path| root.entries.contains_key(*path));
        both.dropped.extend(of_root.cloned());
        Ok(both)
    }

    /// The layers of the closures, `shared` of them at most for those without layers
    /// of their own; each with the tree that its entries are of.
    pub(super) fn plan(&self, shared: usize) -> Result<Vec<(Plan, Tree)>> {
        let mut plans = Vec::new();
        for pool in &self.pools {
            let tree = self.pool_tree(pool);
            let limit = pool.limit.unwrap_or(shared);
            let mut plan = layer::plan_grouped(&tree, &pool.groups, limit)?;
            for planned in &mut plan.layers {
                planned.id = pool.layer(&planned.id);
            }
            plans.push((plan, tree));
        }
        Ok(plans)
    }

    /// The entries of a pool, with the folders above them.
    fn pool_tree(&self, pool: &Pool) -> Tree {
        let mut tree = Tree::default();
        for (path, entry) in &self.composed.added.entries {
            if !pool.groups.contains_key(&entry.component) {
                continue;
            }
            tree.entries.insert(path.clone(), entry.clone());
            let mut parent = path.parent();
            while let Some(folder) = parent.filter(|folder| !tree.entries.contains_key(folder)) {
                if let Some(above) = self.composed.added.entries.get(&folder) {
                    let mut above = above.clone();
                    above.component = entry.component.clone();
                    tree.entries.insert(folder.clone(), above);
                }
                parent = folder.parent();
            }
        }
        tree
    }
}

fn placing(wanted: &NixClosure, pinned: &Pinned) -> Result<Placing> {
    let pinned = pinned.nix.iter().find(|one| one.name == *wanted.name);
    let pinned = pinned.ok_or_else(|| {
        let message = format!("the closure `{}` is not in the lock", wanted.name);
        Error::new(Kind::Resolve, message).hint("renew the lock with `nodelith lock`")
    })?;
    let closure = pinned.closure()?;
    let copy_to_root = match &wanted.copy_to_root {
        CopyToRoot::Roots(true) => closure.roots.clone(),
        CopyToRoot::Roots(false) => BTreeSet::new(),
        CopyToRoot::Paths(paths) => {
            let paths = paths.iter().map(|path| StorePath::parse(path));
            let paths: Result<_, String> = paths.collect();
            paths.map_err(|why| Error::new(Kind::Usage, why))?
        }
    };
    Ok(Placing {
        name: wanted.name.to_string(),
        closure,
        system: wanted.system,
        copy_to_root,
        permissions: wanted.perms.iter().map(permission).collect::<Result<_>>()?,
        layers: wanted.layers.map(|layers| usize::from(layers.get())),
    })
}

fn permission(wanted: &NixPermission) -> Result<Permission> {
    let refused = |why: String| Error::new(Kind::Usage, why);
    let path = wanted.path.as_ref();
    let path = path.map(|path| StorePath::parse(path).map_err(refused));
    let regex = wanted.regex.as_deref().unwrap_or("");
    Ok(Permission {
        path: path.transpose()?,
        regex: regex_lite::Regex::new(regex).map_err(|error| refused(error.to_string()))?,
        mode: wanted.mode.as_ref().map(FileMode::bits),
        uid: wanted.uid.map(Id::get),
        gid: wanted.gid.map(Id::get),
    })
}

/// The folder of the store that all paths are of.
fn folder(paths: &BTreeMap<&StorePath, &nix::PathInfo>) -> Result<TreePath> {
    let folders: BTreeSet<&str> = paths.keys().map(|path| path.folder()).collect();
    let mut folders = folders.into_iter();
    match (folders.next(), folders.next()) {
        (Some(only), None) => Ok(TreePath::from(only.trim_start_matches('/'))),
        (Some(one), Some(other)) => {
            let message = format!("the closures are of two stores, `{one}` and `{other}`");
            Err(Error::new(Kind::Usage, message).hint("an image has one store"))
        }
        (None, _) => Err(Error::new(Kind::Resolve, "the closures have no path")),
    }
}
