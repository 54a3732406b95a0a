//! crictl: the keys of its configuration file.

use std::sync::LazyLock;

use serde::Deserialize;

use super::read;
use super::version::Version;

static TABLE: LazyLock<Table> = LazyLock::new(|| read(include_str!("crictl.toml")));

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    key: Vec<Key>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    name: String,
    from: Version,
    #[expect(dead_code, reason = "for those who read the table")]
    source: String,
}

/// Whether the configuration file of `version` may have a key; of a version that
/// is not known, whether every crictl's may.
#[must_use]
pub fn reads(key: &str, version: Option<Version>) -> bool {
    let first = TABLE.key.iter().map(|row| row.from).min();
    let mut keys = TABLE.key.iter().filter(|row| row.name == key);
    keys.any(|row| Some(row.from) <= version.or(first))
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
