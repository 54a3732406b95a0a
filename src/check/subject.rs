//! The *subject*: what is looked at, as plain data.
//!
//! Whatever it is read from (a profile, an image, a root directory, a tar
//! archive, loose files), a subject is a tree of paths, the few small texts that
//! rules read, and what was found on the way: packages, the build information
//! of programs, names of preloaded images, traces of secrets.

pub mod archive;
pub mod folder;
pub mod image;
mod images;
pub mod look;
pub mod loose;
pub mod program;
pub mod secret;
mod versions;

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use crate::compat::Version;
use crate::tree::{Content, Entry, Node, Tree, TreePath};

pub use self::images::ImageName;
pub use self::look::Seen;
pub use self::program::BuildInfo;
pub use self::secret::Secret;
pub use self::versions::{Said, Versions};

/// A small text of the subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Where it stands in the node.
    pub path: TreePath,
    /// How a person knows it: a path of the node, or the file that was given.
    pub shown: String,
    /// What it says.
    pub text: String,
}

/// Why the root of a node cannot be written while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadOnly {
    /// It is one of ours: the initrd keeps a list of places that can be written.
    Nodelith,
    /// It is a bootc or ostree image: /etc and /var can be written.
    Bootc,
    /// fstab or the kernel command line say so: /var may be.
    Mounted,
}

/// Versions that were given rather than found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Given {
    /// containerd's.
    pub containerd: Option<Version>,
    /// Kubernetes'.
    pub kubernetes: Option<Version>,
    /// crictl's.
    pub crictl: Option<Version>,
}

/// What is looked at.
#[derive(Debug, Clone, Default)]
pub struct Subject {
    /// What it was named by.
    pub name: String,
    /// Whether it is a whole root, so that what is not there can be missed.
    pub whole: bool,
    /// Every path.
    pub tree: Tree,
    /// The texts that were kept, each path once.
    pub texts: Vec<Text>,
    by_path: BTreeMap<TreePath, usize>,
    /// Name to version of every installed package.
    pub packages: BTreeMap<String, String>,
    /// What Go's linker left in programs, by path.
    pub programs: BTreeMap<TreePath, BuildInfo>,
    /// Archives of container images, and the names that they hold.
    pub images: BTreeMap<TreePath, Vec<ImageName>>,
    /// Files that hold a secret, and its sort.
    pub secrets: BTreeMap<TreePath, Secret>,
    /// What is there but could not be looked into, and why.
    pub unread: BTreeSet<String>,
    /// Annotations and labels of an image.
    pub labels: BTreeMap<String, String>,
    /// The image's own time, in seconds since the epoch: no file should be newer.
    pub epoch: Option<i64>,
    /// Versions that were given.
    pub given: Given,
    /// Versions that its maker knows.
    pub known: Given,
    /// The day for which support is judged.
    pub date: Option<Date>,
}

impl Subject {
    /// A subject of that name, with nothing in it.
    #[must_use]
    pub fn new(name: &str, whole: bool) -> Self {
        Self {
            name: name.to_owned(),
            whole,
            ..Self::default()
        }
    }

    /// A subject of paths and texts that are at hand; texts that the tree itself
    /// holds are taken from there.
    #[must_use]
    pub fn of_tree(name: &str, tree: Tree, texts: &BTreeMap<TreePath, String>) -> Self {
        let mut subject = Self::new(name, true);
        for (path, entry) in &tree.entries {
            match &entry.node {
                Node::File {
                    content: Content::Inline(bytes),
                    size,
                } => {
                    // A preview has nothing for what only a build makes, as archives of images.
                    let stand_in = *size == 0 && !look::wanted(path.as_bytes());
                    // Reading memory does not fail.
                    if !stand_in && let Ok(Some(seen)) = look::look(path, *size, &mut &bytes[..]) {
                        subject.add(path.clone(), seen);
                    }
                }
                Node::File { .. } => {
                    let text = texts.get(path).filter(|_| look::wanted(path.as_bytes()));
                    if let Some(text) = text {
                        subject.add(path.clone(), Seen::Text(text.clone()));
                    }
                }
                _ => {}
            }
        }
        subject.tree = tree;
        subject
    }

    /// Adds a text, which takes the place of one at the same path.
    pub fn add_text(&mut self, path: TreePath, shown: String, text: String) -> usize {
        let text = Text { path, shown, text };
        if let Some(&at) = self.by_path.get(&text.path) {
            self.texts[at] = text;
            return at;
        }
        self.by_path.insert(text.path.clone(), self.texts.len());
        self.texts.push(text);
        self.texts.len() - 1
    }

