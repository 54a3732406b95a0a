//! One package version of an index.

use std::sync::Arc;

use crate::digest::Digest;
use crate::error::{Error, Kind, Result};

/// A stretch of an index's text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    length: u32,
}

impl Span {
    /// Texts are limited to 4 GiB before any span is made.
    pub(super) fn new(start: usize, length: usize) -> Self {
        Self {
            start: start as u32,
            length: length as u32,
        }
    }
}

/// Where a package comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The archive's id, as it was given with the index; empty for local files.
    pub archive: String,
    /// The suite; empty for local files.
    pub suite: String,
}

/// `Multi-Arch` (Debian's multiarch specification).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MultiArch {
    /// Absent, or `no`.
    #[default]
    No,
    /// Several architectures can be installed together.
    Same,
    /// Satisfies relations of every architecture.
    Foreign,
    /// Relations with `:any` may take it from every architecture.
    Allowed,
}

/// `Priority` (Policy 2.5), in apt's order: absent ones come first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// The field is absent.
    #[default]
    Unknown,
    /// `required`
    Required,
    /// `important`
    Important,
    /// `standard`
    Standard,
    /// `optional`
    Optional,
    /// `extra`, and every word that is none of the others.
    Extra,
}

/// One version of a package, as an index describes it.
#[derive(Debug, Clone)]
pub struct Package {
    text: Arc<String>,
    origin: Arc<Origin>,
    name: Span,
    version: Span,
    architecture: Span,
    source: Span,
    section: Span,
    pre_depends: Span,
    depends: Span,
    conflicts: Span,
    breaks: Span,
    recommends: Span,
    suggests: Span,
    replaces: Span,
    enhances: Span,
    provides: Span,
    filename: Span,
    size: u64,
    installed_size: u64,
    sha256: Option<Digest>,
    multi_arch: MultiArch,
    priority: Priority,
    essential: bool,
    important: bool,
    pin: i16,
}

impl Package {
    pub(super) fn new(text: Arc<String>, origin: Arc<Origin>, pin: i16) -> Self {
        let none = Span::default();
        Self {
            text,
            origin,
            name: none,
            version: none,
            architecture: none,
            source: none,
            section: none,
            pre_depends: none,
            depends: none,
            conflicts: none,
            breaks: none,
            recommends: none,
            suggests: none,
            replaces: none,
            enhances: none,
            provides: none,
            filename: none,
            size: 0,
            installed_size: 0,
            sha256: None,
            multi_arch: MultiArch::No,
            priority: Priority::Unknown,
            essential: false,
            important: false,
            pin,
        }
    }

    /// Takes over one field of the stanza; unknown ones are passed over.
    pub(super) fn set(&mut self, field: &str, span: Span) -> Result<()> {
        match field {
            "Package" => self.name = span,
            "Version" => self.version = span,
            "Architecture" => self.architecture = span,
            "Source" => self.source = span,
            "Section" => self.section = span,
            "Pre-Depends" => self.pre_depends = span,
            "Depends" => self.depends = span,
            "Conflicts" => self.conflicts = span,
            "Breaks" => self.breaks = span,
            "Recommends" => self.recommends = span,
            "Suggests" => self.suggests = span,
            "Replaces" => self.replaces = span,
            "Enhances" => self.enhances = span,
            "Provides" => self.provides = span,
            "Filename" => self.filename = span,
            "Size" => self.size = self.number(field, span)?,
            "Installed-Size" => self.installed_size = self.number(field, span)?,
            "SHA256" => {
                let hex = self.get(span);
                let digest = Digest::from_hex(hex).ok_or_else(|| self.malformed(field, hex))?;
                self.sha256 = Some(digest);
            }
            "Multi-Arch" => {
                self.multi_arch = match self.get(span) {
                    "same" => MultiArch::Same,
                    "foreign" => MultiArch::Foreign,
                    "allowed" => MultiArch::Allowed,
                    _ => MultiArch::No,
                };
            }
            "Priority" => {
                self.priority = match self.get(span) {
                    "required" => Priority::Required,
                    "important" => Priority::Important,
                    "standard" => Priority::Standard,
                    "optional" => Priority::Optional,
                    _ => Priority::Extra,
                };
            }
            "Essential" => self.essential = self.get(span) == "yes",
            "Important" | "Protected" => self.important |= self.get(span) == "yes",
            _ => {
                // Field names know no case (Policy 5.1); indices write them as above, people need not.
                let known = FIELDS
                    .iter()
                    .find(|known| known.eq_ignore_ascii_case(field));
                if let Some(known) = known.filter(|known| **known != field) {
                    return self.set(known, span);
                }
            }
        }
        Ok(())
    }

    pub(super) fn set_file(&mut self, filename: Span, size: u64, sha256: Digest) {
        self.filename = filename;
        self.size = size;
        self.sha256 = Some(sha256);
    }

    fn get(&self, span: Span) -> &str {
        &self.text[span.start as usize..(span.start + span.length) as usize]
    }

    fn number(&self, field: &str, span: Span) -> Result<u64> {
        let text = self.get(span);
        text.parse().map_err(|_| self.malformed(field, text))
    }

    fn malformed(&self, field: &str, value: &str) -> Error {
        let name = self.name();
        Error::new(
            Kind::Resolve,
            format!("`{name}` has a malformed `{field}` field: `{value}`"),
        )
    }

    /// What stands at `span` of this package's text.
    pub(super) fn text_at(&self, span: Span) -> &str {
        self.get(span)
    }

    /// The span of `part`, which was borrowed from this package.
    pub(super) fn span_of(&self, part: &str) -> Span {
        let start = part.as_ptr() as usize - self.text.as_ptr() as usize;
        Span::new(start, part.len())
    }

