//! Kubernetes minors: what each expects of a node.

use std::sync::LazyLock;

use jiff::civil::Date;
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
    /// The day of its first release.
    pub released: Date,
    /// The last day of its support, where it is known.
    pub ended: Option<Date>,
    pause: String,
    /// The newest version of kubeadm's configuration that its kubeadm reads.
    pub kubeadm_config: String,
    /// The versions of the CRI API that kubelet speaks.
    pub cri: Vec<String>,
    /// By line of containerd the first release that is published to go with it.
    pub containerd: Vec<Version>,
    /// What kubelet makes of a directory of configuration files.
    #[serde(default)]
    pub config_drop_ins: DropIns,
    /// Whether kubelet does not start on cgroup v1 unless told to.
    #[serde(default)]
    pub refuses_cgroup_v1: bool,
    /// Whether kubelet asks the runtime for the cgroup driver.
    #[serde(default)]
    pub driver_from_cri: DriverFromCri,
    /// How many minors kubelet may be behind the API server.
    pub older_by: u32,
    /// The crictl that it was tested with, where that is known.
    pub crictl: Option<Version>,
    /// The network plug-ins that it was tested with, where that is known.
    pub cni: Option<Version>,
    /// The least network plug-ins that kubelet's package asks for.
    pub cni_package: Option<Version>,
    /// What else one should know.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Where this was read.
    pub source: String,
}

/// What kubelet makes of a directory of configuration files (`--config-dir`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DropIns {
    /// It knows none.
    #[default]
    None,
    /// It exits unless [`ALPHA_DROP_INS`] is in its environment, and files reset
    /// fields that they do not name.
    Alpha,
    /// It merges them.
    Usable,
    /// It merges them, by promise.
    Stable,
}

/// The variable without which kubelets with [`DropIns::Alpha`] exit.
pub const ALPHA_DROP_INS: &str = "KUBELET_CONFIG_DROPIN_DIR_ALPHA";

impl DropIns {
    /// Whether drop-ins can be relied upon.
    #[must_use]
    pub fn are_usable(self) -> bool {
        matches!(self, Self::Usable | Self::Stable)
    }
}

/// Whether kubelet asks the runtime for the cgroup driver (KEP 4033).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DriverFromCri {
    /// It does not.
    #[default]
    No,
    /// Where a feature gate is set.
    Alpha,
    /// Unless a feature gate is cleared.
    Beta,
    /// Always.
    Stable,
}

/// Every known minor, rising.
#[must_use]
pub fn minors() -> &'static [Minor] {
    &TABLE.minor
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

    /// The tag of [`Self::pause`].
    #[must_use]
    pub fn pause_tag(&self) -> &str {
        &self.pause
    }

    /// Whether kubelet runs pods through Docker unless told otherwise.
    #[must_use]
    pub fn has_dockershim(&self) -> bool {
        super::kubelet::required(self.minor).next().is_some()
    }

    /// Whether it is supported on a day; nothing where that is not known.
    #[must_use]
    pub fn is_supported(&self, day: Date) -> Option<bool> {
        match self.ended {
            _ if day < self.released => Some(false),
            Some(ended) => Some(day <= ended),
            None => None,
        }
    }

    /// Whether kubelet and this containerd have a version of the CRI API in common.
    #[must_use]
    pub fn speaks_with(&self, containerd: &Row) -> bool {
        self.cri.iter().any(|api| containerd.cri.contains(api))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole() {
        let numbers: Vec<_> = TABLE.minor.iter().map(|row| row.minor).collect();
        assert_eq!(numbers, (18..=37).collect::<Vec<_>>());
        for row in &TABLE.minor {
            assert!(row.containerd.is_sorted() && !row.source.is_empty());
            assert!(row.ended.is_none_or(|ended| row.released < ended));
            // Known until some minor, and of none after.
            assert_eq!(row.ended.is_some(), row.minor <= 31);
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
    fn kubeadm_reads_newer_configuration() {
        let of = |number| minor(number).unwrap().row.kubeadm_config.as_str();
        assert_eq!(
            [of(21), of(22), of(30), of(31)],
            ["v1beta2", "v1beta3", "v1beta3", "v1beta4"]
        );
        assert!(TABLE.minor.is_sorted_by_key(|row| &row.kubeadm_config));
    }

    #[test]
    fn drop_ins_grow_up() {
        let of = |number| minor(number).unwrap().row.config_drop_ins;
        assert_eq!(of(27), DropIns::None);
        assert_eq!(of(29), DropIns::Alpha);
        assert!(!of(29).are_usable() && of(30).are_usable() && of(35).are_usable());
        assert_eq!(of(35), DropIns::Stable);
    }

    #[test]
    fn support_where_it_is_known() {
        let supported = |number, day: &str| {
            let row = minor(number).unwrap().row;
            row.is_supported(day.parse().unwrap())
        };
        assert_eq!(supported(20, "2022-02-28"), Some(true));
        assert_eq!(supported(20, "2022-03-01"), Some(false));
        assert_eq!(supported(36, "2026-01-01"), Some(false));
        assert_eq!(supported(36, "2026-06-01"), None);
        assert!(minor(23).unwrap().row.has_dockershim());
        assert!(!minor(24).unwrap().row.has_dockershim());
    }
}
