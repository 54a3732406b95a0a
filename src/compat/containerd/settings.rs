//! Where each setting stands in containerd's configuration, and what becomes of a
//! key that stands there.
//!
//! The rows are in `settings/*.toml`:
//! - `name`: ours; `kind`: what its value is.
//! - `at`: where it stands, PLUGIN.KEY… with the short names of `plugins.toml`; `*`
//!   stands for any name. `from` is the first release that reads it there, `until` the
//!   first that does not any more, `files` the first and the last version of
//!   config.toml that has it there. `as = "list"`: the value is one item of a list.
//!   `deprecated`: since when, and `instead`: what to use. Of several places that hold,
//!   the last one counts.
//! - `default`: what containerd takes where nothing is said, by release.
//! - `instead`: what to do where it is gone.

use std::sync::LazyLock;

use serde::Deserialize;

use super::super::read;
use super::super::version::Version;
use super::{Plugin, Row, line, plugins};

static TABLE: LazyLock<Vec<Setting>> = LazyLock::new(|| {
    let files = [
        include_str!("settings/server.toml"),
        include_str!("settings/images.toml"),
        include_str!("settings/registry.toml"),
        include_str!("settings/runtime.toml"),
        include_str!("settings/handlers.toml"),
        include_str!("settings/streaming.toml"),
        include_str!("settings/plugins.toml"),
    ];
    let tables = files.iter().map(|text| read::<Table>(text).setting);
    tables.flatten().collect()
});

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    setting: Vec<Setting>,
}

/// A setting of containerd.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// Its name in these tables.
    pub name: String,
    /// What its value is.
    pub kind: Kind,
    at: Vec<At>,
    #[serde(default)]
    default: Vec<Default>,
    /// What to do where it is gone.
    pub instead: Option<String>,
    /// Where this was read.
    pub source: String,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A text.
    Text,
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
    /// A list of texts.
    Texts,
    /// A table with any keys.
    Table,
    /// A list of tables.
    Tables,
    /// A table whose keys are settings of their own.
    Group,
}

impl Kind {
    /// Whether a value is of this kind.
    #[must_use]
    pub fn fits(self, value: &toml::Value) -> bool {
        match (self, value) {
            (Self::Text, toml::Value::String(_))
            | (Self::Integer, toml::Value::Integer(_))
            | (Self::Boolean, toml::Value::Boolean(_))
            | (Self::Table | Self::Group, toml::Value::Table(_)) => true,
            (Self::Texts, toml::Value::Array(list)) => list.iter().all(toml::Value::is_str),
            (Self::Tables, toml::Value::Array(list)) => list.iter().all(toml::Value::is_table),
            _ => false,
        }
    }

    /// Whether anything may stand in it.
    fn is_open(self) -> bool {
        matches!(self, Self::Table | Self::Tables)
    }