    pub(super) fn version_span(&self) -> Span {
        self.version
    }

    /// An index must say where the file is and what it contains.
    pub(super) fn check_downloadable(&self) -> Result<()> {
        for (missing, field) in [
            (self.sha256.is_none(), "SHA256"),
            (self.filename.length == 0, "Filename"),
            (self.size == 0, "Size"),
        ] {
            if missing {
                return Err(Error::new(
                    Kind::Resolve,
                    format!(
                        "`{} {}` has no `{field}` field",
                        self.name(),
                        self.version()
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Whether the package can be installed where `architecture` is the native one.
    pub(super) fn is_for(&self, architecture: &str) -> bool {
        let own = self.architecture();
        own == "all" || own == architecture
    }

    /// Whether an equal version says the same about what it needs, and so is the same.
    pub(super) fn same_relations(&self, other: &Self) -> bool {
        self.installed_size == other.installed_size
            && self.depends() == other.depends()
            && self.pre_depends() == other.pre_depends()
            && self.conflicts() == other.conflicts()
            && self.breaks() == other.breaks()
            && self.replaces() == other.replaces()
    }

    /// apt's priority of the version (its archive's pin).
    pub(super) fn pin(&self) -> i16 {
        self.pin
    }

    pub(super) fn raise_priority(&mut self, pin: i16) {
        self.pin = self.pin.max(pin);
    }

    /// The relation fields whose names apt numbers, in its order; `Provides` comes after them.
    pub(super) fn relation_fields(&self) -> [&str; 8] {
        [
            self.pre_depends,
            self.depends,
            self.conflicts,
            self.breaks,
            self.recommends,
            self.suggests,
            self.replaces,
            self.enhances,
        ]
        .map(|span| self.get(span))
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.get(self.name)
    }

    /// The full version.
    #[must_use]
    pub fn version(&self) -> &str {
        self.get(self.version)
    }

    /// The architecture it was built for, or `all`.
    #[must_use]
    pub fn architecture(&self) -> &str {
        self.get(self.architecture)
    }

    /// `Multi-Arch`.
    #[must_use]
    pub fn multi_arch(&self) -> MultiArch {
        self.multi_arch
    }

    /// `Essential: yes`.
    #[must_use]
    pub fn essential(&self) -> bool {
        self.essential
    }

    /// `Important: yes` or `Protected: yes`.
    #[must_use]
    pub fn important(&self) -> bool {
        self.important
    }

    /// `Priority`.
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.priority
    }

    /// `Section`; empty if absent.
    #[must_use]
    pub fn section(&self) -> &str {
        self.get(self.section)
    }

    /// Name of the source package; the package's own if the field is absent.
    #[must_use]
    pub fn source(&self) -> &str {
        let source = self.get(self.source);
        match source.split_once([' ', '(']) {
            Some((name, _)) => name,
            None if source.is_empty() => self.name(),
            None => source,
        }
    }

    /// Version of the source package, which binary rebuilds do not share.
    #[must_use]
    pub fn source_version(&self) -> &str {
        let source = self.get(self.source);
        source
            .split_once('(')
            .and_then(|(_, rest)| rest.split_once(')'))
            .map_or(self.version(), |(version, _)| version.trim_ascii())
    }

    /// The `Pre-Depends` field; empty if absent, as for all fields of relations.
    #[must_use]
    pub fn pre_depends(&self) -> &str {
        self.get(self.pre_depends)
    }

    /// The `Depends` field.
    #[must_use]
    pub fn depends(&self) -> &str {
        self.get(self.depends)
    }

    /// The `Conflicts` field.
    #[must_use]
    pub fn conflicts(&self) -> &str {
        self.get(self.conflicts)
    }

    /// The `Breaks` field.
    #[must_use]
    pub fn breaks(&self) -> &str {
        self.get(self.breaks)
    }

    /// The `Recommends` field.
    #[must_use]
    pub fn recommends(&self) -> &str {
        self.get(self.recommends)
    }

    /// The `Suggests` field.
    #[must_use]
    pub fn suggests(&self) -> &str {
        self.get(self.suggests)
    }

    /// The `Replaces` field.
    #[must_use]
    pub fn replaces(&self) -> &str {
        self.get(self.replaces)
    }

    /// The `Provides` field.
    #[must_use]
    pub fn provides(&self) -> &str {
        self.get(self.provides)
    }

    /// Path of the file below the archive's root; for local files, the file as it was named.
    #[must_use]
    pub fn filename(&self) -> &str {
        self.get(self.filename)
    }

    /// Size of the file in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// `Installed-Size` in KiB; 0 if absent.
    #[must_use]
    pub fn installed_size(&self) -> u64 {
        self.installed_size
    }

    /// SHA-256 of the file.
    #[must_use]
    pub fn sha256(&self) -> Option<Digest> {
        self.sha256
    }

    /// Whether it is a local file, and [`Package::filename`] a path as it was given.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.origin.archive.is_empty()
    }

    /// Archive and suite.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }
}

/// The fields that are read, as indices write them.
const FIELDS: [&str; 23] = [
    "Package",
    "Version",
    "Architecture",
    "Source",
    "Section",
    "Pre-Depends",
    "Depends",
    "Conflicts",
    "Breaks",
    "Recommends",
    "Suggests",
    "Replaces",
    "Enhances",
    "Provides",
    "Filename",
    "Size",
    "Installed-Size",
    "SHA256",
    "Multi-Arch",
    "Priority",
    "Essential",
    "Important",
    "Protected",
];
