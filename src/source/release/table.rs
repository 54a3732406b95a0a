//! The table of releases: where each is published, its digests, what is in it.
//!
//! It is described in `docs/formats/releases.md`. What decides an image's bytes
//! (`layout`, `place`, `without`) is the built-in table's alone; a file of the
//! user's own says where releases are and adds digests.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};
use serde::{Deserialize, Deserializer, de};

use crate::compat::Version;
use crate::digest::Digest;
use crate::error::{Context, Error, Kind, Place, Result};
use crate::profile::explain::nearest;

const BUILT_IN: &str = include_str!("releases.toml");

/// The key of the table of mirrors, which is no release's name.
const MIRROR: &str = "mirror";

/// What is known of releases.
#[derive(Debug, Clone)]
pub struct Releases {
    rows: BTreeMap<String, Row>,
    /// Host of a publisher: the base address that takes its place.
    mirrors: BTreeMap<String, String>,
}

/// What is known of the releases of one program.
#[derive(Debug, Clone)]
pub struct Row {
    url: String,
    checksum: String,
    /// What a published file is.
    pub layout: Layout,
    /// The folder of the node that its programs belong in.
    pub place: String,
    /// Programs that no node needs.
    pub without: Vec<String>,
    /// Version to architecture to digest.
    sha256: BTreeMap<String, BTreeMap<String, Hex>>,
}

/// What a published file is.
#[derive(Debug, Clone)]
pub enum Layout {
    /// The program itself.
    Binary,
    /// A tar archive, with the programs among those members.
    Tar {
        /// As it is written.
        pattern: String,
        /// Whether a member's path is one of them.
        members: Box<GlobMatcher>,
    },
}

/// The version that was chosen, and how well it fits what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The version.
    pub version: String,
    /// Whether it is of an older line than the one that was asked for.
    pub older: bool,
}

/// Digests are written without a prefix, as checksum files have them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hex(Digest);

/// A row as a file writes it. The built-in table has all keys but `without`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Written {
    url: Option<String>,
    checksum: Option<String>,
    layout: Option<String>,
    place: Option<String>,
    without: Option<Vec<String>>,
    sha256: BTreeMap<String, BTreeMap<String, Hex>>,
}

/// A file as it is written: programs by name, and `mirror`.
#[derive(Debug, Default)]
struct File {
    mirror: BTreeMap<String, String>,
    rows: BTreeMap<String, Written>,
}

impl Releases {
    /// The table that is part of the program.
    ///
    /// # Errors
    /// None: a test reads it.
    pub fn built_in() -> Result<Self> {
        let wrong = |why: String| {
            Error::new(
                Kind::Io,
                format!("the built-in table of releases is broken: {why}"),
            )
        };
        let file: File = toml::from_str(BUILT_IN).map_err(|error| wrong(error.to_string()))?;
        let mut rows = BTreeMap::new();
        for (name, row) in file.rows {
            let layout = row.layout.as_deref().map(Layout::parse).transpose();
            let row = match (row.url, row.checksum, layout.map_err(wrong)?, row.place) {
                (Some(url), Some(checksum), Some(layout), Some(place)) => Row {
                    url,
                    checksum,
                    layout,
                    place,
                    without: row.without.unwrap_or_default(),
                    sha256: row.sha256,
                },
                _ => return Err(wrong(format!("`{name}` is not whole"))),
            };
            rows.insert(name, row);
        }
        Ok(Self {
            rows,
            mirrors: file.mirror,
        })
    }

    /// The built-in table with the file at `path` over it.
    ///
    /// # Errors
    /// Of kind [`Kind::Usage`], with its place, where the file is not such a table;
    /// [`Kind::Io`] when it cannot be read.
    pub fn with_file(path: &Path) -> Result<Self> {
        let mut table = Self::built_in()?;
        let text = fs::read_to_string(path).io("reading the table of releases", path)?;
        table.lay(path, &text)?;
        Ok(table)
    }

