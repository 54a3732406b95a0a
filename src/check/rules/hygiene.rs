//! What should be in no image: one machine's identity, secrets, leftovers, and
//! permissions that nobody meant.

mod secrets;

use std::collections::BTreeSet;

use super::Rule;
use crate::check::facts::Facts;
use crate::check::rule::{Found, Severity};
use crate::tree::{Entry, Node, TreePath};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "ND-HYG-001",
        severity: Severity::Error,
        title: "a machine-id in the image",
        why: "Every node made from it is the same machine: to systemd's journal and DHCP client, to \
              clouds, and to network add-ons.",
        fix: "write `uninitialized` (or nothing) to /etc/machine-id, and remove /var/lib/dbus/machine-id",
        sources: &["machine-id(5)"],
        check: machine_id,
    },
    Rule {
        id: "ND-HYG-002",
        severity: Severity::Error,
        title: "SSH host keys in the image",
        why: "Every node has the same keys, and whoever has the image can pass for any of them.",
        fix: "remove /etc/ssh/ssh_host_*; make them at first boot",
        sources: &["sshd(8)"],
        check: host_keys,
    },
    Rule {
        id: "ND-HYG-003",
        severity: Severity::Warning,
        title: "a random seed in the image",
        why: "Every node begins with the same randomness.",
        fix: "remove the file",
        sources: &["systemd.io/RANDOM_SEEDS"],
        check: random_seed,
    },
    Rule {
        id: "ND-HYG-004",
        severity: Severity::Warning,
        title: "the build machine's resolv.conf in the image",
        why: "kubelet hands it to every pod; the servers that it names may not be reachable from \
              there.",
        fix: "make it a link to a runtime file",
        sources: &["kubernetes.io: Customizing DNS Service"],
        check: resolv_conf,
    },
    Rule {
        id: "ND-HYG-005",
        severity: Severity::Warning,
        title: "a hostname in the image",
        why: "Nodes that do not get another by DHCP or metadata register under the same name.",
        fix: "remove /etc/hostname",
        sources: &["hostname(5)"],
        check: hostname,
    },
    Rule {
        id: "ND-HYG-006",
        severity: Severity::Error,
        title: "a private key or a token in the image",
        why: "Whoever can pull the image has it, and it stays in the layer even where a later one \
              removes it.",
        fix: "remove it, and replace it wherever it is valid; nodes take secrets at boot, as credentials",
        sources: &["docs/identity.md"],
        check: secrets::others,
    },
    Rule {
        id: "ND-HYG-007",
        severity: Severity::Warning,
        title: "a shell's history in the image",
        why: "It tells what was typed on the build machine, passwords included.",
        fix: "remove the file",
        sources: &["bash(1): HISTFILE"],
        check: histories,
    },
    Rule {
        id: "ND-HYG-008",
        severity: Severity::Note,
        title: "package lists and caches in the image",
        why: "They take space, change with every build, and are stale when a node starts.",
        fix: "remove /var/lib/apt/lists/*, /var/cache/apt and the like",
        sources: &["apt.conf(5): Dir::State::lists"],
        check: apt_lists,
    },
    Rule {
        id: "ND-HYG-009",
        severity: Severity::Warning,
        title: "everyone may write to it",
        why: "Any user or escaped container changes what others run or read. Directories that \
              everyone may write to have the sticky bit.",
        fix: "take the permission away, or set the sticky bit",
        sources: &["chmod(2)"],
        check: world_writable,
    },
    Rule {
        id: "ND-HYG-010",
        severity: Severity::Warning,
        title: "a program that runs as another user",
        why: "Each setuid or setgid program that is not one of a distribution's usual ones is a way \
              to become root.",
        fix: "take the bit away, or accept the finding in a baseline",
        sources: &["CIS Debian Linux Benchmark: setuid and setgid programs"],
        check: setuid,
    },
    Rule {
        id: "ND-HYG-011",
        severity: Severity::Warning,
        title: "files of nobody that is known",
        why: "Whoever gets that number later owns them.",
        fix: "change their owner, or add the user or group",
        sources: &["CIS Debian Linux Benchmark: unowned files"],
        check: unknown_ids,
    },
    Rule {
        id: "ND-HYG-012",
        severity: Severity::Note,
        title: "files newer than the image",
        why: "Their times are the build machine's clock, so that no second build is the same.",
        fix: "build with SOURCE_DATE_EPOCH",
        sources: &["reproducible-builds.org: SOURCE_DATE_EPOCH"],
        check: times,
    },
    Rule {
        id: "ND-HYG-013",
        severity: Severity::Warning,
        title: "cloud-init has run in the image",
        why: "It takes a node for an instance that it has set up already, and leaves out what it \
              does once: keys, users, disks.",
        fix: "run `cloud-init clean --logs --machine-id`, or remove /var/lib/cloud/instances and its kin",
        sources: &["cloud-init: `cloud-init clean`"],
        check: cloud_init,
    },
    Rule {
        id: "ND-HYG-014",
        severity: Severity::Note,
        title: "logs in the image",
        why: "They tell of the build machine, and change with every build.",
        fix: "empty /var/log",
        sources: &["bootc: container lint (var-log)"],
        check: logs,
    },
    Rule {
        id: "ND-HYG-015",
        severity: Severity::Warning,
        title: "the build machine's network in the image",
        why: "Leases and names of network cards of one machine mislead others: interfaces get other \
              names, addresses collide.",
        fix: "remove the file",
        sources: &["udev: persistent-net rules", "dhclient.leases(5)"],
        check: network,
    },
    Rule {
        id: "ND-HYG-016",
        severity: Severity::Error,
        title: "a node that has joined a cluster",
        why: "The image holds a kubelet's identity: every node made from it is that node.",
        fix: "run `kubeadm reset` before taking an image, or remove /var/lib/kubelet/pki and /etc/kubernetes/kubelet.conf",
        sources: &["kubernetes.io: kubeadm reset"],
        check: joined,
    },
    Rule {
        id: "ND-HYG-017",
        severity: Severity::Error,
        title: "a node's credentials in the image",
        why: "With what a node joins its cluster by, or logs in to registries with, so can whoever \
              pulls the image; and when it expires or is changed, every image is of no use.",
        fix: "remove it, and replace it wherever it is valid; give it to each node at boot, as the \
              credential that the finding names",
        sources: &[
            "docs/identity.md",
            "kubernetes.io: Authenticating with Bootstrap Tokens",
        ],
        check: secrets::credentials,
    },
];

