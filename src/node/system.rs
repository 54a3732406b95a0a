//! Kernel settings, modules, the kernel command line, and os-release.

use super::draft::Draft;
use crate::profile::value::{Argument, ModuleName};

/// After Debian's and systemd's own (`10-` to `50-`).
const SYSCTL: &str = "usr/lib/sysctl.d/90-nodelith.conf";
const MODULES: &str = "usr/lib/modules-load.d/nodelith.conf";
const BLACKLIST: &str = "usr/lib/modprobe.d/nodelith.conf";
/// Read by kernel-install and ukify where /etc/kernel/cmdline is absent.
const COMMAND_LINE: &str = "usr/lib/kernel/cmdline";
const OS_RELEASE: &str = "usr/lib/os-release";
/// What systemd-update-done.service(8) writes.
const UPDATED: &str = "etc/.updated";
const SYSTEMD: &str = "usr/lib/systemd/systemd";

pub(super) fn configure(draft: &mut Draft<'_>) {
    sysctl(draft);
    modules(draft);
    command_line(draft);
    os_release(draft);
    updated(draft);
}

fn sysctl(draft: &mut Draft<'_>) {
    let settings = &draft.profile.sysctl;
    if settings.is_empty() {
        return;
    }
    let mut text = String::new();
    for (key, value) in settings {
        text += &format!("{key} = {}\n", value.as_str());
        draft.set(format!("sysctl {key}"), value.as_str());
    }
    draft.text(SYSCTL, &text);
}

fn modules(draft: &mut Draft<'_>) {
    let modules = &draft.profile.modules;
    for (path, start, list, what) in [
        (MODULES, "", &modules.load, "loaded"),
        (BLACKLIST, "blacklist ", &modules.blacklist, "blacklisted"),
    ] {
        let mut names: Vec<_> = list.iter().map(ModuleName::as_str).collect();
        names.sort_unstable();
        if names.is_empty() {
            continue;
        }
        let mut text = String::new();
        for name in names {
            text += &format!("{start}{name}\n");
            draft.set(format!("module {name}"), what);
        }
        draft.text(path, &text);
    }
}

fn command_line(draft: &mut Draft<'_>) {
    let arguments: Vec<_> = draft
        .profile
        .kernel
        .command_line
        .iter()
        .map(Argument::as_str)
        .collect();
    if arguments.is_empty() {
        return;
    }
    let line = arguments.join(" ");
    draft.text(COMMAND_LINE, &format!("{line}\n"));
    draft.set("kernel command line", line);
}

/// Adds `IMAGE_ID` and `IMAGE_VERSION` (os-release(5)) to the root's own file.
fn os_release(draft: &mut Draft<'_>) {
    let (id, version) = (&draft.profile.name, &draft.profile.version);
    let mut text = String::new();
    let base = draft.facts.text(OS_RELEASE).unwrap_or_default();
    for line in base.lines() {
        let key = line.split('=').next().unwrap_or_default().trim();
        if !matches!(key, "IMAGE_ID" | "IMAGE_VERSION") {
            text += &format!("{line}\n");
        }
    }
    text += &format!("IMAGE_ID={id}\nIMAGE_VERSION={version}\n");
    draft.replace(OS_RELEASE, &text, 0o644);
    draft.set("image", format!("{id} {version}"));
}

/// Says that what systemd renews after an update (`ConditionNeedsUpdate=`: hardware
/// database, users, linker's cache, catalogue) is already made: the file is as old as
/// `/usr`. Without it that is done again at every boot, in an /etc that is forgotten.
fn updated(draft: &mut Draft<'_>) {
    if draft.facts.node(SYSTEMD).is_some() {
        draft.text(UPDATED, "# Made when the image was built.\n");
    }
}
