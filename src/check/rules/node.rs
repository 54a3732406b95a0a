//! What kubelet and pods take for granted of a node.

use super::Rule;
use crate::check::facts::Facts;
use crate::check::rule::{Found, Severity};
use crate::check::subject::ReadOnly;
use crate::tree::Node;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "ND-NODE-001",
        severity: Severity::Warning,
        title: "a module that the kernel does not have",
        why: "The unit that loads modules fails at every boot, the machine counts as degraded, and \
              what needs the module fails later.",
        fix: "take it out, or install a kernel that has it",
        sources: &["modules-load.d(5)"],
        check: modules,
    },
    Rule {
        id: "ND-NODE-002",
        severity: Severity::Error,
        title: "packets are not forwarded",
        why: "Without `net.ipv4.ip_forward` pods reach nothing but their own node, and kubeadm \
              refuses to join. Docker used to set it silently.",
        fix: "set `net.ipv4.ip_forward = 1` in /usr/lib/sysctl.d",
        sources: &[
            "kubernetes.io: Container Runtimes (Enable IPv4 packet forwarding)",
            "kubeadm preflight",
        ],
        check: forwarding,
    },
    Rule {
        id: "ND-NODE-003",
        severity: Severity::Warning,
        title: "packets of bridges pass by the firewall",
        why: "kubeadm up to 1.29 refuses to join unless `net.bridge.bridge-nf-call-iptables` is 1, \
              and network add-ons with a bridge need it: services do not reach pods of the same node.",
        fix: "load `br_netfilter`, and set `net.bridge.bridge-nf-call-iptables` and `…-ip6tables` to 1",
        sources: &["kubernetes#123464", "kubernetes.io: Container Runtimes"],
        check: bridges,
    },
    Rule {
        id: "ND-NODE-004",
        severity: Severity::Error,
        title: "swap is on",
        why: "kubelet exits where there is swap, unless `failSwapOn` is false.",
        fix: "take the swap out of fstab and of the units, or set `failSwapOn: false`",
        sources: &["kubernetes: KubeletConfiguration failSwapOn"],
        check: swap,
    },
    Rule {
        id: "ND-NODE-005",
        severity: Severity::Error,
        title: "nothing can write to /tmp",
        why: "On a read-only root without a tmpfs on /tmp, pods start and every exec in them fails: \
              `open /tmp/runc-process…: read-only file system`.",
        fix: "enable tmp.mount",
        sources: &["seen on Debian 12 with a read-only root"],
        check: tmp,
    },
    Rule {
        id: "ND-NODE-006",
        severity: Severity::Warning,
        title: "a program that kubelet or kubeadm calls is not there",
        why: "kubeadm's preflight refuses without `conntrack`, `iptables`, `ip`, `mount` and \
              `nsenter`; the `portmap` plug-in, which serves host ports, calls the node's iptables.",
        fix: "install it",
        sources: &["kubernetes: cmd/kubeadm/app/preflight/checks.go (InPathCheck)"],
        check: programs,
    },
    Rule {
        id: "ND-NODE-007",
        severity: Severity::Note,
        title: "iptables writes to the old tables",
        why: "kube-proxy and network add-ons bring their own iptables, which may choose nftables; \
              rules in both tables contradict each other.",
        fix: "use iptables-nft: `update-alternatives --set iptables /usr/sbin/iptables-nft`",
        sources: &["kubernetes-sigs/iptables-wrappers"],
        check: iptables,
    },
    Rule {
        id: "ND-NODE-008",
        severity: Severity::Error,
        title: "an enabled unit cannot start",
        why: "Its program is not in the image.",
        fix: "add the program, or disable the unit",
        sources: &["systemd.service(5): ExecStart"],
        check: startable,
    },
    Rule {
        id: "ND-NODE-009",
        severity: Severity::Warning,
        title: "an enabled unit is not there",
        why: "The link that enables it leads nowhere.",
        fix: "remove the link, or add the unit",
        sources: &["systemd.unit(5)"],
        check: dangling,
    },
    Rule {
        id: "ND-NODE-010",
        severity: Severity::Warning,
        title: "containerd does not start with the machine",
        why: "Nothing that is enabled pulls containerd.service in, and kubelet waits for it.",
        fix: "enable containerd.service",
        sources: &["containerd: containerd.service (WantedBy)"],
        check: containerd_starts,
    },
    Rule {
        id: "ND-NODE-011",
        severity: Severity::Note,
        title: "kubelet does not start with the machine",
        why: "A node that has joined once stays away after a reboot.",
        fix: "enable kubelet.service",
        sources: &["kubernetes.io: kubelet integration (the kubelet drop-in file)"],
        check: kubelet_starts,
    },
    Rule {
        id: "ND-NODE-012",
        severity: Severity::Warning,
        title: "too few open files for containers",
        why: "Containers inherit containerd's limits. From 2.0 on its unit sets none, and systemd \
              before 240 falls back to the kernel's 4096; databases and proxies need more.",
        fix: "set `LimitNOFILE=1024:524288` in a drop-in of containerd.service",
        sources: &["trap T29", "containerd release/2.3: docs/containerd-2.0.md"],
        check: few_files,
    },
    Rule {
        id: "ND-NODE-013",
        severity: Severity::Note,
        title: "unlimited open files for containers",
        why: "Programs that close or allocate for every possible descriptor take minutes or \
              gigabytes with a limit of a billion (old yum, MySQL, Java). containerd dropped \
              `infinity` from its unit in 2.0.",
        fix: "set `LimitNOFILE=1024:524288` in a drop-in of containerd.service",
        sources: &[
            "containerd#8924",
            "containerd release/2.3: docs/containerd-2.0.md",
        ],
        check: infinite_files,
    },
    Rule {
        id: "ND-NODE-014",
        severity: Severity::Error,
        title: "there is no /etc/resolv.conf",
        why: "kubelet copies it for every pod; without it the node is ready, and every pod fails: \
              `open /etc/resolv.conf: no such file or directory`.",
        fix: "make a link to a runtime file, like /run/systemd/resolve/resolv.conf, or set `resolvConf`",
        sources: &["seen with kubelet 1.20"],
        check: resolver,
    },
    Rule {
        id: "ND-NODE-017",
        severity: Severity::Error,
        title: "there is no /etc/hosts",
        why: "containerd copies it for every pod; without it the node is ready, and every pod fails: \
              `open /etc/hosts: no such file or directory`. Debian's containerd brings it up to trixie \
              alone, by the package netbase.",
        fix: "make the file, or install netbase",
        sources: &["seen with containerd 1.6.20, 1.7.24 and 2.1.9"],
        check: hosts,
    },
    Rule {
        id: "ND-NODE-015",
        severity: Severity::Error,
        title: "containerd's unit kills the containers",
        why: "Shims live in containerd.service's cgroup: with any `KillMode` but `process` (or \
              `mixed` with care), restarting containerd ends every pod. Without `Delegate` systemd \
              moves their groups about.",
        fix: "set `KillMode=process` and `Delegate=yes`",
        sources: &["containerd: containerd.service"],
        check: unit,
    },
    Rule {
        id: "ND-NODE-016",
        severity: Severity::Warning,
        title: "kernel settings of the pods' network that cannot be set",
        why: "`net.bridge.*` exist only once `br_netfilter` is loaded: systemd-sysctl skips them, \
              and whatever loads the module later finds them at their defaults.",
        fix: "load `br_netfilter` by /usr/lib/modules-load.d",
        sources: &["sysctl.d(5)"],
        check: bridge_module,
    },
];

