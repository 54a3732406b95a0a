//! kubelet: flags and fields that its version has, cgroups, the runtime's socket.

use super::{Rule, nearest};
use crate::check::document::{Node, Value};
use crate::check::facts::Facts;
use crate::check::facts::kubelet::Flag;
use crate::check::rule::{Found, Severity};
use crate::compat::{kubelet, kubernetes};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "ND-KUB-001",
        severity: Severity::Error,
        title: "a flag that this kubelet does not have",
        why: "kubelet exits on a flag that it does not know. Flags of dockershim went with 1.24, \
              `--container-runtime` with 1.27, `--pod-infra-container-image` with 1.35.",
        fix: "take the flag out",
        sources: &["trap T20", "src/compat: kubelet's flags"],
        check: flags,
    },
    Rule {
        id: "ND-KUB-002",
        severity: Severity::Warning,
        title: "a field that this kubelet does not have",
        why: "kubelet passes over fields of its configuration that it does not know, with a line in \
              its log.",
        fix: "take the field out, or correct its name",
        sources: &[
            "kubernetes v1.28.0: pkg/kubelet/kubeletconfig/util/codec/codec.go",
            "src/compat: kubelet's fields",
        ],
        check: fields,
    },
    Rule {
        id: "ND-KUB-003",
        severity: Severity::Error,
        title: "kubelet's configuration cannot be read",
        why: "kubelet exits on a configuration that is not YAML, or not of its kind.",
        fix: "correct the file; it needs `apiVersion: kubelet.config.k8s.io/v1beta1` and `kind: KubeletConfiguration`",
        sources: &["kubernetes v1.28.0: cmd/kubelet/app/server.go (loadConfigFile)"],
        check: broken,
    },
    Rule {
        id: "ND-KUB-004",
        severity: Severity::Error,
        title: "kubelet and containerd have different cgroup drivers",
        why: "Pods seem to run, but their containers are outside of the groups that hold their \
              limits; under pressure the node falls apart. containerd 1.x cannot tell kubelet; with \
              2.x and kubelet 1.31 or later, containerd's word counts.",
        fix: "set `SystemdCgroup = true` in the runtime's options, and `cgroupDriver: systemd` for kubelet",
        sources: &["trap T17", "KEP 4033", "containerd#8722"],
        check: drivers,
    },
    Rule {
        id: "ND-KUB-005",
        severity: Severity::Warning,
        title: "containerd makes cgroups beside systemd",
        why: "systemd then does not know of pods' groups, and both change the same tree. With \
              containerd 2 and kubelet 1.31 or later this wins over kubelet's own `cgroupDriver: \
              systemd`, silently. The default is false in every release.",
        fix: "set `SystemdCgroup = true` in the runtime's options",
        sources: &[
            "trap T16",
            "containerd v2.3.4: internal/cri/server/runtime_config_linux.go",
            "KEP 4033",
        ],
        check: cgroupfs,
    },
    Rule {
        id: "ND-KUB-006",
        severity: Severity::Error,
        title: "cgroup v1 with a kubelet that refuses it",
        why: "From 1.35 on kubelet does not start on cgroup v1 unless `failCgroupV1` is false; \
              systemd 258 has no cgroup v1 any more.",
        fix: "take `systemd.unified_cgroup_hierarchy=0` out of the kernel command line",
        sources: &["trap T21", "KEP 5573"],
        check: cgroup_v1,
    },
    Rule {
        id: "ND-KUB-007",
        severity: Severity::Error,
        title: "kubelet is not told to use containerd",
        why: "Up to 1.23 kubelet uses dockershim, unless it is given `--container-runtime=remote` \
              and the endpoint; from 1.24 to 1.26 it needs the endpoint.",
        fix: "give kubelet `--container-runtime-endpoint=unix:///run/containerd/containerd.sock` (and `--container-runtime=remote` up to 1.23)",
        sources: &[
            "kubernetes#106907",
            "kubernetes v1.20.5: pkg/kubelet/config/flags.go",
        ],
        check: endpoint_missing,
    },
    Rule {
        id: "ND-KUB-008",
        severity: Severity::Error,
        title: "kubelet's endpoint is not containerd's socket",
        why: "kubelet waits for a runtime that is not there, and the node never becomes ready.",
        fix: "make both the same path",
        sources: &["containerd: defaults/defaults_unix.go"],
        check: endpoint_differs,
    },
    Rule {
        id: "ND-KUB-009",
        severity: Severity::Warning,
        title: "an endpoint without `unix://`",
        why: "Tools of 1.24 and later want the scheme; kubelet warns, and may not take it in the \
              future.",
        fix: "write `unix:///run/containerd/containerd.sock`",
        sources: &["kubernetes/minikube#16112"],
        check: endpoint_scheme,
    },
    Rule {
        id: "ND-KUB-010",
        severity: Severity::Error,
        title: "drop-ins for a kubelet that does not merge them",
        why: "`--config-dir` came with 1.28, where it needs `KUBELET_CONFIG_DROPIN_DIR_ALPHA` in its \
              environment; in 1.28 and 1.29 partial files reset fields to their defaults.",
        fix: "use drop-ins from 1.30 on, flags before",
        sources: &["KEP 3983", "kubernetes v1.28.0: cmd/kubelet/app/server.go"],
        check: drop_ins,
    },
    Rule {
        id: "ND-KUB-011",
        severity: Severity::Warning,
        title: "a flag in the image overrides what the cluster sets",
        why: "Flags win over the configuration that kubeadm writes when a node joins. An endpoint in \
              the image's own arguments cannot be changed by the cluster any more.",
        fix: "give it in the configuration, or leave it to kubeadm",
        sources: &[
            "kubernetes v1.28.0: cmd/kubelet/app/server.go (kubeletConfigFlagPrecedence)",
            "KEP 4656",
        ],
        check: overrides,
    },
    Rule {
        id: "ND-KUB-012",
        severity: Severity::Error,
        title: "settings of kubelet that exclude each other",
        why: "kubelet exits: `maxParallelImagePulls` has a meaning only where images are not pulled \
              one after the other.",
        fix: "set `serializeImagePulls: false`, or take `maxParallelImagePulls` out",
        sources: &[
            "KEP 3673",
            "kubernetes v1.28.0: pkg/kubelet/apis/config/validation/validation.go",
        ],
        check: pulls,
    },
    Rule {
        id: "ND-KUB-013",
        severity: Severity::Warning,
        title: "kubelet's anonymous or read-only access is open",
        why: "Whoever reaches the node's port 10255, or 10250 without authentication, reads all pods, \
              and runs commands in them.",
        fix: "set `readOnlyPort: 0`, `authentication.anonymous.enabled: false` and `authorization.mode: Webhook`",
        sources: &["CIS Kubernetes Benchmark 4.2.1, 4.2.2, 4.2.4"],
        check: open,
    },
    Rule {
        id: "ND-KUB-014",
        severity: Severity::Warning,
        title: "kubelet's configuration names a file that the image does not have",
        why: "Nothing in the image makes it, and it is not one that kubeadm writes.",
        fix: "add the file, or have kubeadm write /var/lib/kubelet/config.yaml",
        sources: &["kubernetes v1.28.0: cmd/kubelet/app/server.go"],
        check: missing,
    },
    Rule {
        id: "ND-KUB-016",
        severity: Severity::Error,
        title: "a value of another type than kubelet expects",
        why: "kubelet exits on a configuration that it cannot decode.",
        fix: "write a value of the type named",
        sources: &["src/compat/kubelet/fields.toml"],
        check: types,
    },
    Rule {
        id: "ND-KUB-015",
        severity: Severity::Note,
        title: "a kubelet flag that is deprecated",
        why: "It means the same as a field of the configuration, and will go in some release.",
        fix: "give it in KubeletConfiguration",
        sources: &[
            "kubernetes v1.28.0: cmd/kubelet/app/options/options.go (AddKubeletConfigFlags)",
        ],
        check: deprecated,
    },
];

