//! A registry's hosts.toml: its keys and the words for what a host can do.

use std::sync::LazyLock;

use serde::Deserialize;

use super::read;
use super::version::Version;

static TABLE: LazyLock<Table> = LazyLock::new(|| read(include_str!("hosts.toml")));

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    key: Vec<Key>,
    capability: Vec<Capability>,
}

/// A key of a host's table, or of the top, where it is about `server`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    name: String,
    /// The first release that reads it.
    pub from: Version,
    /// The type of its value: `text`, `boolean`, `list`, `table`, `text or list`.
    #[serde(rename = "type")]
    pub shape: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Capability {
    name: String,
    from: Version,
}

/// What is known of a key.
#[must_use]
pub fn key(name: &str) -> Option<&'static Key> {
    TABLE.key.iter().find(|key| key.name == name)
}

/// The first release that knows a capability.
#[must_use]
pub fn capability(name: &str) -> Option<Version> {
    let name = name.to_lowercase();
    let known = TABLE.capability.iter().find(|known| known.name == name);
    known.map(|known| known.from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_came_by_and_by() {
        assert_eq!(key("override_path").unwrap().from.to_string(), "1.6.0");
        assert!(key("skip-verify").is_none());
        assert_eq!(capability("Pull").unwrap().to_string(), "1.5.0");
        assert_eq!(capability("referrers").unwrap().to_string(), "2.2.0");
        assert_eq!(capability("fetch"), None);
    }
}
