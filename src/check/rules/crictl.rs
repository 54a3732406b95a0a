//! crictl's configuration.

use super::Rule;
use super::kubelet::socket;
use crate::check::document::Node;
use crate::check::facts::Facts;
use crate::check::facts::Parsed;
use crate::check::rule::{Found, Severity};
use crate::compat::crictl;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "ND-CTL-001",
        severity: Severity::Error,
        title: "a key of crictl.yaml that this crictl refuses",
        why: "crictl 1.19 and later take no file that has a key which they do not know. With `-c` or \
              CRI_CONFIG_FILE they do not run; /etc/crictl.yaml is passed over as a whole and without \
              a word, so that its endpoints and timeout do not count: crictl tries the sockets of all \
              runtimes.",
        fix: "take the key out",
        sources: &[
            "trap T25",
            "cri-tools v1.36.0: pkg/common/file.go, cmd/crictl/main.go",
        ],
        check: keys,
    },
    Rule {
        id: "ND-CTL-002",
        severity: Severity::Warning,
        title: "crictl.yaml names no endpoint",
        why: "crictl then tries the sockets of all runtimes one after the other, each until it times \
              out, and warns; up to 1.18 it tries dockershim's alone.",
        fix: "set `runtime-endpoint` (and `image-endpoint`) to containerd's socket",
        sources: &["cri-tools: docs/crictl.md"],
        check: endpoint_missing,
    },
    Rule {
        id: "ND-CTL-003",
        severity: Severity::Warning,
        title: "crictl's endpoint is not containerd's socket",
        why: "crictl shows another runtime than the one that runs the pods, or none.",
        fix: "set `runtime-endpoint` to containerd's socket",
        sources: &["cri-tools: docs/crictl.md"],
        check: endpoint_differs,
    },
    Rule {
        id: "ND-CTL-004",
        severity: Severity::Error,
        title: "crictl.yaml cannot be read",
        why: "crictl takes no file that is not YAML, or has values of the wrong type: `timeout` is a \
              whole number of seconds. With `-c` or CRI_CONFIG_FILE it does not run; /etc/crictl.yaml \
              is passed over without a word.",
        fix: "correct the file",
        sources: &["cri-tools v1.36.0: pkg/common/file.go"],
        check: broken,
    },
    Rule {
        id: "ND-CTL-005",
        severity: Severity::Note,
        title: "crictl.yaml has no image endpoint",
        why: "crictl takes the runtime's endpoint for images too; releases before 1.23 try all \
              sockets for it, and warn.",
        fix: "set `image-endpoint` as well",
        sources: &["cri-tools: docs/crictl.md"],
        check: image_endpoint,
    },
];

fn root<'f>(facts: &'f Facts<'_>) -> Option<&'f Node> {
    facts.crictl.as_ref().and_then(Parsed::root)
}

fn keys(facts: &Facts<'_>, found: &mut Found<'_>) {
    let version = facts.versions.crictl.as_ref().map(|said| said.version);
    if version.is_some_and(|version| version < crictl::STRICT) {
        return;
    }
    for (key, node) in root(facts).into_iter().flat_map(Node::entries) {
        if crictl::reads(key, version) {
            continue;
        }
        match version {
            Some(version) => found.at(node, format!("crictl {version} refuses `{key}`")),
            None => found.at(
                node,
                format!("not every crictl knows `{key}`, and most refuse what they do not know"),
            ),
        }
    }
}

fn endpoint_missing(facts: &Facts<'_>, found: &mut Found<'_>) {
    if let Some(parsed) = &facts.crictl
        && let Some(root) = parsed.root()
        && root
            .get("runtime-endpoint")
            .is_none_or(|node| node.shown().is_empty())
    {
        found.text(parsed.text, "there is no `runtime-endpoint`");
    } else if facts.crictl.is_none()
        && facts.subject.whole
        && facts.containerd.present
        && facts.versions.crictl.is_some()
    {
        found.at_path(
            "etc/crictl.yaml",
            "there is no such file, and crictl is in the node",
        );
    }
}

fn endpoint_differs(facts: &Facts<'_>, found: &mut Found<'_>) {
    if !facts.containerd.present {
        return;
    }
    let (theirs, _) = facts.containerd.socket();
    for key in ["runtime-endpoint", "image-endpoint"] {
        if let Some(node) = root(facts).and_then(|root| root.get(key))
            && let Some(value) = node.text().filter(|value| !value.is_empty())
            && socket(value) != socket(&theirs)
        {
            found.at_value(
                node,
                format!("`{value}`, and containerd listens at `{theirs}`"),
            );
        }
    }
}

fn broken(facts: &Facts<'_>, found: &mut Found<'_>) {
    let Some(parsed) = &facts.crictl else { return };
    match &parsed.node {
        Err(broken) => found.in_text(parsed.text, broken.span.start, broken.why.clone()),
        Ok(root) => {
            for (key, node) in root.entries() {
                let known = crictl::keys().iter().find(|known| known.name == key);
                if let Some(known) = known.filter(|known| !known.kind.fits(&node.json())) {
                    found.at_value(node, format!("`{key}` should be {}", known.kind.name()));
                }
            }
        }
    }
}

fn image_endpoint(facts: &Facts<'_>, found: &mut Found<'_>) {
    if let Some(parsed) = &facts.crictl
        && let Some(root) = parsed.root()
        && root.get("runtime-endpoint").is_some()
        && root.get("image-endpoint").is_none()
    {
        found.text(parsed.text, "there is no `image-endpoint`");
    }
}
