//! The versions of what runs pods, which are known once a profile is locked.

use crate::compat::Version;
use crate::profile::Profile;
use crate::profile::file::{CrictlSource, KubeletSource, ReleaseSource};
use crate::profile::value::PackageChoice;

/// Which of the programs that Nodelith configures are in the node, and in what version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Components {
    /// containerd's.
    pub containerd: Option<Version>,
    /// kubelet's, where the node carries one.
    pub kubelet: Option<Version>,
    /// crictl's, where it is upstream's.
    pub crictl: Option<Version>,
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
        }
    }
}
