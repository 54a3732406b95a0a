//! What is left of Docker and dockershim.

use super::Rule;
use crate::check::facts::Facts;
use crate::check::rule::{Found, Severity};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "ND-DOC-001",
        severity: Severity::Warning,
        title: "the Docker daemon is in the node",
        why: "kubelet has no use for it from 1.24 on. Both it and the network add-on rewrite the \
              firewall (Docker sets the FORWARD policy to DROP), and its images and containers take \
              disk that kubelet does not see.",
        fix: "remove Docker's packages; mind that removing docker-ce may remove containerd.io too",
        sources: &[
            "kubernetes.io: Changing the container runtime on a node from Docker Engine to containerd",
        ],
        check: packages,
    },
    Rule {
        id: "ND-DOC-002",
        severity: Severity::Warning,
        title: "a Docker unit starts with the machine",
        why: "The daemon runs beside containerd, or fails at every start.",
        fix: "disable docker.service and docker.socket, or remove the package",
        sources: &[
            "kubernetes.io: Changing the container runtime on a node from Docker Engine to containerd",
        ],
        check: units,
    },
    Rule {
        id: "ND-DOC-003",
        severity: Severity::Error,
        title: "dockershim's socket is still named",
        why: "From Kubernetes 1.24 on nothing listens there. kubeadm reads the socket from its files \
              and from the node's annotation, and fails at the next upgrade; kubelet and crictl wait \
              for it.",
        fix: "write `unix:///run/containerd/containerd.sock` instead",
        sources: &[
            "KEP 2221",
            "kubernetes.io: Changing the container runtime on a node from Docker Engine to containerd",
        ],
        check: socket,
    },
    Rule {
        id: "ND-DOC-004",
        severity: Severity::Note,
        title: "Docker's daemon.json is in the node",
        why: "Mirrors, insecure registries, log sizes and proxies that it sets have no effect on \
              containerd.",
        fix: "move the settings to where containerd and kubelet have them, and remove the file",
        sources: &["kubernetes.io: Check whether dockershim removal affects you"],
        check: daemon_json,
    },
    Rule {
        id: "ND-DOC-005",
        severity: Severity::Warning,
        title: "Docker's data are in the image",
        why: "Images and containers in /var/lib/docker are not seen by containerd: they only take \
              space.",
        fix: "remove /var/lib/docker",
        sources: &["kubernetes.io: Check whether dockershim removal affects you"],
        check: data,
    },
    Rule {
        id: "ND-DOC-006",
        severity: Severity::Warning,
        title: "kubeadm's files have flags of dockershim",
        why: "kubeadm gives `kubeletExtraArgs` to kubelet when the node joins; kubelet 1.24 and later \
              exit on flags of dockershim.",
        fix: "take them out of `kubeletExtraArgs`",
        sources: &["kubernetes#106907", "trap T20"],
        check: extra_args,
    },
];

const PACKAGES: [&str; 8] = [
    "docker-ce",
    "docker.io",
    "docker-engine",
    "moby-engine",
    "docker-ee",
    "docker",
    "cri-dockerd",
    "docker-ce-rootless-extras",
];

fn packages(facts: &Facts<'_>, found: &mut Found<'_>) {
    if !facts.containerd.present {
        return;
    }
    for name in PACKAGES {
        if let Some(version) = facts.subject.packages.get(name) {
            found.nowhere(format!("package `{name}` {version}"));
        }
    }
    let programs = [
        "usr/bin/dockerd",
        "usr/local/bin/dockerd",
        "usr/sbin/dockerd",
    ];
    let packaged = PACKAGES
        .iter()
        .any(|name| facts.subject.packages.contains_key(*name));
    for path in programs
        .iter()
        .filter(|path| !packaged && facts.subject.names(path))
    {
        found.at_path(path, "the daemon's program");
    }
}

fn units(facts: &Facts<'_>, found: &mut Found<'_>) {
    for name in [
        "docker.service",
        "docker.socket",
        "cri-docker.service",
        "cri-docker.socket",
    ] {
        if facts.units.starts(name)
            && let Some(link) = facts.units.enabled.get(name)
        {
            found.at_path(link, format!("{name} is enabled"));
        }
    }
}

fn socket(facts: &Facts<'_>, found: &mut Found<'_>) {
    const SOCKETS: [&str; 2] = ["dockershim.sock", "/var/run/docker.sock"];
    if facts.minor().is_some_and(|minor| minor < 24) && !facts.containerd.present {
        return;
    }
    for (number, text) in facts.subject.texts.iter().enumerate() {
        let path = &text.path;
        let of_docker = path.is_within(b"etc/docker") || path.name().starts_with(b"docker");
        let of_cri_dockerd = path.name().starts_with(b"cri-docker");
        if of_docker || of_cri_dockerd {
            continue;
        }
        let mut start = 0;
        for line in text.text.split_inclusive('\n') {
            let comment = line.trim_start().starts_with('#');
            for socket in SOCKETS {
                // The Docker socket is named by many; only kubeadm's files mean the runtime.
                let means_it = socket == SOCKETS[0]
                    || line.contains("criSocket")
                    || line.contains("cri-socket");
                if let Some(at) = line.find(socket).filter(|_| means_it && !comment) {
                    found.in_text(number, start + at, format!("`{}`", line.trim()));
                }
            }
            start += line.len();
        }
    }
}

fn daemon_json(facts: &Facts<'_>, found: &mut Found<'_>) {
    if !facts.containerd.present {
        return;
    }
    if let Some(text) = facts.subject.text_at("etc/docker/daemon.json") {
        let value: serde_json::Value =
            serde_json::from_str(&facts.subject.texts[text].text).unwrap_or_default();
        let keys: Vec<_> = value
            .as_object()
            .into_iter()
            .flat_map(serde_json::Map::keys)
            .take(8)
            .collect();
        let keys: Vec<_> = keys.iter().map(|key| format!("`{key}`")).collect();
        let what = match keys.is_empty() {
            true => "it sets nothing".to_owned(),
            false => format!("it sets {}", keys.join(", ")),
        };
        found.text(text, what);
    }
}

fn data(facts: &Facts<'_>, found: &mut Found<'_>) {
    if facts.subject.below("var/lib/docker").next().is_some() {
        found.at_path("var/lib/docker", "it is not empty");
    }
}

fn extra_args(facts: &Facts<'_>, found: &mut Found<'_>) {
    for document in &facts.kubelet.kubeadm {
        let args = document.at(&["nodeRegistration", "kubeletExtraArgs"]);
        let Some(args) = args else { continue };
        // A mapping up to v1beta3, a list of names and values from v1beta4 on.
        let names = args.entries().map(|(name, node)| (name.to_owned(), node));
        let listed = args
            .items()
            .iter()
            .filter_map(|item| Some((item.get("name")?.shown(), item)));
        for (name, node) in names.chain(listed) {
            let known = crate::compat::kubelet::flag(&name);
            let number = facts.minor().unwrap_or(24);
            if known.is_some_and(|known| known.until.is_some() && !known.is_in(number)) {
                found.at(node, format!("kubelet 1.{number} has no flag `--{name}`"));
            }
        }
    }
}
