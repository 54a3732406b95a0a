//! Images that bootc installs and updates, by their labels: what `bootc container lint`
//! looks for, and what an installation needs besides.
//!
//! The names in brackets are those of its lints (bootc: crates/lib/src/lints.rs). Logs in
//! /var/log are `ND-HYG-014`'s.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::Rule;
use crate::check::facts::Facts;
use crate::check::rule::{Found, Severity};
use crate::check::subject::Subject;
use crate::tree::{Node, TreePath};

const LINTS: &str = "bootc: crates/lib/src/lints.rs";
const LAYOUT: &str = "bootc.dev: Bootc image layout";

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "ND-BOOTC-001",
        severity: Severity::Error,
        title: "several kernels in a bootc image",
        why: "bootc takes the one kernel below /usr/lib/modules, and refuses an image with several.",
        fix: "remove all but one of /usr/lib/modules/*",
        sources: &[LINTS, "lint `kernel`"],
        check: several_kernels,
    },
    Rule {
        id: "ND-BOOTC-002",
        severity: Severity::Error,
        title: "a bootc image that cannot boot",
        why: "A kernel (`vmlinuz`) and its initramfs (`initramfs.img`) must stand side by side below \
              /usr/lib/modules/VERSION: that is where an installation takes them from.",
        fix: "keep both, or choose a base that has them",
        sources: &[LAYOUT, "ostree-rs-ext: bootabletree.rs"],
        check: cannot_boot,
    },
    Rule {
        id: "ND-BOOTC-003",
        severity: Severity::Error,
        title: "/var/run is a directory of its own",
        why: "It must be a link to /run: programs that meet in the one miss those in the other.",
        fix: "remove the directory, and make /var/run a link to /run",
        sources: &[LINTS, "lint `var-run`"],
        check: var_run,
    },
    Rule {
        id: "ND-BOOTC-004",
        severity: Severity::Error,
        title: "both /etc and /usr/etc in a bootc image",
        why: "bootc makes /usr/etc from the image's /etc; with both, which wins is not defined.",
        fix: "move what is in /usr/etc to /etc",
        sources: &[LINTS, "lint `etc-usretc`"],
        check: usr_etc,
    },
    Rule {
        id: "ND-BOOTC-005",
        severity: Severity::Error,
        title: "kernel arguments that bootc cannot read",
        why: "Files in /usr/lib/bootc/kargs.d have a list `kargs` and may have a list \
              `match-architectures`, nothing else; an update fails at one that it cannot read.",
        fix: "write it like `kargs = [\"console=ttyS0\"]`",
        sources: &[
            LINTS,
            "lint `bootc-kargs`",
            "bootc: crates/lib/src/bootc_kargs.rs",
        ],
        check: kernel_arguments,
    },
    Rule {
        id: "ND-BOOTC-006",
        severity: Severity::Error,
        title: "a name that is not UTF-8 in a bootc image",
        why: "ostree takes only such names; the image cannot be installed.",
        fix: "rename or remove it",
        sources: &[LINTS, "lint `utf8`"],
        check: names,
    },
    Rule {
        id: "ND-BOOTC-007",
        severity: Severity::Error,
        title: "a directory that every root has is missing",
        why: "Nothing can be mounted there in a root that cannot be written.",
        fix: "make it an empty directory",
        sources: &[LINTS, "lint `api-base-directories`"],
        check: directories,
    },
    Rule {
        id: "ND-BOOTC-008",
        severity: Severity::Error,
        title: "no /sysroot, or /ostree leads elsewhere",
        why: "The physical root is mounted at /sysroot, and /ostree leads to what bootc keeps there.",
        fix: "make /sysroot a directory and /ostree a link to `sysroot/ostree`",
        sources: &[LINTS, "lint `baseimage-root`"],
        check: sysroot,
    },
    Rule {
        id: "ND-BOOTC-009",
        severity: Severity::Warning,
        title: "composefs is not enabled in a bootc image",
        why: "Without it what is installed can be changed, and is not verified.",
        fix: "set `enabled = yes` in [composefs] of /usr/lib/ostree/prepare-root.conf",
        sources: &[
            LINTS,
            "lint `baseimage-composefs`",
            "ostree-prepare-root(1)",
        ],
        check: composefs,
    },
    Rule {
        id: "ND-BOOTC-010",
        severity: Severity::Warning,
        title: "/boot of a bootc image is missing or not empty",
        why: "Another filesystem is mounted there: what the image has is never seen.",
        fix: "leave /boot empty; kernels belong below /usr/lib/modules",
        sources: &[LINTS, "lint `nonempty-boot`"],
        check: boot,
    },
    Rule {
        id: "ND-BOOTC-011",
        severity: Severity::Warning,
        title: "something in /run or /tmp of a bootc image",
        why: "Both are empty at every boot: it is never seen.",
        fix: "remove it",
        sources: &[LINTS, "lint `nonempty-run-tmp`"],
        check: run_and_tmp,
    },
    Rule {
        id: "ND-BOOTC-012",
        severity: Severity::Warning,
        title: "content of /var that no tmpfiles.d entry makes",
        why: "/var of the image is copied once, at installation: machines that are updated never get \
              what a later image brings there.",
        fix: "have systemd-tmpfiles make it, or put it below /usr",
        sources: &[LINTS, "lint `var-tmpfiles`", "bootc.dev: Filesystem: /var"],
        check: var,
    },
    Rule {
        id: "ND-BOOTC-013",
        severity: Severity::Warning,
        title: "users or groups that no sysusers.d entry makes",
        why: "/etc of a machine is kept over updates: users that a later image brings may never be \
              there.",
        fix: "name them in a file of /usr/lib/sysusers.d",
        sources: &[LINTS, "lint `sysusers`", "bootc.dev: Users and groups"],
        check: users,
    },
    Rule {
        id: "ND-BOOTC-014",
        severity: Severity::Warning,
        title: "an empty /etc/hostname or /etc/resolv.conf",
        why: "A container engine left it while the image was made; machines begin with it.",
        fix: "remove it",
        sources: &[LINTS, "lint `buildah-injected`"],
        check: injected,
    },
];

