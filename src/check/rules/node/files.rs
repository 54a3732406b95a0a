//! What is mounted, programs, and files that pods are given copies of.

use super::is_node;
use crate::check::facts::Facts;
use crate::check::rule::Found;
use crate::check::subject::ReadOnly;
use crate::tree::Node;

pub(super) fn swap(facts: &Facts<'_>, found: &mut Found<'_>) {
    let allowed = facts
        .kubelet
        .said("fail-swap-on", "failSwapOn")
        .is_some_and(|(value, ..)| value == "false");
    if !is_node(facts) || allowed {
        return;
    }
    if let Some(text) = facts.subject.text_at("etc/fstab") {
        let mut start = 0;
        for line in facts.subject.texts[text].text.split_inclusive('\n') {
            let mut fields = line.split_whitespace();
            let device = fields.next().unwrap_or_default();
            if !device.starts_with('#') && fields.nth(1) == Some("swap") && !line.contains("noauto")
            {
                found.in_text(text, start, format!("`{}`", line.trim()));
            }
            start += line.len();
        }
    }
    for (name, link) in &facts.units.enabled {
        if name.ends_with(".swap") && !facts.units.masked.contains(name) {
            found.at_path(link, format!("{name} is enabled"));
        }
    }
}

pub(super) fn tmp(facts: &Facts<'_>, found: &mut Found<'_>) {
    let read_only = matches!(
        facts.subject.read_only(),
        Some(ReadOnly::Nodelith | ReadOnly::Mounted)
    );
    if !is_node(facts) || !read_only || facts.units.units.is_empty() {
        return;
    }
    let fstab = facts.subject.text("etc/fstab").is_some_and(|text| {
        text.text
            .lines()
            .any(|line| line.split_whitespace().nth(1) == Some("/tmp"))
    });
    if !fstab && !facts.units.starts("tmp.mount") {
        found.at_path("tmp", "the root is read-only, and nothing is mounted there");
    }
}

const FOLDERS: [&str; 6] = [
    "usr/bin",
    "usr/sbin",
    "bin",
    "sbin",
    "usr/local/bin",
    "usr/local/sbin",
];

/// Whether a program is in one of the folders that everybody searches.
fn has_program(facts: &Facts<'_>, name: &str) -> bool {
    // A link by way of /etc/alternatives counts by its name.
    FOLDERS
        .iter()
        .any(|folder| facts.subject.names(&format!("{folder}/{name}")))
}

pub(super) fn programs(facts: &Facts<'_>, found: &mut Found<'_>) {
    if !is_node(facts) {
        return;
    }
    let missing = ["conntrack", "ip", "iptables", "mount", "nsenter"];
    let missing = missing.iter().filter(|name| !has_program(facts, name));
    let missing: Vec<_> = missing.map(|name| format!("`{name}`")).collect();
    if !missing.is_empty() {
        found.nowhere(format!("there is no {}", missing.join(", ")));
    }
}

pub(super) fn iptables(facts: &Facts<'_>, found: &mut Found<'_>) {
    let path = "etc/alternatives/iptables";
    if let Some(entry) = facts.subject.tree.entries.get(path.as_bytes())
        && let Node::Symlink(target) = &entry.node
        && target.name().ends_with(b"-legacy")
        && is_node(facts)
    {
        found.at_path(path, format!("it leads to `{target}`"));
    }
}

pub(super) fn resolver(facts: &Facts<'_>, found: &mut Found<'_>) {
    let said = facts.kubelet.said("resolv-conf", "resolvConf").is_some();
    if is_node(facts) && !said && !facts.subject.names("etc/resolv.conf") {
        found.at_path(
            "etc/resolv.conf",
            "it is not there, and kubelet is told no other",
        );
    }
}

pub(super) fn hosts(facts: &Facts<'_>, found: &mut Found<'_>) {
    if facts.subject.whole && facts.containerd.present && !facts.subject.names("etc/hosts") {
        found.at_path(
            "etc/hosts",
            "it is not there, and every pod is given a copy",
        );
    }
}
