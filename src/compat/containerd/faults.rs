//! Releases of containerd that cannot do what others can.

use std::sync::LazyLock;

use serde::Deserialize;

use super::super::read;
use super::super::version::Version;

static TABLE: LazyLock<Table> = LazyLock::new(|| read(include_str!("faults.toml")));

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    fault: Vec<Fault>,
}

/// Something that a range of releases does wrong, or otherwise than others.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Its name; a fault that comes and goes has several rows.
    pub what: String,
    /// The first release that has it.
    pub from: Version,
    /// The first release that has it no more, if one is known.
    pub below: Option<Version>,
    /// What happens.
    pub about: String,
    /// What to do.
    pub instead: String,
    /// Where this was read.
    pub source: String,
}

impl Fault {
    /// Whether a release has it.
    #[must_use]
    pub fn is_in(&self, version: Version) -> bool {
        self.from <= version && self.below.is_none_or(|below| version < below)
    }
}

/// The fault of that name, where a release has it.
#[must_use]
pub fn fault(what: &str, version: Version) -> Option<&'static Fault> {
    faults(version).find(|fault| fault.what == what)
}

/// Every known fault of a release.
pub fn faults(version: Version) -> impl Iterator<Item = &'static Fault> {
    TABLE.fault.iter().filter(move |fault| fault.is_in(version))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn the_table_is_whole() {
        for fault in &TABLE.fault {
            assert!(fault.below.is_none_or(|below| fault.from < below));
            for text in [&fault.about, &fault.instead, &fault.source] {
                assert!(!text.is_empty(), "{}", fault.what);
            }
        }
    }

    #[test]
    fn faults_end() {
        let what = "sandbox-image-with-digest";
        let below = |text| fault(what, version(text)).map(|fault| fault.below);
        assert_eq!(below("2.3.3"), Some(Some(version("2.3.4"))));
        assert_eq!(below("2.3.4"), None);
        assert_eq!(below("2.2.7"), None);
    }

    #[test]
    fn faults_come_again() {
        let has = |text| fault("accepts-unknown-versions", version(text)).is_some();
        assert!(has("1.5.18") && has("1.6.31") && !has("1.6.32"));
        assert!(has("1.7.0") && has("1.7.16") && !has("1.7.17") && !has("2.0.0"));
    }
}
