//! containerd: its lines, the plug-ins and settings of its configuration, its faults.

mod faults;
mod reading;
mod settings;

use std::sync::LazyLock;

use jiff::civil::Date;
use serde::Deserialize;

use super::version::{Line, Version};
use super::{Known, pick, read};
pub use faults::{Fault, fault, faults};
pub use reading::{Reading, reading, siblings};
pub use settings::{Kind, Location, Setting};
pub use settings::{location, setting, settings};

static TABLE: LazyLock<Table> = LazyLock::new(|| read(include_str!("lines.toml")));
static PLUGINS: LazyLock<Plugins> = LazyLock::new(|| read(include_str!("plugins.toml")));

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Table {
    oldest_configured: Line,
    line: Vec<Row>,
    unit: Vec<Directive>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plugins {
    plugin: Vec<Plugin>,
}

/// A release line.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Row {
    /// Its number.
    pub line: Line,
    /// The version of config.toml to write for it.
    pub config: u8,
    /// The versions of config.toml that it reads.
    pub reads: Vec<u8>,
    /// The first release that exits on a higher one, instead of passing over what is new.
    pub refuses_above: Option<Version>,
    /// The version that `containerd config default` writes.
    pub default_config: u8,
    /// The versions of config.toml in which CRI's settings are read from its one table of before 2.0.
    pub cri_in_one_table: Vec<u8>,
    /// What an imported file does to a plug-in's table.
    pub merges: Merges,
    /// What `containerd config default` imports.
    #[serde(default)]
    pub imports: Vec<String>,
    sandbox: Vec<Sandbox>,
    /// The versions of the CRI API that it serves.
    pub cri: Vec<String>,
    /// Whether it tells kubelet its cgroup driver (the `RuntimeConfig` call).
    pub runtime_config: bool,
    /// What `ctr images import` is given so that it unpacks by itself.
    #[serde(default)]
    pub ctr_import: Vec<String>,
    /// The first release that tells kubelet that the sandbox image is pinned.
    pub pins_sandbox: Option<Version>,
    /// `LimitNOFILE` in the unit that comes with it, if any.
    pub open_files: Option<String>,
    /// `After` in the unit that comes with it.
    pub after: String,
    /// The newest release that is known.
    pub newest: Version,
    /// The first and the last day of its support.
    pub supported: [Date; 2],
    /// Fixes made beyond that, for some use.
    pub extended: Option<Extended>,
    /// The runc that the project tests with.
    pub runc: Option<Version>,
    /// Where this was read.
    pub source: String,
}

/// What an imported file does to a plug-in's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Merges {
    /// It takes the place of the whole table.
    Replace,
    /// Its keys take the place of those of the same name.
    Deep,
}

/// Fixes that are made beyond a line's support.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extended {
    /// The last day.
    pub until: Date,
    /// For what.
    pub r#for: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sandbox {
    from: Version,
    image: String,
}

/// How a line is supported on some day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// It was not there yet.
    Before,
    /// Fixes are made.
    Supported,
    /// Fixes are made for some use ([`Row::extended`]).
    Extended,
    /// No fixes are made any more.
    Over,
}

/// A directive of the unit that comes with every line.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Directive {
    /// Its name.
    pub directive: String,
    /// Its value.
    pub value: String,
    /// What it is for.
    pub about: String,
    /// Where this was read.
    pub source: String,
}

/// A plug-in whose table settings stand in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Plugin {
    name: String,
    /// Its id, the name of its table; empty for the file itself.
    pub id: String,
    old_id: Option<String>,
    /// The first line that has it.
    pub from: Line,
    /// The first line that has it no more.
    pub until: Option<Line>,
    #[serde(default)]
    one_table: bool,
    /// Whether all its keys are known.
    #[serde(default)]
    pub complete: bool,
    /// Whether there is no CRI without it.
    #[serde(default)]
    pub enables_cri: bool,
    /// Where this was read.
    pub source: String,
}