    /// As one speaks of it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Integer => "a whole number",
            Self::Boolean => "true or false",
            Self::Texts => "a list of texts",
            Self::Table | Self::Group => "a table",
            Self::Tables => "a list of tables",
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct At {
    from: Version,
    until: Option<Version>,
    at: String,
    files: Option<[u8; 2]>,
    #[serde(rename = "as")]
    shape: Option<String>,
    deprecated: Option<Version>,
    instead: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Default {
    from: Version,
    is: toml::Value,
}

/// Where a setting stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// Table names and the key, from the top of config.toml; `*` for any name.
    pub path: Vec<String>,
    /// Whether the value is one item of a list.
    pub list: bool,
}

/// What containerd makes of a key in its configuration.
#[derive(Debug, Clone, PartialEq)]
pub enum Reading {
    /// It reads it.
    Read(&'static Setting),
    /// It reads it and warns.
    Deprecated {
        /// What it is.
        setting: &'static Setting,
        /// Since when.
        since: Version,
        /// What to use.
        instead: Option<&'static str>,
    },
    /// A table on the way to settings.
    Table,
    /// It passes over it here; the place where it would read it, if there is one.
    Elsewhere(&'static Setting, Option<Location>),
    /// It passes over it: the setting, or the plug-in, came with a later release.
    Later(Version),
    /// It passes over it: the setting, or the plug-in, is gone.
    Gone {
        /// Since when.
        since: Version,
        /// What to do.
        instead: Option<&'static str>,
    },
    /// It passes over it: there is no such key in this plug-in.
    Unknown,
    /// Nothing is known of this plug-in's keys.
    Unchecked,
}

impl PartialEq for Setting {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// Every known setting.
#[must_use]
pub fn settings() -> &'static [Setting] {
    &TABLE
}

/// The setting of that name.
#[must_use]
pub fn setting(name: &str) -> Option<&'static Setting> {
    TABLE.iter().find(|row| row.name == name)
}

/// Where the setting of that name stands in the configuration that is written for
/// `version`; where that has none, the first version that has one.
///
/// # Errors
/// The first version with the setting, or nothing where there is no such setting or
/// it is gone.
pub fn location(name: &str, version: Version) -> Result<Location, Option<Version>> {
    let setting = setting(name).ok_or(None)?;
    let config = line(version).ok_or(None)?.row.config;
    setting.places(version, config).pop().ok_or_else(|| {
        let later = setting.at.iter().map(|at| at.from);
        later.filter(|from| *from > version).min()
    })
}

/// What containerd of this version makes of the key at `path`, from the top of a
/// file whose `version` is `config` (1 where it says nothing).
#[must_use]
pub fn reading(path: &[&str], version: Version, config: u8) -> Reading {
    let (Some(known), Some((first, rest))) = (line(version), path.split_first()) else {
        return Reading::Unchecked;
    };
    let (id, rest) = match (*first, rest.split_first()) {
        ("plugins", Some((id, rest))) => (*id, rest),
        ("plugins", None) => return Reading::Table,
        _ => ("", path),
    };
    let named: Vec<_> = plugins().filter(|row| row.is_named(id, config)).collect();
    if let Some(reading) = of_plugin(&named, known.row) {
        return reading;
    }
    if rest.is_empty() {
        return Reading::Table;
    }
    let here = |at: &At| {
        named.iter().any(|plugin| plugin.name == at.plugin())
            && matches(at.keys(), rest) != Match::None
    };
    // A setting of its own goes before the table that it stands in.
    let mut table = false;
    let mut elsewhere = None;
    let mut within = None;
    for setting in TABLE.iter() {
        for at in setting.at.iter().filter(|at| here(at)) {
            let found = matches(at.keys(), rest);
            let lives = at.lives(known.row, version, config);
            match found {
                Match::Above => table = true,
                Match::Exact if setting.kind == Kind::Group => table = true,
                Match::Exact if lives => return setting.read_at(at, version),
                Match::Within if lives && setting.kind.is_open() => within = Some((setting, at)),
                Match::Within if !setting.kind.is_open() => {}
                _ => elsewhere = Some(setting),
            }
        }
    }
    if let Some((setting, at)) = within {
        return setting.read_at(at, version);
    }
    match elsewhere {
        Some(setting) => setting.passed_over(&named, version, config),
        None if table => Reading::Table,
        None if named.iter().any(|plugin| plugin.complete) => Reading::Unknown,
        None => Reading::Unchecked,
    }
}

/// Names that could stand beside the last one of `path` in a file of that version.
#[must_use]
pub fn siblings(path: &[&str], version: Version, config: u8) -> Vec<&'static str> {
    let (Some(known), Some((_, above))) = (line(version), path.split_last()) else {
        return Vec::new();
    };
    let (id, above) = match above {
        ["plugins", id, above @ ..] => (*id, above),
        above => ("", above),
    };
    let places = TABLE.iter().flat_map(|setting| &setting.at);
    let mut found: Vec<_> = places
        .filter(|at| at.lives(known.row, version, config))
        .filter(|at| {
            plugins().any(|plugin| plugin.name == at.plugin() && plugin.is_named(id, config))
        })
        .filter(|at| matches(at.keys(), above) == Match::Above)
        .filter_map(|at| at.keys().nth(above.len()))
        .filter(|name| *name != "*")
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// What is to be said of a plug-in as a whole.
fn of_plugin(named: &[&'static Plugin], row: &Row) -> Option<Reading> {
    if named.is_empty() {
        return Some(Reading::Unchecked);
    }
    if named.iter().any(|plugin| plugin.is_in(row.line)) {
        return None;
    }
    let gone = named.iter().find_map(|plugin| plugin.until);
    if let Some(until) = gone.filter(|until| *until <= row.line) {
        return Some(Reading::Gone {
            since: until.first(),
            instead: None,
        });
    }
    let from = named.iter().map(|plugin| plugin.from).min()?;
    Some(Reading::Later(from.first()))
}

impl Setting {
    /// Every place where a release reads it in a file of that version; what stands in
    /// a later one goes over the earlier.
    #[must_use]
    pub fn places(&self, version: Version, config: u8) -> Vec<Location> {
        let Some(known) = line(version) else {
            return Vec::new();
        };
        let live = self.at.iter();
        live.filter(|at| at.lives(known.row, version, config))
            .filter_map(|at| at.location(config))
            .collect()
    }

    /// What a file says of it to a release, taken out of a list where the place is one.
    /// Not for settings that stand in several tables (`*`).
    #[must_use]
    pub fn value<'a>(&self, file: &'a toml::Table, version: Version) -> Option<&'a toml::Value> {
        let config = file.get("version").and_then(toml::Value::as_integer);
        let config = u8::try_from(config.unwrap_or(1)).unwrap_or(u8::MAX);
        let places = self.places(version, config).into_iter().rev();
        places.into_iter().find_map(|place| {
            let (first, rest) = place.path.split_first()?;
            let start = file.get(first)?;
            let found = rest
                .iter()
                .try_fold(start, |value, key| value.as_table()?.get(key))?;
            match place.list {
                true => found.as_array()?.first(),
                false => Some(found),
            }
        })
    }

