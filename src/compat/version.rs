//! Versions of upstream releases, as programs and packages write them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};

/// A release: major, minor, patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// 1 of 1.7.24.
    pub major: u32,
    /// 7 of 1.7.24.
    pub minor: u32,
    /// 24 of 1.7.24; 0 where only a line is named.
    pub patch: u32,
}

impl Version {
    /// The upstream release in a Debian version: 1.7.24 of `1:1.7.24~ds1-6+deb13u1`.
    #[must_use]
    pub fn of_package(text: &str) -> Option<Self> {
        let upstream = text.split_once(':').map_or(text, |(_, rest)| rest);
        let end = upstream.find(|c: char| !c.is_ascii_digit() && c != '.');
        upstream[..end.unwrap_or(upstream.len())]
            .trim_end_matches('.')
            .parse()
            .ok()
    }

    /// Major and minor: the release line.
    #[must_use]
    pub fn line(self) -> Line {
        Line(self.major, self.minor)
    }
}

impl FromStr for Version {
    type Err = String;

    /// Reads `1.7.24`, `1.7` or `v1.7.24`; what follows a `-` is passed over.
    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || format!("`{text}` is not a version");
        let plain = text.strip_prefix('v').unwrap_or(text);
        let plain = plain.split('-').next().unwrap_or_default();
        let mut parts = [None; 3];
        for (place, part) in plain.split('.').enumerate() {
            let slot = parts.get_mut(place);
            // A fourth number is a packager's.
            let Some(slot) = slot else { break };
            *slot = Some(part.parse().map_err(|_| refuse())?);
        }
        let [Some(major), Some(minor), patch] = parts else {
            return Err(refuse());
        };
        Ok(Self {
            major,
            minor,
            patch: patch.unwrap_or_default(),
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// A release line: major and minor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Line(pub u32, pub u32);

impl Line {
    /// Its first release.
    #[must_use]
    pub fn first(self) -> Version {
        Version {
            major: self.0,
            minor: self.1,
            patch: 0,
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// Both are written as texts in the tables.
macro_rules! from_text {
    ($type:ty, $read:expr) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                let read: fn(Version) -> Self = $read;
                text.parse().map(read).map_err(de::Error::custom)
            }
        }
    };
}

from_text!(Version, |version| version);
from_text!(Line, Version::line);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_packages() {
        for (text, version) in [
            ("1.7.24~ds1-6+deb13u1", Some("1.7.24")),
            ("1.6.20~ds1-1+deb12u3", Some("1.6.20")),
            ("1:2.1.9+ds1-1", Some("2.1.9")),
            ("1.7.27-1~debian.12~bookworm", Some("1.7.27")),
            ("1.36.4-1.1", Some("1.36.4")),
            ("2.3-1", Some("2.3.0")),
            ("20240101-1", None),
            ("x", None),
        ] {
            let read = Version::of_package(text).map(|version| version.to_string());
            assert_eq!(read.as_deref(), version, "{text}");
        }
    }

    #[test]
    fn versions_as_programs_write_them() {
        assert_eq!("v1.36".parse::<Version>().unwrap().to_string(), "1.36.0");
        assert_eq!("2.4.0-beta.0".parse::<Version>().unwrap().patch, 0);
        assert!("2".parse::<Version>().is_err());
        assert!("1.x".parse::<Version>().is_err());
        assert!("1.10.0".parse::<Version>() > "1.9.9".parse::<Version>());
    }
}