/// The line of a version; none for one that is older than all known.
#[must_use]
pub fn line(version: Version) -> Option<Known<&'static Row>> {
    pick(&TABLE.line, &version.line(), |row| row.line)
}

/// Every known line, rising.
#[must_use]
pub fn lines() -> &'static [Row] {
    &TABLE.line
}

/// The oldest line that is configured; older ones are only known.
#[must_use]
pub fn oldest_configured() -> Line {
    TABLE.oldest_configured
}

/// What the unit of every line has; `LimitNOFILE` and `After` are in the [`Row`].
#[must_use]
pub fn unit() -> &'static [Directive] {
    &TABLE.unit
}

/// Every plug-in that is known.
pub fn plugins() -> impl Iterator<Item = &'static Plugin> {
    PLUGINS.plugin.iter()
}

/// The plug-in of that id (as from version 2 of config.toml on), if it is known.
#[must_use]
pub fn plugin(id: &str) -> Option<&'static Plugin> {
    plugins().find(|plugin| !plugin.id.is_empty() && plugin.id == id)
}

/// The id of the plug-in that serves CRI.
#[must_use]
pub fn cri_plugin() -> &'static str {
    let cri = PLUGINS.plugin.iter().find(|plugin| plugin.name == "cri");
    cri.map_or("", |plugin| &plugin.id)
}

impl Row {
    /// The built-in sandbox image of a release of this line.
    #[must_use]
    pub fn sandbox_image(&self, version: Version) -> &str {
        let mut reached = self.sandbox.iter().rev();
        let reached = reached.find(|row| row.from <= version);
        reached
            .or_else(|| self.sandbox.last())
            .map_or("", |row| &row.image)
    }

    /// The tag of [`Self::sandbox_image`].
    #[must_use]
    pub fn pause(&self, version: Version) -> &str {
        let image = self.sandbox_image(version);
        image.rsplit_once(':').map_or("", |(_, tag)| tag)
    }

    /// Whether a release of this line reads a file of that version: it refuses it, or
    /// (where `Ok(false)`) passes over what is new in it.
    ///
    /// # Errors
    /// The highest version that it reads, where it exits on this one.
    pub fn accepts(&self, version: Version, config: u8) -> Result<bool, u8> {
        if self.reads.contains(&config) {
            return Ok(true);
        }
        let highest = self.reads.iter().copied().max().unwrap_or_default();
        match self.refuses_above.is_some_and(|from| from <= version) {
            true => Err(highest),
            false => Ok(false),
        }
    }

    /// Whether a release tells kubelet that the sandbox image is pinned.
    #[must_use]
    pub fn pins(&self, version: Version) -> bool {
        self.pins_sandbox.is_some_and(|first| first <= version)
    }

    /// How it is supported on a day.
    #[must_use]
    pub fn support(&self, day: Date) -> Support {
        let [first, last] = self.supported;
        match &self.extended {
            _ if day < first => Support::Before,
            _ if day <= last => Support::Supported,
            Some(extended) if day <= extended.until => Support::Extended,
            _ => Support::Over,
        }
    }
}

impl Plugin {
    /// Whether a line has it.
    #[must_use]
    pub fn is_in(&self, line: Line) -> bool {
        self.from <= line && self.until.is_none_or(|until| line < until)
    }

    /// Its name in a file of that version; none where it has none.
    fn id_in(&self, config: u8) -> Option<&str> {
        match (config, &self.old_id) {
            (..=1, old) => old.as_deref(),
            _ => Some(&self.id),
        }
    }

    fn is_named(&self, id: &str, config: u8) -> bool {
        match self.id.is_empty() {
            true => id.is_empty(),
            false => self.id_in(config) == Some(id),
        }
    }

    /// Whether a line reads its table in a file of that version.
    fn lives(&self, row: &Row, config: u8) -> bool {
        let named = self.id.is_empty() || self.id_in(config).is_some();
        named && self.is_in(row.line) && (!self.one_table || row.cri_in_one_table.contains(&config))
    }
}

#[cfg(test)]
mod tests;