/// The subject, if it is an image for bootc, as a whole.
fn bootc<'a>(facts: &Facts<'a>) -> Option<&'a Subject> {
    let subject = facts.subject;
    (subject.is_labelled_bootc() && subject.whole).then_some(subject)
}

const MODULES: &str = "usr/lib/modules";

fn kernels(subject: &Subject) -> Vec<String> {
    let versions = subject.below(MODULES).filter_map(|(name, _)| {
        let version = name.strip_suffix(b"/vmlinuz")?;
        (!version.contains(&b'/')).then(|| String::from_utf8_lossy(version).into_owned())
    });
    versions.collect()
}

fn several_kernels(facts: &Facts<'_>, found: &mut Found<'_>) {
    let Some(subject) = bootc(facts) else { return };
    let kernels = kernels(subject);
    if kernels.len() > 1 {
        found.at_path(MODULES, format!("there are {}", kernels.join(", ")));
    }
}

fn cannot_boot(facts: &Facts<'_>, found: &mut Found<'_>) {
    let Some(subject) = bootc(facts) else { return };
    // One file of kernel and initramfs does as well.
    let mut unified = subject.below("boot/EFI/Linux");
    if unified.any(|(name, _)| name.ends_with(b".efi")) {
        return;
    }
    let kernels = kernels(subject);
    if kernels.is_empty() {
        found.at_path(MODULES, "there is no kernel");
    }
    for version in kernels {
        let folder = format!("{MODULES}/{version}");
        if !subject.names(&format!("{folder}/initramfs.img")) {
            found.at_path(folder, "its kernel has no `initramfs.img`");
        }
    }
}

fn var_run(facts: &Facts<'_>, found: &mut Found<'_>) {
    let Some(subject) = bootc(facts) else { return };
    if let Some(node) = node(subject, "var/run")
        && !matches!(node, Node::Symlink(_))
    {
        found.at_path("var/run", "it is no link");
    }
}

