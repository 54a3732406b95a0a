//! A root that is somebody else's image: what of it is known when it is locked.
//!
//! Which system it is (os-release(5)) and which packages it says it has stand in the
//! lock, so that a new base shows there what it changes.

pub mod packages;

use std::collections::BTreeMap;
use std::io::Read;

use crate::error::Result;
use crate::image::read::Image;
use crate::image::source::reading;
use crate::tree::TreePath;
use crate::tree::image::{Taker, read_taking};

/// os-release(5): the first that is there is heeded. Some distributions keep theirs
/// behind links, in the last folder.
pub const OS_RELEASE: [&str; 2] = ["etc/os-release", "usr/lib/os-release"];
/// Where some keep the file that [`OS_RELEASE`] leads to.
pub const OS_RELEASE_FOLDER: &str = "usr/lib/os.release.d";
/// The longest os-release that is read, in bytes.
const LONGEST_OS_RELEASE: u64 = 64 << 10;

enum Seen {
    Packages(Result<BTreeMap<String, String>, String>),
    OsRelease(String),
}

/// What a base says it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The system's name for people, of os-release.
    pub os: Option<String>,
    /// Name to version of its packages, as its databases have them.
    pub packages: BTreeMap<String, String>,
    /// Databases that could not be read, and why.
    pub unread: Vec<String>,
}

impl Facts {
    /// Reads them from an opened image.
    ///
    /// # Errors
    /// When a layer cannot be read.
    pub fn read(image: &Image) -> Result<Self> {
        let taker = Taker {
            wants: &|path, size| match packages::database(path.as_bytes()) {
                Some(packages::Database::Other) => true,
                Some(_) => size <= packages::LONGEST,
                None => is_os_release(path) && size <= LONGEST_OS_RELEASE,
            },
            take: &|path, _, content| {
                let mut bytes = Vec::new();
                let read = content.take(packages::LONGEST).read_to_end(&mut bytes);
                read.map_err(|error| reading(&error))?;
                Ok(Some(match packages::database(path.as_bytes()) {
                    Some(database) => Seen::Packages(packages::installed(database, &bytes)),
                    None => Seen::OsRelease(String::from_utf8_lossy(&bytes).into_owned()),
                }))
            },
        };
        let read = read_taking(image, &taker)?;
        let mut facts = Self::default();
        let mut releases = BTreeMap::new();
        for (path, seen) in read.seen {
            match seen {
                Seen::Packages(Ok(found)) => facts.packages.extend(found),
                Seen::Packages(Err(why)) => facts.unread.push(format!("/{path}: {why}")),
                Seen::OsRelease(text) => {
                    releases.insert(path, text);
                }
            }
        }
        let found = OS_RELEASE.iter().find_map(|path| {
            let path = read.tree.resolve(&TreePath::from(*path))?;
            releases.get(&path)
        });
        facts.os = found.and_then(|text| name(text));
        Ok(facts)
    }
}

fn is_os_release(path: &TreePath) -> bool {
    OS_RELEASE
        .iter()
        .any(|known| known.as_bytes() == path.as_bytes())
        || path.is_within(OS_RELEASE_FOLDER.as_bytes())
}

/// The system's name for people.
fn name(text: &str) -> Option<String> {
    let field = |key: &str| {
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='))?;
        let value = value.trim_matches(['"', '\'']).trim();
        (!value.is_empty()).then(|| value.to_owned())
    };
    field("PRETTY_NAME").or_else(|| field("NAME"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systems_are_named_for_people() {
        for (text, found) in [
            (
                "ID=a\nPRETTY_NAME=\"A Linux 3\"\nNAME=A\n",
                Some("A Linux 3"),
            ),
            ("NAME='B'\nPRETTY_NAME=\"\"\n", Some("B")),
            ("# NAME=C\n", None),
        ] {
            assert_eq!(name(text).as_deref(), found);
        }
    }
}
