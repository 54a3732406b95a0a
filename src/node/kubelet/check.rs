//! What a profile says of kubelet, held against the minor's tables.

use std::collections::BTreeMap;

use super::super::draft::Draft;
use crate::compat::{kubelet, kubernetes};
use crate::error::Result;
use crate::profile::Profile;
use crate::profile::explain::nearest;
use crate::profile::value::Argument;

/// kubelet's cgroup driver that goes with containerd's.
pub(super) fn driver(profile: &Profile) -> &'static str {
    match profile.containerd.systemd_cgroup.unwrap_or(true) {
        true => "systemd",
        false => "cgroupfs",
    }
}

/// Nothing can be said to a kubelet whose version nobody knows.
pub(super) fn without_version(draft: &Draft<'_>) -> Result<()> {
    let kubelet = &draft.profile.kubelet;
    if kubelet.flags.is_empty() && kubelet.config.is_empty() && kubelet.file.is_none() {
        return Ok(());
    }
    let message = "kubelet is configured, but its version is not known";
    Err(draft
        .refuse(message, &["kubelet"], "")
        .hint("set `version` in `[kubernetes]`, like \"1.34\""))
}

/// Every flag must be one of this minor's, and fit into a unit's command line.
pub(super) fn flags(draft: &mut Draft<'_>, number: u32) -> Result<()> {
    for (name, value) in &draft.profile.kubelet.flags {
        let keys = ["kubelet", "flags", name];
        let awkward = |c: char| c.is_whitespace() || "\"'\\".contains(c);
        if value.as_str().contains(awkward) {
            let message = format!("the value of kubelet's flag `{name}` has blanks or quotes");
            return Err(draft.refuse(message, &keys, "").hint(
                "a unit's command line would split it; use the field of `[kubelet.config]`",
            ));
        }
        if kubelet::has_flag(name, number).is_none() {
            let near = nearest(name, kubelet::flags());
            let near = near.map(|near| format!(" (did you mean `{near}`?)"));
            let near = near.unwrap_or_default();
            draft.warn(format!(
                "kubelet's flag `{name}` is not known here{near}: kubelet 1.{number} exits if it does not know it"
            ));
        }
        let Some(flag) = kubelet::flag(name).filter(|flag| !flag.is_in(number)) else {
            continue;
        };
        let message = match (flag.from, flag.until) {
            (_, Some(until)) if until <= number => {
                format!("kubelet 1.{number} has no flag `{name}`: it was removed by 1.{until}")
            }
            (Some(from), _) => {
                format!("kubelet 1.{number} has no flag `{name}`: it came with 1.{from}")
            }
            _ => format!("kubelet 1.{number} has no flag `{name}`"),
        };
        let instead = flag.instead.as_deref().unwrap_or("nothing takes its place");
        return Err(draft
            .refuse(message, &keys, "")
            .hint(format!("take it out: {instead}")));
    }
    Ok(())
}

/// Every field of the configuration must be one of this minor's.
pub(super) fn fields(draft: &Draft<'_>, number: u32, minor: &kubernetes::Minor) -> Result<()> {
    // A minor beyond the table may have fields that it does not have.
    let known = minor.minor == number;
    for (name, value) in &draft.profile.kubelet.config.0 {
        let keys = ["kubelet", "config", name];
        if !minor.config_drop_ins.are_usable() {
            let message = format!("kubelet 1.{number} merges no drop-ins into its configuration");
            let error = draft.refuse(message, &keys, "");
            return Err(match kubelet::flag_of(name, number) {
                Some(flag) => error.hint(format!(
                    "set the flag `{flag}` in `[kubelet.flags]`, which means the same"
                )),
                None => error.hint("use `[kubelet.flags]`, or have the cluster set it"),
            });
        }
        match kubelet::field(name) {
            Some(field) if field.from <= number && field.kind.fits(value) => {}
            Some(field) if field.from <= number => {
                let message = format!("`{name}` must be {}", field.kind.name());
                return Err(draft.refuse(message, &keys, ""));
            }
            Some(kubelet::Field { from, .. }) => {
                let message =
                    format!("kubelet 1.{number} has no field `{name}`: it came with 1.{from}");
                return Err(draft.refuse(message, &keys, "").hint("take it out"));
            }
            None if known => {
                let message = format!("kubelet 1.{number} has no field `{name}`");
                let error = draft.refuse(message, &keys, "");
                return Err(
                    match nearest(
                        name,
                        kubelet::fields().iter().map(|field| field.name.as_str()),
                    ) {
                        Some(nearest) => error.hint(format!("did you mean `{nearest}`?")),
                        None => error.hint("kubelet would pass over it without a word"),
                    },
                );
            }
            None => {}
        }
    }
    Ok(())
}

/// kubelet and containerd must have the same cgroup driver: pods run even where
/// they do not, outside of the groups that are to hold them.
pub(super) fn cgroup_driver(
    draft: &Draft<'_>,
    flags: &BTreeMap<String, String>,
    containerd: bool,
) -> Result<()> {
    let (kubelet, wanted) = (&draft.profile.kubelet, driver(draft.profile));
    let flag = flags.get("cgroup-driver").map(String::as_str);
    let field = kubelet
        .config
        .0
        .get("cgroupDriver")
        .and_then(|value| value.as_str());
    // A flag goes over the configuration.
    let Some(said) = flag.or(field).filter(|said| containerd && *said != wanted) else {
        return Ok(());
    };
    let keys = match flag {
        Some(_) => ["kubelet", "flags", "cgroup-driver"],
        None => ["kubelet", "config", "cgroupDriver"],
    };
    let message = format!("kubelet has the cgroup driver `{said}`, and containerd `{wanted}`");
    Err(draft
        .refuse(message, &keys, "")
        .hint("take it out: it follows from `systemd-cgroup` in `[containerd]`"))
}

/// From some minor on kubelet does not start on cgroup v1.
pub(super) fn cgroup_version(
    draft: &Draft<'_>,
    number: u32,
    minor: &kubernetes::Minor,
) -> Result<()> {
    const LEGACY: [&str; 3] = [
        "systemd.unified_cgroup_hierarchy=0",
        "systemd.unified_cgroup_hierarchy=no",
        "systemd.unified_cgroup_hierarchy=false",
    ];
    let mut arguments = draft
        .profile
        .kernel
        .command_line
        .iter()
        .map(Argument::as_str);
    let Some(argument) = arguments.find(|argument| LEGACY.contains(argument)) else {
        return Ok(());
    };
    let allowed = draft.profile.kubelet.config.0.get("failCgroupV1") == Some(&false.into());
    if !minor.refuses_cgroup_v1 || allowed {
        return Ok(());
    }
    let message = format!("kubelet 1.{number} does not start on cgroup v1");
    Err(draft
        .refuse(message, &["kernel", "command-line"], argument)
        .hint("take the argument out, or set `failCgroupV1 = false` in `[kubelet.config]`"))
}
