//! What a value may be.

use regex_lite::Regex;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::render::escape::is_of_mark;

/// A type as a template's description names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Name {
    String,
    Text,
    Integer,
    Boolean,
    Choice,
    List,
    Map,
}

/// What a value may be.
#[derive(Debug, Clone)]
pub enum Type {
    /// One line, not empty, that matches the pattern whole.
    String(Option<Pattern>),
    /// Any number of lines.
    Text,
    /// A whole number, within bounds.
    Integer {
        /// The least.
        minimum: Option<i64>,
        /// The greatest.
        maximum: Option<i64>,
    },
    /// True or false.
    Boolean,
    /// One of these.
    Choice(Vec<String>),
    /// Strings.
    List(Option<Pattern>),
    /// Strings by name.
    Map {
        /// Of the strings, not of their names.
        pattern: Option<Pattern>,
    },
}

impl PartialEq for Type {
    fn eq(&self, other: &Self) -> bool {
        format!("{self:?}") == format!("{other:?}")
    }
}

/// A regular expression that a string must match from its beginning to its end.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// As the template has it.
    pub text: String,
    whole: Regex,
}

impl Type {
    pub(super) fn read(
        name: &Name,
        pattern: Option<String>,
        choices: Option<Vec<String>>,
        minimum: Option<i64>,
        maximum: Option<i64>,
    ) -> Result<Self, String> {
        let takes = |wanted: &[Name], what: &str, is: bool| match is && !wanted.contains(name) {
            true => Err(format!("cannot have `{what}`: it is of another type")),
            false => Ok(()),
        };
        takes(
            &[Name::String, Name::List, Name::Map],
            "pattern",
            pattern.is_some(),
        )?;
        takes(&[Name::Choice], "choices", choices.is_some())?;
        takes(&[Name::Integer], "minimum", minimum.is_some())?;
        takes(&[Name::Integer], "maximum", maximum.is_some())?;
        let pattern = pattern.map(Pattern::read).transpose()?;
        Ok(match name {
            Name::String => Self::String(pattern),
            Name::Text => Self::Text,
            Name::Integer => Self::Integer { minimum, maximum },
            Name::Boolean => Self::Boolean,
            Name::Choice => match choices {
                Some(choices) if !choices.is_empty() => Self::Choice(choices),
                _ => return Err("has no `choices`".into()),
            },
            Name::List => Self::List(pattern),
            Name::Map => Self::Map { pattern },
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::String(_) => "string",
            Self::Text => "text",
            Self::Integer { .. } => "integer",
            Self::Boolean => "boolean",
            Self::Choice(_) => "choice",
            Self::List(_) => "list",
            Self::Map { .. } => "map",
        }
    }

    pub(super) fn is_text(&self) -> bool {
        matches!(self, Self::String(_) | Self::Text)
    }

    /// Whether a value is of it; if not, what it must be.
    pub(super) fn check(&self, value: &Value) -> Result<(), String> {
        match (self, value) {
            (Self::String(pattern), Value::String(text)) => line(text, pattern.as_ref()),
            (Self::Text, Value::String(text)) => lines(text),
            (Self::Integer { minimum, maximum }, Value::Number(number)) => {
                let Some(number) = number.as_i64() else {
                    return Err("must be a whole number".into());
                };
                match (minimum, maximum) {
                    (Some(least), _) if number < *least => Err(format!("must be at least {least}")),
                    (_, Some(most)) if number > *most => Err(format!("must be at most {most}")),
                    _ => Ok(()),
                }
            }
            (Self::Boolean, Value::Bool(_)) => Ok(()),
            (Self::Choice(choices), Value::String(text)) if choices.contains(text) => Ok(()),
            (Self::Choice(choices), _) => {
                let choices: Vec<_> = choices.iter().map(|choice| format!("`{choice}`")).collect();
                Err(format!("must be one of {}", choices.join(", ")))
            }
            (Self::List(pattern), Value::Array(items)) => items.iter().try_for_each(|item| {
                let text = item.as_str().ok_or("must be a list of strings")?;
                line(text, pattern.as_ref())
            }),
            (Self::Map { pattern }, Value::Object(entries)) => {
                entries.iter().try_for_each(|(key, value)| {
                    let text = value.as_str().ok_or("must be a map of strings")?;
                    line(key, None)?;
                    line(text, pattern.as_ref())
                })
            }
            (Self::String(_), _) => Err("must be a string".into()),
            (Self::Text, _) => Err("must be a text".into()),
            (Self::Integer { .. }, _) => Err("must be a whole number".into()),
            (Self::Boolean, _) => Err("must be `true` or `false`".into()),
            (Self::List(_), _) => Err("must be a list of strings".into()),
            (Self::Map { .. }, _) => Err("must be a map of strings".into()),
        }
    }

    /// What `--set NAME=TEXT` says.
    pub(super) fn of_text(&self, text: &str) -> Result<Value, String> {
        Ok(match self {
            Self::Integer { .. } => {
                let number: Result<i64, _> = text.parse();
                number.map_err(|_| "must be a whole number")?.into()
            }
            Self::Boolean => match text {
                "true" => true.into(),
                "false" => false.into(),
                _ => return Err("must be `true` or `false`".into()),
            },
            Self::List(_) => text.split(',').collect(),
            Self::Map { .. } => return Err("is a map, of which one sets single entries".into()),
            _ => text.into(),
        })
    }

    /// What `--set NAME.KEY=TEXT` says.
    pub(super) fn of_entry(&self, key: &str, text: &str) -> Result<Value, String> {
        match self {
            Self::Map { .. } => Ok(Map::from_iter([(key.to_owned(), text.into())]).into()),
            _ => Err("is no map and has no entries".into()),
        }
    }

    /// What `--set-file NAME=FILE` says: strings without the line's end.
    pub(super) fn of_file(&self, text: &str) -> Result<Value, String> {
        match self {
            Self::Text => Ok(text.into()),
            Self::String(_) => Ok(text.strip_suffix('\n').unwrap_or(text).into()),
            _ => Err("is neither string nor text, and cannot be a file's content".into()),
        }
    }
}

impl Pattern {
    fn read(text: String) -> Result<Self, String> {
        match Regex::new(&format!("^(?:{text})$")) {
            Ok(whole) => Ok(Self { text, whole }),
            Err(_) => Err(format!("has `{text}`, which is no pattern")),
        }
    }
}

fn line(text: &str, pattern: Option<&Pattern>) -> Result<(), String> {
    if text.is_empty() {
        return Err("must not be empty".into());
    }
    if text.chars().any(unprintable) {
        return Err("must be one line, without control characters".into());
    }
    match pattern {
        Some(pattern) if !pattern.whole.is_match(text) => {
            Err(format!("must match `{}`", pattern.text))
        }
        _ => Ok(()),
    }
}

fn lines(text: &str) -> Result<(), String> {
    let wrong = |c: char| unprintable(c) && !matches!(c, '\n' | '\t');
    match text.contains(wrong) {
        true => Err("must not have control characters".into()),
        false => Ok(()),
    }
}

/// What no value may have: control characters, Unicode's line ends, and our own marks.
pub fn unprintable(c: char) -> bool {
    c.is_control() || is_of_mark(c) || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}
