//! The kernel's modules and settings.

use super::is_node;
use crate::check::facts::Facts;
use crate::check::rule::Found;

pub(super) fn modules(facts: &Facts<'_>, found: &mut Found<'_>) {
    for kernel in facts.subject.kernels() {
        let builtin = facts
            .subject
            .text(&format!("usr/lib/modules/{kernel}/modules.builtin"));
        let Some(builtin) = builtin else { continue };
        let plain = |path: &str| {
            let name = path.rsplit('/').next().unwrap_or_default();
            name.split(".ko")
                .next()
                .unwrap_or_default()
                .replace('-', "_")
        };
        let built: Vec<String> = builtin.text.lines().map(plain).collect();
        let mut missing: Vec<_> = facts.kernel.modules.iter().collect();
        missing.retain(|(name, _)| !built.contains(name));
        if missing.is_empty() {
            continue;
        }
        let folder = format!("usr/lib/modules/{kernel}");
        for (path, _) in facts.subject.below(&folder) {
            let path = String::from_utf8_lossy(path);
            if path.contains(".ko") {
                let name = plain(&path);
                missing.retain(|(other, _)| **other != name);
            }
        }
        for (name, said) in missing {
            found.in_text(
                said.text,
                said.at,
                format!("kernel {kernel} has no module `{name}`"),
            );
        }
    }
}

pub(super) fn forwarding(facts: &Facts<'_>, found: &mut Found<'_>) {
    const NAMES: [&str; 3] = [
        "net.ipv4.ip_forward",
        "net.ipv4.conf.all.forwarding",
        "net.ipv4.conf.*.forwarding",
    ];
    if !is_node(facts) {
        return;
    }
    let said: Vec<_> = NAMES
        .iter()
        .filter_map(|name| Some((name, facts.kernel.sysctl.get(*name)?)))
        .collect();
    match said.first() {
        None => found.nowhere("nothing sets `net.ipv4.ip_forward`"),
        Some((name, said)) if said.value == "0" => {
            found.in_text(said.text, said.at, format!("`{name}` is 0"));
        }
        Some(_) => {}
    }
}

const BRIDGES: [&str; 2] = [
    "net.bridge.bridge-nf-call-iptables",
    "net.bridge.bridge-nf-call-ip6tables",
];

pub(super) fn bridges(facts: &Facts<'_>, found: &mut Found<'_>) {
    if !is_node(facts) || facts.minor().is_none_or(|minor| minor > 29) {
        return;
    }
    for name in BRIDGES {
        match facts.kernel.sysctl.get(name) {
            None => found.nowhere(format!("nothing sets `{name}`")),
            Some(said) if said.value != "1" => {
                found.in_text(said.text, said.at, format!("`{name}` is {}", said.value));
            }
            Some(_) => {}
        }
    }
}

pub(super) fn bridge_module(facts: &Facts<'_>, found: &mut Found<'_>) {
    if !is_node(facts) || facts.kernel.modules.contains_key("br_netfilter") {
        return;
    }
    if let Some(said) = facts.kernel.sysctl.get(BRIDGES[0]) {
        found.in_text(said.text, said.at, "nothing loads `br_netfilter`");
    }
}
