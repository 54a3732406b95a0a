//! kubelet's configuration: its files, and the fields in them.

use super::super::nearest;
use super::minor;
use crate::check::document::{Node, Value};
use crate::check::facts::Facts;
use crate::check::rule::Found;
use crate::compat::kubelet;

pub(super) fn fields(facts: &Facts<'_>, found: &mut Found<'_>) {
    let known_minor = minor(facts).filter(|(number, row)| *number == row.minor);
    for (name, node) in facts.kubelet.fields() {
        if OWN.contains(&name) {
            continue;
        }
        match (kubelet::field(name), facts.minor()) {
            (Some(field), Some(number)) if field.from > number => {
                found.at(
                    node,
                    format!(
                        "kubelet 1.{number} has no field `{name}`: it came with 1.{}",
                        field.from
                    ),
                );
            }
            (None, number) if known_minor.is_some() || number.is_none() => {
                let near = nearest(
                    name,
                    kubelet::fields().iter().map(|field| field.name.as_str()),
                );
                let near = near
                    .map(|near| format!("; did you mean `{near}`?"))
                    .unwrap_or_default();
                found.at(node, format!("no kubelet has a field `{name}`{near}"));
            }
            _ => {}
        }
    }
}

/// What every object of Kubernetes has.
const OWN: [&str; 2] = ["apiVersion", "kind"];

pub(super) fn types(facts: &Facts<'_>, found: &mut Found<'_>) {
    for (name, node) in facts.kubelet.fields() {
        if let Some(field) = kubelet::field(name)
            && node.value != Value::Null
            && !field.kind.fits(&node.json())
        {
            found.at_value(node, format!("`{name}` should be {}", field.kind.name()));
        }
    }
}

pub(super) fn broken(facts: &Facts<'_>, found: &mut Found<'_>) {
    for config in &facts.kubelet.configs {
        match &config.node {
            Err(broken) => found.in_text(config.text, broken.span.start, broken.why.clone()),
            Ok(node) => {
                let version = node.get("apiVersion").and_then(Node::text);
                let kind = node.get("kind").and_then(Node::text);
                let right =
                    version.is_some_and(|version| version.starts_with("kubelet.config.k8s.io/"));
                if !right || kind != Some("KubeletConfiguration") {
                    found.text(config.text, "it is not a KubeletConfiguration");
                }
            }
        }
    }
}

pub(super) fn drop_ins(facts: &Facts<'_>, found: &mut Found<'_>) {
    let (Some((number, row)), Some(flag)) = (minor(facts), facts.kubelet.flag("config-dir")) else {
        return;
    };
    if number >= 28 && !row.config_drop_ins.are_usable() {
        found.in_text(
            flag.text,
            flag.at,
            format!("kubelet 1.{number} resets fields that a drop-in does not have"),
        );
    }
}

pub(super) fn pulls(facts: &Facts<'_>, found: &mut Found<'_>) {
    let serial = facts
        .kubelet
        .field("serializeImagePulls")
        .is_none_or(|node| !node.is(false));
    if let Some(node) = facts.kubelet.field("maxParallelImagePulls")
        && serial
        && node.integer().is_some_and(|number| number > 1)
    {
        found.at(
            node,
            "images are pulled one after the other: `serializeImagePulls` is not false",
        );
    }
}

pub(super) fn open(facts: &Facts<'_>, found: &mut Found<'_>) {
    if let Some((value, text, at)) = facts.kubelet.said("read-only-port", "readOnlyPort")
        && value != "0"
    {
        found.in_text(text, at, format!("the read-only port {value} is open"));
    }
    let anonymous = facts.kubelet.field("authentication");
    let anonymous = anonymous.and_then(|node| node.at(&["anonymous", "enabled"]));
    if let Some(node) = anonymous.filter(|node| node.is(true)) {
        found.at(node, "anonymous access is on");
    }
    let mode = facts
        .kubelet
        .field("authorization")
        .and_then(|node| node.get("mode"));
    if let Some(node) = mode.filter(|node| node.text() == Some("AlwaysAllow")) {
        found.at(node, "everyone may do everything");
    }
}

pub(super) fn missing(facts: &Facts<'_>, found: &mut Found<'_>) {
    let Some(path) = facts
        .kubelet
        .config
        .as_ref()
        .filter(|_| facts.subject.whole)
    else {
        return;
    };
    if path != "/var/lib/kubelet/config.yaml" {
        let flag = facts.kubelet.flag("config");
        if let Some(flag) = flag {
            found.in_text(flag.text, flag.at, format!("there is no `{path}`"));
        }
    }
}
