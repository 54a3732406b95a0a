//! Package indices: what could be installed, and what provides what.
//!
//! A [`Universe`] holds the stanzas of any number of `Packages` files and local
//! `.deb` control files for one architecture. Texts are kept whole and packages
//! point into them, so that reading Debian's main index (70,000 packages, 56 MB)
//! costs little more than the text itself.
//!
//! Every name gets a number at its first mention in any relation of any stanza.
//! The order of these numbers matters: where apt has no other reason to prefer
//! one provider to another it takes the one mentioned last. Indices must
//! therefore be added in the order in which apt would read them, which is that
//! of its sources.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use deb822_fast::borrowed::{BorrowedField, BorrowedParagraph, iter_paragraphs_borrowed};

use super::package::{MultiArch, Origin, Package, Span};
use super::relation::{Operator, Relation, Relations, compare, is_version};
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};

/// Priority of an archive's versions when nothing says otherwise (apt's default pinning).
pub const PRIORITY: i16 = 500;
/// Priority of suites that are `NotAutomatic` and `ButAutomaticUpgrades`, such as backports.
pub const PRIORITY_UPGRADES_ONLY: i16 = 100;
/// Priority of suites that are `NotAutomatic`, such as experimental.
pub const PRIORITY_NOT_AUTOMATIC: i16 = 1;
/// Priority of local files: above every archive, whatever their versions.
pub const PRIORITY_LOCAL: i16 = 1001;

/// Number of a name in a [`Universe`], in the order of first mention.
pub(super) type Name = u32;
/// Number of a package version in a [`Universe`].
pub(super) type PackageId = u32;

/// One `Provides` entry, seen from the provided name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Provide {
    /// Who provides.
    pub(super) package: PackageId,
    /// The provided version, in the text of that package.
    pub(super) version: Option<Span>,
}

/// What is known of a name: the package's versions and those who provide it.
#[derive(Debug, Default)]
pub(super) struct Entry {
    /// Versions of the package of this name, highest first.
    pub(super) versions: Vec<PackageId>,
    /// Provides, in the order in which they were read.
    pub(super) provides: Vec<Provide>,
    /// Some version says `Essential: yes`.
    pub(super) essential: bool,
    /// Some version says `Important: yes` or `Protected: yes`.
    pub(super) important: bool,
}

/// Everything that could be installed on one architecture.
#[derive(Debug)]
pub struct Universe {
    architecture: String,
    packages: Vec<Package>,
    /// Each package's own name.
    owners: Vec<Name>,
    numbers: HashMap<Arc<str>, Name>,
    names: Vec<Arc<str>>,
    entries: Vec<Entry>,
}

impl Universe {
    /// An empty universe for a Debian architecture (`amd64`).
    #[must_use]
    pub fn new(architecture: impl Into<String>) -> Self {
        Self {
            architecture: architecture.into(),
            packages: Vec::new(),
            owners: Vec::new(),
            numbers: HashMap::new(),
            names: Vec::new(),
            entries: Vec::new(),
        }
    }

    /// The native architecture.
    #[must_use]
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// All packages in the order in which they were read.
    #[must_use]
    pub fn packages(&self) -> &[Package] {
        &self.packages
    }

    /// Adds a `Packages` file of an archive's suite, at apt's default priority of 500.
    ///
    /// Stanzas of other architectures than the native one and `all` are passed
    /// over. A version that is there already with the same relations is not
    /// added again: it stays with the archive that was read first.
    ///
    /// # Errors
    /// [`Kind::Resolve`] for a malformed index, with the package it is about.
    pub fn add(&mut self, archive: &str, suite: &str, text: impl Into<String>) -> Result<()> {
        self.add_with_priority(archive, suite, PRIORITY, text)
    }

    /// Adds a `Packages` file whose versions have another priority, as apt pins them.
    ///
    /// # Errors
    /// As [`Universe::add`].
    pub fn add_with_priority(
        &mut self,
        archive: &str,
        suite: &str,
        priority: i16,
        text: impl Into<String>,
    ) -> Result<()> {
        let text = Arc::new(text.into());
        let origin = Arc::new(Origin {
            archive: archive.to_owned(),
            suite: suite.to_owned(),
        });
        self.read(&text, &origin, priority).map_err(|error| {
            error.context(format!(
                "reading the package index of `{suite}` in `{archive}`"
            ))
        })
    }

    fn read(&mut self, text: &Arc<String>, origin: &Arc<Origin>, priority: i16) -> Result<()> {
        if u32::try_from(text.len()).is_err() {
            return Err(Error::new(Kind::Resolve, "it is larger than 4 GiB"));
        }
        for stanza in iter_paragraphs_borrowed(text) {
            let stanza = stanza.map_err(|error| Error::new(Kind::Resolve, error.to_string()))?;
            let package = package(text, text, &stanza, origin, priority)?;
            if package.is_for(&self.architecture) {
                package.check_downloadable()?;
                self.insert(package)?;
            }
        }
        Ok(())
    }

