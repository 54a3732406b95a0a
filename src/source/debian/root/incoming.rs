//! A package about to be installed: its `.deb`, its control files, and what
//! installing asks about it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::control::is_package_name;
use super::deb::{Control, Deb};
use crate::error::{Error, Kind, Result};
use crate::source::debian::choice::relation::{Operator, Relation, Relations};

/// A line of `conffiles` (`deb-conffiles(5)`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Conffile {
    /// Relative to the root.
    pub path: Vec<u8>,
    /// Not in the archive, but to be removed where an older version left it.
    pub remove_on_upgrade: bool,
}

/// A package read from its `.deb`.
#[derive(Debug)]
pub(super) struct Package {
    pub deb: Deb,
    pub control: Control,
    pub name: Arc<str>,
    pub version: String,
    pub architecture: String,
    pub source: Arc<str>,
    pub source_version: String,
    /// `Essential: yes`.
    pub essential: bool,
    /// `Multi-Arch: same`.
    pub shared: bool,
    /// Conffiles in the order of the `conffiles` control file.
    pub conffiles: Vec<Conffile>,
    conffile_paths: BTreeSet<Vec<u8>>,
}

impl Package {
    pub fn read(path: &Path) -> Result<Self> {
        let deb = Deb::open(path)?;
        let control = deb.control()?;
        Self::new(deb, control)
            .map_err(|error| error.context(format!("reading `{}`", path.display())))
    }

    fn new(deb: Deb, control: Control) -> Result<Self> {
        let stanza = &control.stanza;
        let name: Arc<str> = stanza.require("Package")?.into();
        let version = stanza.require("Version")?.to_owned();
        let (source, source_version) = source(stanza.get("Source"), &name, &version);
        if !is_package_name(source) {
            return Err(Error::new(
                Kind::Verify,
                format!("malformed control stanza: `{source}` is not a source package's name"),
            ));
        }
        let conffiles = conffiles(control.text("conffiles")?.unwrap_or_default())?;
        Ok(Self {
            source: source.into(),
            source_version: source_version.to_owned(),
            architecture: stanza.require("Architecture")?.to_owned(),
            essential: stanza.says_yes("Essential"),
            shared: stanza.get("Multi-Arch") == Some("same"),
            conffile_paths: conffiles
                .iter()
                .filter(|conffile| !conffile.remove_on_upgrade)
                .map(|conffile| conffile.path.clone())
                .collect(),
            conffiles,
            name,
            version,
            deb,
            control,
        })
    }

    /// What dpkg's files below `info` and in `triggers` call it:
    /// with architecture if several architectures can be installed together.
    pub fn database_name(&self) -> String {
        if self.shared {
            format!("{}:{}", self.name, self.architecture)
        } else {
            self.name.to_string()
        }
    }

    /// Whether it has this maintainer script.
    pub fn has(&self, script: &str) -> bool {
        self.control.files.contains_key(script)
    }

    /// Whether a path of its archive is a conffile.
    pub fn is_conffile(&self, path: &[u8]) -> bool {
        self.conffile_paths.contains(path)
    }

    /// Whether it may take over files of `other`.
    pub fn replaces(&self, other: &Self) -> bool {
        self.relations("Replaces").any(|wanted| {
            let holds =
                |(operator, version): (Operator, &str)| operator.holds(&other.version, version);
            wanted.name == &*other.name && wanted.constraint.is_none_or(holds)
        })
    }

    /// The relations of a field, alternatives and all; none if it is not there.
    /// What cannot be read as one is left to dpkg, which refuses it.
    pub fn relations(&self, field: &str) -> impl Iterator<Item = Relation<'_>> {
        let value = self.control.stanza.get(field).unwrap_or_default();
        Relations::new(value).filter_map(Result::ok)
    }
}

/// Packages, and who depends on whom among them.
pub(super) struct Packages {
    pub all: Vec<Package>,
    /// Name (own or provided) to indexes.
    names: BTreeMap<String, Vec<usize>>,
}

