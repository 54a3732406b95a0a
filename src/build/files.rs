//! Local files and images as the lock has them, whose bytes come from the store, and
//! an image made from the root.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use super::pause;
use crate::digest::Digest;
use crate::error::{Context, Error, Kind, Result};
use crate::node::{Archive, Carried, LocalFiles};
use crate::profile::value::LocalFile;
use crate::store::Store;
use crate::tree::{Content, Tree};

/// Local files by where the profile finds them.
pub(super) struct PinnedFiles<'a> {
    store: &'a Store,
    files: BTreeMap<PathBuf, (Digest, u64)>,
    images: Vec<Carried>,
    root: &'a Tree,
    architecture: &'a str,
}

impl<'a> PinnedFiles<'a> {
    pub fn new(
        store: &'a Store,
        files: BTreeMap<PathBuf, (Digest, u64)>,
        images: Vec<Carried>,
        root: &'a Tree,
        architecture: &'a str,
    ) -> Self {
        Self {
            store,
            files,
            images,
            root,
            architecture,
        }
    }

    fn find(&self, file: &LocalFile) -> Result<(Digest, u64)> {
        let found = self.files.get(file.absolute()).copied();
        found.ok_or_else(|| {
            Error::new(
                Kind::Resolve,
                format!("`{}` is not in the lock", file.path()),
            )
            .hint("renew the lock with `nodelith lock`")
        })
    }
}

impl LocalFiles for PinnedFiles<'_> {
    fn content(&self, file: &LocalFile) -> Result<(u64, Content)> {
        let (digest, size) = self.find(file)?;
        Ok((size, Content::Blob(digest)))
    }

    fn read(&self, file: &LocalFile) -> Result<Vec<u8>> {
        let path = self.store.blob_path(&self.find(file)?.0);
        fs::read(&path).io("reading", &path)
    }

    fn archive(&self, reference: &str) -> Result<Archive> {
        pause::stand_in(self.store, self.root, self.architecture, reference)
    }

    fn images(&self) -> Vec<Carried> {
        self.images.clone()
    }
}