/// A kubelet's minor and its row, where it is known.
fn minor(facts: &Facts<'_>) -> Option<(u32, &'static kubernetes::Minor)> {
    let number = facts.minor()?;
    Some((number, kubernetes::minor(number)?.row))
}

/// Every flag once: the last of its name.
fn every<'f>(facts: &'f Facts<'_>) -> impl Iterator<Item = &'f Flag> {
    let flags = &facts.kubelet.flags;
    flags
        .iter()
        .enumerate()
        .filter(|(at, flag)| !flags[at + 1..].iter().any(|later| later.name == flag.name))
        .map(|(_, flag)| flag)
}

fn flags(facts: &Facts<'_>, found: &mut Found<'_>) {
    let Some((number, row)) = minor(facts) else {
        return;
    };
    for flag in every(facts) {
        let name = &flag.name;
        let known = kubelet::flag(name);
        let why = match (kubelet::has_flag(name, number), known) {
            (Some(true), _) => continue,
            (Some(false), Some(known)) => match (known.from, known.until) {
                (_, Some(until)) if until <= number => format!("it was removed by 1.{until}"),
                (Some(from), _) => format!("it came with 1.{from}"),
                _ => continue,
            },
            // A minor beyond the tables may have flags that they do not have.
            _ if row.minor != number => continue,
            _ => {
                let near = nearest(name, kubelet::flags());
                near.map_or_else(
                    || "no kubelet has".to_owned(),
                    |near| format!("did you mean `--{near}`?"),
                )
            }
        };
        found.in_text(
            flag.text,
            flag.at,
            format!("kubelet 1.{number} has no flag `--{name}`: {why}"),
        );
    }
}

