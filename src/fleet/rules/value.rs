//! Values of the rules, checked as they are read.

use std::fmt;
use std::time::Duration;

use globset::{Glob, GlobMatcher};
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

use crate::digest::Digest;
use crate::fleet::selector::Selector;
use crate::profile::value::HINT_MARK;

/// A number of nodes, or a share of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// So many.
    Number(usize),
    /// So many of a hundred.
    Percent(u8),
}

impl Amount {
    /// How many of `all` that is: rounded down, but one at least, or nothing would ever move.
    #[must_use]
    pub fn of(self, all: usize) -> usize {
        match self {
            Self::Number(number) => number,
            Self::Percent(share) => (all * usize::from(share) / 100).max(1),
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Percent(share) => write!(f, "{share} %"),
        }
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Amount;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of nodes, or a percentage like \"10%\"")
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Amount, E> {
                match usize::try_from(number) {
                    Ok(number) if number > 0 => Ok(Amount::Number(number)),
                    _ => Err(E::custom(none())),
                }
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Amount, E> {
                let share = text.strip_suffix('%').map(|share| share.trim().parse());
                match share {
                    Some(Ok(share @ 1..=100)) => Ok(Amount::Percent(share)),
                    Some(Ok(0)) => Err(E::custom(none())),
                    _ => Err(refused(
                        format!("`{text}` is no number of nodes"),
                        "write a number like 2, or a percentage like \"10%\"",
                    )),
                }
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

fn none() -> String {
    format!(
        "no node could ever be reimaged{HINT_MARK}write at least 1; `hold = \"REASON\"` keeps a pool as it is"
    )
}

/// An error that carries a hint through serde.
pub(super) fn refused<E: de::Error>(message: impl fmt::Display, hint: &str) -> E {
    E::custom(format!("{message}{HINT_MARK}{hint}"))
}

/// A pattern with `*`, `?`, `[…]` and `{a,b}`.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    matcher: GlobMatcher,
}

impl Pattern {
    pub(super) fn matcher(&self) -> &GlobMatcher {
        &self.matcher
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match Glob::new(&text) {
            Ok(glob) => Ok(Self {
                matcher: glob.compile_matcher(),
                text,
            }),
            Err(error) => Err(refused(
                format!("`{text}` is no pattern: {}", error.kind()),
                "`*` stands for anything; put a `\\` before a special character",
            )),
        }
    }
}

/// An image's name with its digest: `HOST/NAME[:TAG]@sha256:HEX`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageReference {
    text: String,
    digest: Digest,
}

impl ImageReference {
    /// The digest alone.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for ImageReference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, digest),
            None if text.starts_with("sha256:") => ("-", text.as_str()),
            None => {
                return Err(refused(
                    format!("`{text}` has no digest"),
                    "a tag can move: write `NAME@sha256:…`, as `nodelith push` prints it",
                ));
            }
        };
        let good = |c: char| c.is_ascii_alphanumeric() || "-_./:[]".contains(c);
        match digest.parse() {
            Ok(digest) if !name.is_empty() && name.chars().all(good) => Ok(Self { text, digest }),
            _ => Err(refused(
                format!("`{text}` is no image"),
                "write it like `registry.example/node:1@sha256:` and 64 hexadecimal digits",
            )),
        }
    }
}

/// A time: `90s`, `15m`, `1h 30m`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Time(pub(super) Duration);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = text.parse::<jiff::SignedDuration>().ok();
        let time = time.and_then(|time| Duration::try_from(time).ok());
        // A year, so that the sum of many cannot run over.
        match time.filter(|time| time.as_secs() <= 366 * 24 * 60 * 60) {
            Some(time) => Ok(Self(time)),
            None => Err(refused(
                format!("`{text}` is no time to wait"),
                "write it like `90s`, `15m` or `1h 30m`",
            )),
        }
    }
}

/// A label selector as kubectl's `-l` takes it.
#[derive(Debug, Clone, Default)]
pub(super) struct Labels(pub(super) Selector);

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.parse() {
            Ok(selector) => Ok(Self(selector)),
            Err(why) => Err(refused(
                why,
                "write it as for `kubectl -l`: `pool=workers,tier!=db,!gpu`",
            )),
        }
    }
}
