//! Which mode: a pure decision over [`Facts`], with what to do when there is none.

use std::io;
use std::path::PathBuf;

use super::Mode;
use super::binfmt::{Emulation, emulation, qemu_name};
use super::facts::{Facts, Probe};
use super::ids::{self, Extent, ROOT_DEFAULT, Range};
use crate::error::{Error, Kind, Result};

/// A mode that can be used here, with all that is needed to use it.
#[derive(Debug, Clone)]
pub struct Chosen {
    pub(super) mode: Mode,
    pub(super) maps: Option<Maps>,
    /// The program to start as worker; this one.
    pub(super) program: PathBuf,
    warnings: Vec<String>,
}

/// The id maps of a user namespace, and who writes them.
#[derive(Debug, Clone)]
pub(super) struct Maps {
    pub uids: Vec<Extent>,
    pub gids: Vec<Extent>,
    /// newuidmap and newgidmap; root writes the maps itself.
    pub helpers: Option<(PathBuf, PathBuf)>,
}

impl Chosen {
    /// The mode, never [`Mode::Auto`].
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// What the user should know about it, one line each.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Starts `program` as worker instead of this program; it has to know
    /// [`VERB`](super::VERB).
    #[must_use]
    pub fn with_program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = program.into();
        self
    }

    /// Whether files made inside may belong to ids that this user cannot handle outside.
    #[must_use]
    pub fn has_foreign_files(&self) -> bool {
        self.maps
            .as_ref()
            .is_some_and(|maps| maps.helpers.is_some())
    }
}

/// Why a mode cannot be used, and what would change that.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reason {
    what: String,
    hint: Option<String>,
}

fn reason(what: impl Into<String>, hint: &str) -> Reason {
    Reason {
        what: what.into(),
        hint: (!hint.is_empty()).then(|| hint.to_owned()),
    }
}

/// Chooses how to run the scripts of packages for `architecture` (Debian's name).
///
/// # Errors
/// [`Kind::Sandbox`] when the mode asked for, or every mode, is impossible here,
/// or programs of that architecture do not run here; it says what is missing and
/// how to allow it.
pub fn choose(mode: Mode, architecture: &str, facts: &Facts) -> Result<Chosen> {
    let mut warnings = Vec::new();
    warnings.extend(check_architecture(architecture, facts)?);
    let candidates: &[Mode] = match mode {
        Mode::Auto if facts.uid == 0 => &[Mode::Mountns, Mode::Userns, Mode::Chroot],
        Mode::Auto => &[Mode::Userns, Mode::Mountns, Mode::Chroot],
        Mode::Userns => &[Mode::Userns],
        Mode::Mountns => &[Mode::Mountns],
        Mode::Chroot => &[Mode::Chroot],
    };
    let mut failed = Vec::new();
    for &candidate in candidates {
        let maps = match try_mode(candidate, facts) {
            Ok(maps) => maps,
            Err(reasons) => {
                failed.push((candidate, reasons));
                continue;
            }
        };
        if candidate == Mode::Chroot {
            warnings.push(
                "package scripts run in a bare chroot: only a system call filter keeps them from \
                 the network and from other processes; they see this machine's host name and no /proc"
                    .to_owned(),
            );
        }
        return Ok(Chosen {
            mode: candidate,
            maps,
            program: PathBuf::from("/proc/self/exe"),
            warnings,
        });
    }
    Err(impossible(mode, &failed))
}

fn try_mode(mode: Mode, facts: &Facts) -> Result<Option<Maps>, Vec<Reason>> {
    match mode {
        Mode::Userns | Mode::Auto => userns(facts).map(Some),
        Mode::Mountns => mountns(facts).map(|()| None),
        Mode::Chroot => chroot(facts).map(|()| None),
    }
}

/// One error for everything that was considered, one line per mode.
fn impossible(asked: Mode, failed: &[(Mode, Vec<Reason>)]) -> Error {
    let list = |reasons: &[Reason]| {
        let whats: Vec<&str> = reasons.iter().map(|reason| reason.what.as_str()).collect();
        whats.join("; ")
    };
    let message = match failed {
        [(mode, reasons)] if asked != Mode::Auto => {
            format!(
                "sandbox mode `{mode}` is not possible here: {}",
                list(reasons)
            )
        }
        _ => {
            let lines = failed
                .iter()
                .map(|(mode, reasons)| format!("\n  {mode}: {}", list(reasons)));
            format!(
                "no way to run package scripts here:{}",
                lines.collect::<String>()
            )
        }
    };
    let mut error = Error::new(Kind::Sandbox, message);
    if asked != Mode::Auto {
        error = error.hint("`--sandbox auto` takes the best mode that works here");
    }
    let mut said: Vec<&str> = Vec::new();
    for hint in failed
        .iter()
        .flat_map(|(_, reasons)| reasons)
        .filter_map(|reason| reason.hint.as_deref())
    {
        if !said.contains(&hint) {
            said.push(hint);
            error = error.hint(hint);
        }
    }
    error
}