/// A text's first line, without blanks.
fn line<'f>(facts: &'f Facts<'_>, path: &str) -> Option<(usize, &'f str)> {
    let at = facts.subject.text_at(path)?;
    Some((at, facts.subject.texts[at].text.trim()))
}

fn machine_id(facts: &Facts<'_>, found: &mut Found<'_>) {
    if let Some((at, id)) = line(facts, "etc/machine-id")
        && !id.is_empty()
        && id != "uninitialized"
    {
        found.text(at, "it is set");
    }
    let dbus = "var/lib/dbus/machine-id";
    let is_file = facts.subject.tree.file(&TreePath::from(dbus)).is_some();
    if is_file && line(facts, dbus).is_some_and(|(_, id)| !id.is_empty()) {
        found.at_path(dbus, "it is set, and is no link to /etc/machine-id");
    }
}

/// Every path of the tree by name that `is_it`.
fn paths(
    facts: &Facts<'_>,
    found: &mut Found<'_>,
    message: &str,
    is_it: impl Fn(&str, &Entry) -> bool,
) {
    for (path, entry) in &facts.subject.tree.entries {
        if let Ok(text) = std::str::from_utf8(path.as_bytes())
            && is_it(text, entry)
        {
            found.at_path(path, message);
        }
    }
}

/// A regular file that is not empty.
fn is_filled(entry: &Entry) -> bool {
    matches!(entry.node, Node::File { size, .. } if size > 0)
}

fn host_keys(facts: &Facts<'_>, found: &mut Found<'_>) {
    paths(facts, found, "a host key", |path, entry| {
        path.starts_with("etc/ssh/ssh_host_") && path.ends_with("_key") && is_filled(entry)
    });
}

