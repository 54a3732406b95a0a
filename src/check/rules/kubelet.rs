//! kubelet: flags and fields that its version has, cgroups, the runtime's socket.

mod cgroups;
mod config;
mod endpoint;
mod flags;

use self::cgroups::{cgroup_v1, cgroupfs, drivers};
use self::config::{broken, drop_ins, fields, missing, open, pulls, types};
pub(super) use self::endpoint::socket;
use self::endpoint::{endpoint_differs, endpoint_missing, endpoint_scheme};
use self::flags::{deprecated, flags, overrides};
use super::Rule;
use crate::check::facts::Facts;
use crate::check::rule::Severity;
use crate::compat::kubernetes;

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
