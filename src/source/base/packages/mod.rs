//! The databases of packages that distributions keep in a root, and what each says
//! is installed.
//!
//! ```text
//! dpkg   stanzas of fields         deb-control(5), dpkg-query(1)
//! apk    records of one letter     apk-package(5), "installed database"
//! rpm    headers in an SQLite file "RPM Package File Structure"
//! ```
//!
//! rpm's older databases (Berkeley DB, ndb) are told apart, not read.

mod apk;
mod rpm;
mod sqlite;

use std::collections::BTreeMap;

use crate::source::debian::root::status;

/// The longest database that is read, in bytes.
pub const LONGEST: u64 = 64 << 20;

/// Sorts of databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    /// dpkg's `status`.
    Dpkg,
    /// apk's `installed`.
    Apk,
    /// rpm's, in SQLite's format.
    Rpm,
    /// One that is not read.
    Other,
}

/// Where each is. Image-based systems have rpm's below `/usr`, since `/var` is state.
const PLACES: [(&str, Database); 11] = [
    ("var/lib/dpkg/status", Database::Dpkg),
    ("lib/apk/db/installed", Database::Apk),
    ("usr/lib/apk/db/installed", Database::Apk),
    ("var/lib/rpm/rpmdb.sqlite", Database::Rpm),
    ("usr/lib/sysimage/rpm/rpmdb.sqlite", Database::Rpm),
    ("usr/share/rpm/rpmdb.sqlite", Database::Rpm),
    ("var/lib/rpm/Packages", Database::Other),
    ("var/lib/rpm/Packages.db", Database::Other),
    ("usr/lib/sysimage/rpm/Packages", Database::Other),
    ("usr/lib/sysimage/rpm/Packages.db", Database::Other),
    ("usr/share/rpm/Packages", Database::Other),
];

/// Where databases are that can be read.
pub fn places() -> impl Iterator<Item = (&'static str, Database)> {
    let places = PLACES.iter().copied();
    places.filter(|(_, database)| *database != Database::Other)
}

/// The sort of database that a path of a root is, if it is one.
#[must_use]
pub fn database(path: &[u8]) -> Option<Database> {
    let mut places = PLACES.iter();
    let found = places.find(|(place, _)| place.as_bytes() == path);
    found.map(|(_, database)| *database)
}

/// Name to version of every package that a database says is installed.
///
/// # Errors
/// Why it cannot be read.
pub fn installed(database: Database, bytes: &[u8]) -> Result<BTreeMap<String, String>, String> {
    match database {
        Database::Dpkg => Ok(status::installed(&String::from_utf8_lossy(bytes))),
        Database::Apk => apk::packages(bytes),
        Database::Rpm => rpm::packages(bytes),
        Database::Other => Err("a database of packages in a form that is not read".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_are_known_by_their_paths() {
        for (path, found) in [
            ("var/lib/dpkg/status", Some(Database::Dpkg)),
            ("lib/apk/db/installed", Some(Database::Apk)),
            ("usr/share/rpm/rpmdb.sqlite", Some(Database::Rpm)),
            ("var/lib/rpm/Packages", Some(Database::Other)),
            ("var/lib/rpm/rpmdb.sqlite-wal", None),
            ("srv/var/lib/dpkg/status", None),
        ] {
            assert_eq!(database(path.as_bytes()), found, "{path}");
        }
    }
}
