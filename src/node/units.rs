//! Enables, disables and masks systemd units, as `systemctl` would.
//!
//! The image's links are the whole truth: at the first boot of a machine
//! systemd applies presets, which would enable whatever no preset speaks of.
//! So a preset of ours names what is enabled here and nothing else.

mod install;

use std::collections::{BTreeMap, BTreeSet};

use super::draft::Draft;
use super::facts::UNIT_FOLDERS;
use crate::error::{Error, Result};
use crate::profile::explain::nearest;
use crate::profile::value::UnitName;
use crate::tree::Node;
use install::{Install, Name};

/// Where `systemctl` makes its links.
const LINKS: &str = "etc/systemd/system";
/// Before all other presets: the first that speaks of a unit is heeded.
pub(super) const PRESET: &str = "usr/lib/systemd/system-preset/00-nodelith.preset";

/// The folder endings of links that pull a unit in, by the key that asks for them.
const PULLS: [&str; 3] = [".wants", ".requires", ".upholds"];

pub(super) fn configure(draft: &mut Draft<'_>) -> Result<()> {
    let units = &draft.profile.units;
    // Without systemd there is nothing that a link or preset could mean.
    let any = UNIT_FOLDERS
        .iter()
        .any(|folder| !draft.below(folder).is_empty());
    for unit in &units.disable {
        exists(draft, unit, "disable")?;
        disable(draft, unit, &mut BTreeSet::new());
        draft.set(format!("unit {unit}"), "disabled");
    }
    for unit in &units.enable {
        exists(draft, unit, "enable")?;
        enable(draft, unit, unit, &mut BTreeSet::new())?;
        draft.set(format!("unit {unit}"), "enabled");
    }
    for unit in &units.mask {
        exists(draft, unit, "mask")?;
        draft.link(&format!("{LINKS}/{unit}"), "/dev/null");
        draft.set(format!("unit {unit}"), "masked");
    }
    if any {
        preset(draft);
    }
    Ok(())
}

/// What was found for a unit's name.
enum Found {
    /// A unit file at this path of the tree.
    File(String),
    /// Another name of this unit.
    Alias(String),
    /// Cannot be started, by a link to nowhere at this path.
    Masked(String),
}

/// Looks a unit up as systemd does: by name, and for an instance by its template.
fn find(draft: &Draft<'_>, unit: &str) -> Option<Found> {
    let name = Name::parse(unit);
    let template = name.template();
    for wanted in [Some(unit.to_owned()), template].into_iter().flatten() {
        for folder in UNIT_FOLDERS {
            let path = format!("{folder}/{wanted}");
            match draft.node(&path) {
                Some(Node::File { .. }) => return Some(Found::File(path)),
                Some(Node::Symlink(target)) => {
                    let target = String::from_utf8_lossy(target.as_bytes());
                    if target == "/dev/null" {
                        return Some(Found::Masked(path));
                    }
                    let real = target.rsplit('/').next().unwrap_or_default();
                    if real == wanted {
                        // A linked unit: its file is elsewhere.
                        return Some(Found::File(target.trim_start_matches('/').to_owned()));
                    }
                    return Some(Found::Alias(real.to_owned()));
                }
                _ => {}
            }
        }
    }
    None
}

fn exists(draft: &Draft<'_>, unit: &UnitName, key: &str) -> Result<()> {
    if find(draft, unit).is_some() {
        return Ok(());
    }
    let mut known = BTreeSet::new();
    for folder in UNIT_FOLDERS {
        known.extend(
            draft
                .below(folder)
                .into_keys()
                .filter(|name| !name.contains('/')),
        );
    }
    let error = draft.refuse(
        format!("the node has no unit `{unit}`"),
        &["units", key],
        unit,
    );
    Err(match nearest(unit, known.iter().map(String::as_str)) {
        Some(nearest) => error.hint(format!("did you mean `{nearest}`?")),
        None => error.hint("install the package that has it, or give the unit as a file"),
    })
}