fn userns(facts: &Facts) -> Result<Maps, Vec<Reason>> {
    let mut reasons = Vec::new();
    if let Err(why) = namespaces_of_users(facts) {
        reasons.push(why);
    }
    if facts.uid == 0 {
        let maps = root_maps(facts, &mut reasons);
        return if reasons.is_empty() {
            maps.ok_or(reasons)
        } else {
            Err(reasons)
        };
    }
    let uids = ids::map(facts.uid, &facts.subuids);
    let gids = ids::map(facts.gid, &facts.subgids);
    let user = facts.user.clone().unwrap_or_else(|| facts.uid.to_string());
    let range = format!(
        "{}-{}",
        facts.free_ids,
        facts.free_ids.saturating_add(ids::NEEDED - 1)
    );
    let add = format!(
        "as root: usermod --add-subuids {range} --add-subgids {range} {user} \
         (or a line of your own in /etc/subuid and /etc/subgid)"
    );
    for (map, ranges, file) in [
        (&uids, &facts.subuids, "/etc/subuid"),
        (&gids, &facts.subgids, "/etc/subgid"),
    ] {
        let have: u64 = ranges.iter().map(|range| u64::from(range.count)).sum();
        if map.is_none() {
            let what = if have == 0 {
                format!("no subordinate ids for `{user}` in {file}")
            } else {
                format!(
                    "only {have} subordinate ids for `{user}` in {file}, needed are {}",
                    ids::NEEDED
                )
            };
            reasons.push(reason(what, &add));
        }
    }
    for (found, name) in [
        (&facts.newuidmap, "newuidmap"),
        (&facts.newgidmap, "newgidmap"),
    ] {
        if found.is_none() {
            reasons.push(reason(
                format!("`{name}` is not in PATH"),
                "install newuidmap and newgidmap: package `uidmap` on Debian and Ubuntu, `shadow-utils` on Fedora",
            ));
        }
    }
    match (uids, gids, &facts.newuidmap, &facts.newgidmap) {
        (Some(uids), Some(gids), Some(newuidmap), Some(newgidmap)) if reasons.is_empty() => {
            Ok(Maps {
                uids,
                gids,
                helpers: Some((newuidmap.clone(), newgidmap.clone())),
            })
        }
        _ => Err(reasons),
    }
}

/// Root has no need of helpers or configured ids, only of ids that exist.
fn root_maps(facts: &Facts, reasons: &mut Vec<Reason>) -> Option<Maps> {
    let missing = missing_capabilities(facts, &["setuid", "setgid", "setfcap"]);
    if !missing.is_empty() {
        reasons.push(reason(format!("missing capabilities: {missing}"), ""));
    }
    let mut build = |own: u32, configured: &[Range], exist: &[Extent], kind: &str| {
        let fallback = [ROOT_DEFAULT];
        let extents = [configured, &fallback[..]]
            .into_iter()
            .filter_map(|ranges| ids::map(own, ranges))
            .find(|extents| {
                extents
                    .iter()
                    .all(|extent| ids::covers(exist, extent.outside, extent.count))
            });
        if extents.is_none() {
            reasons.push(reason(
                format!(
                    "this user namespace has no {} {kind} ids to pass on",
                    ids::NEEDED
                ),
                "",
            ));
        }
        extents
    };
    let uids = build(facts.uid, &facts.subuids, &facts.uid_map, "user");
    let gids = build(facts.gid, &facts.subgids, &facts.gid_map, "group");
    Some(Maps {
        uids: uids?,
        gids: gids?,
        helpers: None,
    })
}

