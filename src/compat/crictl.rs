//! crictl: the keys of its configuration file, its guesses, the API that it speaks.

use std::sync::LazyLock;

use serde::Deserialize;

use super::kubelet::Kind;
use super::read;
use super::version::Version;

static TABLE: LazyLock<Table> = LazyLock::new(|| read(include_str!("crictl.toml")));

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    newest: Version,
    key: Vec<Key>,
    endpoints: Vec<Endpoints>,
    api: Vec<Api>,
}

/// A key of `/etc/crictl.yaml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Its name.
    pub name: String,
    /// The first release that has it.
    pub from: Version,
    /// What its value is.
    pub kind: Kind,
    /// What crictl takes where nothing is said.
    pub default: Option<serde_json::Value>,
    /// What else one should know.
    pub about: Option<String>,
    /// Where this was read.
    pub source: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Endpoints {
    from: Version,
    sockets: Vec<String>,
    #[expect(dead_code, reason = "for those who read the table")]
    source: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Api {
    from: Version,
    cri: Vec<String>,
    #[expect(dead_code, reason = "for those who read the table")]
    source: String,
}

/// The first release that refuses a file with a key that it does not know, rather
/// than pass over it.
pub const STRICT: Version = Version {
    major: 1,
    minor: 19,
    patch: 0,
};

/// Every known key.
#[must_use]
pub fn keys() -> &'static [Key] {
    &TABLE.key
}

/// The newest release that is known.
#[must_use]
pub fn newest() -> Version {
    TABLE.newest
}

/// Whether the configuration file of `version` may have a key; of a version that
/// is not known, whether every crictl's may.
#[must_use]
pub fn reads(key: &str, version: Option<Version>) -> bool {
    let first = TABLE.key.iter().map(|row| row.from).min();
    let mut keys = TABLE.key.iter().filter(|row| row.name == key);
    keys.any(|row| Some(row.from) <= version.or(first))
}

/// The sockets that a release tries in turn when nothing names one.
#[must_use]
pub fn default_endpoints(version: Version) -> &'static [String] {
    let mut reached = TABLE.endpoints.iter().rev();
    let reached = reached.find(|row| row.from <= version);
    reached.map_or(&[], |row| &row.sockets)
}

/// The versions of the CRI API that a release speaks.
#[must_use]
pub fn cri(version: Version) -> &'static [String] {
    let mut reached = TABLE.api.iter().rev();
    let reached = reached.find(|row| row.from <= version);
    reached.map_or(&[], |row| &row.cri)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn the_table_is_whole() {
        assert!(TABLE.endpoints.is_sorted_by_key(|row| row.from));
        assert!(TABLE.api.is_sorted_by_key(|row| row.from));
        for key in keys() {
            assert!(!key.source.is_empty());
            assert!(
                key.default
                    .as_ref()
                    .is_none_or(|value| key.kind.fits(value))
            );
        }
    }

    #[test]
    fn keys_are_born() {
        let version = |text: &str| Some(text.parse().unwrap());
        assert!(reads("timeout", None));
        assert!(!reads("max-retries", None));
        assert!(!reads("max-retries", version("1.36.0")));
        assert!(reads("max-retries", version("1.37.0")));
        assert!(!reads("disable-pull-on-run", version("1.18.0")));
        assert!(!reads("nonsense", version("1.37.0")));
    }

    #[test]
    fn guesses_change() {
        let first = |text| default_endpoints(version(text))[0].as_str();
        assert_eq!(first("1.29.0"), "unix:///var/run/dockershim.sock");
        assert_eq!(first("1.30.0"), "unix:///run/containerd/containerd.sock");
        assert!(default_endpoints(version("1.17.0")).is_empty());
        assert_eq!(cri(version("1.23.0")), ["v1alpha2"]);
        assert_eq!(cri(version("1.36.0")), ["v1"]);
    }
}