/// Whether the subject is a node's whole root.
fn is_node(facts: &Facts<'_>) -> bool {
    facts.subject.whole && (facts.containerd.present || facts.kubelet.present)
}

fn modules(facts: &Facts<'_>, found: &mut Found<'_>) {
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

fn forwarding(facts: &Facts<'_>, found: &mut Found<'_>) {
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

fn bridges(facts: &Facts<'_>, found: &mut Found<'_>) {
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

fn bridge_module(facts: &Facts<'_>, found: &mut Found<'_>) {
    if !is_node(facts) || facts.kernel.modules.contains_key("br_netfilter") {
        return;
    }
    if let Some(said) = facts.kernel.sysctl.get(BRIDGES[0]) {
        found.in_text(said.text, said.at, "nothing loads `br_netfilter`");
    }
}

fn swap(facts: &Facts<'_>, found: &mut Found<'_>) {
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

fn tmp(facts: &Facts<'_>, found: &mut Found<'_>) {
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

fn programs(facts: &Facts<'_>, found: &mut Found<'_>) {
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

fn iptables(facts: &Facts<'_>, found: &mut Found<'_>) {
    let path = "etc/alternatives/iptables";
    if let Some(entry) = facts.subject.tree.entries.get(path.as_bytes())
        && let Node::Symlink(target) = &entry.node
        && target.name().ends_with(b"-legacy")
        && is_node(facts)
    {
        found.at_path(path, format!("it leads to `{target}`"));
    }
}

fn startable(facts: &Facts<'_>, found: &mut Found<'_>) {
    if !facts.subject.whole {
        return;
    }
    for name in facts
        .units
        .enabled
        .keys()
        .filter(|name| name.ends_with(".service"))
    {
        if !facts.units.starts(name) {
            continue;
        }
        let Some(unit) = facts.units.units.get(name) else {
            continue;
        };
        let conditions = [
            "ConditionPathExists",
            "ConditionFileIsExecutable",
            "AssertPathExists",
        ];
        let depends = |setting: &str| !unit.all("Unit", setting).is_empty();
        let Some(start) = unit
            .last("Service", "ExecStart")
            .filter(|_| !conditions.iter().any(|name| depends(name)))
        else {
            continue;
        };
        let program = start.value.split_whitespace().next().unwrap_or_default();
        let lenient = program.starts_with('-');
        let program = program.trim_start_matches(['-', '@', ':', '+', '!', '|']);
        let is_path = program.starts_with('/') && !program.contains(['%', '$', '"']);
        if is_path && !lenient && !facts.subject.has(program) {
            found.in_text(
                start.text,
                start.at,
                format!("{name}: there is no `{program}`"),
            );
        }
    }
}

fn dangling(facts: &Facts<'_>, found: &mut Found<'_>) {
    if !facts.subject.whole || facts.units.units.is_empty() {
        return;
    }
    for (name, link) in &facts.units.enabled {
        let template = name.split_once('@').map(|(start, rest)| {
            let kind = rest.rsplit('.').next().unwrap_or_default();
            format!("{start}@.{kind}")
        });
        let names = [Some(name.clone()), template];
        let there = names.into_iter().flatten().any(|name| {
            super::super::facts::units::FOLDERS
                .iter()
                .any(|folder| facts.subject.has(&format!("{folder}/{name}")))
        });
        // Generators make units of mounts and swaps from fstab.
        let made = name.ends_with(".mount") || name.ends_with(".swap") || name.ends_with(".device");
        if !there && !made && link.starts_with("etc/") && !facts.subject.has(link) {
            found.at_path(link, format!("there is no unit {name}"));
        }
    }
}

/// Whether a unit starts, or is pulled in by one that does.
fn is_pulled(facts: &Facts<'_>, name: &str, depth: u8) -> bool {
    if facts.units.starts(name) {
        return true;
    }
    depth > 0
        && facts.units.units.iter().any(|(other, unit)| {
            let wants = ["Wants", "Requires", "BindsTo"].iter().any(|key| {
                let all = unit.all("Unit", key);
                all.iter()
                    .any(|setting| setting.value.split_whitespace().any(|word| word == name))
            });
            wants && other != name && is_pulled(facts, other, depth - 1)
        })
}

fn containerd_starts(facts: &Facts<'_>, found: &mut Found<'_>) {
    let unit = facts
        .units
        .units
        .get("containerd.service")
        .and_then(|unit| unit.file);
    if let Some(text) = unit.filter(|_| facts.subject.whole)
        && !is_pulled(facts, "containerd.service", 3)
    {
        found.text(text, "containerd.service is not enabled");
    }
}

fn kubelet_starts(facts: &Facts<'_>, found: &mut Found<'_>) {
    let unit = facts
        .units
        .units
        .get("kubelet.service")
        .and_then(|unit| unit.file);
    if let Some(text) = unit.filter(|_| facts.subject.whole)
        && !is_pulled(facts, "kubelet.service", 3)
    {
        found.text(text, "kubelet.service is not enabled");
    }
}

/// The fewest open files that are enough for what runs on nodes.
const FEW: u64 = 65_536;

/// A unit's limit of open files, as it is written.
fn limit<'f>(facts: &'f Facts<'_>) -> Option<&'f super::super::facts::units::Setting> {
    facts
        .units
        .units
        .get("containerd.service")?
        .last("Service", "LimitNOFILE")
}

fn few_files(facts: &Facts<'_>, found: &mut Found<'_>) {
    let unit = facts
        .units
        .units
        .get("containerd.service")
        .and_then(|unit| unit.file);
    let Some(text) = unit else { return };
    match limit(facts) {
        Some(limit) => {
            let hard = limit.value.rsplit(':').next().unwrap_or_default();
            if let Some(number) = hard.parse::<u64>().ok().filter(|number| *number < FEW) {
                found.in_text(limit.text, limit.at, format!("at most {number}"));
            }
        }
        None if facts.containerd.has("open-files-by-systemd").is_some() => {
            let old = facts
                .versions
                .systemd
                .as_ref()
                .filter(|said| said.version.major < 240);
            if let Some(said) = old {
                found.text(
                    text,
                    format!(
                        "no LimitNOFILE, and systemd {} falls back to 4096",
                        said.version.major
                    ),
                );
            }
        }
        None => {}
    }
}

fn infinite_files(facts: &Facts<'_>, found: &mut Found<'_>) {
    if let Some(limit) = limit(facts)
        && limit.value.rsplit(':').next() == Some("infinity")
    {
        found.in_text(limit.text, limit.at, "LimitNOFILE=infinity");
    }
}

fn resolver(facts: &Facts<'_>, found: &mut Found<'_>) {
    let said = facts.kubelet.said("resolv-conf", "resolvConf").is_some();
    if is_node(facts) && !said && !facts.subject.names("etc/resolv.conf") {
        found.at_path(
            "etc/resolv.conf",
            "it is not there, and kubelet is told no other",
        );
    }
}

fn hosts(facts: &Facts<'_>, found: &mut Found<'_>) {
    if facts.subject.whole && facts.containerd.present && !facts.subject.names("etc/hosts") {
        found.at_path(
            "etc/hosts",
            "it is not there, and every pod is given a copy",
        );
    }
}

fn unit(facts: &Facts<'_>, found: &mut Found<'_>) {
    let Some(unit) = facts.units.units.get("containerd.service") else {
        return;
    };
    let Some(text) = unit.file else { return };
    match unit.last("Service", "KillMode") {
        Some(mode) if !["process", "mixed", "none"].contains(&mode.value.as_str()) => {
            found.in_text(mode.text, mode.at, format!("KillMode={}", mode.value));
        }
        None => found.text(
            text,
            "there is no KillMode: systemd's default is `control-group`",
        ),
        _ => {}
    }
    let delegate = unit
        .last("Service", "Delegate")
        .map(|setting| setting.value.as_str());
    if delegate.is_none_or(|value| ["no", "false", "0", "off"].contains(&value)) {
        found.text(text, "there is no `Delegate=yes`");
    }
}