    /// Lays the text of a file over the table.
    fn lay(&mut self, path: &Path, text: &str) -> Result<()> {
        let at = |span: Option<std::ops::Range<usize>>| Place {
            file: path.to_owned(),
            text: text.to_owned(),
            span: span.unwrap_or(0..0),
        };
        let file: File = toml::from_str(text).map_err(|error| {
            let message = format!("reading the table of releases: {}", error.message());
            Error::new(Kind::Usage, message)
                .at(at(error.span()))
                .hint("docs/formats/releases.md describes it")
        })?;
        // Where a word of the file stands that is refused.
        let refuse = |message: String, word: &str| {
            let start = text.find(word).unwrap_or_default();
            let end = start + if start == 0 { 0 } else { word.len() };
            Error::new(Kind::Usage, message).at(at(Some(start..end)))
        };
        for (name, over) in file.rows {
            let Some(row) = self.rows.get_mut(&name) else {
                let error = refuse(format!("there is no release of `{name}`"), &name);
                let known = self.rows.keys().map(String::as_str);
                return Err(match nearest(&name, known.clone()) {
                    Some(nearest) => error.hint(format!("did you mean `{nearest}`?")),
                    None => error.hint(format!("known are {}", quoted(known))),
                });
            };
            let layout = over.layout.as_ref();
            let same = layout.is_none_or(|layout| *layout == row.layout.to_string())
                && over.place.as_ref().is_none_or(|place| *place == row.place)
                && over
                    .without
                    .as_ref()
                    .is_none_or(|list| *list == row.without);
            if !same {
                let message =
                    format!("`layout`, `place` and `without` of `{name}` cannot be changed");
                return Err(refuse(message, &name).hint(
                    "the same lock leads to the same image with any table: take them out, and give files of the publisher's form",
                ));
            }
            for url in over.url.iter().chain(&over.checksum) {
                if let Err(why) = check_pattern(url) {
                    return Err(refuse(format!("`{url}` {why}"), url)
                        .hint("write it like `https://mirror.example/v{version}/kubelet-{arch}`"));
                }
            }
            if let Some(version) = over.sha256.keys().find(|text| !is_release(text)) {
                let message = format!("`{version}` is no version of a release");
                return Err(refuse(message, version).hint("write all of it, like `1.36.4`"));
            }
            if let Some(url) = over.url {
                row.url = url;
            }
            if let Some(checksum) = over.checksum {
                row.checksum = checksum;
            }
            for (version, digests) in over.sha256 {
                row.sha256.entry(version).or_default().extend(digests);
            }
        }
        for (host, base) in &file.mirror {
            if !is_address(base) || host.contains(['/', '{']) {
                let message = format!("`{base}` cannot take the place of `{host}`");
                return Err(refuse(message, base).hint(
                    "name a host and the base address that has the same below it: \"dl.k8s.io\" = \"https://mirror.example/k8s\"",
                ));
            }
        }
        self.mirrors.extend(file.mirror);
        Ok(())
    }

    /// What is known of the releases of `name`.
    ///
    /// # Errors
    /// [`Kind::Usage`] when there is no such program.
    pub fn row(&self, name: &str) -> Result<&Row> {
        self.rows.get(name).ok_or_else(|| {
            let known = quoted(self.rows.keys().map(String::as_str));
            Error::new(Kind::Resolve, format!("there is no release of `{name}`"))
                .hint(format!("known are {known}"))
        })
    }

    /// Where a release is published, or its mirror.
    ///
    /// # Errors
    /// When there is no such program.
    pub fn url(&self, name: &str, version: &str, arch: &str) -> Result<String> {
        let row = self.row(name)?;
        Ok(self.mirrored(&filled(&row.url, version, arch)))
    }

    /// Where the publisher's checksum file of a release is, or its mirror.
    ///
    /// # Errors
    /// When there is no such program.
    pub fn checksum_url(&self, name: &str, version: &str, arch: &str) -> Result<String> {
        let row = self.row(name)?;
        let url = filled(&row.url, version, arch);
        let folder = url.rsplit_once('/').map_or(&url[..], |(folder, _)| folder);
        let pattern = row
            .checksum
            .replace("{url}", &url)
            .replace("{folder}", folder);
        Ok(self.mirrored(&filled(&pattern, version, arch)))
    }

    fn mirrored(&self, url: &str) -> String {
        let Some((_, rest)) = url.split_once("://") else {
            return url.to_owned();
        };
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        match self.mirrors.get(host) {
            Some(base) => format!("{}/{path}", base.trim_end_matches('/')),
            None => url.to_owned(),
        }
    }
}

impl Row {
    /// The digest of a release, where the table has it.
    #[must_use]
    pub fn digest(&self, version: &str, arch: &str) -> Option<Digest> {
        Some(self.sha256.get(version)?.get(arch)?.0)
    }

