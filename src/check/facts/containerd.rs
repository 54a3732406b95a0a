//! containerd's configuration as containerd of this version loads it: the file,
//! what it imports, which file's word counts, and where each setting stands.
//!
//! The version of a configuration is that of its last file which has one; from
//! 2.3 on each file has its own. Up to 1.7 a file's table of a plug-in takes the
//! place of an earlier file's; from 2.0 on tables are merged.

use std::collections::{BTreeMap, BTreeSet};

use globset::GlobBuilder;

use super::Parsed;
use super::units::Units;
use crate::check::document::Node;
use crate::check::subject::Subject;
use crate::compat::Version;
use crate::compat::containerd::{self, Fault};
use crate::compat::version::Line;
use crate::tree::TreePath;

/// Where containerd looks for its configuration unless told otherwise.
pub const FILE: &str = "/etc/containerd/config.toml";
/// Where containerd 2.2 and later suggest drop-ins.
const DROP_INS: &str = "etc/containerd/conf.d/";
/// The plug-in's name in files of version 1.
pub const OLD_ID: &str = "cri";
/// Its id in files of version 2; of later ones, that of the streaming server.
pub const CRI: &str = "io.containerd.grpc.v1.cri";
/// The plug-in of images in files of version 3 and later.
pub const IMAGES: &str = "io.containerd.cri.v1.images";
/// The plug-in of runtimes in files of version 3 and later.
pub const RUNTIME: &str = "io.containerd.cri.v1.runtime";
/// The most files that are followed.
const MOST_FILES: usize = 100;

/// A file of the configuration.
#[derive(Debug)]
pub struct File {
    /// It, as data.
    pub parsed: Parsed,
    /// The version that it says; none where it says none.
    pub said: Option<i64>,
}

impl File {
    /// Its table of plug-ins, by id.
    pub fn plugins(&self) -> impl Iterator<Item = (&str, &Node)> {
        let plugins = self.parsed.root().and_then(|root| root.get("plugins"));
        plugins.into_iter().flat_map(Node::entries)
    }
}

/// containerd's configuration.
#[derive(Debug, Default)]
pub struct Containerd {
    /// containerd's version, where it is known.
    pub version: Option<Version>,
    /// Whether anything says that containerd is in the node.
    pub present: bool,
    /// Where it looks for its configuration.
    pub path: String,
    /// The files that it loads, in their order.
    pub files: Vec<File>,
    /// Numbers of drop-ins' texts that it does not load.
    pub strays: Vec<usize>,
    /// Patterns of imports that match nothing: text, byte, pattern.
    pub idle: Vec<(usize, usize, String)>,
}

impl Containerd {
    /// Reads it.
    #[must_use]
    pub fn read(subject: &Subject, units: &Units, version: Option<Version>) -> Self {
        let words = units.command(subject, "containerd.service");
        let mut path = FILE.to_owned();
        let mut words = words.iter().map(|word| word.word.as_str());
        while let Some(word) = words.next() {
            let said = match word {
                "-c" | "--config" => words.next(),
                _ => word
                    .strip_prefix("--config=")
                    .or_else(|| word.strip_prefix("-c=")),
            };
            if let Some(said) = said {
                said.clone_into(&mut path);
            }
        }
        let mut config = Self {
            version,
            path,
            ..Self::default()
        };
        config.load(subject);
        config.present = version.is_some()
            || !config.files.is_empty()
            || units
                .units
                .get("containerd.service")
                .is_some_and(|unit| unit.file.is_some());
        config
    }

    fn load(&mut self, subject: &Subject) {
        let mut waiting: Vec<usize> = subject.text_at(&self.path).into_iter().collect();
        let mut seen: BTreeSet<usize> = waiting.iter().copied().collect();
        let mut next = 0;
        while let Some(&text) = waiting.get(next) {
            next += 1;
            if next > MOST_FILES {
                break;
            }
            let node = Node::toml(&subject.texts[text].text, text);
            let root = node.as_ref().ok();
            let said = root.and_then(|root| root.get("version")?.integer());
            let imports = root.and_then(|root| root.get("imports"));
            for import in imports.map(Node::items).unwrap_or_default() {
                let Some(pattern) = import.text() else {
                    continue;
                };
                let mut found = matching(subject, text, pattern);
                if found.is_empty() {
                    self.idle
                        .push((text, import.span.start, pattern.to_owned()));
                }
                found.retain(|text| seen.insert(*text));
                waiting.extend(found);
            }
            self.files.push(File {
                parsed: Parsed { text, node },
                said,
            });
        }
        let strays = subject.texts_below(DROP_INS);
        self.strays = strays
            .filter(|text| {
                subject.texts[*text].path.as_bytes().ends_with(b".toml") && !seen.contains(text)
            })
            .collect();
    }

