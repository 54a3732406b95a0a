//! What the subject's files come to, before any judgement: containerd's
//! configuration with what it imports, kubelet's flags and fields, systemd's
//! units, crictl's file, kernel settings. Rules are functions of these.

pub mod containerd;
pub mod crictl;
pub mod kernel;
pub mod kubelet;
pub mod units;

use super::document::{Broken, Node};
use super::subject::{Subject, Versions};
use crate::compat::Version;

/// A file that a program reads, as data or as what is wrong with it.
#[derive(Debug)]
pub struct Parsed {
    /// The number of its text.
    pub text: usize,
    /// Its first document.
    pub node: Result<Node, Broken>,
}

impl Parsed {
    /// The data, if it could be read.
    #[must_use]
    pub fn root(&self) -> Option<&Node> {
        self.node.as_ref().ok()
    }
}

/// All that rules read.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The subject.
    pub subject: &'a Subject,
    /// The versions of what is in it.
    pub versions: Versions,
    /// containerd.
    pub containerd: containerd::Containerd,
    /// kubelet.
    pub kubelet: kubelet::Kubelet,
    /// crictl's file.
    pub crictl: Option<Parsed>,
    /// systemd's units.
    pub units: units::Units,
    /// Kernel settings, modules and command line.
    pub kernel: kernel::Kernel,
}

impl<'a> Facts<'a> {
    /// Works them out.
    #[must_use]
    pub fn of(subject: &'a Subject) -> Self {
        let versions = Versions::find(subject);
        let units = units::Units::read(subject);
        let containerd = containerd::Containerd::read(
            subject,
            &units,
            versions.containerd.as_ref().map(|said| said.version),
        );
        let kubelet = kubelet::Kubelet::read(
            subject,
            &units,
            versions.kubernetes.as_ref().map(|said| said.version.minor),
        );
        Self {
            subject,
            containerd,
            kubelet,
            crictl: crictl::read(subject),
            kernel: kernel::Kernel::read(subject),
            units,
            versions,
        }
    }

    /// containerd's version.
    #[must_use]
    pub fn containerd_version(&self) -> Option<Version> {
        self.containerd.version
    }

    /// kubelet's minor.
    #[must_use]
    pub fn minor(&self) -> Option<u32> {
        self.kubelet.minor
    }
}
