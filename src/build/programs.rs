//! Releases that the lock names, as programs of the node.

use std::collections::BTreeMap;

use super::Builder;
use crate::error::Result;
use crate::image::annotations::{COMPONENTS, CRICTL};
use crate::lock::Pinned;
use crate::node::{Program, ProgramFile};
use crate::profile::Profile;
use crate::profile::file::CrictlSource;
use crate::source::release::{self, Component, Origin};
use crate::tree::Content;

impl Builder<'_> {
    /// The programs of the pinned releases, their bytes in the store.
    pub(super) fn programs(&self, pinned: &Pinned, architecture: &str) -> Result<Vec<Program>> {
        self.releases.fetch(&pinned.component, architecture)?;
        let one = |component: &Component| {
            let row = self.releases.row(component)?;
            let files = release::files(self.store, row, component, architecture)?;
            let mut program = outline(component);
            program.files = files
                .into_iter()
                .map(|file| ProgramFile {
                    path: file.path,
                    size: file.size,
                    content: Content::Blob(file.digest),
                })
                .collect();
            Ok(program)
        };
        pinned.component.iter().map(one).collect()
    }
}

/// What is known of the programs before they are in the store.
pub(super) fn outlines(pinned: &Pinned) -> Vec<Program> {
    pinned.component.iter().map(outline).collect()
}

fn outline(component: &Component) -> Program {
    let kind = match component.source {
        Origin::Builtin => "builtin",
        Origin::Release | Origin::Local => "release",
    };
    Program {
        component: format!("{kind}:{}", component.name),
        name: component.name.clone(),
        version: component.version.clone(),
        digest: component.digest,
        files: Vec::new(),
    }
}

/// What the manifest says of the programs that come as releases.
pub(super) fn annotations(profile: &Profile, pinned: &Pinned) -> BTreeMap<String, String> {
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