fn random_seed(facts: &Facts<'_>, found: &mut Found<'_>) {
    const PATHS: [&str; 5] = [
        "var/lib/systemd/random-seed",
        "var/lib/random-seed",
        "var/lib/urandom/random-seed",
        "boot/loader/random-seed",
        "efi/loader/random-seed",
    ];
    paths(facts, found, "a random seed", |path, entry| {
        PATHS.contains(&path) && is_filled(entry)
    });
}

fn resolv_conf(facts: &Facts<'_>, found: &mut Found<'_>) {
    let path = TreePath::from("etc/resolv.conf");
    if facts.subject.tree.file(&path).is_none() {
        return;
    }
    if let Some((at, text)) = line(facts, "etc/resolv.conf") {
        let servers: Vec<_> = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("nameserver"))
            .map(str::trim)
            .collect();
        if !servers.is_empty() {
            found.text(at, format!("it names {}", servers.join(", ")));
        }
    }
}

fn hostname(facts: &Facts<'_>, found: &mut Found<'_>) {
    if let Some((at, name)) = line(facts, "etc/hostname") {
        let name = name
            .lines()
            .find(|line| !line.starts_with('#'))
            .unwrap_or_default();
        if !["", "localhost", "localhost.localdomain"].contains(&name) {
            found.text(at, format!("`{name}`"));
        }
    }
}

fn histories(facts: &Facts<'_>, found: &mut Found<'_>) {
    paths(facts, found, "a history", |path, entry| {
        let home = path.starts_with("root/") || path.starts_with("home/");
        let name = path.rsplit('/').next().unwrap_or_default();
        home && name.starts_with('.')
            && (name.ends_with("_history") || name == ".lesshst" || name == ".viminfo")
            && is_filled(entry)
    });
}

fn apt_lists(facts: &Facts<'_>, found: &mut Found<'_>) {
    const FOLDERS: [&str; 5] = [
        "var/lib/apt/lists",
        "var/cache/apt",
        "var/cache/dnf",
        "var/cache/yum",
        "var/cache/libdnf5",
    ];
    for folder in FOLDERS {
        let files = facts
            .subject
            .below(folder)
            .filter(|(path, entry)| is_filled(entry) && !path.ends_with(b"lock"));
        let size: u64 = files
            .map(|(_, entry)| match entry.node {
                Node::File { size, .. } => size,
                _ => 0,
            })
            .sum();
        if size > 0 {
            found.at_path(folder, crate::report::human_bytes(size));
        }
    }
}

const EVERYONE: u32 = 0o002;
const STICKY: u32 = 0o1000;
const SETUID: u32 = 0o4000;
const SETGID: u32 = 0o2000;

fn world_writable(facts: &Facts<'_>, found: &mut Found<'_>) {
    for (path, entry) in &facts.subject.tree.entries {
        let open = match entry.node {
            Node::File { .. } | Node::Hardlink(_) => true,
            Node::Directory => entry.mode & STICKY == 0,
            _ => false,
        };
        let device = path.is_within(b"dev") || path.is_within(b"proc") || path.is_within(b"sys");
        if open && !device && entry.mode & EVERYONE != 0 {
            found.at_path(path, format!("mode {:04o}", entry.mode));
        }
    }
}

/// Programs that distributions ship with these bits, by name.
const USUAL: [&str; 44] = [
    "at",
    "chage",
    "chfn",
    "chsh",
    "crontab",
    "dbus-daemon-launch-helper",
    "dotlockfile",
    "expiry",
    "fusermount",
    "fusermount3",
    "gpasswd",
    "grub2-set-bootflag",
    "locate",
    "lockfile",
    "mlocate",
    "mount",
    "mount.cifs",
    "mount.nfs",
    "netreport",
    "newgidmap",
    "newgrp",
    "newuidmap",
    "ntfs-3g",
    "pam_extrausers_chkpwd",
    "pam_timestamp_check",
    "passwd",
    "ping",
    "ping6",
    "pkexec",
    "plocate",
    "polkit-agent-helper-1",
    "postdrop",
    "postqueue",
    "ssh-agent",
    "ssh-keysign",
    "su",
    "sudo",
    "umount",
    "unix_chkpwd",
    "userhelper",
    "usernetctl",
    "utempter",
    "wall",
    "write",
];

