//! YAML and JSON: kubelet's configuration, kubeadm's, pods' and containers'.

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
            ("var/lib/kubelet/config.yaml", text),
            ("etc/kubernetes/kubelet.conf.d/10-one.conf", text),
            ("etc/kubernetes/kubeadm.yaml", text),
            ("etc/cni/net.d/10-net.conflist", text),
            ("etc/docker/daemon.json", text),
        ],
    ));
    let _ = nodelith::cri::read_document(text);
});