    /// Its release line.
    #[must_use]
    pub fn line(&self) -> Option<Line> {
        self.version.map(Version::line)
    }

    /// Whether it is of this line or a later one; no where its version is not known.
    #[must_use]
    pub fn from(&self, major: u32, minor: u32) -> bool {
        self.line().is_some_and(|line| line >= Line(major, minor))
    }

    /// Whether it is of an earlier line; no where its version is not known.
    #[must_use]
    pub fn before(&self, major: u32, minor: u32) -> bool {
        self.line().is_some_and(|line| line < Line(major, minor))
    }

    /// The version by which a file is understood.
    #[must_use]
    pub fn version_of(&self, file: &File) -> i64 {
        // From 2.3 on each file is brought to the newest version by itself.
        if self.from(2, 3) {
            return file.said.unwrap_or(1);
        }
        let mut said = self.files.iter().rev().filter_map(|file| file.said);
        said.find(|version| *version != 0).unwrap_or(1)
    }

    /// The release by which settings are placed: containerd's, else one that reads
    /// files of that version.
    #[must_use]
    pub fn judged_by(&self, config: i64) -> Version {
        let (major, minor) = match config {
            ..=2 => (1, 7),
            _ => (2, 3),
        };
        self.version.unwrap_or(Version {
            major,
            minor,
            patch: 0,
        })
    }

    /// The paths of keys at which a file may have a setting of
    /// [`containerd::setting`]; of several, the last counts.
    #[must_use]
    pub fn places(&self, file: &File, setting: &str) -> Vec<Vec<String>> {
        let config = self.version_of(file);
        let places = containerd::setting(setting).map(|setting| {
            let config = u8::try_from(config.max(1)).unwrap_or(u8::MAX);
            setting.places(self.judged_by(config.into()), config)
        });
        let places = places.into_iter().flatten();
        places.map(|place| place.path).collect()
    }

