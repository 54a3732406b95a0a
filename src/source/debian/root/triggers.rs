//! dpkg's triggers (`deb-triggers(5)`): who is interested in what, and what
//! unpacking activates.

use std::collections::{BTreeMap, BTreeSet};

use super::control::is_package_name;
use super::incoming::Package;
use super::rootdir::RootDir;
use crate::error::{Error, Kind, Result};

const FILE: &[u8] = b"var/lib/dpkg/triggers/File";
const DEFERRED: &[u8] = b"var/lib/dpkg/triggers/Unincorp";

/// An interest that a package declares.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Interest<'a> {
    /// A path, or a name without slash.
    trigger: &'a str,
    /// Whether the package that activates it stays unconfigured until it has been processed.
    awaited: bool,
}

/// The interests in a `triggers` control file. What it activates is dpkg's own
/// business: it reads the file again when it configures the package.
fn interests(text: &str) -> Result<Vec<Interest<'_>>> {
    let mut found = Vec::new();
    for line in text.lines() {
        let line = line.split_once('#').map_or(line, |(before, _)| before);
        let mut words = line.split_whitespace();
        let Some(directive) = words.next() else {
            continue;
        };
        let (Some(trigger), None) = (words.next(), words.next()) else {
            return Err(malformed(line));
        };
        let awaited = match directive {
            "interest" | "interest-await" => true,
            "interest-noawait" => false,
            "activate" | "activate-await" | "activate-noawait" => continue,
            _ => return Err(malformed(line)),
        };
        let is_name = match trigger.strip_prefix('/') {
            Some(path) => path.split('/').all(|part| !part.is_empty()),
            None => is_package_name(trigger),
        };
        if !is_name {
            return Err(malformed(line));
        }
        found.push(Interest { trigger, awaited });
    }
    Ok(found)
}

fn malformed(line: &str) -> Error {
    let message = format!("malformed `triggers` control file: `{}`", line.trim());
    Error::new(Kind::Verify, message)
}

/// Adds these packages' interests to `triggers/File` and `triggers/NAME`.
pub(super) fn declare<'a>(
    root: &RootDir,
    packages: impl IntoIterator<Item = &'a Package>,
) -> Result<()> {
    let mut files: BTreeMap<Vec<u8>, String> = BTreeMap::new();
    for package in packages {
        let text = package.control.text("triggers")?.unwrap_or_default();
        let found = interests(text)
            .map_err(|error| error.context(format!("reading package `{}`", package.name)))?;
        for interest in found {
            let by = package.database_name();
            let suffix = if interest.awaited { "" } else { "/noawait" };
            let (file, line) = if interest.trigger.starts_with('/') {
                (
                    FILE.to_vec(),
                    format!("{} {by}{suffix}\n", interest.trigger),
                )
            } else {
                let file = format!("var/lib/dpkg/triggers/{}", interest.trigger);
                (file.into_bytes(), format!("{by}{suffix}\n"))
            };
            let lines = match files.entry(file) {
                std::collections::btree_map::Entry::Occupied(lines) => lines.into_mut(),
                std::collections::btree_map::Entry::Vacant(place) => {
                    let text = root.read_text(place.key())?;
                    place.insert(text)
                }
            };
            add_line(lines, &line);
        }
    }
    for (file, lines) in files {
        root.write(&file, lines.as_bytes(), 0o644)?;
    }
    Ok(())
}

/// Activates the file triggers that lie at or above the paths just unpacked,
/// for the next run of dpkg. Packages that are not configured ignore them.
pub(super) fn activate(root: &RootDir, placed: &[Vec<u8>]) -> Result<()> {
    let known = root.read_text(FILE)?;
    let known = known
        .lines()
        .filter_map(|line| Some(line.split_once(' ')?.0));
    let activated = activated(known, placed);
    if activated.is_empty() {
        return Ok(());
    }
    let mut deferred = root.read_text(DEFERRED)?;
    for trigger in activated {
        // `-`: nobody waits for it.
        add_line(&mut deferred, &format!("{trigger} -\n"));
    }
    root.write(DEFERRED, deferred.as_bytes(), 0o644)
}

fn add_line(lines: &mut String, line: &str) {
    if !lines.split_inclusive('\n').any(|known| known == line) {
        lines.push_str(line);
    }
}

fn activated<'a>(known: impl Iterator<Item = &'a str>, placed: &[Vec<u8>]) -> BTreeSet<&'a str> {
    let known: BTreeMap<&[u8], &str> = known
        .map(|trigger| (trigger.trim_start_matches('/').as_bytes(), trigger))
        .collect();
    let mut found = BTreeSet::new();
    for path in placed {
        let ends = path.iter().enumerate().filter(|&(_, &byte)| byte == b'/');
        let ends = ends.map(|(at, _)| at).chain([path.len()]);
        found.extend(ends.filter_map(|end| known.get(&path[..end])));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interests_are_read() {
        let text = "# comment\ninterest-noawait /usr/share/man\n\
                    activate-noawait ldconfig\ninterest my-trigger # why\n";
        let found = interests(text).unwrap();
        assert_eq!(
            found,
            [
                Interest {
                    trigger: "/usr/share/man",
                    awaited: false
                },
                Interest {
                    trigger: "my-trigger",
                    awaited: true
                },
            ]
        );
        for text in [
            "interest",
            "interest a b",
            "listen /x",
            "interest ../x",
            "interest /a//b",
        ] {
            assert!(interests(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_line_that_ends_another_is_still_added() {
        let mut lines = "/usr/lib/udev/hwdb.d udev\n".to_owned();
        add_line(&mut lines, "/lib/udev/hwdb.d udev\n");
        add_line(&mut lines, "/lib/udev/hwdb.d udev\n");
        assert_eq!(lines, "/usr/lib/udev/hwdb.d udev\n/lib/udev/hwdb.d udev\n");
    }

    #[test]
    fn paths_activate_what_is_at_or_above_them() {
        let known = ["/usr/share/man", "/etc/x", "/usr/share/ma"];
        let placed: Vec<Vec<u8>> = ["usr", "usr/share/man/man1/a.1", "etc/x"]
            .map(Into::into)
            .into();
        let found = activated(known.into_iter(), &placed);
        assert_eq!(found, BTreeSet::from(["/usr/share/man", "/etc/x"]));
    }
}