    /// Makes one version of `name` its candidate; false when there is no such version.
    pub fn hold(&mut self, name: &str, version: &str) -> bool {
        let ids = self
            .find(name)
            .map_or_else(Vec::new, |name| self.entry(name).versions.clone());
        let held = ids
            .into_iter()
            .find(|&id| self.package_by_id(id).version() == version);
        if let Some(id) = held {
            self.packages[id as usize].raise_priority(PRIORITY_LOCAL);
        }
        held.is_some()
    }

    /// Adds a local `.deb` by the text of its control file.
    ///
    /// `file` is how it is named in messages and in [`Package::filename`]. Its
    /// version becomes the candidate of its name, whatever archives hold.
    ///
    /// # Errors
    /// [`Kind::Resolve`] for a malformed stanza or a foreign architecture.
    pub fn add_local(
        &mut self,
        file: &str,
        control: &str,
        size: u64,
        sha256: Digest,
    ) -> Result<()> {
        if u32::try_from(control.len().saturating_add(file.len() + 1)).is_err() {
            return Err(Error::new(
                Kind::Resolve,
                format!("the control file of `{file}` is larger than 4 GiB"),
            ));
        }
        // The name goes behind the control text, so that the package can point to it.
        let text = Arc::new(format!("{control}\n{file}"));
        let origin = Arc::new(Origin {
            archive: String::new(),
            suite: String::new(),
        });
        let doing = || format!("reading the control file of `{file}`");
        let mut found = 0;
        for stanza in iter_paragraphs_borrowed(control) {
            let stanza = stanza
                .map_err(|error| Error::new(Kind::Resolve, error.to_string()).context(doing()))?;
            // Spans are offsets, and `text` begins with `control`.
            let mut package = package(control, &text, &stanza, &origin, PRIORITY_LOCAL)
                .map_err(|error| error.context(doing()))?;
            if !package.is_for(&self.architecture) {
                return Err(Error::new(
                    Kind::Resolve,
                    format!(
                        "`{file}` is for the architecture `{}`, not `{}`",
                        package.architecture(),
                        self.architecture
                    ),
                ));
            }
            package.set_file(Span::new(control.len() + 1, file.len()), size, sha256);
            self.insert(package)
                .map_err(|error| error.context(doing()))?;
            found += 1;
        }
        if found == 1 {
            Ok(())
        } else {
            Err(Error::new(
                Kind::Resolve,
                format!("the control file of `{file}` has {found} stanzas instead of one"),
            ))
        }
    }

    /// Numbers every name that the package mentions and files it under its own.
    fn insert(&mut self, package: Package) -> Result<()> {
        let name = self.number(package.name());
        let versions = &self.entries[name as usize].versions;
        // Highest first; an equal version of different content goes behind its like.
        let mut place = 0;
        for &id in versions {
            let other = &mut self.packages[id as usize];
            let order = compare(package.version(), other.version());
            if order.is_eq() && !package.is_local() && package.same_relations(other) {
                other.raise_priority(package.pin());
                return Ok(());
            }
            if order.is_gt() {
                break;
            }
            place += 1;
        }
        let id = self.packages.len() as PackageId;
        self.mention(&package, id).map_err(|error| {
            error.context(format!(
                "package `{} {}`",
                package.name(),
                package.version()
            ))
        })?;
        let entry = &mut self.entries[name as usize];
        entry.versions.insert(place, id);
        entry.essential |= package.essential();
        entry.important |= package.important();
        self.packages.push(package);
        self.owners.push(name);
        Ok(())
    }

    /// Reads all relations of a package: numbers their names in apt's order, files its provides.
    fn mention(&mut self, package: &Package, id: PackageId) -> Result<()> {
        for field in package.relation_fields() {
            for relation in Relations::new(field) {
                let relation = relation?;
                match relation.qualifier {
                    None => self.number(relation.name),
                    Some(qualifier) => self.number_qualified(relation.name, qualifier),
                };
            }
        }
        for relation in Relations::new(package.provides()) {
            self.provide(package, id, relation?);
        }
        if package.multi_arch() == MultiArch::Allowed {
            let any = self.number_qualified(package.name(), "any");
            let version = Some(package.version_span());
            self.entries[any as usize].provides.push(Provide {
                package: id,
                version,
            });
        }
        Ok(())
    }

