//! Limits of containers: the specification that each container is made from.
//!
//! Where a profile says nothing, a container has the limits of containerd's own
//! process, which its unit sets. Limits of containers alone need a base
//! specification (config.json of the OCI runtime specification), which takes the
//! place of the one in containerd: ours is that one with other limits. Its lines
//! differ in the paths that they hide; ours hides all of them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::draft::Draft;
use crate::error::Result;

const PATH: &str = "etc/containerd/base-spec.json";

/// Makes it if the profile has limits; its path in the node.
pub(super) fn configure(draft: &mut Draft<'_>) -> Result<Option<&'static str>> {
    let said = &draft.profile.containerd.rlimits;
    if said.is_empty() {
        return Ok(None);
    }
    let mut limits = Vec::new();
    for (name, value) in said {
        let name = json!(name);
        let name = name.as_str().unwrap_or_default();
        let Some((soft, hard)) = limit(value.as_str()) else {
            let message = format!("`{value}` is not a limit", value = value.as_str());
            let keys = ["containerd", "rlimits", name];
            return Err(draft.refuse(message, &keys, "").hint(
                "write a number, two joined by a colon of which the second is no smaller, or \"unlimited\"",
            ));
        };
        let kind = format!("RLIMIT_{}", name.to_ascii_uppercase());
        limits.push(json!({"type": kind, "soft": soft, "hard": hard}));
        draft.set(format!("containerd.rlimits.{name}"), value.as_str());
    }
    let text = format!("{:#}\n", sorted(specification(&limits)));
    draft.text(PATH, &text);
    Ok(Some("/etc/containerd/base-spec.json"))
}

/// `SOFT:HARD`, or one for both.
fn limit(text: &str) -> Option<(u64, u64)> {
    let number = |text: &str| match text {
        "unlimited" | "infinity" => Some(u64::MAX),
        _ if text.starts_with('+') => None,
        _ => text.parse().ok(),
    };
    let (soft, hard) = text.split_once(':').unwrap_or((text, text));
    let (soft, hard) = (number(soft)?, number(hard)?);
    (soft <= hard).then_some((soft, hard))
}

/// What containerd itself begins with (`ctr oci spec`), but for the limits. CRI adds
/// what a pod asks for, and takes away what it must not have.
fn specification(limits: &[Value]) -> Value {
    let capabilities = [
        "CAP_CHOWN",
        "CAP_DAC_OVERRIDE",
        "CAP_FSETID",
        "CAP_FOWNER",
        "CAP_MKNOD",
        "CAP_NET_RAW",
        "CAP_SETGID",
        "CAP_SETUID",
        "CAP_SETFCAP",
        "CAP_SETPCAP",
        "CAP_NET_BIND_SERVICE",
        "CAP_SYS_CHROOT",
        "CAP_KILL",
        "CAP_AUDIT_WRITE",
    ];
    let mount = |at: &str, kind: &str, source: &str, options: &[&str]| json!({"destination": at, "type": kind, "source": source, "options": options});
    json!({
        // Any runc reads it; a newer one would be refused by an older runc.
        "ociVersion": "1.0.2",
        "root": {"path": "rootfs"},
        "process": {
            "cwd": "/",
            "noNewPrivileges": true,
            "user": {"uid": 0, "gid": 0},
            "capabilities": {
                "bounding": capabilities, "effective": capabilities, "permitted": capabilities,
            },
            "rlimits": limits,
        },
        "mounts": [
            mount("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
            mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
            mount("/dev/pts", "devpts", "devpts", &[
                "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5",
            ]),
            mount("/dev/shm", "tmpfs", "shm", &[
                "nosuid", "noexec", "nodev", "mode=1777", "size=65536k",
            ]),
            mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
            mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
            mount("/run", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        ],
        "linux": {
            "cgroupsPath": "/default",
            "namespaces": [
                {"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"},
                {"type": "network"},
            ],
            "resources": {"devices": [{"allow": false, "access": "rwm"}]},
            "maskedPaths": [
                "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware",
                "/sys/devices/virtual/powercap", "/proc/scsi",
            ],
            "readonlyPaths": [
                "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
            ],
        },
    })
}

/// With keys in order, whatever features of the JSON library are on.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(table) => {
            let table: BTreeMap<_, _> = table.into_iter().collect();
            let table = table.into_iter().map(|(key, value)| (key, sorted(value)));
            Value::Object(table.collect())
        }
        Value::Array(list) => list.into_iter().map(sorted).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        assert_eq!(limit("1024"), Some((1024, 1024)));
        assert_eq!(limit("1024:524288"), Some((1024, 524_288)));
        assert_eq!(limit("1024:unlimited"), Some((1024, u64::MAX)));
        for wrong in ["", "2:1", "-1", "+1", "1:2:3", "true", "1.5", ":"] {
            assert_eq!(limit(wrong), None, "{wrong}");
        }
    }
}
