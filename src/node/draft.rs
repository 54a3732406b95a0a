//! The configuration while it is being made.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{COMPONENT, Configuration, LocalFiles, RootFacts};
use crate::error::{Error, Kind};
use crate::profile::Profile;
use crate::tree::{Content, Entry, FIXED_TIME, Node, TreePath};

/// What every part of the configuration reads, and what it adds to.
pub(super) struct Draft<'a> {
    pub(super) profile: &'a Profile,
    pub(super) facts: &'a RootFacts<'a>,
    pub(super) local: &'a dyn LocalFiles,
    component: Arc<str>,
    result: Configuration,
}

/// Mode, owner and group of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Access {
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Access {
    /// Owned by root, with these permission bits.
    pub(super) const fn root(mode: u32) -> Self {
        Self {
            mode,
            uid: 0,
            gid: 0,
        }
    }
}

impl<'a> Draft<'a> {
    pub(super) fn new(
        profile: &'a Profile,
        facts: &'a RootFacts<'a>,
        local: &'a dyn LocalFiles,
    ) -> Self {
        Self {
            profile,
            facts,
            local,
            component: COMPONENT.into(),
            result: Configuration::default(),
        }
    }

    pub(super) fn finish(self) -> Configuration {
        self.result
    }

    /// Notes a setting for those who compare two images.
    pub(super) fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.result.settings.insert(name.into(), value.into());
    }

    /// Tells a person something that does not stop the build.
    pub(super) fn warn(&mut self, message: impl Into<String>) {
        self.result.warnings.insert(message.into());
    }

    /// Says what the pause image is made from.
    pub(super) fn stand_in(&mut self, from: &str) {
        self.result.stand_in = Some(from.to_owned());
    }

    /// A generated file, readable by all.
    pub(super) fn text(&mut self, path: &str, text: &str) {
        self.bytes(path, text.as_bytes(), Access::root(0o644));
    }

    /// A generated file that takes the place of the root's, with its access.
    pub(super) fn replace(&mut self, path: &str, text: &str, mode: u32) {
        let (mode, uid, gid) = self.facts.ownership(path).unwrap_or((mode, 0, 0));
        self.bytes(path, text.as_bytes(), Access { mode, uid, gid });
    }

    pub(super) fn bytes(&mut self, path: &str, bytes: &[u8], access: Access) {
        let content = Content::Inline(bytes.into());
        self.file(path, bytes.len() as u64, content, access);
    }

    pub(super) fn file(&mut self, path: &str, size: u64, content: Content, access: Access) {
        self.entry(path, Node::File { size, content }, access);
    }

    pub(super) fn link(&mut self, path: &str, target: &str) {
        self.entry(path, Node::Symlink(target.into()), Access::root(0o777));
    }

    pub(super) fn folder(&mut self, path: &str, access: Access) {
        self.entry(path, Node::Directory, access);
    }

    /// A program that a profile brings, large and seldom changed: a component of
    /// its own, which has its own layer.
    pub(super) fn program(&mut self, component: &str, path: &str, size: u64, content: Content) {
        self.file(path, size, content, Access::root(0o755));
        if let Some(entry) = self.result.entries.get_mut(path.as_bytes()) {
            entry.component = component.into();
        }
    }

    /// A file that is no setting and seldom changes: a component of its own, which
    /// has its own layer.
    pub(super) fn part(&mut self, component: &str, path: &str, size: u64, content: Content) {
        self.file(path, size, content, Access::root(0o644));
        if let Some(entry) = self.result.entries.get_mut(path.as_bytes()) {
            entry.component = component.into();
        }
    }

    fn entry(&mut self, path: &str, node: Node, access: Access) {
        let entry = Entry {
            node,
            mode: access.mode,
            uid: access.uid,
            gid: access.gid,
            mtime: FIXED_TIME,
            xattrs: BTreeMap::new(),
            component: Arc::clone(&self.component),
        };
        self.result.removed.remove(path.as_bytes());
        self.result.entries.insert(path.into(), entry);
    }

    /// Takes a path out of the node.
    pub(super) fn remove(&mut self, path: &str) {
        self.result.entries.remove(path.as_bytes());
        self.result.removed.insert(path.into());
    }

    /// Takes out those entries of the configuration for which `other` gives something
    /// else that makes them, by where each comes to be in the root.
    pub(super) fn exchange<T>(
        &mut self,
        mut other: impl FnMut(&TreePath, &Entry) -> Option<T>,
    ) -> BTreeMap<TreePath, T> {
        let mut exchanged = BTreeMap::new();
        let (facts, gone) = (self.facts, &self.result.removed);
        self.result.entries.retain(|path, entry| {
            let place = facts.place(&path.to_string(), gone);
            let place = place.unwrap_or_else(|| path.clone());
            match other(&place, entry) {
                Some(one) => {
                    exchanged.insert(place, one);
                    false
                }
                None => true,
            }
        });
        exchanged
    }

    /// What the configuration itself has at a path.
    pub(super) fn own(&self, path: &str) -> Option<&Node> {
        self.result
            .entries
            .get(path.as_bytes())
            .map(|entry| &entry.node)
    }

    /// What the node will have at a path.
    pub(super) fn node(&self, path: &str) -> Option<&Node> {
        match self.own(path) {
            Some(node) => Some(node),
            None if self.result.removed.contains(path.as_bytes()) => None,
            None => self.facts.node(path),
        }
    }

    /// The text that the node will have in a file: for files made here, only
    /// such as are kept in memory.
    pub(super) fn read(&self, path: &str) -> Option<String> {
        match self.own(path) {
            Some(Node::File {
                content: Content::Inline(bytes),
                ..
            }) => Some(String::from_utf8_lossy(bytes).into_owned()),
            Some(_) => None,
            None if self.result.removed.contains(path.as_bytes()) => None,
            None => self.facts.text(path).map(str::to_owned),
        }
    }

    /// Everything that the node will have below a folder, by relative path.
    pub(super) fn below(&self, folder: &str) -> BTreeMap<String, Node> {
        let mut found: BTreeMap<_, _> = self
            .facts
            .below(folder)
            .filter(|(name, _)| {
                !self
                    .result
                    .removed
                    .contains(format!("{folder}/{name}").as_bytes())
            })
            .map(|(name, node)| (name, node.clone()))
            .collect();
        let prefix = format!("{folder}/");
        for (path, entry) in &self.result.entries {
            if let Some(name) = path.as_bytes().strip_prefix(prefix.as_bytes())
                && let Ok(name) = std::str::from_utf8(name)
            {
                found.insert(name.to_owned(), entry.node.clone());
            }
        }
        found
    }

    /// An error in the profile, at the place of `item` within the value of `keys`.
    pub(super) fn refuse(&self, message: impl Into<String>, keys: &[&str], item: &str) -> Error {
        self.locate(Error::new(Kind::Usage, message), keys, item)
    }

    /// Gives an error the place of `item` within the value of `keys`.
    pub(super) fn locate(&self, error: Error, keys: &[&str], item: &str) -> Error {
        let item = (!item.is_empty()).then_some(item);
        let place = self
            .profile
            .place(keys, item)
            .or_else(|| self.profile.place(keys, None));
        match place {
            Some(place) if error.place().is_none() => error.at(place),
            _ => error,
        }
    }
}
