//! Units: whether they start, and what containerd's says.

use crate::check::facts::Facts;
use crate::check::facts::units;
use crate::check::rule::Found;

pub(super) fn startable(facts: &Facts<'_>, found: &mut Found<'_>) {
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

pub(super) fn dangling(facts: &Facts<'_>, found: &mut Found<'_>) {
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
            units::FOLDERS
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

pub(super) fn containerd_starts(facts: &Facts<'_>, found: &mut Found<'_>) {
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

pub(super) fn kubelet_starts(facts: &Facts<'_>, found: &mut Found<'_>) {
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
fn limit<'f>(facts: &'f Facts<'_>) -> Option<&'f units::Setting> {
    facts
        .units
        .units
        .get("containerd.service")?
        .last("Service", "LimitNOFILE")
}

pub(super) fn few_files(facts: &Facts<'_>, found: &mut Found<'_>) {
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

pub(super) fn infinite_files(facts: &Facts<'_>, found: &mut Found<'_>) {
    if let Some(limit) = limit(facts)
        && limit.value.rsplit(':').next() == Some("infinity")
    {
        found.in_text(limit.text, limit.at, "LimitNOFILE=infinity");
    }
}

pub(super) fn unit(facts: &Facts<'_>, found: &mut Found<'_>) {
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
