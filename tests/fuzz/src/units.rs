//! systemd's units and what they start: flags, environment files, kernel command
//! lines, sysctls, module lists.

use super::{choose, judge, subject, text};

/// Tries one input.
pub fn run(bytes: &[u8]) {
    let (choice, rest) = choose(bytes);
    let Some(text) = text(rest) else { return };
    judge(&subject(
        choice % 2 == 0,
        choice / 2,
        &[
            ("usr/lib/systemd/system/containerd.service", text),
            ("usr/lib/systemd/system/kubelet.service", text),
            ("etc/systemd/system/kubelet.service.d/10-kubeadm.conf", text),
            ("var/lib/kubelet/kubeadm-flags.env", text),
            ("etc/default/kubelet", text),
            ("etc/sysctl.d/one.conf", text),
            ("etc/modules-load.d/one.conf", text),
            ("etc/fstab", text),
            ("usr/lib/os-release", text),
        ],
    ));
}