    /// The version that `asked` means: itself where it is a whole one, the newest
    /// known of a line (`1.36`), or with `or_older` that of the nearest older line
    /// where the line has none. None where nothing is known.
    #[must_use]
    pub fn choose(&self, asked: &str, or_older: bool) -> Option<Choice> {
        if !is_line(asked) {
            return Some(Choice {
                version: asked.to_owned(),
                older: false,
            });
        }
        let line = asked.parse::<Version>().ok()?.line();
        let (newest, version) = self
            .finished()
            .filter(|(version, _)| version.line() == line || (or_older && version.line() < line))
            .max()?;
        Some(Choice {
            version: version.to_owned(),
            older: newest.line() != line,
        })
    }

    /// The newest version of the same line as `version`, where that is newer.
    #[must_use]
    pub fn newer(&self, version: &str) -> Option<&str> {
        let known: Version = version.parse().ok()?;
        let of_line = self
            .finished()
            .filter(|(other, _)| other.line() == known.line());
        let (newest, text) = of_line.max()?;
        // A finished release comes after what was tried before it.
        (newest > known || (newest == known && version.contains('-'))).then_some(text)
    }

    /// The lines of which there are versions, rising.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let lines: std::collections::BTreeSet<_> =
            self.finished().map(|(version, _)| version.line()).collect();
        lines.iter().map(ToString::to_string).collect()
    }

    /// Versions that are no candidates for others.
    fn finished(&self) -> impl Iterator<Item = (Version, &str)> {
        let versions = self.sha256.keys().filter(|text| !text.contains('-'));
        versions.filter_map(|text| Some((text.parse().ok()?, text.as_str())))
    }
}

impl Layout {
    /// Reads `binary`, or `tar.gz: PATTERN` with a pattern of members' paths.
    fn parse(text: &str) -> Result<Self, String> {
        if text == "binary" {
            return Ok(Self::Binary);
        }
        let pattern = text
            .strip_prefix("tar.gz: ")
            .ok_or_else(|| format!("`{text}` is no layout"))?;
        let glob = GlobBuilder::new(pattern.trim_start_matches("./"))
            .literal_separator(true)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self::Tar {
            pattern: pattern.to_owned(),
            members: Box::new(glob.compile_matcher()),
        })
    }
}

impl std::fmt::Display for Layout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Binary => f.write_str("binary"),
            Self::Tar { pattern, .. } => write!(f, "tar.gz: {pattern}"),
        }
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digest = Digest::from_hex(&text).ok_or_else(|| {
            de::Error::custom(format!("`{text}` is no SHA-256 of 64 hexadecimal digits"))
        })?;
        Ok(Self(digest))
    }
}

// Not with `flatten`, which forgets where things stand.
impl<'de> Deserialize<'de> for File {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = File;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a table of releases")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<File, A::Error> {
                let mut file = File::default();
                while let Some(key) = map.next_key::<String>()? {
                    if key == MIRROR {
                        file.mirror = map.next_value()?;
                    } else {
                        file.rows.insert(key, map.next_value()?);
                    }
                }
                Ok(file)
            }
        }

        deserializer.deserialize_map(Visitor)
    }
}

/// Whether a version names a release line rather than a release: `1.36`.
#[must_use]
pub fn is_line(version: &str) -> bool {
    !version.contains('-') && version.matches('.').count() == 1
}

fn is_release(version: &str) -> bool {
    !is_line(version)
        && version.parse::<Version>().is_ok()
        && version
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
}

fn filled(pattern: &str, version: &str, arch: &str) -> String {
    pattern
        .replace("{version}", version)
        .replace("{arch}", arch)
}

/// What is wrong with the pattern of an address.
fn check_pattern(pattern: &str) -> Result<(), String> {
    const KNOWN: [&str; 4] = ["version", "arch", "url", "folder"];
    let mut rest = pattern;
    while let Some((_, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else {
            return Err("has a brace that is not closed".to_owned());
        };
        if !KNOWN.contains(&name) {
            return Err(format!(
                "has the placeholder `{{{name}}}`, which means nothing"
            ));
        }
        rest = after;
    }
    let placed = pattern.starts_with("{url}") || pattern.starts_with("{folder}");
    match placed || is_address(pattern) {
        true => Ok(()),
        false => Err("is no address".to_owned()),
    }
}

fn is_address(text: &str) -> bool {
    let schemes = ["https://", "http://", "file:///"];
    let begins = schemes.iter().any(|scheme| {
        text.strip_prefix(scheme)
            .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
    });
    begins && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

/// Names for a message: `` `a`, `b` ``.
fn quoted<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
