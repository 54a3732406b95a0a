//! The network plug-ins and where containerd looks for them.
//!
//! Network add-ons put programs of their own into /opt/cni/bin, so that is where
//! containerd looks unless a profile says otherwise. The image's plug-ins are in
//! /usr/lib/cni, as Debian's package has them, wherever they come from: the folder
//! that containerd looks into has a link to each.

use super::components::Components;
use super::draft::Draft;
use crate::error::Result;
use crate::profile::explain::nearest;
use crate::tree::Node;

const BIN: &str = "/opt/cni/bin";
const CONF: &str = "/etc/cni/net.d";
/// Where the plug-ins are.
const PLACE: &str = "usr/lib/cni";
/// containerd calls it for every pod.
const LOOPBACK: &str = "loopback";

/// The folder of the plug-ins.
pub(super) fn bin_dir<'a>(draft: &Draft<'a>) -> &'a str {
    draft.profile.cni.bin_dir.as_deref().unwrap_or(BIN)
}

/// The folder of network configurations.
pub(super) fn conf_dir<'a>(draft: &Draft<'a>) -> &'a str {
    draft.profile.cni.conf_dir.as_deref().unwrap_or(CONF)
}

pub(super) fn configure(draft: &mut Draft<'_>, components: &Components) -> Result<()> {
    choose(draft, components)?;
    if components.containerd.is_none() {
        return Ok(());
    }
    let folder = bin_dir(draft).trim_start_matches('/');
    if folder == PLACE {
        return Ok(());
    }
    for name in plugins(draft) {
        let path = format!("{folder}/{name}");
        if draft.facts.node(&path).is_none() {
            draft.link(&path, &format!("/{PLACE}/{name}"));
        }
    }
    Ok(())
}

/// Takes out what the profile does not name, where it names any.
fn choose(draft: &mut Draft<'_>, components: &Components) -> Result<()> {
    let Some(wanted) = &draft.profile.cni.plugins else {
        return Ok(());
    };
    let there = plugins(draft);
    for name in wanted {
        if there.iter().any(|other| *other == **name) {
            continue;
        }
        let message = format!("the node has no CNI plug-in `{name}`");
        let error = draft.refuse(message, &["cni", "plugins"], name);
        return Err(match nearest(name, there.iter().map(String::as_str)) {
            Some(nearest) => error.hint(format!("did you mean `{nearest}`?")),
            None if there.is_empty() => {
                error.hint("set `source` in `[cni]` to \"package\" or \"release\"")
            }
            None => error.hint(format!("there are {}", there.join(", "))),
        });
    }
    if components.containerd.is_some() && !wanted.iter().any(|name| **name == *LOOPBACK) {
        draft.warn(format!(
            "containerd calls the CNI plug-in `{LOOPBACK}` for every pod, and `plugins` in `[cni]` leaves it out"
        ));
    }
    let names: Vec<&str> = wanted.iter().map(|name| &**name).collect();
    for name in there.iter().filter(|name| !names.contains(&name.as_str())) {
        draft.remove(&format!("{PLACE}/{name}"));
    }
    draft.set("cni.plugins", names.join(" "));
    Ok(())
}

/// The plug-ins that the node will have.
fn plugins(draft: &Draft<'_>) -> Vec<String> {
    draft
        .below(PLACE)
        .into_iter()
        .filter(|(name, node)| !name.contains('/') && !matches!(node, Node::Directory))
        .map(|(name, _)| name)
        .collect()
}
