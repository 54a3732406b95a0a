//! Which releases a profile takes: programs of the node that are no packages.

use super::Profile;
use super::file::{CrictlSource, KubeletSource, ReleaseSource, Role};

/// A release that a profile takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseChoice {
    /// Its name in the table of releases.
    pub name: &'static str,
    /// The section of the profile that asks for it.
    pub section: &'static str,
    /// A release line (`1.36`) or a whole version; nothing for what is built in.
    pub version: String,
    /// Whether an older line will do where this one has no release.
    pub or_older: bool,
    /// Whether it is the one that is part of Nodelith.
    pub builtin: bool,
}

impl Profile {
    /// Every release that the node takes, each once, in the order of their layers.
    #[must_use]
    pub fn releases(&self) -> Vec<ReleaseChoice> {
        let choice = |name, section, version: Option<&str>| ReleaseChoice {
            name,
            section,
            version: version.unwrap_or_default().to_owned(),
            or_older: false,
            builtin: false,
        };
        let mut chosen = Vec::new();
        let release = Some(ReleaseSource::Release);
        if self.containerd.source == release {
            let name = match self.containerd.r#static {
                Some(true) => "containerd-static",
                _ => "containerd",
            };
            chosen.push(choice(
                name,
                "containerd",
                self.containerd.version.as_deref(),
            ));
        }
        if self.runc.source == release {
            chosen.push(choice("runc", "runc", self.runc.version.as_deref()));
        }
        if self.cni.source == release {
            chosen.push(choice("cni-plugins", "cni", self.cni.version.as_deref()));
        }
        let kubernetes = self.kubernetes.version.as_deref();
        match self.crictl.source {
            Some(CrictlSource::Release) => {
                let own = self.crictl.version.as_deref();
                // crictl's patch releases are its own; its minors are Kubernetes'.
                let minor = self.kubernetes.minor().map(|minor| format!("1.{minor}"));
                chosen.push(ReleaseChoice {
                    or_older: own.is_none(),
                    ..choice("crictl", "crictl", own.or(minor.as_deref()))
                });
            }
            Some(CrictlSource::Builtin) => chosen.push(ReleaseChoice {
                builtin: true,
                ..choice("crictl", "crictl", None)
            }),
            Some(CrictlSource::File | CrictlSource::None) | None => {}
        }
        if self.kubelet.source == Some(KubeletSource::Release) {
            let own = self.kubelet.version.as_deref();
            chosen.push(choice("kubelet", "kubelet", own.or(kubernetes)));
            // A worker joins with kubeadm, too.
            chosen.push(choice("kubeadm", "kubelet", kubernetes.or(own)));
            if self.kubernetes.role == Role::ControlPlane {
                chosen.push(choice("kubectl", "kubelet", kubernetes.or(own)));
            }
        }
        chosen
    }
}