/// Makes the links that the unit's [Install] section asks for; `named` is the
/// unit of the profile that led here.
fn enable(
    draft: &mut Draft<'_>,
    unit: &str,
    named: &UnitName,
    seen: &mut BTreeSet<String>,
) -> Result<()> {
    if !seen.insert(unit.to_owned()) {
        return Ok(());
    }
    let refuse = |draft: &Draft<'_>, message: String| -> Error {
        draft.refuse(message, &["units", "enable"], named)
    };
    let path = match find(draft, unit) {
        Some(Found::File(path)) => path,
        Some(Found::Alias(real)) => {
            return Err(
                refuse(draft, format!("`{unit}` is another name of `{real}`"))
                    .hint(format!("enable `{real}`")),
            );
        }
        Some(Found::Masked(path)) => {
            return Err(refuse(draft, format!("`{unit}` is masked by `/{path}`"))
                .hint("remove that link: `[[files]]` with its path and `remove = true`"));
        }
        // systemctl passes over what Also= names in vain.
        None => return Ok(()),
    };
    let install = Install::read(draft, &path, unit);
    let name = Name::parse(unit);
    let linked = match (&name.instance, &install.default_instance) {
        // A template is enabled as its default instance.
        (Some(instance), Some(default)) if instance.is_empty() => name.with_instance(default),
        _ => unit.to_owned(),
    };
    if install.is_empty() && unit == named.as_str() {
        return Err(refuse(
            draft,
            format!("`{unit}` has no [Install] section, so there is nothing to enable"),
        )
        .hint("units that need it start it; or give it a drop-in with WantedBy="));
    }
    let template_alone = name.is_template() && install.default_instance.is_none();
    if template_alone && install.pulls.iter().any(|list| !list.is_empty()) {
        return Err(refuse(
            draft,
            format!("`{unit}` is a template without a default instance"),
        )
        .hint(format!(
            "name an instance, like `{}`",
            name.with_instance("NAME")
        )));
    }
    let target = format!("/{path}");
    for alias in &install.alias {
        let alias = install.expand(alias, &linked);
        if alias != unit {
            draft.link(&format!("{LINKS}/{alias}"), &target);
        }
    }
    let instance = Name::parse(&linked).instance.unwrap_or_default();
    for (folder, wanted) in PULLS.iter().zip(&install.pulls) {
        for wants in wanted {
            let wants = install.expand(wants, &linked);
            let wanting = Name::parse(&wants);
            let wants = match wanting.is_template() && !instance.is_empty() {
                true => wanting.with_instance(&instance),
                false => wants,
            };
            draft.link(&format!("{LINKS}/{wants}{folder}/{linked}"), &target);
        }
    }
    for also in &install.also {
        enable(draft, &install.expand(also, &linked), named, seen)?;
    }
    Ok(())
}

/// Takes away every link to the unit, and to what it names as Also=.
fn disable(draft: &mut Draft<'_>, unit: &str, seen: &mut BTreeSet<String>) {
    if !seen.insert(unit.to_owned()) {
        return;
    }
    for (name, node) in draft.below(LINKS) {
        let Node::Symlink(target) = node else {
            continue;
        };
        let target = String::from_utf8_lossy(target.as_bytes()).into_owned();
        if target == "/dev/null" {
            continue;
        }
        let last = name.rsplit('/').next().unwrap_or_default();
        let real = target.rsplit('/').next().unwrap_or_default();
        let template = Name::parse(unit).is_template();
        let is_instance = template && Name::parse(last).template().as_deref() == Some(unit);
        // An instance's link leads to its template, which other instances share.
        let leads = real == unit && (template || Name::parse(last).template().is_none());
        let pulled = name
            .rsplit_once('/')
            .is_some_and(|(folder, _)| PULLS.iter().any(|ending| folder.ends_with(ending)));
        if (last == unit && (pulled || real == unit)) || is_instance || leads {
            draft.remove(&format!("{LINKS}/{name}"));
        }
    }
    if let Some(Found::File(path)) = find(draft, unit) {
        let install = Install::read(draft, &path, unit);
        for also in &install.also {
            disable(draft, &install.expand(also, unit), seen);
        }
    }
}

/// Says of each unit that is enabled here that it is, and of all others that they are not.
fn preset(draft: &mut Draft<'_>) {
    let mut enabled = BTreeSet::new();
    let mut instances: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, node) in draft.below(LINKS) {
        let Node::Symlink(target) = node else {
            continue;
        };
        let target = String::from_utf8_lossy(target.as_bytes()).into_owned();
        if target == "/dev/null" {
            continue;
        }
        let unit = match name.rsplit_once('/') {
            Some((_, unit)) => unit,
            // An alias: the unit is what it leads to.
            None => target.rsplit('/').next().unwrap_or_default(),
        };
        let parsed = Name::parse(unit);
        match (parsed.template(), parsed.instance) {
            (Some(template), Some(instance)) => {
                instances.entry(template).or_default().insert(instance);
            }
            _ => {
                enabled.insert(unit.to_owned());
            }
        }
    }
    let mut text =
        "# What is enabled in this image stays so, and nothing else becomes so.\n".to_owned();
    for unit in enabled {
        text += &format!("enable {unit}\n");
    }
    for (template, instances) in instances {
        let names: Vec<_> = instances.into_iter().collect();
        text += &format!("enable {template} {}\n", names.join(" "));
    }
    text += "disable *\n";
    draft.text(PRESET, &text);
}