fn usr_etc(facts: &Facts<'_>, found: &mut Found<'_>) {
    let Some(subject) = bootc(facts) else { return };
    if subject.names("etc") && subject.names("usr/etc") {
        found.at_path("usr/etc", "there is an /etc, too");
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct KernelArguments {
    #[serde(rename = "kargs")]
    _arguments: Vec<String>,
    #[serde(rename = "match-architectures")]
    _architectures: Option<Vec<String>>,
}

fn kernel_arguments(facts: &Facts<'_>, found: &mut Found<'_>) {
    let Some(subject) = bootc(facts) else { return };
    for at in subject.texts_below("usr/lib/bootc/kargs.d/") {
        let text = &subject.texts[at];
        if !text.path.as_bytes().ends_with(b".toml") {
            continue;
        }
        if let Err(error) = toml::from_str::<KernelArguments>(&text.text) {
            let place = error.span().map_or(0, |span| span.start);
            found.in_text(at, place, error.message().to_owned());
        }
    }
}

fn names(facts: &Facts<'_>, found: &mut Found<'_>) {
    let Some(subject) = bootc(facts) else { return };
    let is_text = |path: &TreePath| std::str::from_utf8(path.as_bytes()).is_ok();
    for (path, entry) in &subject.tree.entries {
        if !is_text(path) {
            found.at_path(path, "its name is not UTF-8");
        } else if matches!(&entry.node, Node::Symlink(target) if !is_text(target)) {
            found.at_path(path, "what it leads to is not UTF-8");
        }
    }
}

fn directories(facts: &Facts<'_>, found: &mut Found<'_>) {
    let Some(subject) = bootc(facts) else { return };
    for name in ["dev", "proc", "run", "sys", "tmp", "var"] {
        match node(subject, name) {
            Some(Node::Directory) => {}
            Some(_) => found.at_path(name, "it is no directory"),
            None => found.at_path(name, "it is missing"),
        }
    }
}

fn sysroot(facts: &Facts<'_>, found: &mut Found<'_>) {
    let Some(subject) = bootc(facts) else { return };
    if node(subject, "sysroot") != Some(&Node::Directory) {
        found.at_path("sysroot", "it is no directory");
    }
    match node(subject, "ostree") {
        Some(Node::Symlink(target)) if target.as_bytes() == b"sysroot/ostree" => {}
        Some(Node::Symlink(target)) => found.at_path("ostree", format!("it leads to `{target}`")),
        Some(_) => found.at_path("ostree", "it is no link"),
        None => found.at_path("ostree", "it is missing"),
    }
}

fn composefs(facts: &Facts<'_>, found: &mut Found<'_>) {
    const CONFIG: &str = "usr/lib/ostree/prepare-root.conf";
    let Some(subject) = bootc(facts) else { return };
    let Some(text) = subject.text(CONFIG) else {
        return found.at_path(CONFIG, "it is missing, or cannot be read");
    };
    let mut section = "";
    let mut enabled = false;
    for line in text.text.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        } else if let Some((key, value)) = line.split_once('=')
            && (section, key.trim()) == ("[composefs]", "enabled")
        {
            let on = ["yes", "true", "1", "maybe", "signed", "verity"];
            enabled = on.contains(&value.trim());
        }
    }
    if !enabled {
        found.at_path(CONFIG, "[composefs] has no `enabled = yes`");
    }
}

fn boot(facts: &Facts<'_>, found: &mut Found<'_>) {
    let Some(subject) = bootc(facts) else { return };
    if node(subject, "boot") != Some(&Node::Directory) {
        return found.at_path("boot", "it is no directory");
    }
    // One file of kernel and initramfs has its place there.
    let mut below = subject.below("boot");
    if let Some((name, _)) = below.find(|(name, _)| *name != b"EFI" && !name.starts_with(b"EFI/")) {
        let name = String::from_utf8_lossy(name);
        found.at_path(format!("boot/{name}"), "it would be hidden");
    }
}

