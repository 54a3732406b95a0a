//! Kubernetes minors: what each expects of a node.

use std::sync::LazyLock;

use serde::Deserialize;

use super::containerd::Row;
use super::version::Version;
use super::{Known, pick, read};

static TABLE: LazyLock<Table> = LazyLock::new(|| read(include_str!("kubernetes.toml")));

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Table {
    pause_repository: String,
    minor: Vec<Minor>,
}

/// A minor release.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Minor {
    /// 34 of 1.34.
    pub minor: u32,
    pause: String,
    /// The versions of the CRI API that kubelet speaks.
    pub cri: Vec<String>,
    containerd: Vec<Version>,
    /// Whether kubelet merges a directory of configuration files.
    #[serde(default)]
    pub config_drop_ins: bool,
    /// Whether kubelet does not start on cgroup v1 unless told to.
    #[serde(default)]
    pub refuses_cgroup_v1: bool,
    /// Where this was read.
    pub source: String,
}

/// The row of a minor; none for one that is older than all known.
#[must_use]
pub fn minor(number: u32) -> Option<Known<&'static Minor>> {
    pick(&TABLE.minor, &number, |row| row.minor)
}

/// The sandbox image of that tag.
#[must_use]
pub fn pause(tag: &str) -> String {
    format!("{}:{tag}", TABLE.pause_repository)
}

impl Minor {
    /// The sandbox image that it expects, as a full reference.
    #[must_use]
    pub fn pause(&self) -> String {
        pause(&self.pause)
    }

    /// Whether kubelet and this containerd have a version of the CRI API in common.
    #[must_use]
    pub fn speaks_with(&self, containerd: &Row) -> bool {
        self.cri.iter().any(|api| containerd.cri.contains(api))
    }

    /// Whether the pair stands in the published table; where it does not, the
    /// releases of containerd that do.
    ///
    /// # Errors
    /// The first release of each line that stands in the table.
    pub fn published_with(&self, containerd: Version) -> Result<(), &[Version]> {
        let line = containerd.line();
        let of_line = self.containerd.iter().find(|row| row.line() == line);
        let fits = match (of_line, self.containerd.last()) {
            (Some(first), _) => *first <= containerd,
            (None, Some(last)) => last.line() < line,
            (None, None) => true,
        };
        if fits { Ok(()) } else { Err(&self.containerd) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::containerd;
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn the_table_is_whole() {
        let numbers: Vec<_> = TABLE.minor.iter().map(|row| row.minor).collect();
        assert_eq!(numbers, (18..=37).collect::<Vec<_>>());
        for row in &TABLE.minor {
            assert!(row.containerd.is_sorted() && !row.source.is_empty());
        }
    }

    #[test]
    fn every_minor_has_its_pause() {
        let pause = |number| minor(number).unwrap().row.pause();
        assert_eq!(pause(20), "registry.k8s.io/pause:3.2");
        assert_eq!(pause(34), "registry.k8s.io/pause:3.10.1");
        assert!(minor(99).unwrap().newer);
        assert!(minor(17).is_none());
    }

    #[test]
    fn pairs() {
        let speaks = |number, text| {
            let containerd = containerd::line(version(text)).unwrap().row;
            minor(number).unwrap().row.speaks_with(containerd)
        };
        assert!(speaks(20, "1.6.20"));
        assert!(!speaks(22, "2.1.9"));
        assert!(speaks(23, "2.1.9"));
        assert!(speaks(36, "1.7.24"));
        let published = |number, text| {
            let row = minor(number).unwrap().row;
            row.published_with(version(text)).is_ok()
        };
        assert!(published(33, "1.7.24"));
        assert!(!published(33, "1.7.23"));
        assert!(!published(36, "1.7.34"));
        assert!(published(36, "2.4.0"));
        assert!(published(20, "1.6.20"));
    }
}
