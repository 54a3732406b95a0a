//! The network plug-ins and where containerd looks for them.
//!
//! Network add-ons put programs of their own into /opt/cni/bin, so that is where
//! containerd looks unless a profile says otherwise. Debian's plug-ins are in
//! /usr/lib/cni: the folder that containerd looks into has a link to each.

use super::components::Components;
use super::draft::Draft;
use crate::tree::Node;

const BIN: &str = "/opt/cni/bin";
const CONF: &str = "/etc/cni/net.d";
/// Where Debian's package has the plug-ins.
const PACKAGED: &str = "usr/lib/cni";

/// The folder of the plug-ins.
pub(super) fn bin_dir<'a>(draft: &Draft<'a>) -> &'a str {
    draft.profile.cni.bin_dir.as_deref().unwrap_or(BIN)
}

/// The folder of network configurations.
pub(super) fn conf_dir<'a>(draft: &Draft<'a>) -> &'a str {
    draft.profile.cni.conf_dir.as_deref().unwrap_or(CONF)
}

pub(super) fn configure(draft: &mut Draft<'_>, components: &Components) {
    if components.containerd.is_none() {
        return;
    }
    let folder = bin_dir(draft).trim_start_matches('/');
    if folder == PACKAGED {
        return;
    }
    let plugins: Vec<String> = draft
        .facts
        .below(PACKAGED)
        .filter(|(name, node)| !name.contains('/') && !matches!(node, Node::Directory))
        .map(|(name, _)| name)
        .collect();
    for name in plugins {
        let path = format!("{folder}/{name}");
        if draft.facts.node(&path).is_none() {
            draft.link(&path, &format!("/{PACKAGED}/{name}"));
        }
    }
}
