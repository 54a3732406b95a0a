//! What kubelet and pods take for granted of a node.

mod files;
mod kernel;
mod units;

use self::files::{hosts, iptables, programs, resolver, swap, tmp};
use self::kernel::{bridge_module, bridges, forwarding, modules};
use self::units::{
    containerd_starts, dangling, few_files, infinite_files, kubelet_starts, startable, unit,
};
use super::Rule;
use crate::check::facts::Facts;
use crate::check::rule::Severity;

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