fn run_and_tmp(facts: &Facts<'_>, found: &mut Found<'_>) {
    let Some(subject) = bootc(facts) else { return };
    for folder in ["run", "tmp"] {
        for (name, _) in subject
            .below(folder)
            .filter(|(name, _)| !name.contains(&b'/'))
        {
            let name = String::from_utf8_lossy(name);
            found.at_path(format!("{folder}/{name}"), "it would be hidden");
        }
    }
}

fn var(facts: &Facts<'_>, found: &mut Found<'_>) {
    let Some(subject) = bootc(facts) else { return };
    let made = tmpfiles(subject);
    for (name, entry) in subject.below("var") {
        let path = TreePath::new([b"var/", name].concat());
        match entry.node {
            Node::Directory | Node::Symlink(_) if made.contains(&path) => {}
            Node::Directory | Node::Symlink(_) => found.at_path(path, "no entry makes it"),
            _ => found.at_path(path, "it is neither a directory nor a link"),
        }
    }
}

/// The paths that systemd-tmpfiles makes (tmpfiles.d(5)), links in their folders followed.
fn tmpfiles(subject: &Subject) -> BTreeSet<TreePath> {
    let folders = ["usr/lib/tmpfiles.d/", "etc/tmpfiles.d/"];
    let texts = folders
        .iter()
        .flat_map(|folder| subject.texts_below(folder));
    let mut made = BTreeSet::new();
    for at in texts {
        let text = &subject.texts[at];
        if !text.path.as_bytes().ends_with(b".conf") {
            continue;
        }
        for line in text
            .text
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'))
        {
            let Some(path) = line.split_whitespace().nth(1) else {
                continue;
            };
            let path = TreePath::from(path.trim_matches(['"', '/']));
            let folder = path
                .parent()
                .and_then(|folder| subject.tree.resolve(&folder));
            made.insert(folder.map_or_else(|| path.clone(), |folder| folder.join(path.name())));
        }
    }
    made
}

fn users(facts: &Facts<'_>, found: &mut Found<'_>) {
    let Some(subject) = bootc(facts) else { return };
    let (users, groups) = sysusers(subject);
    for (path, made, what) in [
        ("etc/passwd", users, "user"),
        ("etc/group", groups, "group"),
    ] {
        let Some(text) = subject.text(path) else {
            continue;
        };
        let names = text.text.lines().filter_map(|line| line.split_once(':'));
        let missing: Vec<_> = names
            .map(|(name, _)| name)
            .filter(|name| !name.is_empty() && !made.contains(*name))
            .collect();
        if !missing.is_empty() {
            found.at_path(
                path,
                format!("no entry makes the {what} {}", missing.join(", ")),
            );
        }
    }
}

/// The users and groups that systemd-sysusers makes (sysusers.d(5)).
fn sysusers(subject: &Subject) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut users, mut groups) = (BTreeSet::new(), BTreeSet::new());
    for at in subject.texts_below("usr/lib/sysusers.d/") {
        for line in subject.texts[at].text.lines() {
            let mut words = line.split_whitespace();
            let (Some(kind), Some(name)) = (words.next(), words.next()) else {
                continue;
            };
            let name = name.trim_matches('"').to_owned();
            match kind.trim_end_matches('!') {
                "u" => {
                    // A group of the same name comes with it, unless one is named.
                    if !words.next().is_some_and(|id| id.contains(':')) {
                        groups.insert(name.clone());
                    }
                    users.insert(name);
                }
                "g" => drop(groups.insert(name)),
                _ => {}
            }
        }
    }
    (users, groups)
}

fn injected(facts: &Facts<'_>, found: &mut Found<'_>) {
    let Some(subject) = bootc(facts) else { return };
    for path in ["etc/hostname", "etc/resolv.conf"] {
        if matches!(node(subject, path), Some(Node::File { size: 0, .. })) {
            found.at_path(path, "it is empty");
        }
    }
}

fn node<'a>(subject: &'a Subject, path: &str) -> Option<&'a Node> {
    let entry = subject.tree.entries.get(path.as_bytes())?;
    Some(&entry.node)
}
