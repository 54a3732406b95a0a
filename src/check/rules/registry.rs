//! Registries: mirrors, and the files that describe them.

use std::collections::BTreeMap;

use super::Rule;
use crate::check::document::Node;
use crate::check::facts::Facts;
use crate::check::rule::{Found, Severity};
use crate::compat::{Version, hosts};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "ND-REG-001",
        severity: Severity::Warning,
        title: "`config_path` names several directories",
        why: "From containerd 2.1 on, pulls through the transfer service take directories that are \
              joined by `:` for the name of one, which does not exist: mirrors and certificates are \
              ignored without a word, and images come from the internet. The default of 2.2 and \
              later is such a list.",
        fix: "name exactly one directory, or set `use_local_image_pull = true`",
        sources: &[
            "trap T1",
            "containerd v2.3.4: core/transfer/registry/registry.go",
            "containerd#12808, #14168",
        ],
        check: several,
    },
    Rule {
        id: "ND-REG-002",
        severity: Severity::Error,
        title: "`mirrors` and `config_path` together",
        why: "containerd 1.5 and later refuse `registry.mirrors` where `config_path` is set: the \
              CRI plug-in does not load. In 2.2.0 and 2.2.1 the built-in `config_path` is enough.",
        fix: "write each mirror as a hosts.toml below `config_path`, and take `mirrors` out",
        sources: &[
            "trap T4",
            "containerd v2.2.0: internal/cri/config/config_unix.go",
            "containerd#12987",
        ],
        check: mirrors,
    },
    Rule {
        id: "ND-REG-003",
        severity: Severity::Error,
        title: "TLS settings of registries and `config_path` together",
        why: "containerd 1.5 to 1.7 refuse `registry.configs.*.tls` where `config_path` is set, and \
              2.0 has them no more.",
        fix: "write `ca`, `client` and `skip_verify` in hosts.toml",
        sources: &["containerd v1.7.34: pkg/cri/config/config.go (ValidatePluginConfig)"],
        check: tls,
    },
    Rule {
        id: "ND-REG-004",
        severity: Severity::Error,
        title: "a hosts.toml that containerd does not take",
        why: "A file with an error is only noted in containerd's log: the mirror and the `server` \
              that it names are ignored, and images come from the registry itself.",
        fix: "correct the file",
        sources: &[
            "trap T26",
            "containerd release/2.3: core/remotes/docker/config/hosts.go (loadHostDir)",
        ],
        check: hosts_files,
    },
    Rule {
        id: "ND-REG-005",
        severity: Severity::Warning,
        title: "a key of hosts.toml that containerd does not read",
        why: "Keys that it does not know are passed over.",
        fix: "take it out, or correct its name",
        sources: &["src/compat/hosts.toml"],
        check: hosts_keys,
    },
    Rule {
        id: "ND-REG-006",
        severity: Severity::Warning,
        title: "hosts.toml files that nothing reads",
        why: "Up to containerd 2.1 there is no default for `config_path`: files in \
              /etc/containerd/certs.d do nothing until it is set.",
        fix: "set `config_path = \"/etc/containerd/certs.d\"`",
        sources: &[
            "containerd v2.2.0: internal/cri/config/config_unix.go",
            "containerd release/1.7: docs/hosts.md",
        ],
        check: unread,
    },
    Rule {
        id: "ND-REG-007",
        severity: Severity::Warning,
        title: "`config_path` does not exist",
        why: "Mirrors that someone meant to describe there are not in the image.",
        fix: "make the directory, or take `config_path` out",
        sources: &["containerd release/1.7: docs/hosts.md"],
        check: missing,
    },
    Rule {
        id: "ND-REG-008",
        severity: Severity::Warning,
        title: "certificates of registries are not verified",
        why: "Whoever is between node and registry can give it any image.",
        fix: "name the registry's authority by `ca`",
        sources: &["containerd release/2.3: docs/hosts.md"],
        check: unverified,
    },
    Rule {
        id: "ND-REG-009",
        severity: Severity::Error,
        title: "a registry's password in the image",
        why: "Whoever can pull the node image can read it, and it cannot be changed without a new \
              image.",
        fix: "take it out: use pull secrets, or kubelet's credential providers",
        sources: &["containerd release/2.3: docs/cri/registry.md"],
        check: passwords,
    },
];