    /// Adds what was seen in the file at a path of the node.
    pub fn add(&mut self, path: TreePath, seen: Seen) {
        match seen {
            Seen::Text(text) => {
                let shown = format!("/{path}");
                self.add_text(path, shown, text);
            }
            Seen::Packages(packages) => self.packages.extend(packages),
            Seen::Program(info) => {
                self.programs.insert(path, info);
            }
            Seen::Images(names) => {
                self.images.insert(path, names);
            }
            Seen::Secret(secret) => {
                self.secrets.insert(path, secret);
            }
            Seen::Unread(why) => {
                self.unread.insert(format!("/{path}: {why}"));
            }
        }
    }

    /// Where a path leads when links are followed within the root, and what is there.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<(TreePath, &Entry)> {
        let at = self.tree.resolve(&TreePath::from(path))?;
        let entry = self.tree.entries.get(&at)?;
        Some((at, entry))
    }

    /// Whether something is at a path, links followed.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        self.find(path).is_some()
    }

    /// Whether a path is in the tree, whether or not a link there leads anywhere.
    #[must_use]
    pub fn names(&self, path: &str) -> bool {
        let path = path.trim_start_matches('/');
        self.tree.entries.contains_key(path.as_bytes())
    }

    /// The number of the text at a path, links followed.
    #[must_use]
    pub fn text_at(&self, path: &str) -> Option<usize> {
        let plain = TreePath::from(path.trim_start_matches('/'));
        if let Some(&at) = self.by_path.get(&plain) {
            return Some(at);
        }
        let (path, _) = self.find(path)?;
        let path = self.tree.file(&path).map(|(path, _)| path.clone());
        self.by_path.get(&path?).copied()
    }

    /// The text at a path, links followed.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<&Text> {
        self.text_at(path).map(|at| &self.texts[at])
    }

    /// The numbers of the texts whose path begins so, in order of their paths.
    pub fn texts_below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = usize> + 'a {
        self.by_path
            .range(TreePath::from(prefix)..)
            .take_while(move |(path, _)| path.as_bytes().starts_with(prefix.as_bytes()))
            .map(|(_, at)| *at)
    }

    /// Every path below a folder, relative to it, and what is there.
    pub fn below<'a>(&'a self, folder: &str) -> impl Iterator<Item = (&'a [u8], &'a Entry)> + 'a {
        let prefix = TreePath::from(format!("{folder}/").as_str());
        self.tree
            .entries
            .range(prefix.clone()..)
            .map_while(move |(path, entry)| {
                let name = path.as_bytes().strip_prefix(prefix.as_bytes())?;
                Some((name, entry))
            })
    }

    /// The versions of the kernels that the root has.
    #[must_use]
    pub fn kernels(&self) -> Vec<String> {
        ["usr/lib/modules", "lib/modules"]
            .iter()
            .flat_map(|folder| self.below(folder))
            .filter(|(name, entry)| !name.contains(&b'/') && entry.node == Node::Directory)
            .map(|(name, _)| String::from_utf8_lossy(name).into_owned())
            .collect()
    }

    /// Whether its labels say that it is an image for bootc.
    #[must_use]
    pub fn is_labelled_bootc(&self) -> bool {
        let says = |key: &str, values: &[&str]| {
            let said = self.labels.get(key);
            said.is_some_and(|said| values.contains(&said.as_str()))
        };
        says("containers.bootc", &["1"]) || says("ostree.bootable", &["1", "true"])
    }

    /// Why the root is read-only while the node runs; none if nothing says so.
    #[must_use]
    pub fn read_only(&self) -> Option<ReadOnly> {
        // Also where it is one of ours: then bootc installs and boots it.
        if self.is_labelled_bootc() || self.names("usr/lib/ostree/prepare-root.conf") {
            return Some(ReadOnly::Bootc);
        }
        if self.names(crate::node::SETTINGS_PATH) {
            return Some(ReadOnly::Nodelith);
        }
        let fstab = self.text("etc/fstab").is_some_and(|text| {
            text.text.lines().any(|line| {
                let fields: Vec<_> = line.split_whitespace().collect();
                let root = fields.get(1) == Some(&"/") && !line.trim_start().starts_with('#');
                root && fields
                    .get(3)
                    .is_some_and(|options| options.split(',').any(|option| option == "ro"))
            })
        });
        fstab.then_some(ReadOnly::Mounted)
    }
}
