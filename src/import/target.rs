//! The node that is wanted: its name, architecture, suite and Kubernetes.

use crate::compat::Version;
use crate::compat::containerd;
use crate::compat::kubernetes;
use crate::compat::pairs::Fit;
use crate::profile::file::Architecture;
use crate::profile::value::Name;

/// What is wanted of the new node. What is not said follows from the old one.
#[derive(Debug, Clone)]
pub struct Target {
    /// The profile's name.
    pub name: Name,
    /// The architecture.
    pub architecture: Architecture,
    /// Debian's suite.
    pub suite: Option<Suite>,
    /// Kubernetes' version.
    pub kubernetes: Option<Version>,
}

/// A Debian suite that images are made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suite {
    /// Its name.
    pub name: &'static str,
    /// Its containerd, by which settings are placed.
    pub containerd: Version,
    /// The ready profile whose packages a node of it begins with.
    pub(super) ready: &'static str,
}

const fn version(major: u32, minor: u32, patch: u32) -> Version {
    Version {
        major,
        minor,
        patch,
    }
}

/// The suites, the one that is taken first where several will do.
pub const SUITES: [Suite; 3] = [
    Suite {
        name: "trixie",
        containerd: version(1, 7, 24),
        ready: include_str!("../../profiles/quickstart.toml"),
    },
    Suite {
        name: "forky",
        containerd: version(2, 1, 9),
        ready: include_str!("../../profiles/testing.toml"),
    },
    Suite {
        name: "bookworm",
        containerd: version(1, 6, 20),
        ready: include_str!("../../profiles/kubernetes-1.20.toml"),
    },
];

impl Suite {
    /// The suite of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        SUITES.into_iter().find(|suite| suite.name == name)
    }

    /// The first suite whose containerd is published for a minor; else, for one older than
    /// all that are, the oldest with which it works.
    #[must_use]
    pub fn for_minor(minor: u32) -> Option<Self> {
        let row = kubernetes::minor(minor)?.row;
        let fit = |suite: &Suite| {
            let known = containerd::line(suite.containerd);
            known.map(|known| row.fit(known.row, suite.containerd))
        };
        let published = |suite: &Suite| fit(suite) == Some(Fit::Published);
        let works = |suite: &Suite| fit(suite).is_some_and(|fit| fit != Fit::Impossible);
        let mut works: Vec<Suite> = SUITES.into_iter().filter(works).collect();
        works.sort_by_key(|suite| suite.containerd);
        let first = SUITES.into_iter().find(published);
        first.or_else(|| works.first().copied())
    }
}
