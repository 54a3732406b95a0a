//! A baseline: findings that are accepted, each with a reason.
//!
//! ```toml
//! [[accept]]
//! id = "ND-HYG-010"
//! place = "/usr/bin/our-*"
//! reason = "reviewed by the security team in March"
//! ```
//!
//! `place` is a pattern over the finding's file; without it, all findings of the
//! rule are accepted. An entry that accepts nothing is *stale*.

use std::path::Path;

use globset::{Glob, GlobMatcher};
use serde::Deserialize;
use toml::Spanned;

use super::rule::Finding;
use super::rules;
use crate::error::{Context, Error, Kind, Place, Result};

/// A baseline.
#[derive(Debug, Default)]
pub struct Baseline {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    id: String,
    pattern: Option<String>,
    place: Option<GlobMatcher>,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    accept: Vec<Accept>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Accept {
    id: Spanned<String>,
    place: Option<Spanned<String>>,
    reason: Spanned<String>,
}

impl Baseline {
    /// Reads a baseline's file.
    ///
    /// # Errors
    /// [`Kind::Usage`], with the place, for an id that is none, a pattern that is
    /// none, or an empty reason.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).io("reading", path)?;
        Self::parse(&text, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self> {
        let refuse = |message: String, span: std::ops::Range<usize>| {
            Error::new(Kind::Usage, message).at(Place {
                file: path.to_owned(),
                text: text.to_owned(),
                span,
            })
        };
        let file: File = toml::from_str(text).map_err(|error| {
            refuse(error.message().to_owned(), error.span().unwrap_or_default())
        })?;
        let mut entries = Vec::new();
        for accept in file.accept {
            let id = accept.id.get_ref();
            let Some(rule) = rules::by_id(id) else {
                return Err(refuse(format!("there is no rule `{id}`"), accept.id.span())
                    .hint("`nodelith check --list` names them all"));
            };
            if accept.reason.get_ref().trim().is_empty() {
                return Err(refuse(
                    "a finding is accepted without a reason".into(),
                    accept.reason.span(),
                )
                .hint("say why, for whoever reads this next"));
            }
            let place = accept.place.as_ref().map(|pattern| {
                Glob::new(pattern.get_ref())
                    .map(|glob| glob.compile_matcher())
                    .map_err(|error| refuse(error.to_string(), pattern.span()))
            });
            entries.push(Entry {
                id: rule.id.to_owned(),
                pattern: accept.place.map(Spanned::into_inner),
                place: place.transpose()?,
                reason: accept.reason.into_inner(),
            });
        }
        Ok(Self { entries })
    }

    /// Marks the findings that are accepted; what it gives back are the stale
    /// entries, in words.
    pub fn apply(&self, findings: &mut [Finding]) -> Vec<String> {
        let mut used = vec![false; self.entries.len()];
        for finding in findings {
            for (entry, used) in self.entries.iter().zip(&mut used) {
                let fits = match (&entry.place, &finding.place) {
                    (None, _) => true,
                    (Some(place), Some(at)) => place.is_match(&at.file),
                    (Some(_), None) => false,
                };
                if entry.id == finding.rule.id && fits {
                    *used = true;
                    finding.accepted.get_or_insert_with(|| entry.reason.clone());
                }
            }
        }
        let stale = self.entries.iter().zip(used).filter(|(_, used)| !used);
        stale
            .map(|(entry, _)| match &entry.pattern {
                Some(pattern) => format!("{} at `{pattern}`", entry.id),
                None => entry.id.clone(),
            })
            .collect()
    }
}
