//! YAML and JSON: kubelet's configuration, kubeadm's, pods' and containers', Docker's,
//! what kubectl prints, graphs of Nix.

use std::path::Path;

use super::{choose, imported, judge, subject, text};
use nodelith::fleet::Cluster;
use nodelith::source::nix::Graph;

/// Tries one input.
pub fn run(bytes: &[u8]) {
    let (choice, rest) = choose(bytes);
    let Some(text) = text(rest) else { return };
    let subject = subject(
        choice % 2 == 0,
        choice / 2,
        &[
            ("var/lib/kubelet/config.yaml", text),
            ("etc/kubernetes/kubelet.conf.d/10-one.conf", text),
            ("etc/kubernetes/kubeadm.yaml", text),
            ("etc/cni/net.d/10-net.conflist", text),
            ("etc/docker/daemon.json", text),
        ],
    );
    judge(&subject);
    if choice % 4 == 0 {
        imported(&subject);
    }
    // Of other documents each field is warned of, one by one.
    if text.contains("metadata") {
        let _ = nodelith::cri::read_document(text);
    }
    let _ = Cluster::parse(text, "input");
    let _ = Graph::parse(text, Path::new("input"));
}
