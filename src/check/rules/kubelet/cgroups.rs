//! Who makes the cgroups, and of which version they are.

use super::minor;
use crate::check::facts::Facts;
use crate::check::rule::Found;

/// Whether containerd tells kubelet its driver, and kubelet listens.
fn told(facts: &Facts<'_>) -> bool {
    let minor = facts.minor().is_some_and(|minor| minor >= 31);
    facts.containerd.from(2, 0) && minor
}

pub(super) fn drivers(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    if !config.present || !facts.kubelet.present || told(facts) || config.files.is_empty() {
        return;
    }
    let name = config.default_runtime();
    if !config.is_runc(name) {
        return;
    }
    let said = facts.kubelet.said("cgroup-driver", "cgroupDriver");
    let (systemd, node) = config.systemd_cgroup(name);
    let theirs = if systemd { "systemd" } else { "cgroupfs" };
    match said {
        Some((driver, text, at)) if driver != theirs => {
            found.in_text(
                text,
                at,
                format!("kubelet has `{driver}`, and containerd's `{name}` has `{theirs}`"),
            );
        }
        // kubeadm writes `systemd` from 1.22 on; without a configuration nobody knows.
        None if systemd && !facts.kubelet.configs.is_empty() => {
            let message =
                format!("containerd's `{name}` has `systemd`, and kubelet its default, `cgroupfs`");
            match node {
                Some(node) => found.at_value(node, message),
                None => found.nowhere(message),
            }
        }
        _ => {}
    }
}

pub(super) fn cgroupfs(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    let Some(root) = config
        .files
        .iter()
        .find(|file| file.parsed.root().is_some())
    else {
        return;
    };
    if facts.subject.whole && facts.versions.systemd.is_none() && facts.units.units.is_empty() {
        return;
    }
    for name in config.runtimes() {
        if !config.is_runc(name) {
            continue;
        }
        let (systemd, node) = config.systemd_cgroup(name);
        if systemd {
            continue;
        }
        let message = format!("runtime `{name}` has no `SystemdCgroup = true`");
        match node.or_else(|| config.within("runtimes", &[name])) {
            Some(node) => found.at(node, message),
            None => found.text(root.parsed.text, message),
        }
    }
}

pub(super) fn cgroup_v1(facts: &Facts<'_>, found: &mut Found<'_>) {
    let said = facts.kernel.argument("systemd.unified_cgroup_hierarchy");
    let Some(said) = said.filter(|said| {
        let value = said.value.split_once('=').map(|(_, value)| value);
        value.is_some_and(|value| ["0", "no", "false", "off"].contains(&value))
    }) else {
        return;
    };
    let allowed = facts
        .kubelet
        .field("failCgroupV1")
        .map(|node| node.is(false));
    let systemd = facts
        .versions
        .systemd
        .as_ref()
        .is_some_and(|said| said.version.major >= 258);
    match minor(facts) {
        Some((number, row)) if row.refuses_cgroup_v1 && allowed != Some(true) => {
            found.in_text(
                said.text,
                said.at,
                format!("kubelet 1.{number} does not start on cgroup v1"),
            );
        }
        _ if systemd => found.in_text(
            said.text,
            said.at,
            "systemd 258 and later have no cgroup v1",
        ),
        _ => {}
    }
}
