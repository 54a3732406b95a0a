//! Which parts of a profile are understood but not acted on yet.

use super::Profile;
use super::file::{CrictlSource, KubeletSource, ReleaseSource};

impl Profile {
    /// What changes nothing in an image yet, as the profile writes it. It is
    /// checked and kept, so that profiles can be written ahead.
    #[must_use]
    pub fn waiting(&self) -> Vec<&'static str> {
        let release = Some(ReleaseSource::Release);
        let crictl = matches!(
            self.crictl.source,
            Some(CrictlSource::Release | CrictlSource::Builtin | CrictlSource::File)
        );
        let parts = [
            (
                "source = \"release\" in [containerd]",
                self.containerd.source == release,
            ),
            (
                "source = \"release\" in [runc]",
                self.runc.source == release,
            ),
            ("source = \"release\" in [cni]", self.cni.source == release),
            ("plugins in [cni]", self.cni.plugins.is_some()),
            ("source in [crictl]", crictl),
            (
                "source = \"release\" in [kubelet]",
                self.kubelet.source == Some(KubeletSource::Release),
            ),
            ("[[images]]", !self.images.is_empty()),
        ];
        let set = parts.into_iter().filter(|(_, set)| *set);
        set.map(|(name, _)| name).collect()
    }
}
