//! The table of releases: where each is published, its digests, what is in it.
//!
//! It is described in `docs/formats/releases.md`. What decides an image's bytes
//! (`layout`, `place`, `without`) is the built-in table's alone; a file of the
//! user's own says where releases are and adds digests.

mod file;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use globset::{GlobBuilder, GlobMatcher};

use crate::compat::Version;
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use file::Hex;

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

impl Releases {
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

/// Whether a version names a release line rather than a release: `1.36`.
#[must_use]
pub fn is_line(version: &str) -> bool {
    !version.contains('-') && version.matches('.').count() == 1
}

fn filled(pattern: &str, version: &str, arch: &str) -> String {
    pattern
        .replace("{version}", version)
        .replace("{arch}", arch)
}

/// Names for a message: `` `a`, `b` ``.
fn quoted<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
    names.join(", ")
}
