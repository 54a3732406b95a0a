//! What a containerd makes of one key in its configuration.

use super::super::version::Version;
use super::settings::{At, Kind, Location, Setting, settings};
use super::{Plugin, Row, line, plugins};

/// What containerd makes of a key in its configuration.
#[derive(Debug, Clone, PartialEq)]
pub enum Reading {
    /// It reads it.
    Read(&'static Setting),
    /// It reads it and warns.
    Deprecated {
        /// What it is.
        setting: &'static Setting,
        /// Since when.
        since: Version,
        /// What to use.
        instead: Option<&'static str>,
    },
    /// A table on the way to settings.
    Table,
    /// It passes over it here; the place where it would read it, if there is one.
    Elsewhere(&'static Setting, Option<Location>),
    /// It passes over it: the setting, or the plug-in, came with a later release.
    Later(Version),
    /// It passes over it: the setting, or the plug-in, is gone.
    Gone {
        /// Since when.
        since: Version,
        /// What to do.
        instead: Option<&'static str>,
    },
    /// It passes over it: there is no such key in this plug-in.
    Unknown,
    /// Nothing is known of this plug-in's keys.
    Unchecked,
}

/// What containerd of this version makes of the key at `path`, from the top of a
/// file whose `version` is `config` (1 where it says nothing).
#[must_use]
pub fn reading(path: &[&str], version: Version, config: u8) -> Reading {
    let (Some(known), Some((first, rest))) = (line(version), path.split_first()) else {
        return Reading::Unchecked;
    };
    let (id, rest) = match (*first, rest.split_first()) {
        ("plugins", Some((id, rest))) => (*id, rest),
        ("plugins", None) => return Reading::Table,
        _ => ("", path),
    };
    let named: Vec<_> = plugins().filter(|row| row.is_named(id, config)).collect();
    if let Some(reading) = of_plugin(&named, known.row) {
        return reading;
    }
    if rest.is_empty() {
        return Reading::Table;
    }
    let here = |at: &At| {
        named.iter().any(|plugin| plugin.name == at.plugin())
            && matches(at.keys(), rest) != Match::None
    };
    // A setting of its own goes before the table that it stands in.
    let mut table = false;
    let mut elsewhere = None;
    let mut within = None;
    for setting in settings() {
        for at in setting.at.iter().filter(|at| here(at)) {
            let found = matches(at.keys(), rest);
            let lives = at.lives(known.row, version, config);
            match found {
                Match::Above => table = true,
                Match::Exact if setting.kind == Kind::Group => table = true,
                Match::Exact if lives => return setting.read_at(at, version),
                Match::Within if lives && setting.kind.is_open() => within = Some((setting, at)),
                Match::Within if !setting.kind.is_open() => {}
                _ => elsewhere = Some(setting),
            }
        }
    }
    if let Some((setting, at)) = within {
        return setting.read_at(at, version);
    }
    match elsewhere {
        Some(setting) => setting.passed_over(&named, version, config),
        None if table => Reading::Table,
        None if named.iter().any(|plugin| plugin.complete) => Reading::Unknown,
        None => Reading::Unchecked,
    }
}

/// Names that could stand beside the last one of `path` in a file of that version.
#[must_use]
pub fn siblings(path: &[&str], version: Version, config: u8) -> Vec<&'static str> {
    let (Some(known), Some((_, above))) = (line(version), path.split_last()) else {
        return Vec::new();
    };
    let (id, above) = match above {
        ["plugins", id, above @ ..] => (*id, above),
        above => ("", above),
    };
    let places = settings().iter().flat_map(|setting| &setting.at);
    let mut found: Vec<_> = places
        .filter(|at| at.lives(known.row, version, config))
        .filter(|at| {
            plugins().any(|plugin| plugin.name == at.plugin() && plugin.is_named(id, config))
        })
        .filter(|at| matches(at.keys(), above) == Match::Above)
        .filter_map(|at| at.keys().nth(above.len()))
        .filter(|name| *name != "*")
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// What is to be said of a plug-in as a whole.
fn of_plugin(named: &[&'static Plugin], row: &Row) -> Option<Reading> {
    if named.is_empty() {
        return Some(Reading::Unchecked);
    }
    if named.iter().any(|plugin| plugin.is_in(row.line)) {
        return None;
    }
    let gone = named.iter().find_map(|plugin| plugin.until);
    if let Some(until) = gone.filter(|until| *until <= row.line) {
        return Some(Reading::Gone {
            since: until.first(),
            instead: None,
        });
    }
    let from = named.iter().map(|plugin| plugin.from).min()?;
    Some(Reading::Later(from.first()))
}

impl Setting {
    fn read_at(&'static self, at: &'static At, version: Version) -> Reading {
        match at.deprecated.filter(|since| *since <= version) {
            Some(since) => Reading::Deprecated {
                setting: self,
                since,
                instead: at.instead.as_deref(),
            },
            None => Reading::Read(self),
        }
    }

    /// What is to be said where a release does not read it in the table of those plug-ins.
    fn passed_over(&'static self, named: &[&Plugin], version: Version, config: u8) -> Reading {
        if let Some(place) = self.places(version, config).pop() {
            return Reading::Elsewhere(self, Some(place));
        }
        let here = self.at.iter();
        let here = here.filter(|at| named.iter().any(|plugin| plugin.name == at.plugin()));
        let later = here.map(|at| at.from).filter(|from| *from > version);
        if let Some(from) = later.min() {
            return Reading::Later(from);
        }
        let ends: Option<Vec<_>> = self.at.iter().map(|at| at.until).collect();
        match ends.into_iter().flatten().max() {
            Some(since) if since <= version => Reading::Gone {
                since,
                instead: self.instead.as_deref(),
            },
            _ => Reading::Elsewhere(self, None),
        }
    }
}

/// How a path lies to a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Match {
    Exact,
    /// The pattern goes on below the path.
    Above,
    /// The path goes on below the pattern.
    Within,
    None,
}

fn matches<'a>(pattern: impl Iterator<Item = &'a str>, path: &[&str]) -> Match {
    let mut length = 0;
    for part in pattern {
        let Some(key) = path.get(length) else {
            return Match::Above;
        };
        if part != "*" && part != *key {
            return Match::None;
        }
        length += 1;
    }
    match length == path.len() {
        true => Match::Exact,
        false => Match::Within,
    }
}
