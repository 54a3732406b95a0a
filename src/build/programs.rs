//! Releases that the lock names, as programs of the node.

use std::collections::BTreeMap;

use super::Builder;
use crate::error::Result;
use crate::image::annotations::{COMPONENTS, CRICTL};
use crate::lock::Pinned;
use crate::node::{Program, ProgramFile};
use crate::profile::Profile;
use crate::profile::file::CrictlSource;
use crate::source::release::{self, Component, Origin, Releases};
use crate::store::Store;
use crate::tree::Content;

impl Builder<'_> {
    /// The programs of the pinned releases, their bytes in the store.
    pub(super) fn programs(&self, pinned: &Pinned, architecture: &str) -> Result<Vec<Program>> {
        self.releases.fetch(&pinned.component, architecture)?;
        let one = |component: &Component| {
            let row = self.releases.row(component)?;
            let files = release::files(self.store, row, component, architecture)?;
            Ok(program(component, files))
        };
        pinned.component.iter().map(one).collect()
    }
}

/// The programs of the pinned releases, if the store has all of them already.
///
/// # Errors
/// When one is of a name that the table of releases does not have.
pub(super) fn known(store: &Store, pinned: &Pinned) -> Result<Option<Vec<Program>>> {
    // What decides on files is the built-in table's alone.
    let releases = Releases::built_in()?;
    let mut programs = Vec::new();
    for component in &pinned.component {
        let row = releases.row(&component.name)?;
        match release::known_files(store, row, component) {
            Some(files) => programs.push(program(component, files)),
            None => return Ok(None),
        }
    }
    Ok(Some(programs))
}

/// What is known of the programs before they are in the store.
pub(super) fn outlines(pinned: &Pinned) -> Vec<Program> {
    let components = pinned.component.iter();
    components.map(|one| program(one, Vec::new())).collect()
}

fn program(component: &Component, files: Vec<release::File>) -> Program {
    let kind = match component.source {
        Origin::Builtin => "builtin",
        Origin::Release | Origin::Local => "release",
    };
    let files = files.into_iter().map(|file| ProgramFile {
        path: file.path,
        size: file.size,
        content: Content::Blob(file.digest),
    });
    Program {
        component: format!("{kind}:{}", component.name),
        name: component.name.clone(),
        version: component.version.clone(),
        digest: component.digest,
        files: files.collect(),
    }
}

/// What the manifest says of the programs that come as releases.
#[must_use]
pub fn annotations(profile: &Profile, pinned: &Pinned) -> BTreeMap<String, String> {
    let mut said = BTreeMap::new();
    let crictl = match profile.crictl.source {
        Some(CrictlSource::Builtin) => Some("builtin"),
        Some(CrictlSource::File) => Some("file"),
        _ => None,
    };
    if let Some(source) = crictl {
        said.insert(CRICTL.to_owned(), source.to_owned());
    }
    let components = pinned.component.iter();
    let components: Vec<_> = components
        .map(|one| format!("{}={}@{}", one.name, one.version, one.digest))
        .collect();
    if !components.is_empty() {
        said.insert(COMPONENTS.to_owned(), components.join(","));
    }
    said
}
