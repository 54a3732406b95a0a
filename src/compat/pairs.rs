//! Which containerd goes with which Kubernetes, and why.

use super::containerd::Row;
use super::kubernetes::{DriverFromCri, Minor};
use super::version::Version;

/// How a containerd and a Kubernetes minor go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// It is published that they do.
    Published,
    /// Its line is later than all that are published for the minor, and nothing speaks
    /// against it.
    Later,
    /// It is not published: its line is not, or its release is older than the first that is.
    Unlisted,
    /// kubelet and containerd have no version of CRI in common.
    Impossible,
}

impl Fit {
    /// As programs read it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Later => "later",
            Self::Unlisted => "unlisted",
            Self::Impossible => "impossible",
        }
    }
}

impl Minor {
    /// How a release of containerd goes with it; `row` is the release's line.
    #[must_use]
    pub fn fit(&self, row: &Row, containerd: Version) -> Fit {
        let line = containerd.line();
        let listed = self.containerd.iter().find(|first| first.line() == line);
        let later = self.containerd.last().is_none_or(|last| last.line() < line);
        match listed {
            _ if !self.speaks_with(row) => Fit::Impossible,
            Some(first) if *first <= containerd => Fit::Published,
            None if later => Fit::Later,
            _ => Fit::Unlisted,
        }
    }

    /// The first published release of a line.
    #[must_use]
    pub fn published(&self, row: &Row) -> Option<Version> {
        let mut listed = self.containerd.iter();
        listed.find(|first| first.line() == row.line).copied()
    }

    /// What a node of the two must heed, and what speaks against them.
    #[must_use]
    pub fn remarks(&self, row: &Row) -> Vec<String> {
        let mut remarks = Vec::new();
        if !self.speaks_with(row) {
            remarks.push(format!(
                "no common CRI: kubelet speaks {}, containerd {}",
                self.cri.join(" and "),
                row.cri.join(" and ")
            ));
            return remarks;
        }
        if row.line.0 == 1 && self.minor > LAST_WITH_CONTAINERD_1 {
            remarks.push(format!(
                "1.{LAST_WITH_CONTAINERD_1} is the last one that is meant to run on containerd 1.x"
            ));
        }
        let asks = matches!(
            self.driver_from_cri,
            DriverFromCri::Beta | DriverFromCri::Stable
        );
        remarks.push(match (asks, row.runtime_config) {
            (true, true) => "kubelet takes its cgroup driver from containerd".to_owned(),
            _ => "kubelet and containerd must be given the same cgroup driver".to_owned(),
        });
        if row.pins_sandbox.is_none() {
            remarks.push(
                "nothing but `--pod-infra-container-image` keeps the sandbox image".to_owned(),
            );
        }
        remarks
    }
}

/// "1.35 is the last release to support containerd 1.x" (kubernetes/kubernetes#133774);
/// later ones run on it until the fallback of KEP 4033 is gone, which is planned for 1.38.
const LAST_WITH_CONTAINERD_1: u32 = 35;

#[cfg(test)]
mod tests {
    use super::super::{containerd, kubernetes};
    use super::*;

    #[test]
    fn pairs() {
        let fit = |number, text: &str| {
            let version = text.parse().unwrap();
            let row = containerd::line(version).unwrap().row;
            kubernetes::minor(number).unwrap().row.fit(row, version)
        };
        assert_eq!(fit(20, "1.6.20"), Fit::Later);
        assert_eq!(fit(20, "1.4.13"), Fit::Unlisted);
        assert_eq!(fit(22, "2.1.9"), Fit::Impossible);
        assert_eq!(fit(26, "1.5.18"), Fit::Impossible);
        assert_eq!(fit(23, "2.1.9"), Fit::Later);
        assert_eq!(fit(33, "1.7.24"), Fit::Published);
        assert_eq!(fit(33, "1.7.23"), Fit::Unlisted);
        assert_eq!(fit(36, "1.7.34"), Fit::Unlisted);
        assert_eq!(fit(36, "2.4.0"), Fit::Later);
    }

    #[test]
    fn remarks() {
        let remarks = |number, text: &str| {
            let row = containerd::line(text.parse().unwrap()).unwrap().row;
            kubernetes::minor(number).unwrap().row.remarks(row)
        };
        assert_eq!(
            remarks(22, "2.1.9"),
            ["no common CRI: kubelet speaks v1alpha2, containerd v1"]
        );
        assert_eq!(remarks(36, "1.7.34").len(), 2);
        assert_eq!(
            remarks(34, "2.1.9"),
            ["kubelet takes its cgroup driver from containerd"]
        );
        assert_eq!(remarks(20, "1.5.18").len(), 2);
    }
}
