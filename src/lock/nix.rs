//! Closures of Nix, pinned by the NAR hash of each path.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::components::locate;
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::profile::Profile;
use crate::profile::file::NixClosure;
use crate::profile::value::LocalFile;
use crate::source::nix::{self, Closure, Graph, PathInfo, StorePath, StoreRoot};

/// A closure that the profile takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PinnedClosure {
    /// Its name in the profile.
    pub name: String,
    /// The store paths that it is the closure of, sorted.
    pub root: Vec<StorePath>,
    /// Every path of it, sorted.
    pub path: Vec<PinnedPath>,
}

/// A store path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PinnedPath {
    /// The whole path.
    pub path: StorePath,
    /// SHA-256 of its Nix archive.
    pub nar_hash: Digest,
    /// Length of its Nix archive in bytes.
    pub nar_size: u64,
    /// The last parts of the paths that it refers to, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<String>,
}

/// Pins every closure that `profile` takes for `architecture`, in its order.
///
/// # Errors
/// [`Kind::Resolve`] or [`Kind::Usage`], with the place in the profile, where a
/// closure cannot be had or is not whole.
pub fn closures(
    root: &StoreRoot,
    profile: &Profile,
    architecture: &str,
) -> Result<Vec<PinnedClosure>> {
    let one = |wanted: &NixClosure| pin_one(root, profile, wanted, architecture);
    profile.nix.iter().map(one).collect()
}

fn pin_one(
    root: &StoreRoot,
    profile: &Profile,
    wanted: &NixClosure,
    architecture: &str,
) -> Result<PinnedClosure> {
    let closure = resolve(root, wanted, architecture);
    let closure = closure.map_err(|error| located(error, profile, wanted))?;
    Ok(pin(&wanted.name, &closure))
}

fn located(error: Error, profile: &Profile, wanted: &NixClosure) -> Error {
    locate(error, profile, &["nix", "name"], Some(&wanted.name))
}

/// Pins anew the closures that are others now: whose link leads elsewhere, or whose
/// graph says something else. One that is not there stays as it was pinned.
///
/// # Errors
/// As [`closures`].
pub fn renewed(
    root: &StoreRoot,
    profile: &Profile,
    architecture: &str,
    pinned: &[PinnedClosure],
) -> Result<Vec<PinnedClosure>> {
    let there = |one: &NixClosure| {
        let file = one.path.as_ref().or(one.graph.as_ref());
        file.is_some_and(|file| on_disk(file, architecture).symlink_metadata().is_ok())
    };
    let one = |(wanted, pinned): (&NixClosure, &PinnedClosure)| {
        if !there(wanted) {
            return Ok(pinned.clone());
        }
        if let Some(path) = &wanted.path {
            let target = nix::target(&on_disk(path, architecture));
            let target = target.map_err(|error| located(error, profile, wanted))?;
            if [target] == pinned.root[..] {
                return Ok(pinned.clone());
            }
        }
        pin_one(root, profile, wanted, architecture)
    };
    profile.nix.iter().zip(pinned).map(one).collect()
}

impl PinnedClosure {
    /// The closure as it was pinned.
    ///
    /// # Errors
    /// [`Kind::Resolve`] when the lock was edited and is not whole.
    pub fn closure(&self) -> Result<Closure> {
        let broken = |why: String| {
            let message = format!("the lock's closure `{}` is broken: {why}", self.name);
            Error::new(Kind::Resolve, message)
                .hint("take the lock from version control again, or renew it with `nodelith lock --update`")
        };
        let mut graph = Graph::default();
        for pinned in &self.path {
            let folder = pinned.path.folder();
            let references = pinned.references.iter();
            let references = references.map(|base| StorePath::join(folder, base));
            let info = PathInfo {
                nar_hash: pinned.nar_hash,
                nar_size: pinned.nar_size,
                references: references.collect::<Result<_, _>>().map_err(broken)?,
            };
            graph.paths.insert(pinned.path.clone(), info);
        }
        let mut closure = Closure::new(graph, None).map_err(|error| broken(error.message()))?;
        closure.roots = self.root.iter().cloned().collect();
        let missing = self
            .root
            .iter()
            .find(|root| !closure.graph.paths.contains_key(root));
        match missing {
            Some(root) => Err(broken(format!("it has no `{root}`"))),
            None => Ok(closure),
        }
    }
}

fn resolve(root: &StoreRoot, wanted: &NixClosure, architecture: &str) -> Result<Closure> {
    match (&wanted.path, &wanted.graph) {
        (Some(path), _) => {
            let path = nix::target(&on_disk(path, architecture))?;
            Closure::new(nix::query(root, &path)?, Some(&path))
        }
        (None, Some(graph)) => Closure::new(Graph::read(&on_disk(graph, architecture))?, None),
        (None, None) => Err(Error::new(
            Kind::Usage,
            "a closure needs a `path` or a `graph`",
        )),
    }
}

fn on_disk(file: &LocalFile, architecture: &str) -> PathBuf {
    let path = file.absolute().to_string_lossy();
    path.replace("{architecture}", architecture).into()
}

fn pin(name: &str, closure: &Closure) -> PinnedClosure {
    let paths = closure.graph.paths.iter();
    let path = paths.map(|(path, info)| PinnedPath {
        path: path.clone(),
        nar_hash: info.nar_hash,
        nar_size: info.nar_size,
        references: info
            .references
            .iter()
            .map(|one| one.base().to_owned())
            .collect(),
    });
    PinnedClosure {
        name: name.to_owned(),
        root: closure.roots.iter().cloned().collect(),
        path: path.collect(),
    }
}

/// The roots of each closure, by its name, for those who compare two locks.
pub(super) fn roots(pinned: &[PinnedClosure]) -> BTreeMap<String, String> {
    let bases = |one: &PinnedClosure| {
        let bases: BTreeSet<&str> = one.root.iter().map(StorePath::base).collect();
        bases.into_iter().collect::<Vec<_>>().join(" ")
    };
    let closures = pinned.iter();
    closures
        .map(|one| (format!("nix {}", one.name), bases(one)))
        .collect()
}
