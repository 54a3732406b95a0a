//! Which parts of a profile are understood but not acted on yet.

use super::Profile;
use super::file::{Cni, Containerd, Crictl, Kubelet, Pause, Runc};

impl Profile {
    /// The sections whose settings change nothing in an image yet, as the
    /// profile writes them. They are checked and kept, so that profiles can be
    /// written ahead.
    #[must_use]
    pub fn waiting(&self) -> Vec<&'static str> {
        let containerd = Containerd {
            source: self.containerd.source,
            package: self.containerd.package.clone(),
            ..Containerd::default()
        };
        let runc = Runc {
            source: self.runc.source,
            package: self.runc.package.clone(),
            ..Runc::default()
        };
        let cni = Cni {
            source: self.cni.source,
            package: self.cni.package.clone(),
            ..Cni::default()
        };
        let kubelet = Kubelet {
            source: self.kubelet.source,
            package: self.kubelet.package.clone(),
            ..Kubelet::default()
        };
        let sections = [
            ("[containerd]", self.containerd != containerd),
            ("[runc]", self.runc != runc),
            ("[cni]", self.cni != cni),
            ("[crictl]", self.crictl != Crictl::default()),
            ("[pause]", self.pause != Pause::default()),
            ("[kubelet]", self.kubelet != kubelet),
            ("[[images]]", !self.images.is_empty()),
        ];
        let set = sections.into_iter().filter(|(_, set)| *set);
        set.map(|(name, _)| name).collect()
    }
}
