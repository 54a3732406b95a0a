//! Store paths as texts.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::tree::TreePath;

/// Digits of the hash that a store path's name begins with.
const HASH: usize = 32;
/// The longest name after the hash (Nix manual, "Store Path").
const LONGEST_NAME: usize = 211;

/// A path of a store: `/nix/store/HASH-NAME`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorePath(String);

impl StorePath {
    /// Takes a whole path of a store.
    ///
    /// # Errors
    /// Why it is not one.
    pub fn parse(text: &str) -> Result<Self, String> {
        let refused = || format!("`{}` is not a store path", text.escape_debug());
        let (folder, base) = text.rsplit_once('/').ok_or_else(refused)?;
        let tidy = folder
            .split('/')
            .skip(1)
            .all(|part| !matches!(part, "" | "." | ".."));
        match folder.starts_with('/') && folder.len() > 1 && tidy && is_base(base) {
            true => Ok(Self(text.to_owned())),
            false => Err(refused()),
        }
    }

    /// The store path of `base` in the store at `folder`.
    ///
    /// # Errors
    /// Why it is not one.
    pub fn join(folder: &str, base: &str) -> Result<Self, String> {
        Self::parse(&format!("{}/{base}", folder.trim_end_matches('/')))
    }

    /// The store path that `path` is or is below of.
    #[must_use]
    pub fn of(path: &str) -> Option<Self> {
        let mut end = 0;
        for part in path.split_inclusive('/') {
            end += part.len();
            if is_base(part.trim_end_matches('/')) {
                return Self::parse(path[..end].trim_end_matches('/')).ok();
            }
        }
        None
    }

    /// The whole path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The store's folder: `/nix/store`.
    #[must_use]
    pub fn folder(&self) -> &str {
        self.0.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// Hash and name: `HASH-NAME`.
    #[must_use]
    pub fn base(&self) -> &str {
        self.0.rsplit_once('/').map_or("", |(_, base)| base)
    }

    /// The package's name, without hash, version, and output: that of its
    /// derivation, up to a dash which no letter follows (`builtins.parseDrvName`).
    #[must_use]
    pub fn package(&self) -> &str {
        let name = &self.base()[HASH + 1..];
        let dash = name.match_indices('-').find(|(at, _)| {
            let after = name.as_bytes().get(at + 1);
            after.is_some_and(|byte| !byte.is_ascii_alphabetic())
        });
        dash.map_or(name, |(at, _)| &name[..at])
    }

    /// Where it stands in a root.
    #[must_use]
    pub fn in_tree(&self) -> TreePath {
        TreePath::from(self.0.trim_start_matches('/'))
    }
}

fn is_base(base: &str) -> bool {
    let Some((hash, name)) = base.split_at_checked(HASH) else {
        return false;
    };
    let Some(name) = name.strip_prefix('-') else {
        return false;
    };
    hash.bytes()
        .all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
        && (1..=LONGEST_NAME).contains(&name.len())
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-._?=".contains(&byte))
}

impl fmt::Display for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Serialize for StorePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for StorePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> StorePath {
        StorePath::join("/nix/store", &format!("{}-{name}", "0".repeat(32))).unwrap()
    }

    #[test]
    fn packages_are_named_without_version_and_output() {
        for (name, package) in [
            ("glibc-2.38-27", "glibc"),
            ("glibc-2.38-27-bin", "glibc"),
            ("python3.11-requests-2.31.0", "python3.11-requests"),
            ("unit-kubelet.service", "unit-kubelet.service"),
            ("nixos-system-node-24.05", "nixos-system-node"),
            ("etc", "etc"),
            ("dash-", "dash-"),
        ] {
            assert_eq!(named(name).package(), package, "{name}");
        }
    }

    #[test]
    fn only_store_paths_are_taken() {
        let base = format!("{}-x", "0".repeat(32));
        for bad in [
            base.clone(),
            format!("/{base}"),
            format!("/nix/../store/{base}"),
            format!("/nix//store/{base}"),
            format!("nix/store/{base}"),
            format!("/nix/store/{base}/bin"),
            format!("/nix/store/{base}\n"),
            format!("/nix/store/{}-.x", "0".repeat(32)),
            "/nix/store/x".to_owned(),
            String::new(),
        ] {
            assert!(StorePath::parse(&bad).is_err(), "{bad}");
        }
        let path = StorePath::parse(&format!("/nix/store/{base}")).unwrap();
        assert_eq!((path.folder(), path.base()), ("/nix/store", &*base));
        let below = format!("/nix/store/{base}/bin/sh");
        assert_eq!(StorePath::of(&below), Some(path));
        assert_eq!(StorePath::of("/usr/bin/sh"), None);
    }
}