impl Packages {
    /// Takes packages in any order; afterwards they are in the order of name and architecture.
    ///
    /// # Errors
    /// When one package is there twice.
    pub fn new(mut all: Vec<Package>) -> Result<Self> {
        all.sort_by(|a, b| (&a.name, &a.architecture).cmp(&(&b.name, &b.architecture)));
        for pair in all.windows(2) {
            if pair[0].name == pair[1].name && !(pair[0].shared && pair[1].shared) {
                return Err(twice(&pair[0], &pair[1]));
            }
            if pair[0].name == pair[1].name && pair[0].architecture == pair[1].architecture {
                return Err(twice(&pair[0], &pair[1]));
            }
        }
        let mut names: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (index, package) in all.iter().enumerate() {
            names
                .entry(package.name.to_string())
                .or_default()
                .push(index);
        }
        for (index, package) in all.iter().enumerate() {
            for provided in package.relations("Provides") {
                let providers = names.entry(provided.name.to_owned()).or_default();
                if !providers.contains(&index) {
                    providers.push(index);
                }
            }
        }
        Ok(Self { all, names })
    }

    /// Who of these packages can satisfy `field` of a package. All alternatives
    /// count: a package that is there is there to be used.
    pub fn needed(&self, index: usize, field: &str) -> BTreeSet<usize> {
        self.all[index]
            .relations(field)
            .filter_map(|wanted| self.names.get(wanted.name))
            .flatten()
            .copied()
            .filter(|&other| other != index)
            .collect()
    }

    /// `begin` and all that it needs, directly or not.
    pub fn closure(&self, begin: impl IntoIterator<Item = usize>) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut pending: Vec<usize> = begin.into_iter().collect();
        while let Some(index) = pending.pop() {
            if found.insert(index) {
                pending.extend(self.needed(index, "Pre-Depends"));
                pending.extend(self.needed(index, "Depends"));
            }
        }
        found
    }

    /// `which` so that what a package needs comes before it; cycles are cut
    /// where a `Depends` closes them, and otherwise the order is by name.
    pub fn ordered(&self, which: &BTreeSet<usize>) -> Vec<usize> {
        let mut order = Vec::new();
        let mut seen = BTreeSet::new();
        // A package stands on this stack twice: to be opened, and to be closed.
        let mut stack: Vec<(usize, bool)> = which.iter().rev().map(|&at| (at, false)).collect();
        while let Some((index, close)) = stack.pop() {
            if close {
                order.push(index);
                continue;
            }
            if !seen.insert(index) {
                continue;
            }
            stack.push((index, true));
            for field in ["Depends", "Pre-Depends"] {
                let needed = self.needed(index, field);
                let inside = needed.iter().rev().filter(|at| which.contains(at));
                stack.extend(inside.map(|&at| (at, false)));
            }
        }
        order
    }
}

fn twice(one: &Package, other: &Package) -> Error {
    Error::new(
        Kind::Resolve,
        format!(
            "package `{}` is to be installed twice: version {} for {} and version {} for {}",
            one.name, one.version, one.architecture, other.version, other.architecture
        ),
    )
}

/// Source package and its version from a `Source` field (Debian policy 5.6.1).
fn source<'a>(field: Option<&'a str>, name: &'a str, version: &'a str) -> (&'a str, &'a str) {
    match field.map(|field| field.split_once('(')) {
        None => (name, version),
        Some(None) => (field.unwrap_or(name).trim(), version),
        Some(Some((source, rest))) => (source.trim(), rest.trim_end_matches(')').trim()),
    }
}

fn conffiles(text: &str) -> Result<Vec<Conffile>> {
    let lines = text.lines().map(str::trim_end);
    lines
        .filter(|line| !line.is_empty())
        .map(|line| {
            let marked = line.strip_prefix("remove-on-upgrade ");
            let path = marked.map_or(line, str::trim_start);
            let path = path.strip_prefix('/').ok_or_else(|| {
                let message = format!("conffile `{path}` is not an absolute path");
                Error::new(Kind::Verify, message)
            })?;
            Ok(Conffile {
                path: path.as_bytes().to_vec(),
                remove_on_upgrade: marked.is_some(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_named_with_and_without_version() {
        assert_eq!(source(None, "libc6", "2.41"), ("libc6", "2.41"));
        assert_eq!(source(Some("glibc"), "libc6", "2.41"), ("glibc", "2.41"));
        assert_eq!(source(Some("db (1.2~3)"), "libdb", "5"), ("db", "1.2~3"));
    }

    #[test]
    fn conffiles_are_listed() {
        let found = conffiles("/etc/a\nremove-on-upgrade /etc/b\n\n/etc/c d \n").unwrap();
        let expected: [(&[u8], bool); 3] =
            [(b"etc/a", false), (b"etc/b", true), (b"etc/c d", false)];
        let found = found.iter();
        assert!(
            found
                .map(|line| (&line.path[..], line.remove_on_upgrade))
                .eq(expected)
        );
        assert!(conffiles("etc/a\n").is_err());
    }
}
