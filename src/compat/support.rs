//! How long each Kubernetes minor gets patches.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::read;

static TABLE: LazyLock<Table> = LazyLock::new(|| read(include_str!("support.toml")));

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    kubernetes: BTreeMap<String, String>,
}

/// The last day of a minor's patches (`2026-10-28`), if it is known.
#[must_use]
pub fn kubernetes_until(minor: u32) -> Option<&'static str> {
    let day = TABLE.kubernetes.get(&format!("1.{minor}"));
    day.map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_minor_has_a_day() {
        let days: Vec<_> = (18..=37)
            .map(|minor| kubernetes_until(minor).unwrap())
            .collect();
        assert!(days.is_sorted());
        assert!(
            days.iter()
                .all(|day| day.parse::<jiff::civil::Date>().is_ok())
        );
        assert_eq!(kubernetes_until(99), None);
    }
}