fn several(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    let local = config.files.iter().any(|file| {
        file.plugins().any(|(_, node)| {
            node.get("use_local_image_pull")
                .is_some_and(|node| node.is(true))
        })
    });
    let known = config.version.is_some();
    if local || (known && config.has("several-registry-directories").is_none()) {
        return;
    }
    if let Some(node) = config.config_path() {
        if node.text().is_some_and(|path| path.contains(':')) {
            found.at_value(
                node,
                "taken for the name of one directory by pulls through the transfer service",
            );
        }
    } else if config.has("default-registry-directories").is_some() {
        let described = config.files.is_empty() || hosts_of(facts, "etc/docker/certs.d").is_empty();
        let used = !hosts_of(facts, "etc/containerd/certs.d").is_empty() || !described;
        if used {
            found.nowhere("`config_path` is not set, and its default names two directories");
        }
    }
}

fn filled(node: &&Node) -> bool {
    node.entries().next().is_some()
}

fn mirrors(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    let default = config.has("mirrors-beside-default-directory").is_some();
    let set = config.config_path().is_some();
    if config.before(1, 5) || !(set || default) {
        return;
    }
    for registry in config.registry() {
        if let Some(node) = registry.get("mirrors").filter(filled) {
            let why = match set {
                true => "`mirrors` cannot be set where `config_path` is".to_owned(),
                false => {
                    let version = config.version.map(|version| version.to_string());
                    format!(
                        "containerd {} has a `config_path` by default",
                        version.unwrap_or_default()
                    )
                }
            };
            found.at(node, why);
        }
    }
}

fn tls(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    if config.from(2, 0) || config.before(1, 5) || config.config_path().is_none() {
        return;
    }
    for registry in config.registry() {
        for (_, host) in registry.get("configs").into_iter().flat_map(Node::entries) {
            if let Some(node) = host.get("tls") {
                found.at(node, "`tls` cannot be set where `config_path` is");
            }
        }
    }
}

/// The hosts.toml files below a folder: number of text, data.
fn hosts_of(facts: &Facts<'_>, folder: &str) -> BTreeMap<usize, ()> {
    let prefix = format!("{}/", folder.trim_matches('/'));
    let texts = facts.subject.texts_below(&prefix);
    texts
        .filter(|text| facts.subject.texts[*text].path.name() == b"hosts.toml")
        .map(|text| (text, ()))
        .collect()
}

/// Every hosts.toml that containerd reads, or would if `config_path` were set.
fn hosts_files_of(facts: &Facts<'_>) -> Vec<usize> {
    let said = facts.containerd.config_path().and_then(Node::text);
    let folders = said.unwrap_or("/etc/containerd/certs.d");
    folders
        .split(':')
        .flat_map(|folder| hosts_of(facts, folder).into_keys())
        .collect()
}

fn hosts_files(facts: &Facts<'_>, found: &mut Found<'_>) {
    let version = facts.containerd.version;
    for text in hosts_files_of(facts) {
        match Node::toml(&facts.subject.texts[text].text, text) {
            Err(broken) => found.in_text(text, broken.span.start, broken.why),
            Ok(root) => {
                host(&root, version, found);
                for (name, node) in root.get("host").into_iter().flat_map(Node::entries) {
                    if name.is_empty() || name.contains(char::is_whitespace) {
                        found.at(node, format!("`{name}` is no address"));
                    }
                    host(node, version, found);
                }
            }
        }
    }
}