    fn provide(&mut self, package: &Package, id: PackageId, relation: Relation<'_>) {
        let version = match relation.constraint {
            None => None,
            Some((Operator::Equal, version)) => Some(package.span_of(version)),
            // Only exact versions can be provided (Policy 7.5).
            Some(_) => return,
        };
        let provide = Provide {
            package: id,
            version,
        };
        let name = match relation.qualifier {
            Some(qualifier) => self.number_qualified(relation.name, qualifier),
            None => {
                if package.multi_arch() == MultiArch::Allowed {
                    let any = self.number_qualified(relation.name, "any");
                    self.entries[any as usize].provides.push(provide);
                }
                // A package does not provide itself again.
                let same_version = relation
                    .constraint
                    .is_none_or(|(_, wanted)| wanted == package.version());
                if relation.name == package.name() && same_version {
                    return;
                }
                self.number(relation.name)
            }
        };
        self.entries[name as usize].provides.push(provide);
    }

    fn number(&mut self, name: &str) -> Name {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = self.names.len() as Name;
        let name: Arc<str> = name.into();
        self.names.push(Arc::clone(&name));
        self.entries.push(Entry::default());
        self.numbers.insert(name, number);
        number
    }

    /// `native` and the native architecture mean the plain name; the others are names of their own.
    fn number_qualified(&mut self, name: &str, qualifier: &str) -> Name {
        if qualifier == "native" || qualifier == self.architecture {
            self.number(name)
        } else {
            self.number(&format!("{name}:{qualifier}"))
        }
    }

    /// The number of a relation's target; none if the name was never mentioned.
    pub(super) fn target(&self, relation: &Relation<'_>) -> Option<Name> {
        match relation.qualifier {
            None => self.find(relation.name),
            Some(qualifier) if qualifier == "native" || qualifier == self.architecture => {
                self.find(relation.name)
            }
            Some(qualifier) => self.find(&format!("{}:{qualifier}", relation.name)),
        }
    }

    /// The number of a name, if any stanza mentions it.
    pub(super) fn find(&self, name: &str) -> Option<Name> {
        self.numbers.get(name).copied()
    }

    /// How many names there are.
    pub(super) fn name_count(&self) -> usize {
        self.names.len()
    }

    /// The text of a name.
    pub(super) fn name(&self, name: Name) -> &str {
        &self.names[name as usize]
    }

    pub(super) fn entry(&self, name: Name) -> &Entry {
        &self.entries[name as usize]
    }

    pub(super) fn package_by_id(&self, id: PackageId) -> &Package {
        &self.packages[id as usize]
    }

    /// The name of a package.
    pub(super) fn owner(&self, id: PackageId) -> Name {
        self.owners[id as usize]
    }

    /// The version that apt would install: of the highest priority, then the highest.
    pub(super) fn candidate_id(&self, name: Name) -> Option<PackageId> {
        self.entry(name)
            .versions
            .iter()
            .copied()
            .enumerate()
            .filter(|(_, id)| self.package_by_id(*id).pin() > 0)
            .max_by_key(|(place, id)| (self.package_by_id(*id).pin(), Reverse(*place)))
            .map(|(_, id)| id)
    }

    /// The version of `name` that apt would install by default.
    #[must_use]
    pub fn candidate(&self, name: &str) -> Option<&Package> {
        let id = self.candidate_id(self.find(name)?)?;
        Some(self.package_by_id(id))
    }

    /// All versions of `name`, the highest first.
    pub fn versions(&self, name: &str) -> impl Iterator<Item = &Package> {
        let ids = self
            .find(name)
            .map_or(&[][..], |name| &self.entry(name).versions[..]);
        ids.iter().map(|&id| self.package_by_id(id))
    }
}

/// Makes a package of a stanza that was parsed from `base`, which `text` begins with.
fn package(
    base: &str,
    text: &Arc<String>,
    stanza: &BorrowedParagraph<'_>,
    origin: &Arc<Origin>,
    priority: i16,
) -> Result<Package> {
    let mut package = Package::new(Arc::clone(text), Arc::clone(origin), priority);
    for field in stanza.iter() {
        package.set(field.name(), span(base, field))?;
    }
    let name = package.name();
    if name.is_empty()
        || name
            .bytes()
            .any(|byte| byte.is_ascii_whitespace() || byte == b'/')
    {
        return Err(Error::new(
            Kind::Resolve,
            format!("a stanza has no usable `Package` field (`{name}`)"),
        ));
    }
    if !is_version(package.version()) {
        return Err(Error::new(
            Kind::Resolve,
            format!("`{name}` has the malformed version `{}`", package.version()),
        ));
    }
    Ok(package)
}

/// Where a field's value stands in the text it was parsed from.
fn span(text: &str, field: &BorrowedField<'_>) -> Span {
    let lines = field.lines();
    let start_of = |line: &str| line.as_ptr() as usize - text.as_ptr() as usize;
    let first = lines.iter().find(|line| !line.is_empty());
    let last = lines.iter().rfind(|line| !line.is_empty());
    match (first, last) {
        (Some(first), Some(last)) => {
            let start = start_of(first);
            Span::new(start, start_of(last) + last.trim_ascii_end().len() - start)
        }
        _ => Span::default(),
    }
}

#[cfg(test)]
mod tests;
