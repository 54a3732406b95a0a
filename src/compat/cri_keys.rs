//! The keys of CRI's plug-ins in containerd's configuration, release by release.

use std::sync::LazyLock;

use serde::Deserialize;

use super::read;
use super::version::Version;

static TABLE: LazyLock<Table> = LazyLock::new(|| read(include_str!("cri-keys.toml")));

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    keys: Vec<Keys>,
    options: Vec<Options>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    plugin: Plugin,
    from: Vec<Version>,
    #[serde(default)]
    until: Vec<Version>,
    names: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    from: Vec<Version>,
    #[serde(default)]
    until: Vec<Version>,
    names: Vec<String>,
}

/// A plug-in of CRI's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Plugin {
    /// That of files of version 1 and 2, and the streaming server's.
    Cri,
    /// Images, in files of version 3 and later.
    Images,
    /// Runtimes, in files of version 3 and later.
    Runtime,
}

/// What a release makes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// It reads it.
    Yes,
    /// It has it no more: the first release without it.
    Removed(Version),
    /// It does not have it yet: the first release with it.
    Later(Version),
    /// No release has it.
    Never,
}

/// What a release makes of the key at a path below a plug-in's table; of a release
/// that is not known, whether any has it.
#[must_use]
pub fn reads(plugin: Plugin, path: &[&str], version: Option<Version>) -> Reads {
    let keys = TABLE.keys.iter().filter(|keys| keys.plugin == plugin);
    let mut keys = keys.filter(|keys| keys.names.iter().any(|name| fits(name, path)));
    match keys.next() {
        Some(keys) => judge(&keys.from, &keys.until, version),
        None => Reads::Never,
    }
}

/// What a release makes of an option of runc's shim.
#[must_use]
pub fn reads_option(name: &str, version: Option<Version>) -> Reads {
    let mut groups = TABLE.options.iter();
    match groups.find(|group| group.names.iter().any(|known| known == name)) {
        Some(group) => judge(&group.from, &group.until, version),
        None => Reads::Never,
    }
}

/// Every known key of a plug-in.
pub fn names(plugin: Plugin) -> impl Iterator<Item = &'static str> {
    let keys = TABLE.keys.iter().filter(move |keys| keys.plugin == plugin);
    keys.flat_map(|keys| keys.names.iter().map(String::as_str))
}

fn fits(name: &str, path: &[&str]) -> bool {
    let mut parts = name.split('.');
    for key in path {
        match parts.next() {
            Some("**") => return true,
            Some("*") => {}
            Some(part) if part == *key => {}
            _ => return false,
        }
    }
    // A table above keys is known by them.
    true
}

fn judge(from: &[Version], until: &[Version], version: Option<Version>) -> Reads {
    let Some(version) = version else {
        return Reads::Yes;
    };
    if let Some(until) = reached(until, version)
        && reached(from, version).is_none_or(|from| from <= until)
    {
        return Reads::Removed(until);
    }
    match reached(from, version) {
        Some(_) => Reads::Yes,
        None => from.first().map_or(Reads::Never, |from| Reads::Later(*from)),
    }
}

/// The last change that a release has seen: its own line's, else an earlier line's.
fn reached(changes: &[Version], version: Version) -> Option<Version> {
    let seen = |change: &&Version| **change <= version;
    let own = changes.iter().find(|change| change.line() == version.line());
    match own {
        Some(change) => (*change <= version).then_some(*change),
        None => changes.iter().rev().find(seen).copied(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(plugin: Plugin, path: &str, version: &str) -> Reads {
        let path: Vec<_> = path.split('.').collect();
        reads(plugin, &path, Some(version.parse().unwrap()))
    }

    #[test]
    fn keys_come_and_go() {
        let version = |text: &str| text.parse::<Version>().unwrap();
        let cri = |path, of| at(Plugin::Cri, path, of);
        assert_eq!(cri("sandbox_image", "1.7.0"), Reads::Yes);
        assert_eq!(cri("sandbox_image", "2.1.0"), Reads::Removed(version("2.0.0")));
        assert_eq!(cri("registry.config_path", "1.4.9"), Reads::Later(version("1.5.0")));
        assert_eq!(cri("containerd.runtimes.any.options.What", "1.4.0"), Reads::Yes);
        assert_eq!(cri("containerd.runtimes.any.typo", "1.6.0"), Reads::Never);
        assert_eq!(cri("containerd", "1.6.0"), Reads::Yes);
        assert_eq!(cri("stream_server_port", "2.3.0"), Reads::Yes);
        // In 1.6 and 1.7 by patch releases.
        let key = "ignore_deprecation_warnings";
        assert_eq!(cri(key, "1.6.28"), Reads::Later(version("1.6.29")));
        assert_eq!(cri(key, "1.6.29"), Reads::Yes);
        assert_eq!(cri(key, "1.7.14"), Reads::Yes);
        let bin_dirs = |of| at(Plugin::Runtime, "cni.bin_dirs", of);
        assert_eq!(bin_dirs("2.0.5"), Reads::Later(version("2.1.0")));
        assert_eq!(bin_dirs("2.3.0"), Reads::Yes);
        assert_eq!(
            reads_option("NoPivotRoot", Some(version("2.0.0"))),
            Reads::Removed(version("2.0.0"))
        );
        assert!(names(Plugin::Images).count() > 20);
    }
}