    /// What a release takes where nothing is said.
    #[must_use]
    pub fn default(&self, version: Version) -> Option<&toml::Value> {
        let reached = self.default.iter().rev();
        let mut reached = reached.filter(|default| default.from <= version);
        reached.next().map(|default| &default.is)
    }

    /// The first release that has it.
    #[must_use]
    pub fn first(&self) -> Option<Version> {
        self.at.iter().map(|at| at.from).min()
    }

    fn read_at(&'static self, at: &'static At, version: Version) -> Reading {
        match at.deprecated.filter(|since| *since <= version) {
            Some(since) => Reading::Deprecated {
                setting: self,
                since,
                instead: at.instead.as_deref(),
            },
            None => Reading::Read(self),
        }
    }

    /// What is to be said where a release does not read it in the table of those plug-ins.
    fn passed_over(&'static self, named: &[&Plugin], version: Version, config: u8) -> Reading {
        if let Some(place) = self.places(version, config).pop() {
            return Reading::Elsewhere(self, Some(place));
        }
        let here = self.at.iter();
        let here = here.filter(|at| named.iter().any(|plugin| plugin.name == at.plugin()));
        let later = here.map(|at| at.from).filter(|from| *from > version);
        if let Some(from) = later.min() {
            return Reading::Later(from);
        }
        let ends: Option<Vec<_>> = self.at.iter().map(|at| at.until).collect();
        match ends.into_iter().flatten().max() {
            Some(since) if since <= version => Reading::Gone {
                since,
                instead: self.instead.as_deref(),
            },
            _ => Reading::Elsewhere(self, None),
        }
    }
}

impl At {
    /// The short name of its plug-in.
    fn plugin(&self) -> &str {
        self.at.split('.').next().unwrap_or_default()
    }

    fn keys(&self) -> impl Iterator<Item = &str> {
        self.at.split('.').skip(1)
    }

    fn lives(&self, row: &Row, version: Version, config: u8) -> bool {
        self.from <= version
            && self.until.is_none_or(|until| version < until)
            && self
                .files
                .is_none_or(|[first, last]| first <= config && config <= last)
            && plugins().any(|plugin| plugin.name == self.plugin() && plugin.lives(row, config))
    }

    fn location(&self, config: u8) -> Option<Location> {
        let plugin = plugins().find(|plugin| plugin.name == self.plugin())?;
        let mut path = Vec::new();
        if !plugin.id.is_empty() {
            path.push("plugins".to_owned());
            path.push(plugin.id_in(config)?.to_owned());
        }
        path.extend(self.keys().map(str::to_owned));
        Some(Location {
            path,
            list: self.shape.as_deref() == Some("list"),
        })
    }
}

/// How a path lies to a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Match {
    Exact,
    /// The pattern goes on below the path.
    Above,
    /// The path goes on below the pattern.
    Within,
    None,
}

fn matches<'a>(pattern: impl Iterator<Item = &'a str>, path: &[&str]) -> Match {
    let mut length = 0;
    for part in pattern {
        let Some(key) = path.get(length) else {
            return Match::Above;
        };
        if part != "*" && part != *key {
            return Match::None;
        }
        length += 1;
    }
    match length == path.len() {
        true => Match::Exact,
        false => Match::Within,
    }
}
