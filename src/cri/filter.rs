//! What all lists can be narrowed by.

use std::collections::BTreeMap;

use regex_lite::Regex;

use crate::error::{Error, Kind, Result};

/// A regular expression that nothing need match.
pub struct Pattern(Option<Regex>);

impl Pattern {
    pub fn new(pattern: Option<&str>) -> Result<Self> {
        let Some(pattern) = pattern.filter(|pattern| !pattern.is_empty()) else {
            return Ok(Self(None));
        };
        let regex = Regex::new(pattern).map_err(|error| {
            let message = format!("invalid regular expression {pattern:?}: {error}");
            Error::new(Kind::Usage, message)
        })?;
        Ok(Self(Some(regex)))
    }

    pub fn matches(&self, text: &str) -> bool {
        self.0.as_ref().is_none_or(|regex| regex.is_match(text))
    }
}

/// `KEY=VALUE` flags.
pub fn labels(flags: &[String]) -> Result<BTreeMap<String, String>> {
    let pair = |flag: &String| match flag.split_once('=') {
        Some((key, value)) if !value.contains('=') => Ok((key.to_owned(), value.to_owned())),
        _ => {
            let message = format!("incorrectly specified label: {flag}");
            Err(Error::new(Kind::Usage, message).hint("they are written as `key=value`"))
        }
    };
    flags.iter().map(pair).collect()
}

/// The newest first, cut to what was asked for.
pub fn newest<T>(list: &mut Vec<T>, created: impl Fn(&T) -> i64, latest: bool, last: usize) {
    list.sort_by_key(|one| std::cmp::Reverse(created(one)));
    match (last, latest) {
        (0, true) => list.truncate(1),
        (0, false) => {}
        (last, _) => list.truncate(last),
    }
}

/// A state that was asked for, by its number in `states` after `prefix`.
pub fn state(asked: Option<&str>, states: &[&str], prefix: &str) -> Result<Option<i32>> {
    let Some(asked) = asked else { return Ok(None) };
    let names: Vec<_> = states
        .iter()
        .map(|state| state.trim_start_matches(prefix).to_lowercase())
        .collect();
    let found = (0..)
        .zip(&names)
        .find(|(_, name)| **name == asked.to_lowercase());
    found.map(|(number, _)| Some(number)).ok_or_else(|| {
        let message = format!("--state should be one of {}", names.join(", "));
        Error::new(Kind::Usage, message)
    })
}

/// Does the same to each, goes on after a failure, and tells all failures.
pub struct Failures(Vec<Error>);

impl Failures {
    pub fn new() -> Self {
        Self(Vec::new())
    }

    pub fn add(&mut self, result: Result<()>) {
        self.0.extend(result.err());
    }

    pub fn result(mut self) -> Result<()> {
        if self.0.len() < 2 {
            return self.0.pop().map_or(Ok(()), Err);
        }
        let messages: Vec<_> = self.0.iter().map(Error::message).collect();
        Err(Error::new(self.0[0].kind(), messages.join("\n")))
    }
}
