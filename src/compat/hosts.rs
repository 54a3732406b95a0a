//! hosts.toml: the keys that a containerd reads in it.
//!
//! For a registry `HOST:PORT` the first of the folders `HOST_PORT_`, `HOST:PORT` and
//! `_default` that is there counts (`HOST`, `_default` without a port); they are not
//! merged. Where it has no hosts.toml, or an empty one, `*.crt`, `*.cert` and `*.key`
//! beside it are used (docs/hosts.md).

use std::sync::LazyLock;

use serde::Deserialize;

use super::kubelet::Kind;
use super::read;
use super::version::Version;

static TABLE: LazyLock<Table> = LazyLock::new(|| read(include_str!("hosts.toml")));

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    from: Version,
    #[expect(dead_code, reason = "for those who read the table")]
    source: String,
    key: Vec<Key>,
    capability: Vec<Capability>,
}

/// A key of hosts.toml.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Its name.
    pub name: String,
    /// The first release that reads it.
    pub from: Version,
    /// What its value can be.
    pub kind: Vec<Kind>,
    /// Whether it stands at the top of the file only.
    #[serde(default)]
    pub top: bool,
    /// What one should know of it.
    pub about: Option<String>,
    /// Where this was read.
    pub source: String,
}

impl Key {
    /// Whether a value is of a kind that it can be.
    #[must_use]
    pub fn fits(&self, value: &serde_json::Value) -> bool {
        self.kind.iter().any(|kind| kind.fits(value))
    }
}

/// A word of `capabilities`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capability {
    /// The word.
    pub name: String,
    /// The first release that knows it; for others it is an error in the file.
    pub from: Version,
    /// Where this was read.
    pub source: String,
}

/// The first containerd that reads such files.
#[must_use]
pub fn first() -> Version {
    TABLE.from
}

/// Every known key.
#[must_use]
pub fn keys() -> &'static [Key] {
    &TABLE.key
}

/// The key of that name.
#[must_use]
pub fn key(name: &str) -> Option<&'static Key> {
    TABLE.key.iter().find(|key| key.name == name)
}

/// Every known word of `capabilities`.
#[must_use]
pub fn capabilities() -> &'static [Capability] {
    &TABLE.capability
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole() {
        for key in keys() {
            assert!(key.from >= first() && !key.kind.is_empty() && !key.source.is_empty());
        }
        for word in capabilities() {
            assert!(word.from >= first() && !word.source.is_empty());
        }
    }

    #[test]
    fn keys_are_born() {
        let from = |name| key(name).map(|key| key.from.to_string());
        assert_eq!(from("override_path").as_deref(), Some("1.6.0"));
        assert_eq!(from("dial_timeout").as_deref(), Some("2.0.7"));
        assert_eq!(from("username"), None);
        let client = key("client").unwrap();
        assert!(client.fits(&serde_json::json!([["a", "b"]])));
        assert!(!client.fits(&serde_json::json!(true)));
    }
}