/// What keeps containerd from taking a host's table.
fn host(node: &Node, version: Option<Version>, found: &mut Found<'_>) {
    for (name, value) in node.entries() {
        let Some(key) = hosts::key(name) else {
            continue;
        };
        if !key.fits(&value.json()) {
            let kinds: Vec<_> = key.kind.iter().map(|kind| kind.name()).collect();
            found.at_value(value, format!("`{name}` should be {}", kinds.join(" or ")));
        }
        if name == "capabilities" {
            for item in value.items() {
                let word = item.shown().to_lowercase();
                let known = hosts::capabilities()
                    .iter()
                    .find(|known| known.name == word);
                match (known, version) {
                    (None, _) => found.at_value(item, format!("there is no capability `{word}`")),
                    (Some(known), Some(version)) if version < known.from => {
                        found.at_value(
                            item,
                            format!(
                                "the capability `{word}` came with containerd {}",
                                known.from
                            ),
                        );
                    }
                    _ => {}
                }
            }
        }
    }
}

fn hosts_keys(facts: &Facts<'_>, found: &mut Found<'_>) {
    for text in hosts_files_of(facts) {
        let Ok(root) = Node::toml(&facts.subject.texts[text].text, text) else {
            continue;
        };
        let hosts = root
            .get("host")
            .into_iter()
            .flat_map(Node::entries)
            .map(|(_, node)| node);
        for (number, node) in std::iter::once(&root).chain(hosts).enumerate() {
            for (name, value) in node.entries() {
                match (hosts::key(name), facts.containerd.version) {
                    (None, _) => found.at(value, format!("`{name}`")),
                    (Some(key), _) if key.top && number > 0 => {
                        found.at(
                            value,
                            format!("`{name}` stands at the top of the file only"),
                        );
                    }
                    (Some(key), Some(version)) if version < key.from => {
                        found.at(value, format!("`{name}` came with containerd {}", key.from));
                    }
                    _ => {}
                }
            }
        }
    }
}

fn unread(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    if config.from(2, 2) || config.config_path().is_some() || config.files.is_empty() {
        return;
    }
    for text in hosts_of(facts, "etc/containerd/certs.d").into_keys() {
        found.text(text, "`config_path` is not set");
    }
}

fn missing(facts: &Facts<'_>, found: &mut Found<'_>) {
    if let Some(node) = facts
        .containerd
        .config_path()
        .filter(|_| facts.subject.whole)
        && let Some(path) = node.text()
        && path != "/etc/containerd/certs.d"
    {
        for folder in path.split(':').filter(|folder| !facts.subject.has(folder)) {
            found.at_value(node, format!("there is no `{folder}`"));
        }
    }
}

fn unverified(facts: &Facts<'_>, found: &mut Found<'_>) {
    for text in hosts_files_of(facts) {
        let Ok(root) = Node::toml(&facts.subject.texts[text].text, text) else {
            continue;
        };
        let hosts = root
            .get("host")
            .into_iter()
            .flat_map(Node::entries)
            .map(|(_, node)| node);
        for node in std::iter::once(&root).chain(hosts) {
            if let Some(value) = node.get("skip_verify").filter(|value| value.is(true)) {
                found.at(value, "`skip_verify` is true");
            }
        }
    }
    for registry in facts.containerd.registry() {
        for (host, node) in registry.get("configs").into_iter().flat_map(Node::entries) {
            if let Some(value) = node
                .at(&["tls", "insecure_skip_verify"])
                .filter(|value| value.is(true))
            {
                found.at(value, format!("`{host}` is not verified"));
            }
        }
    }
}

fn passwords(facts: &Facts<'_>, found: &mut Found<'_>) {
    for registry in facts.containerd.registry() {
        let configs = registry.get("configs").into_iter().flat_map(Node::entries);
        let auths = registry.get("auths").into_iter().flat_map(Node::entries);
        let auths = auths.chain(configs.filter_map(|(host, node)| Some((host, node.get("auth")?))));
        for (host, auth) in auths {
            for key in ["password", "auth", "identitytoken"] {
                if let Some(node) = auth
                    .get(key)
                    .filter(|node| node.text().is_some_and(|text| !text.is_empty()))
                {
                    found.at(node, format!("`{key}` for `{host}`"));
                }
            }
        }
    }
}
