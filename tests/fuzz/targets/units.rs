//! systemd's units and what they start: flags, environment files, kernel command
//! lines, sysctls, module lists.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nodelith_fuzz::{choose, judge, subject, text};

fuzz_target!(|bytes: &[u8]| {
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
});
