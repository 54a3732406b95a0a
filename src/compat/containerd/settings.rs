//! Where each setting stands in containerd's configuration; what becomes of a key that
//! stands there is in `reading`.
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
use super::{Row, line, plugins};

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
    pub(super) at: Vec<At>,
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
    pub(super) fn is_open(self) -> bool {
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
pub(super) struct At {
    pub(super) from: Version,
    pub(super) until: Option<Version>,
    at: String,
    files: Option<[u8; 2]>,
    #[serde(rename = "as")]
    shape: Option<String>,
    pub(super) deprecated: Option<Version>,
    pub(super) instead: Option<String>,
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
}

impl At {
    /// The short name of its plug-in.
    pub(super) fn plugin(&self) -> &str {
        self.at.split('.').next().unwrap_or_default()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.at.split('.').skip(1)
    }

    pub(super) fn lives(&self, row: &Row, version: Version, config: u8) -> bool {
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