fn fields(facts: &Facts<'_>, found: &mut Found<'_>) {
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

fn types(facts: &Facts<'_>, found: &mut Found<'_>) {
    for (name, node) in facts.kubelet.fields() {
        if let Some(field) = kubelet::field(name)
            && node.value != Value::Null
            && !field.kind.fits(&node.json())
        {
            found.at_value(node, format!("`{name}` should be {}", field.kind.name()));
        }
    }
}

fn broken(facts: &Facts<'_>, found: &mut Found<'_>) {
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

/// Whether containerd tells kubelet its driver, and kubelet listens.
fn told(facts: &Facts<'_>) -> bool {
    let minor = facts.minor().is_some_and(|minor| minor >= 31);
    facts.containerd.from(2, 0) && minor
}

fn drivers(facts: &Facts<'_>, found: &mut Found<'_>) {
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

fn cgroupfs(facts: &Facts<'_>, found: &mut Found<'_>) {
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

fn cgroup_v1(facts: &Facts<'_>, found: &mut Found<'_>) {
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

/// The endpoint that kubelet is given: value, text, byte.
fn endpoint(facts: &Facts<'_>) -> Option<(String, usize, usize)> {
    facts
        .kubelet
        .said("container-runtime-endpoint", "containerRuntimeEndpoint")
}

fn endpoint_missing(facts: &Facts<'_>, found: &mut Found<'_>) {
    let Some((number, _)) = minor(facts) else {
        return;
    };
    if !facts.kubelet.present || !facts.containerd.present || number >= 27 {
        return;
    }
    // What kubeadm gives when the node joins is not in an image.
    let joins = facts.kubelet.config.is_some() && facts.kubelet.flags.is_empty();
    if joins {
        return;
    }
    let runtime = facts
        .kubelet
        .flag("container-runtime")
        .map(|flag| flag.value.as_str());
    if number < 24 && runtime != Some("remote") {
        found.nowhere(format!(
            "kubelet 1.{number} uses dockershim: there is no `--container-runtime=remote`"
        ));
    } else if endpoint(facts).is_none() {
        found.nowhere(format!(
            "kubelet 1.{number} is given no `--container-runtime-endpoint`"
        ));
    }
}

/// A socket's path without its scheme, `/var/run` by its real name.
pub(super) fn socket(endpoint: &str) -> String {
    let path = endpoint.strip_prefix("unix:").unwrap_or(endpoint);
    let path = format!("/{}", path.trim_start_matches('/'));
    match path.strip_prefix("/var/run/") {
        Some(rest) => format!("/run/{rest}"),
        None => path,
    }
}

fn endpoint_differs(facts: &Facts<'_>, found: &mut Found<'_>) {
    let Some((value, text, at)) = endpoint(facts) else {
        return;
    };
    if !facts.containerd.present || value.is_empty() {
        return;
    }
    let (theirs, _) = facts.containerd.socket();
    if socket(&value) != socket(&theirs) {
        found.in_text(
            text,
            at,
            format!("kubelet has `{value}`, and containerd `{theirs}`"),
        );
    }
}

fn endpoint_scheme(facts: &Facts<'_>, found: &mut Found<'_>) {
    if let Some((value, text, at)) = endpoint(facts)
        && value.starts_with('/')
        && facts.minor().is_none_or(|minor| minor >= 24)
    {
        found.in_text(text, at, format!("`{value}` has no `unix://`"));
    }
}

fn drop_ins(facts: &Facts<'_>, found: &mut Found<'_>) {
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

fn overrides(facts: &Facts<'_>, found: &mut Found<'_>) {
    let Some(number) = facts.minor().filter(|number| *number >= 27) else {
        return;
    };
    for flag in every(facts) {
        let path = &facts.subject.texts[flag.text].path.to_string();
        let own = ["etc/default/kubelet", "etc/sysconfig/kubelet"].contains(&path.as_str());
        if own && ["container-runtime-endpoint", "cgroup-driver"].contains(&flag.name.as_str()) {
            found.in_text(
                flag.text,
                flag.at,
                format!("`--{}` wins over what kubeadm 1.{number} writes", flag.name),
            );
        }
    }
}

fn pulls(facts: &Facts<'_>, found: &mut Found<'_>) {
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

fn open(facts: &Facts<'_>, found: &mut Found<'_>) {
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

fn missing(facts: &Facts<'_>, found: &mut Found<'_>) {
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

fn deprecated(facts: &Facts<'_>, found: &mut Found<'_>) {
    let Some((number, row)) = minor(facts) else {
        return;
    };
    if !row.config_drop_ins.are_usable() {
        return;
    }
    for flag in every(facts) {
        if let Some(field) = kubelet::field_of(&flag.name)
            .filter(|_| kubelet::has_flag(&flag.name, number) == Some(true))
            && kubelet::field(field).is_some_and(|field| field.from <= number)
        {
            found.in_text(
                flag.text,
                flag.at,
                format!("`--{}`: the field `{field}` means the same", flag.name),
            );
        }
    }
}
