//! Label selectors, as kubectl's `-l` takes them and as objects carry them.

use std::collections::BTreeMap;
use std::str::FromStr;

/// Requirements that must all hold; without any it chooses everything.
#[derive(Debug, Default, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Selector(Vec<Requirement>);

/// What one label must be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Requirement {
    /// The label's key.
    pub key: String,
    /// What must hold of it.
    pub operator: Operator,
}

/// What must hold of a label.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operator {
    /// It is there, with one of these values.
    In(Vec<String>),
    /// It is not there, or has none of these values.
    NotIn(Vec<String>),
    /// It is there.
    Exists,
    /// It is not there.
    DoesNotExist,
}

impl Selector {
    /// A selector of these requirements.
    #[must_use]
    pub fn new(requirements: Vec<Requirement>) -> Self {
        Self(requirements)
    }

    /// Whether it chooses everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it chooses what has these labels.
    #[must_use]
    pub fn fits(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|requirement| {
            let found = labels.get(&requirement.key);
            match &requirement.operator {
                Operator::In(values) => found.is_some_and(|value| values.contains(value)),
                Operator::NotIn(values) => !found.is_some_and(|value| values.contains(value)),
                Operator::Exists => found.is_some(),
                Operator::DoesNotExist => found.is_none(),
            }
        })
    }
}

impl FromStr for Selector {
    type Err = String;

    /// Reads `a=b`, `a==b`, `a!=b`, `a in (b,c)`, `a notin (b,c)`, `a` and `!a`, joined by commas.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut all = Vec::new();
        for part in parts(text) {
            let part = part.trim();
            if part.is_empty() && text.trim().is_empty() {
                break;
            }
            all.push(requirement(part)?);
        }
        Ok(Self(all))
    }
}

/// The text between commas that are in no parentheses.
fn parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut begin, mut depth) = (0, 0_usize);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[begin..]);
    parts
}

fn requirement(part: &str) -> Result<Requirement, String> {
    let (key, operator) = if let Some(key) = part.strip_prefix('!') {
        (key, Operator::DoesNotExist)
    } else if let Some((key, value)) = part.split_once("!=") {
        (key, Operator::NotIn(vec![word(value)?]))
    } else if let Some((key, value)) = part.split_once('=') {
        let value = value.strip_prefix('=').unwrap_or(value);
        (key, Operator::In(vec![word(value)?]))
    } else if let Some((key, rest)) = part.split_once(char::is_whitespace) {
        let rest = rest.trim();
        let (name, values) = rest.split_once('(').unwrap_or((rest, ""));
        let values = values.strip_suffix(')');
        let values = values.map(|values| values.split(',').map(word).collect::<Result<_, _>>());
        match (name.trim(), values.transpose()?) {
            ("in", Some(values)) => (key, Operator::In(values)),
            ("notin", Some(values)) => (key, Operator::NotIn(values)),
            _ => return Err(format!("`{part}` is no requirement of a label")),
        }
    } else {
        (part, Operator::Exists)
    };
    let key = word(key)?;
    match key.is_empty() {
        true => Err(format!("`{part}` names no label")),
        false => Ok(Requirement { key, operator }),
    }
}

/// A key or value: letters, digits and `-_./` (Kubernetes, "Labels and Selectors").
fn word(text: &str) -> Result<String, String> {
    let text = text.trim();
    let good = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    match text.chars().all(good) {
        true => Ok(text.to_owned()),
        false => Err(format!("`{text}` can be neither key nor value of a label")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_kubectl_takes_them() {
        let labels = |text: &str| -> BTreeMap<String, String> {
            let pairs = text
                .split_whitespace()
                .filter_map(|one| one.split_once('='));
            pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
        };
        for (selector, has, fits) in [
            ("", "a=b", true),
            ("a=b", "a=b", true),
            ("a==b,c", "a=b c=", true),
            ("a==b, c", "a=b", false),
            ("a!=b", "a=c", true),
            ("a!=b", "", true),
            ("a!=b", "a=b", false),
            ("a in (b, c),!d", "a=c", true),
            ("a in (b,c),!d", "a=c d=1", false),
            ("a notin (b,c)", "a=c", false),
            ("example.org/a=", "example.org/a=", true),
        ] {
            let read: Selector = selector.parse().unwrap();
            assert_eq!(read.fits(&labels(has)), fits, "{selector} of {has}");
        }
        for wrong in [
            "=",
            "a=b,",
            "a in b",
            "a like (b)",
            "a=b c",
            "a=$(x)",
            "in (a)x",
        ] {
            assert!(wrong.parse::<Selector>().is_err(), "{wrong}");
        }
    }
}
