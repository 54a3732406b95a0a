//! The versions of what runs pods, which are known once a profile is locked.

use crate::compat::Version;
use crate::digest::Digest;
use crate::profile::Profile;
use crate::profile::file::{CrictlSource, KubeletSource, ReleaseSource};
use crate::profile::value::PackageChoice;
use crate::tree::Content;

/// Which of the programs that Nodelith configures are in the node, and in what version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Components {
    /// containerd's.
    pub containerd: Option<Version>,
    /// kubelet's, where the node carries one.
    pub kubelet: Option<Version>,
    /// crictl's, where it is upstream's.
    pub crictl: Option<Version>,
    /// The programs that come as releases.
    pub programs: Vec<Program>,
}

/// A release in the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The component of its files, and its layer's id: `release:kubelet`.
    pub component: String,
    /// Its name in the table of releases: `kubelet`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The digest of what was published.
    pub digest: Digest,
    /// Its files.
    pub files: Vec<ProgramFile>,
}

/// A file of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramFile {
    /// Its absolute path in the node.
    pub path: String,
    /// Its length in bytes.
    pub size: u64,
    /// Where its bytes are.
    pub content: Content,
}

impl Components {
    /// What a profile comes to where `package` gives the version of a package in
    /// the node, by its name.
    #[must_use]
    pub fn find<'a>(profile: &Profile, package: impl Fn(&str) -> Option<&'a str>) -> Self {
        let packaged = |choice: Option<&PackageChoice>, default: &str| {
            let choice = choice.map_or(default, |choice| choice.as_str());
            let name = choice.split([':', '=']).next().unwrap_or_default();
            package(name).and_then(Version::of_package)
        };
        let said = |version: Option<&str>| version.and_then(|version| version.parse().ok());
        let kubernetes = profile.kubernetes.version.as_deref();
        let containerd = match profile.containerd.source {
            Some(ReleaseSource::None) => None,
            Some(ReleaseSource::Release) => said(profile.containerd.version.as_deref()),
            Some(ReleaseSource::Package) | None => {
                packaged(profile.containerd.package.as_ref(), "containerd")
            }
        };
        let kubelet = match profile.kubelet.source {
            Some(KubeletSource::Package) => packaged(profile.kubelet.package.as_ref(), "kubelet"),
            Some(KubeletSource::Release | KubeletSource::File) => {
                said(profile.kubelet.version.as_deref().or(kubernetes))
            }
            Some(KubeletSource::None) | None => None,
        };
        let crictl = match profile.crictl.source {
            Some(CrictlSource::Release) | None => {
                said(profile.crictl.version.as_deref().or(kubernetes))
            }
            Some(CrictlSource::Builtin | CrictlSource::File | CrictlSource::None) => None,
        };
        Self {
            containerd,
            kubelet,
            crictl,
            programs: Vec::new(),
        }
    }

    /// The same with these releases, whose versions are known to the last number.
    #[must_use]
    pub fn with(mut self, programs: Vec<Program>) -> Self {
        for program in &programs {
            let version = program.version.parse().ok();
            match program.name.as_str() {
                "containerd" | "containerd-static" => self.containerd = version,
                "kubelet" => self.kubelet = version,
                // A built-in one has Nodelith's version, which says nothing of crictl's.
                "crictl" if program.component.starts_with("release:") => self.crictl = version,
                _ => {}
            }
        }
        self.programs = programs;
        self
    }
}
