//! containerd: its lines, and where settings stand in its configuration.

use std::sync::LazyLock;

use serde::Deserialize;

use super::version::{Line, Version};
use super::{Known, pick, read};

static TABLE: LazyLock<Table> = LazyLock::new(|| read(include_str!("containerd.toml")));

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    line: Vec<Row>,
    plugin: Vec<Plugin>,
    setting: Vec<Setting>,
    fault: Vec<Fault>,
}

/// A release line.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Row {
    /// Its number.
    pub line: Line,
    /// The version of config.toml to write for it.
    pub config: u8,
    /// The tag of its built-in sandbox image.
    pub pause: String,
    /// The versions of the CRI API that it serves.
    pub cri: Vec<String>,
    /// What `ctr images import` is given so that it unpacks by itself.
    #[serde(default)]
    pub ctr_import: Vec<String>,
    /// Whether it tells kubelet its cgroup driver (the `RuntimeConfig` call).
    pub runtime_config: bool,
    /// The first release that tells kubelet that the sandbox image is pinned.
    pub pins_sandbox: Version,
    /// `LimitNOFILE` in the unit that comes with it, if any.
    pub open_files: Option<String>,
    /// The first and the last day of its support.
    pub supported: [String; 2],
    /// Where this was read.
    pub source: String,
}

/// A plug-in whose table settings stand in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Plugin {
    name: String,
    /// Its id, the name of its table.
    pub id: String,
    /// The first line that has it.
    pub from: Line,
    keys_from: Option<Line>,
    #[serde(default)]
    keys: Vec<String>,
    /// Whether there is no CRI without it.
    #[serde(default)]
    pub enables_cri: bool,
    /// Where this was read.
    pub source: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Setting {
    name: String,
    at: Vec<At>,
    #[expect(dead_code, reason = "for those who read the table")]
    source: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct At {
    from: Version,
    at: String,
    #[serde(rename = "as")]
    shape: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fault {
    what: String,
    from: Version,
    below: Version,
    #[expect(dead_code, reason = "for those who read the table")]
    source: String,
}

/// Where a setting stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// Table names and the key, from the top of config.toml.
    pub path: Vec<String>,
    /// Whether the value is one item of a list.
    pub list: bool,
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

/// Where the setting of that name stands in the configuration of `version`;
/// where that has none, the first version that has one.
///
/// # Errors
/// The first version with the setting, or nothing where there is no such setting.
pub fn location(setting: &str, version: Version) -> Result<Location, Option<Version>> {
    let known = TABLE.setting.iter().find(|row| row.name == setting);
    let places = known.map(|row| row.at.as_slice()).unwrap_or_default();
    let reached = places.iter().rev().find(|place| place.from <= version);
    let Some(place) = reached else {
        return Err(places.first().map(|place| place.from));
    };
    let mut parts = place.at.split('.');
    let name = parts.next().unwrap_or_default();
    let plugin = TABLE.plugin.iter().find(|plugin| plugin.name == name);
    let id = plugin.map_or(name, |plugin| &plugin.id);
    let mut path = vec!["plugins".to_owned(), id.to_owned()];
    path.extend(parts.map(str::to_owned));
    Ok(Location {
        path,
        list: place.shape.as_deref() == Some("list"),
    })
}

/// The plug-in of that id, if it is one whose versions are known.
#[must_use]
pub fn plugin(id: &str) -> Option<&'static Plugin> {
    TABLE.plugin.iter().find(|plugin| plugin.id == id)
}

/// The id of the plug-in that serves CRI.
#[must_use]
pub fn cri_plugin() -> &'static str {
    let cri = TABLE.plugin.iter().find(|plugin| plugin.name == "cri");
    cri.map_or("", |plugin| &plugin.id)
}

impl Plugin {
    /// Whether its table may have this key in a line's configuration.
    #[must_use]
    pub fn reads(&self, key: &str, line: Line) -> bool {
        match self.keys_from {
            Some(from) if line >= from => self.keys.iter().any(|known| known == key),
            _ => true,
        }
    }
}

/// Whether a release is known to fail at something; the first that does not.
#[must_use]
pub fn fault(what: &str, version: Version) -> Option<Version> {
    let mut faults = TABLE.fault.iter();
    let fault = faults
        .find(|fault| fault.what == what && fault.from <= version && version < fault.below)?;
    Some(fault.below)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn the_table_is_whole() {
        assert!(TABLE.line.is_sorted_by_key(|row| row.line));
        for row in &TABLE.line {
            assert!(!row.source.is_empty() && row.supported[0] < row.supported[1]);
        }
        for setting in &TABLE.setting {
            assert!(
                setting.at.is_sorted_by_key(|at| at.from),
                "{}",
                setting.name
            );
            for at in &setting.at {
                let plugin = at.at.split('.').next().unwrap();
                let plugin = TABLE.plugin.iter().find(|row| row.name == plugin);
                assert!(plugin.unwrap().from <= at.from.line(), "{}", setting.name);
            }
        }
    }

    #[test]
    fn lines_by_version() {
        assert_eq!(line(version("1.7.24")).unwrap().row.config, 2);
        assert_eq!(line(version("2.1.9")).unwrap().row.config, 3);
        let newer = line(version("2.9.0")).unwrap();
        assert!(newer.newer && newer.row.line == Line(2, 3));
        assert!(line(version("1.5.18")).is_none());
    }

    #[test]
    fn settings_move() {
        let at = |setting, text| location(setting, version(text)).unwrap();
        assert_eq!(
            at("sandbox-image", "1.7.24").path.join("/"),
            "plugins/io.containerd.grpc.v1.cri/sandbox_image"
        );
        assert_eq!(
            at("sandbox-image", "2.0.0").path.join("/"),
            "plugins/io.containerd.cri.v1.images/pinned_images/sandbox"
        );
        assert!(!at("cni.bin-dir", "2.0.9").list);
        assert!(at("cni.bin-dir", "2.1.0").list);
        assert_eq!(
            location("cdi", version("1.6.20")),
            Err(Some(version("1.7.0")))
        );
        assert_eq!(location("nonsense", version("1.6.20")), Err(None));
    }

    #[test]
    fn the_streaming_keys_alone_stay_where_they_were() {
        let cri = plugin(cri_plugin()).unwrap();
        assert!(cri.reads("sandbox_image", Line(1, 7)));
        assert!(!cri.reads("sandbox_image", Line(2, 0)));
        assert!(cri.reads("stream_server_port", Line(2, 0)));
    }

    #[test]
    fn faults_end() {
        let what = "sandbox-image-with-digest";
        assert_eq!(fault(what, version("2.3.3")), Some(version("2.3.4")));
        assert_eq!(fault(what, version("2.3.4")), None);
        assert_eq!(fault(what, version("2.2.7")), None);
    }
}