    /// Whether containerd is known to have a fault.
    #[must_use]
    pub fn has(&self, fault: &str) -> Option<&'static Fault> {
        containerd::fault(fault, self.version?)
    }

    /// Every place where a setting is said that counts, the last one winning.
    #[must_use]
    pub fn all(&self, setting: &str) -> Vec<&Node> {
        let mut found = Vec::new();
        for (number, file) in self.files.iter().enumerate() {
            for path in self.places(file, setting) {
                let replaced = path.get(1).is_some_and(|id| self.is_replaced(number, id));
                if !replaced && let Some(root) = file.parsed.root() {
                    found.extend(root.at(&path));
                }
            }
        }
        found
    }

    /// The value of a setting that counts.
    #[must_use]
    pub fn one(&self, setting: &str) -> Option<&Node> {
        self.all(setting).pop()
    }

    /// Whether a later file takes the place of this file's table of a plug-in.
    #[must_use]
    pub fn is_replaced(&self, number: usize, id: &str) -> bool {
        let replaces = match self.version {
            Some(_) => self.has("imports-replace-plugins").is_some(),
            None => self.files.iter().all(|file| self.version_of(file) <= 2),
        };
        replaces
            && self.files[number + 1..]
                .iter()
                .any(|file| file.plugins().any(|(other, _)| other == id))
    }

    /// A key below a setting that is a table: the last file's word counts.
    #[must_use]
    pub fn within(&self, setting: &str, path: &[&str]) -> Option<&Node> {
        self.all(setting)
            .iter()
            .rev()
            .find_map(|node| node.at(path))
    }

    /// The names of the runtimes that are set up.
    #[must_use]
    pub fn runtimes(&self) -> BTreeSet<&str> {
        let tables = self.all("runtimes").into_iter();
        let mut names: BTreeSet<&str> = tables
            .flat_map(|table| table.entries().map(|(name, _)| name))
            .collect();
        if names.is_empty() {
            names.insert("runc");
        }
        names
    }

    /// The name of the runtime that pods have unless they choose one.
    #[must_use]
    pub fn default_runtime(&self) -> &str {
        let said = self.one("default-runtime").and_then(Node::text);
        said.filter(|name| !name.is_empty()).unwrap_or("runc")
    }

    /// Whether a runtime is runc's.
    #[must_use]
    pub fn is_runc(&self, name: &str) -> bool {
        match self
            .within("runtimes", &[name, "runtime_type"])
            .and_then(Node::text)
        {
            Some(kind) => kind.starts_with("io.containerd.runc."),
            None => name == "runc",
        }
    }

    /// Whether a runtime has its cgroups made by systemd, and where that is said.
    #[must_use]
    pub fn systemd_cgroup(&self, name: &str) -> (bool, Option<&Node>) {
        let node = self.within("runtimes", &[name, "options", "SystemdCgroup"]);
        (node.is_some_and(|node| node.is(true)), node)
    }

    /// Items of a list at the top of all files.
    #[must_use]
    pub fn listed(&self, key: &str) -> Vec<&Node> {
        let roots = self.files.iter().filter_map(|file| file.parsed.root());
        roots
            .filter_map(|root| root.get(key))
            .flat_map(Node::items)
            .collect()
    }

    /// A value of the top of the files, by path; the last file's word counts.
    #[must_use]
    pub fn top(&self, path: &[&str]) -> Option<&Node> {
        let roots = self
            .files
            .iter()
            .rev()
            .filter_map(|file| file.parsed.root());
        roots.filter_map(|root| root.at(path)).next()
    }

    /// The socket's path, and where it is said.
    #[must_use]
    pub fn socket(&self) -> (String, Option<&Node>) {
        let said = self.one("grpc.address");
        match said.and_then(Node::text).filter(|path| !path.is_empty()) {
            Some(path) => (path.to_owned(), said),
            None => ("/run/containerd/containerd.sock".to_owned(), None),
        }
    }

    /// The directory of registries' hosts.toml, as it is written.
    #[must_use]
    pub fn config_path(&self) -> Option<&Node> {
        let node = self.one("registry-directory")?;
        node.text().filter(|path| !path.is_empty()).map(|_| node)
    }

    /// The table of registries in all files that count.
    #[must_use]
    pub fn registry(&self) -> Vec<&Node> {
        let mut found = Vec::new();
        for (number, file) in self.files.iter().enumerate() {
            for mut path in self.places(file, "registry-directory") {
                path.pop();
                let replaced = path.get(1).is_some_and(|id| self.is_replaced(number, id));
                if !replaced && let Some(root) = file.parsed.root() {
                    found.extend(root.at(&path));
                }
            }
        }
        found
    }

    /// Every table of CRI's plug-ins, wherever it stands and whether or not it is
    /// read: file, id, table.
    #[must_use]
    pub fn cri_tables(&self) -> Vec<(&File, &str, &Node)> {
        let ids = [OLD_ID, CRI, IMAGES, RUNTIME];
        let files = self.files.iter();
        files
            .flat_map(|file| file.plugins().map(move |(id, node)| (file, id, node)))
            .filter(|(_, id, _)| ids.contains(id))
            .collect()
    }

    /// The CNI plug-ins' directories.
    #[must_use]
    pub fn bin_dirs(&self) -> Vec<(String, Option<&Node>)> {
        let node = self.one("cni.bin-dir");
        let said: Vec<_> = match node {
            Some(node) if node.text().is_some() => vec![(node.shown(), Some(node))],
            Some(node) => {
                let items = node.items().iter();
                items.map(|item| (item.shown(), Some(item))).collect()
            }
            None => Vec::new(),
        };
        match said.is_empty() {
            true => vec![("/opt/cni/bin".to_owned(), None)],
            false => said,
        }
    }

    /// The CNI configuration's directory.
    #[must_use]
    pub fn conf_dir(&self) -> (String, Option<&Node>) {
        let node = self.one("cni.conf-dir");
        match node.and_then(Node::text) {
            Some(path) => (path.to_owned(), node),
            None => ("/etc/cni/net.d".to_owned(), None),
        }
    }
}

/// The texts that a pattern of imports matches, sorted.
fn matching(subject: &Subject, importing: usize, pattern: &str) -> Vec<usize> {
    let path = match pattern.strip_prefix('/') {
        Some(path) => path.to_owned(),
        None => {
            let folder = subject.texts[importing].path.parent().unwrap_or_default();
            folder.join(pattern.trim_start_matches("./")).to_string()
        }
    };
    if !path.contains('*') {
        return subject.text_at(&path).into_iter().collect();
    }
    let Ok(glob) = GlobBuilder::new(&path).literal_separator(true).build() else {
        return Vec::new();
    };
    let glob = glob.compile_matcher();
    let start = path.split('*').next().unwrap_or_default().to_owned();
    let mut found: BTreeMap<TreePath, usize> = BTreeMap::new();
    for text in subject.texts_below(&start) {
        let path = &subject.texts[text].path;
        if glob.is_match(path.as_path()) {
            found.insert(path.clone(), text);
        }
    }
    found.into_values().collect()
}
