//! Kernel settings, modules, the kernel command line, and os-release.

use super::draft::{Access, Draft};
use crate::profile::value::{Argument, ModuleName};
use crate::source::base::OS_RELEASE;

/// After Debian's and systemd's own (`10-` to `50-`).
const SYSCTL: &str = "usr/lib/sysctl.d/90-nodelith.conf";
const MODULES: &str = "usr/lib/modules-load.d/nodelith.conf";
const BLACKLIST: &str = "usr/lib/modprobe.d/nodelith.conf";
/// Read by kernel-install and ukify where /etc/kernel/cmdline is absent.
const COMMAND_LINE: &str = "usr/lib/kernel/cmdline";
/// What bootc adds to the kernel command line at installation and update.
const KARGS: &str = "usr/lib/bootc/kargs.d/90-nodelith.toml";
/// What systemd-update-done.service(8) writes.
const UPDATED: &str = "etc/.updated";
/// Where systemd-gpt-auto-generator(8) and bootctl(1) look for it.
const EFI: &str = "efi";
const SYSTEMD: &str = "usr/lib/systemd/systemd";

pub(super) fn configure(draft: &mut Draft<'_>) {
    sysctl(draft);
    modules(draft);
    command_line(draft);
    os_release(draft);
    updated(draft);
    efi(draft);
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
    if draft.facts.is_bootc() {
        let quoted: Vec<_> = arguments.iter().map(|one| toml_text(one)).collect();
        draft.text(KARGS, &format!("kargs = [{}]\n", quoted.join(", ")));
    } else {
        draft.text(COMMAND_LINE, &format!("{line}\n"));
    }
    draft.set("kernel command line", line);
}

/// A TOML string.
fn toml_text(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// Adds `IMAGE_ID` and `IMAGE_VERSION` (os-release(5)) to the root's own file.
fn os_release(draft: &mut Draft<'_>) {
    let (id, version) = (&draft.profile.name, &draft.profile.version);
    let mut text = String::new();
    // The one below /etc is heeded first; mostly it is a link to the other.
    let [first, usual] = OS_RELEASE.map(|path| draft.facts.resolve(path));
    let (path, real) = match first {
        Some(real) if usual.as_ref() != Some(&real) => (OS_RELEASE[0], Some(real)),
        _ => (OS_RELEASE[1], usual),
    };
    let base = real.as_ref().and_then(|real| draft.facts.text(real));
    if let (Some(real), None) = (&real, base) {
        let message = format!("`/{real}` is in no place where os-release is looked for");
        draft.warn(format!("{message}: it stays as it is"));
        return;
    }
    for line in base.unwrap_or_default().lines() {
        let key = line.split('=').next().unwrap_or_default().trim();
        if !matches!(key, "IMAGE_ID" | "IMAGE_VERSION") {
            text += &format!("{line}\n");
        }
    }
    text += &format!("IMAGE_ID={id}\nIMAGE_VERSION={version}\n");
    draft.replace(path, &text, 0o644);
    draft.set("image", format!("{id} {version}"));
}

/// Says that what systemd renews after an update (`ConditionNeedsUpdate=`: hardware
/// database, users, linker's cache, catalogue) is already made: the file is as old as
/// `/usr`. Without it that is done again at every boot, in an /etc that is forgotten.
/// Over somebody else's image nobody has made it: no program of the root was run.
fn updated(draft: &mut Draft<'_>) {
    if draft.profile.base_image.is_none() && draft.facts.node(SYSTEMD).is_some() {
        draft.text(UPDATED, "# Made when the image was built.\n");
    }
}

/// A place for the EFI system partition: a root that is read-only gets none later.
fn efi(draft: &mut Draft<'_>) {
    if draft.profile.base_image.is_none() && draft.facts.node(SYSTEMD).is_some() {
        draft.folder(EFI, Access::root(0o755));
    }
}
