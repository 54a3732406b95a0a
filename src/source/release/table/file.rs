//! Reads tables of releases: the built-in one, and a file of the user's own over it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Deserializer, de};

use super::{Layout, Releases, Row, is_line, quoted};
use crate::compat::Version;
use crate::digest::Digest;
use crate::error::{Context, Error, Kind, Place, Result};
use crate::http::redact;
use crate::profile::explain::nearest;

const BUILT_IN: &str = include_str!("../releases.toml");

/// The key of the table of mirrors, which is no release's name.
const MIRROR: &str = "mirror";

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
    pub(super) fn lay(&mut self, path: &Path, text: &str) -> Result<()> {
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
                    // A line with a password is not shown.
                    let word = if url.contains('@') { &name } else { url };
                    return Err(refuse(format!("`{}` {why}", redact(url)), word)
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
                let message = format!("`{}` cannot take the place of `{host}`", redact(base));
                let word = if base.contains('@') { MIRROR } else { base };
                return Err(refuse(message, word).hint(
                    "name a host and the base address that has the same below it: \"dl.k8s.io\" = \"https://mirror.example/k8s\"",
                ));
            }
        }
        self.mirrors.extend(file.mirror);
        Ok(())
    }
}

/// Digests are written without a prefix, as checksum files have them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hex(pub(super) Digest);

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

pub(super) fn is_release(version: &str) -> bool {
    !is_line(version)
        && version.parse::<Version>().is_ok()
        && version
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
}

/// What is wrong with the pattern of an address.
pub(super) fn check_pattern(pattern: &str) -> Result<(), String> {
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

pub(super) fn is_address(text: &str) -> bool {
    let schemes = ["https://", "http://", "file:///"];
    let begins = schemes.iter().any(|scheme| {
        text.strip_prefix(scheme)
            .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
    });
    begins && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}
