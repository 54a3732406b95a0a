//! Configuration files as data with places: one kind of [`Node`] for TOML and
//! YAML (of which JSON is a part), so that a rule can say where what it speaks
//! of stands.
//!
//! Input may be hostile: depth and number of nodes are bounded, aliases of YAML
//! are refused rather than expanded.

mod toml;
mod yaml;

use std::collections::BTreeMap;
use std::ops::Range;

/// The deepest nesting that is read.
const DEEPEST: usize = 64;
/// The most values in one file that are read.
const MOST_NODES: usize = 100_000;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The number of the text that it is from (see [`super::subject::Subject::texts`]).
    pub text: usize,
    /// Byte range of the key, or of the value where it has none.
    pub key: Range<usize>,
    /// Byte range of the value.
    pub span: Range<usize>,
    /// What it is.
    pub value: Value,
}

/// What a [`Node`] is.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A table or mapping.
    Table(BTreeMap<String, Node>),
    /// An array or sequence.
    List(Vec<Node>),
    /// A text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// True or false.
    Boolean(bool),
    /// Nothing.
    Null,
    /// A date or a broken number, as it is written.
    Other(String),
}

/// Why a file cannot be read, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// What is wrong.
    pub why: String,
    /// Byte range of it.
    pub span: Range<usize>,
}

impl Node {
    /// Reads a TOML file.
    ///
    /// # Errors
    /// When it is not TOML.
    pub fn toml(source: &str, text: usize) -> Result<Self, Broken> {
        toml::read(source, text)
    }

    /// Reads the documents of a YAML file.
    ///
    /// # Errors
    /// When it is not YAML, or has aliases.
    pub fn yaml(source: &str, text: usize) -> Result<Vec<Self>, Broken> {
        yaml::read(source, text)
    }

    /// What stands at a path of keys.
    #[must_use]
    pub fn at<K: AsRef<str>>(&self, path: &[K]) -> Option<&Self> {
        path.iter()
            .try_fold(self, |node, key| node.get(key.as_ref()))
    }

    /// What a table has under a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Table(table) => table.get(key),
            _ => None,
        }
    }

    /// The entries of a table; none of anything else.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Self)> {
        let table = match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        };
        table
            .into_iter()
            .flatten()
            .map(|(key, node)| (key.as_str(), node))
    }

    /// The items of a list; none of anything else.
    #[must_use]
    pub fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The text, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number, if it is one.
    #[must_use]
    pub fn integer(&self) -> Option<i64> {
        match &self.value {
            Value::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// Whether it is this boolean.
    #[must_use]
    pub fn is(&self, boolean: bool) -> bool {
        self.value == Value::Boolean(boolean)
    }

    /// The value as JSON, in which the tables of versions speak of kinds.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        match &self.value {
            Value::Table(table) => table
                .iter()
                .map(|(key, node)| (key.clone(), node.json()))
                .collect(),
            Value::List(items) => items.iter().map(Self::json).collect(),
            Value::Text(text) => text.clone().into(),
            Value::Integer(number) => (*number).into(),
            Value::Boolean(value) => (*value).into(),
            Value::Null => serde_json::Value::Null,
            Value::Other(text) => text
                .parse::<f64>()
                .map_or_else(|_| text.clone().into(), serde_json::Value::from),
        }
    }

    /// The value in words.
    #[must_use]
    pub fn shown(&self) -> String {
        match &self.value {
            Value::Table(_) => "a table".into(),
            Value::List(items) => {
                let items: Vec<_> = items.iter().map(Self::shown).collect();
                items.join(", ")
            }
            Value::Text(text) | Value::Other(text) => text.clone(),
            Value::Integer(number) => number.to_string(),
            Value::Boolean(value) => value.to_string(),
            Value::Null => "null".into(),
        }
    }
}