fn setuid(facts: &Facts<'_>, found: &mut Found<'_>) {
    for (path, entry) in &facts.subject.tree.entries {
        if !matches!(entry.node, Node::File { .. }) || entry.mode & (SETUID | SETGID) == 0 {
            continue;
        }
        let name = String::from_utf8_lossy(path.name());
        // A setgid bit without the group's right to execute meant mandatory locking.
        let harmless = entry.mode & SETUID == 0 && entry.mode & 0o010 == 0;
        if !USUAL.contains(&&*name) && !harmless {
            found.at_path(
                path,
                format!("mode {:04o}, {}:{}", entry.mode, entry.uid, entry.gid),
            );
        }
    }
}

/// The numbers in the third field of a file of accounts.
fn ids(facts: &Facts<'_>, path: &str) -> Option<BTreeSet<u32>> {
    let text = facts.subject.text(path)?;
    let numbers = text
        .text
        .lines()
        .filter_map(|line| line.split(':').nth(2)?.parse().ok());
    Some(numbers.collect())
}

fn unknown_ids(facts: &Facts<'_>, found: &mut Found<'_>) {
    let (Some(users), Some(groups)) = (ids(facts, "etc/passwd"), ids(facts, "etc/group")) else {
        return;
    };
    for (path, entry) in &facts.subject.tree.entries {
        // The content of container images belongs to their own users.
        if path.is_within(b"var/lib/containerd") || path.is_within(b"proc") {
            continue;
        }
        let user = (!users.contains(&entry.uid)).then(|| format!("user {}", entry.uid));
        let group = (!groups.contains(&entry.gid)).then(|| format!("group {}", entry.gid));
        let unknown: Vec<_> = user.into_iter().chain(group).collect();
        if !unknown.is_empty() {
            found.at_path(path, unknown.join(", "));
        }
    }
}

fn times(facts: &Facts<'_>, found: &mut Found<'_>) {
    let Some(epoch) = facts.subject.epoch else {
        return;
    };
    let entries = &facts.subject.tree.entries;
    let newer: Vec<_> = entries
        .iter()
        .filter(|(_, entry)| entry.mtime > epoch)
        .collect();
    if let Some((path, _)) = newer.first() {
        found.at_path(
            path,
            format!(
                "{} are newer than the image",
                crate::report::counted(newer.len(), "file")
            ),
        );
    }
}

fn cloud_init(facts: &Facts<'_>, found: &mut Found<'_>) {
    for folder in [
        "var/lib/cloud/instances",
        "var/lib/cloud/data",
        "var/lib/cloud/sem",
    ] {
        if facts.subject.below(folder).next().is_some() {
            found.at_path(folder, "it is not empty");
        }
    }
}

fn logs(facts: &Facts<'_>, found: &mut Found<'_>) {
    let files = facts
        .subject
        .below("var/log")
        .filter(|(_, entry)| is_filled(entry));
    let files: Vec<_> = files
        .map(|(path, _)| String::from_utf8_lossy(path).into_owned())
        .collect();
    if let Some(first) = files.first() {
        found.at_path(
            format!("var/log/{first}"),
            crate::report::counted(files.len(), "log"),
        );
    }
}

fn network(facts: &Facts<'_>, found: &mut Found<'_>) {
    paths(facts, found, "of one machine", |path, entry| {
        let leases = path.starts_with("var/lib/dhcp/") && path.ends_with(".leases")
            || path.starts_with("var/lib/dhclient/")
            || path.starts_with("var/lib/NetworkManager/") && path.ends_with(".lease");
        let names = path.starts_with("etc/udev/rules.d/") && path.ends_with("persistent-net.rules");
        (leases || names) && is_filled(entry)
    });
}

fn joined(facts: &Facts<'_>, found: &mut Found<'_>) {
    paths(facts, found, "a kubelet's identity", |path, entry| {
        let pki = path.starts_with("var/lib/kubelet/pki/");
        (pki || path == "etc/kubernetes/kubelet.conf") && is_filled(entry)
    });
}
