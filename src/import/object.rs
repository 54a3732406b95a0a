//! The Node object, as `kubectl get node NAME -o json` prints it: what the cluster knows
//! of a node and nothing on its disk says.

mod labels;
mod resources;

use super::images::SAID;
use super::work::{Found, Work, may_be_shown};
use crate::check::document::{Node, Value};
use crate::check::subject::{Said, Subject};

pub(super) const WHOSE: &str = "node";

/// Reads the Node object.
pub(super) fn import(work: &mut Work<'_>) {
    let subject = work.subject;
    for text in files(subject) {
        let all = match Node::yaml(&subject.texts[text].text, text) {
            Ok(documents) => nodes(&documents),
            Err(broken) => {
                let at = super::work::Where {
                    text,
                    at: broken.span.start,
                };
                let found = work.found(WHOSE, "object", at, None);
                work.lost(&found, &format!("it cannot be read: {}", broken.why));
                continue;
            }
        };
        match this(subject, &all) {
            Some(node) => {
                labels::import(work, node);
                spec(work, node);
                info(work, node);
                resources::import(work, node);
            }
            None => {
                let at = super::work::Where { text, at: 0 };
                let found = work.found(WHOSE, "object", at, None);
                let why = match all.len() {
                    0 => "no Node is in it: give what `kubectl get node NAME -o json` prints",
                    _ => "several nodes are in it, and none has this one's name: give one alone",
                };
                work.lost(&found, why);
            }
        }
    }
}

/// kubelet's version, as the cluster has it.
pub(super) fn kubernetes(subject: &Subject) -> Option<Said> {
    files(subject).find_map(|text| {
        let documents = Node::yaml(&subject.texts[text].text, text).ok()?;
        let all = nodes(&documents);
        let node = this(subject, &all)?;
        let version = node.at(&["status", "nodeInfo", "kubeletVersion"])?.text()?;
        Some(Said {
            version: version.split(['-', '+']).next()?.parse().ok()?,
            from: "the Node object".to_owned(),
        })
    })
}

fn files(subject: &Subject) -> impl Iterator<Item = usize> {
    subject.texts_below(SAID).filter(|text| {
        let name = subject.texts[*text].path.name();
        name.starts_with(b"node.")
    })
}

/// The Nodes among documents, also those of lists.
fn nodes(documents: &[Node]) -> Vec<Node> {
    let kind = |node: &Node| node.get("kind").and_then(Node::text).map(str::to_owned);
    let mut found = Vec::new();
    for document in documents {
        match kind(document).as_deref() {
            Some("Node") => found.push(document.clone()),
            Some(list) if list.ends_with("List") => {
                let items = document.get("items").map_or(&[][..], Node::items);
                let is_node = |node: &&Node| match kind(node).as_deref() {
                    Some(kind) => kind == "Node",
                    None => list == "NodeList",
                };
                found.extend(items.iter().filter(is_node).cloned());
            }
            _ => {}
        }
    }
    found
}

/// The one that is this node.
fn this<'n>(subject: &Subject, all: &'n [Node]) -> Option<&'n Node> {
    if let [one] = all {
        return Some(one);
    }
    let name = subject.text("etc/hostname")?.text.trim().to_lowercase();
    let is_this = |node: &&Node| {
        let found = node.at(&["metadata", "name"]).and_then(Node::text);
        found == Some(name.as_str())
    };
    all.iter().find(is_this)
}

/// A value of the object: its name is a path, or a key that may have dots.
fn found(work: &Work<'_>, name: &str, node: &Node) -> Found {
    let found = work.found(WHOSE, name, node, Some(node));
    match &node.value {
        Value::Text(text) if text.is_empty() || !may_be_shown(name, text) => Found {
            value: None,
            ..found
        },
        _ => found,
    }
}

/// What the cluster gave to the node.
fn spec(work: &mut Work<'_>, node: &Node) {
    let Some(spec) = node.get("spec") else {
        return;
    };
    for (name, value) in spec.entries() {
        let found = found(work, name, value);
        match name {
            "taints" => {}
            "podCIDR" | "podCIDRs" => {
                work.same(&found, "the cluster gives each node its addresses");
            }
            "providerID" => work.same(&found, "the cloud's controller says it when the node joins"),
            "unschedulable" if value.is(true) => {
                work.otherwise(
                    &found,
                    "it is cordoned; the new node is not, unless its object stays",
                );
            }
            "unschedulable" => work.same(&found, "nodes begin so"),
            _ => work.lost(
                &found,
                "it is not known here: see what it did, and whether it is missed",
            ),
        }
    }
}

/// What the node says of itself.
fn info(work: &mut Work<'_>, node: &Node) {
    let Some(info) = node.at(&["status", "nodeInfo"]) else {
        return;
    };
    for (name, value) in info.entries() {
        let found = found(work, name, value);
        let text = value.text().unwrap_or_default();
        match name {
            "machineID" | "systemUUID" | "bootID" => {
                let found = Found {
                    value: None,
                    ..found
                };
                work.same(&found, "each machine has its own");
            }
            "operatingSystem" if text == "linux" => work.same(&found, "images are of Linux"),
            "operatingSystem" => work.lost(&found, "images are of Linux alone"),
            "architecture" => {
                let wanted = work.draft.get(&["architecture"]);
                match wanted.and_then(toml::Value::as_str) == Some(text) {
                    true => work.same(&found, "the profile says it"),
                    false => work.lost(
                        &found,
                        "the profile is for another: give this one with `--arch`",
                    ),
                }
            }
            "containerRuntimeVersion" => {
                let ours = work.suite.containerd;
                work.otherwise(
                    &found,
                    &format!("it will be containerd://{ours} or later of its line"),
                );
            }
            "osImage" => {
                let suite = work.suite.name;
                work.otherwise(&found, &format!("it will be Debian's {suite}"));
            }
            "kernelVersion" => work.otherwise(&found, "it will be the suite's kernel"),
            "kubeletVersion" | "kubeProxyVersion" => {
                let minor = work.kubernetes.minor;
                let prefix = format!("v1.{minor}.");
                match text.starts_with(&prefix) {
                    true => work.same(&found, "it is the profile's Kubernetes"),
                    false => {
                        let why = format!("the profile's Kubernetes is 1.{minor}");
                        work.otherwise(&found, &why);
                    }
                }
            }
            "swap" => work.same(&found, "it is the machine's"),
            _ => work.lost(
                &found,
                "it is not known here: see what it did, and whether it is missed",
            ),
        }
    }
}
