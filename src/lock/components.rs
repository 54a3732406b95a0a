//! Releases that a profile takes, pinned by digest.

use super::Keep;
use crate::compat::Version;
use crate::error::{Error, Kind, Result};
use crate::profile::{Profile, ReleaseChoice};
use crate::source::release::{Choice, Component, Origin, Provider, is_line};

/// Pins every release that `profile` takes, keeping of `before` what `keep` says
/// and what still is what the profile asks for.
///
/// # Errors
/// With the place in the profile, where no such release is known; what
/// [`Provider::pin`] fails with.
pub(super) fn components(
    provider: &Provider<'_>,
    profile: &Profile,
    architecture: &str,
    before: &[Component],
    keep: &Keep,
) -> Result<Vec<Component>> {
    let mut pinned = Vec::new();
    for choice in profile.releases() {
        let locked = before
            .iter()
            .find(|one| one.name == choice.name && kept(keep, &one.name));
        let component = one(provider, profile, architecture, &choice, locked)?;
        pinned.push(component);
    }
    pinned.sort_by(|a, b| a.name.cmp(&b.name));
    // Also those that were kept.
    provider.take_local(&pinned, architecture)?;
    Ok(pinned)
}

/// Whether an input of this name stays as it is.
pub(super) fn kept(keep: &Keep, name: &str) -> bool {
    match keep {
        Keep::Nothing => false,
        Keep::Everything => true,
        Keep::AllBut(names) => !names.iter().any(|other| other == name),
    }
}

fn one(
    provider: &Provider<'_>,
    profile: &Profile,
    architecture: &str,
    choice: &ReleaseChoice,
    locked: Option<&Component>,
) -> Result<Component> {
    if choice.builtin {
        return match locked {
            Some(locked) if locked.source == Origin::Builtin => Ok(locked.clone()),
            _ => provider
                .pin_builtin(architecture)
                .map_err(|error| locate(error, profile, &[choice.section, "source"], None)),
        };
    }
    let row = provider.releases.row(choice.name)?;
    let chosen = row.choose(&choice.version, choice.or_older);
    let still = |locked: &&Component| {
        locked.source != Origin::Builtin && fits(choice, chosen.as_ref(), &locked.version)
    };
    if let Some(locked) = locked.filter(still) {
        return Ok(locked.clone());
    }
    let version = match chosen {
        Some(Choice { version, older }) => {
            if older {
                provider.report.note(&format!(
                    "no {} of Kubernetes {} is known: it is {version}, of the nearest older minor",
                    choice.name, choice.version
                ));
            }
            version
        }
        // What a local file is, the user says.
        None if provider.local.find(choice.name, architecture).is_some() => choice.version.clone(),
        None => return Err(unknown(profile, choice, &row.lines())),
    };
    provider.pin(choice.name, &version, architecture)
}

/// Whether a locked version is what is asked for.
fn fits(choice: &ReleaseChoice, chosen: Option<&Choice>, locked: &str) -> bool {
    if !is_line(&choice.version) {
        return locked == choice.version;
    }
    let line = |text: &str| text.parse::<Version>().ok().map(Version::line);
    let of_line = line(locked) == line(&choice.version);
    let as_chosen = chosen.is_some_and(|chosen| line(locked) == line(&chosen.version));
    of_line || as_chosen
}

fn unknown(profile: &Profile, choice: &ReleaseChoice, lines: &[String]) -> Error {
    let ReleaseChoice {
        name,
        section,
        version,
        ..
    } = choice;
    let error = Error::new(
        Kind::Resolve,
        format!("no release of {name} {version} is known"),
    )
    .hint(format!(
        "write a whole version in `[{section}]`, like `version = \"{version}.0\"`: its digest is then the publisher's"
    ))
    .hint(format!(
        "known are {}; `--releases FILE` adds others",
        lines.join(", ")
    ));
    match profile.place(&[section, "version"], None) {
        Some(place) => error.at(place),
        None => locate(error, profile, &["kubernetes", "version"], None),
    }
}

/// The error with its place in the profile, if it has none.
pub(super) fn locate(error: Error, profile: &Profile, keys: &[&str], item: Option<&str>) -> Error {
    match profile.place(keys, item) {
        Some(place) if error.place().is_none() => error.at(place),
        _ => error,
    }
}
