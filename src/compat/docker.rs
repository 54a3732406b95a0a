//! Docker's daemon.json: what means the same on a node with containerd.

use std::sync::LazyLock;

use serde::Deserialize;

use super::read;

static TABLE: LazyLock<Table> = LazyLock::new(|| read(include_str!("docker.toml")));

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    setting: Vec<Setting>,
}

/// Settings of the Docker daemon that have the same successor.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// Their names in daemon.json.
    pub keys: Vec<String>,
    /// The values for which this row holds; any where it says none.
    #[serde(default)]
    pub values: Vec<String>,
    /// The names within the value (`log-opts`, `exec-opts`) for which this row holds.
    #[serde(default)]
    pub options: Vec<String>,
    /// Where it goes.
    pub becomes: Becomes,
    /// The setting in the tables of containerd.
    pub setting: Option<String>,
    /// The fields of `KubeletConfiguration`.
    #[serde(default)]
    pub fields: Vec<String>,
    /// The setting of a profile that does it.
    pub profile: Option<String>,
    /// What to write.
    pub how: String,
    /// What works no longer.
    pub breaks: Option<String>,
    /// Where this was read.
    pub source: String,
}

/// Where a setting of Docker goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Becomes {
    /// containerd's config.toml.
    Containerd,
    /// hosts.toml of a registry.
    Registry,
    /// A runtime handler of containerd.
    Runtime,
    /// A drop-in to containerd's unit.
    Unit,
    /// kubelet's configuration or flags.
    Kubelet,
    /// A kernel setting.
    Sysctl,
    /// The pod itself must say it.
    Pod,
    /// The network add-on does it.
    Network,
    /// Nothing takes its place.
    Nothing,
    /// It is so anyway.
    Same,
}

/// Every row.
#[must_use]
pub fn settings() -> &'static [Setting] {
    &TABLE.setting
}

/// What becomes of a key of daemon.json. `detail` is its value, where that is a text
/// (`log-driver`), or one name within it (`max-size` of `log-opts`,
/// `native.cgroupdriver` of `exec-opts`).
#[must_use]
pub fn setting(key: &str, detail: Option<&str>) -> Option<&'static Setting> {
    let mut rows = TABLE.setting.iter();
    rows.find(|row| {
        let named = row.keys.iter().any(|known| known == key);
        let detailed = [&row.values, &row.options].into_iter().all(|list| {
            list.is_empty() || detail.is_some_and(|detail| list.iter().any(|item| item == detail))
        });
        named && detailed
    })
}

/// The snapshotter of containerd that stores images as a storage driver of Docker did.
#[must_use]
pub fn snapshotter(driver: &str) -> Option<&'static str> {
    Some(match driver {
        "overlay" | "overlay2" | "fuse-overlayfs" | "overlayfs" => "overlayfs",
        "vfs" => "native",
        "devicemapper" => "devmapper",
        "btrfs" => "btrfs",
        "zfs" => "zfs",
        "aufs" => "aufs",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{containerd, kubelet};
    use super::*;

    #[test]
    fn the_table_is_whole() {
        for row in settings() {
            assert!(!row.how.is_empty() && !row.source.is_empty());
            for field in &row.fields {
                assert!(kubelet::field(field).is_some(), "{field}");
            }
            if let Some(name) = &row.setting {
                assert!(containerd::setting(name).is_some(), "{name}");
            }
        }
    }

    #[test]
    fn keys_by_value_and_by_name_within() {
        let becomes = |key, detail| setting(key, detail).map(|row| row.becomes);
        assert_eq!(
            becomes("log-driver", Some("json-file")),
            Some(Becomes::Kubelet)
        );
        assert_eq!(
            becomes("log-driver", Some("journald")),
            Some(Becomes::Nothing)
        );
        assert_eq!(
            becomes("log-opts", Some("max-file")),
            Some(Becomes::Kubelet)
        );
        assert_eq!(becomes("log-opts", Some("labels")), Some(Becomes::Nothing));
        assert_eq!(becomes("registry-mirrors", None), Some(Becomes::Registry));
        assert_eq!(becomes("nonsense", None), None);
    }

    #[test]
    fn drivers_have_snapshotters() {
        assert_eq!(snapshotter("overlay2"), Some("overlayfs"));
        assert_eq!(snapshotter("windowsfilter"), None);
    }
}