/// Whether and why not user namespaces can be made here.
fn namespaces_of_users(facts: &Facts) -> Result<(), Reason> {
    let Err((step, errno)) = facts.userns else {
        return Ok(());
    };
    if facts.max_user_namespaces == Some(0) {
        return Err(reason(
            "user namespaces are switched off (user.max_user_namespaces = 0)",
            "as root: sysctl -w user.max_user_namespaces=15000",
        ));
    }
    if facts.uid != 0 && facts.unprivileged_userns_clone == Some(0) {
        return Err(reason(
            "user namespaces are for root only (kernel.unprivileged_userns_clone = 0)",
            "as root: sysctl -w kernel.unprivileged_userns_clone=1",
        ));
    }
    if facts.uid != 0 && facts.apparmor_restriction == Some(1) {
        return Err(reason(
            "AppArmor restricts user namespaces (kernel.apparmor_restrict_unprivileged_userns = 1)",
            "as root: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or give this program an AppArmor profile with `userns,`",
        ));
    }
    let what = format!("no user namespace: {}", tried(step, errno));
    Err(match errno {
        libc::ENOSPC => reason(what, "raise the sysctl user.max_user_namespaces"),
        libc::EINVAL | libc::ENOSYS => reason(what, "the kernel lacks CONFIG_USER_NS"),
        _ => reason(
            what,
            "in a container, allow user namespaces: --security-opt seccomp=unconfined --security-opt apparmor=unconfined",
        ),
    })
}

fn mountns(facts: &Facts) -> Result<(), Vec<Reason>> {
    as_root(facts)?;
    let Probe::Err((step, errno)) = facts.mountns else {
        return Ok(());
    };
    Err(vec![reason(
        format!("no mount namespace: {}", tried(step, errno)),
        "in a container, allow mounts: --privileged, or --cap-add SYS_ADMIN --security-opt seccomp=unconfined --security-opt apparmor=unconfined",
    )])
}

fn chroot(facts: &Facts) -> Result<(), Vec<Reason>> {
    as_root(facts)?;
    let needed = [
        "chown",
        "dac_override",
        "fowner",
        "setgid",
        "setuid",
        "sys_chroot",
    ];
    let missing = missing_capabilities(facts, &needed);
    if missing.is_empty() {
        return Ok(());
    }
    Err(vec![reason(
        format!("missing capabilities: {missing}"),
        "in a container, do not drop capabilities that containers have by default",
    )])
}

/// What both modes of root need: to be root, over all the ids of a Debian root.
fn as_root(facts: &Facts) -> Result<(), Vec<Reason>> {
    if facts.uid != 0 {
        return Err(vec![reason("needs root", "")]);
    }
    if [&facts.uid_map, &facts.gid_map]
        .into_iter()
        .any(|map| !ids::covers(map, 0, ids::NEEDED - 1))
    {
        return Err(vec![reason(
            "root here has too few ids (/proc/self/uid_map)",
            "give the container's user 65536 ids, in /etc/subuid and /etc/subgid outside of it",
        )]);
    }
    Ok(())
}

const CAPABILITIES: &[(&str, u32)] = &[
    ("chown", 0),
    ("dac_override", 1),
    ("fowner", 3),
    ("setgid", 6),
    ("setuid", 7),
    ("sys_chroot", 18),
    ("setfcap", 31),
];

fn missing_capabilities(facts: &Facts, needed: &[&str]) -> String {
    let missing: Vec<String> = CAPABILITIES
        .iter()
        .filter(|(name, bit)| needed.contains(name) && facts.capabilities >> bit & 1 == 0)
        .map(|(name, _)| format!("CAP_{}", name.to_uppercase()))
        .collect();
    missing.join(", ")
}

fn tried(step: &str, errno: i32) -> String {
    let text = io::Error::from_raw_os_error(errno).to_string();
    let text = text
        .split(" (os error")
        .next()
        .unwrap_or_default()
        .to_owned();
    format!("{step}: {text}")
}

/// Refuses an architecture whose programs do not run here; warns if that is unknown.
fn check_architecture(architecture: &str, facts: &Facts) -> Result<Option<String>> {
    if architecture == facts.architecture {
        return Ok(None);
    }
    let qemu = qemu_name(architecture);
    let host = &facts.architecture;
    let message = match emulation(architecture, facts.formats.as_deref()) {
        Emulation::Works => return Ok(None),
        Emulation::Unknown => {
            return Ok(Some(format!(
                "whether `{architecture}` programs run on this `{host}` machine cannot be seen: \
                 binfmt_misc is not mounted here"
            )));
        }
        Emulation::NotInChroots(name) => format!(
            "`{architecture}` programs do not run in a chroot here: `{name}` is registered with binfmt_misc without flag F"
        ),
        Emulation::Missing => format!(
            "`{architecture}` programs do not run on this `{host}` machine: `qemu-{qemu}` is not registered with binfmt_misc"
        ),
    };
    Err(Error::new(Kind::Sandbox, message).hint(
        "install an emulator on the machine itself: package `qemu-user-binfmt` (Debian 13, Ubuntu 25.04 and later) or `qemu-user-static`",
    ))
}

#[cfg(test)]
mod tests;
