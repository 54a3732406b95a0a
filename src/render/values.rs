//! The values of a template: what each may be, and what each is.

mod kind;

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;
use serde_json::Value;

use super::engine;
use super::facts::Facts;
use super::given::{Given, Item};
use super::template::Template;
use crate::error::{Error, Kind, Result};
pub use kind::Type;

/// A value that a template takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// What it may be.
    pub kind: Type,
    /// What it is for.
    pub description: String,
    /// What it is if nothing is given.
    pub default: Default,
    /// Whether there must be one.
    pub required: bool,
    /// Whether nobody but the rendered file may have it.
    pub secret: bool,
    /// What it could be.
    pub examples: Vec<Value>,
    /// Where it stands in the template's description.
    pub(super) span: Range<usize>,
}

/// What a value is if nothing is given.
#[derive(Debug, Clone, PartialEq)]
pub enum Default {
    /// Nothing.
    None,
    /// This.
    Value(Value),
    /// What this expression makes of the facts and of the values before; nothing, if it
    /// names something that is not known.
    From(String),
}

/// A value as a template's description has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub(super) name: toml::Spanned<String>,
    #[serde(rename = "type")]
    kind: kind::Name,
    description: String,
    pattern: Option<String>,
    choices: Option<Vec<String>>,
    minimum: Option<i64>,
    maximum: Option<i64>,
    default: Option<toml::Value>,
    from: Option<String>,
    #[serde(default = "yes")]
    required: bool,
    #[serde(default)]
    secret: bool,
    #[serde(default)]
    examples: Vec<toml::Value>,
}

fn yes() -> bool {
    true
}

/// Names that are not values: the facts, and the language's own words.
const RESERVED: [&str; 12] = [
    "image", "bundle", "true", "false", "none", "not", "and", "or", "in", "is", "if", "else",
];

impl Definition {
    /// Reads a value's definition.
    pub(super) fn read(file: File, before: &[Self]) -> std::result::Result<Self, String> {
        let name = file.name.get_ref();
        let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(letters) {
            return Err(format!(
                "a value cannot be named `{name}`: write it like `base_url`"
            ));
        }
        if RESERVED.contains(&&**name) || before.iter().any(|other| other.name == *name) {
            return Err(format!(
                "a value cannot be named `{name}`: the name is taken"
            ));
        }
        let kind = Type::read(
            &file.kind,
            file.pattern,
            file.choices,
            file.minimum,
            file.maximum,
        )
        .map_err(|why| format!("value `{name}` {why}"))?;
        if file.secret && (file.default.is_some() || file.from.is_some()) {
            return Err(format!("value `{name}` is a secret, which has no default"));
        }
        if file.secret && !kind.is_text() {
            return Err(format!(
                "value `{name}` is a secret and must be a string or a text"
            ));
        }
        let default = match (file.default, file.from) {
            (None, None) => Default::None,
            (Some(value), None) => Default::Value(json(&value)),
            (None, Some(expression)) => {
                engine::compiles(&expression)
                    .map_err(|why| format!("value `{name}`: `from` {why}"))?;
                Default::From(expression)
            }
            (Some(_), Some(_)) => {
                return Err(format!("value `{name}` has both `default` and `from`"));
            }
        };
        let examples: Vec<_> = file.examples.iter().map(json).collect();
        let shown = examples.iter().chain(match &default {
            Default::Value(value) => Some(value),
            _ => None,
        });
        for value in shown {
            kind.check(value).map_err(|why| {
                format!("value `{name}` {why}, and so must its examples and default")
            })?;
        }
        Ok(Self {
            kind,
            default,
            required: file.required,
            secret: file.secret,
            examples,
            description: file.description,
            span: file.name.span(),
            name: file.name.into_inner(),
        })
    }

    /// What one may write to give it.
    pub(super) fn example(&self) -> String {
        let name = &self.name;
        if self.secret {
            return format!("--set-file {name}=FILE");
        }
        match (self.examples.first(), &self.kind) {
            (Some(Value::Object(map)), _) => {
                let (key, value) = map.iter().next().map_or(("KEY", "VALUE"), |(key, value)| {
                    (key, value.as_str().unwrap_or_default())
                });
                format!("--set {name}.{key}={value}")
            }
            (None, Type::Map { .. }) => format!("--set {name}.KEY=VALUE"),
            (Some(Value::Array(items)), _) => {
                let items: Vec<_> = items.iter().filter_map(Value::as_str).collect();
                format!("--set {name}={}", items.join(","))
            }
            (Some(Value::String(text)), _) => format!("--set {name}={text}"),
            (Some(value), _) => format!("--set {name}={value}"),
            (None, Type::Choice(choices)) => format!("--set {name}={}", choices.join("|")),
            (None, _) => format!("--set {name}=…"),
        }
    }
}

fn json(value: &toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.clone().into(),
        toml::Value::Integer(number) => (*number).into(),
        toml::Value::Boolean(value) => (*value).into(),
        toml::Value::Array(items) => items.iter().map(json).collect(),
        toml::Value::Table(table) => table
            .iter()
            .map(|(key, value)| (key.clone(), json(value)))
            .collect(),
        // No type takes these, so that the check says what is wrong.
        toml::Value::Float(_) | toml::Value::Datetime(_) => Value::Null,
    }
}

/// What the values of a template are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Values {
    /// By name; null for what is not given.
    pub values: BTreeMap<String, Value>,
    /// Whether one of them is a secret.
    pub secret: bool,
}

/// Decides what each value is.
///
/// # Errors
/// When one is missing or is not what it must be.
pub fn settle(template: &Template, facts: &Facts, given: &Given) -> Result<Values> {
    let mut settled = Values {
        values: BTreeMap::new(),
        secret: false,
    };
    for definition in &template.values {
        let value = one(template, definition, facts, given, &settled)?;
        settled.secret |= definition.secret && !value.is_null();
        settled.values.insert(definition.name.clone(), value);
    }
    Ok(settled)
}

fn one(
    template: &Template,
    definition: &Definition,
    facts: &Facts,
    given: &Given,
    before: &Values,
) -> Result<Value> {
    let items = given.of(&definition.name);
    if let Some(last) = items.last() {
        return of_items(definition, items).map_err(|why| wrong(template, definition, &why, last));
    }
    let value = match &definition.default {
        Default::None => None,
        Default::Value(value) => Some(value.clone()),
        Default::From(expression) => {
            let value = engine::evaluate(expression, facts, before)
                .map_err(|why| broken(template, definition, &why))?;
            if let Some(why) = value
                .as_ref()
                .and_then(|value| definition.kind.check(value).err())
            {
                let value = shown(value.as_ref().unwrap_or(&Value::Null));
                let message = format!(
                    "value `{}` of template `{}` {why}, and is {value} by what the image says of itself",
                    definition.name, template.name
                );
                return Err(Error::new(Kind::Usage, message)
                    .at(template.place(definition.span.clone()))
                    .hint(format!("give another with `{}`", definition.example())));
            }
            value
        }
    };
    match value {
        Some(value) => Ok(value),
        None if !definition.required => Ok(Value::Null),
        None => Err(missing(template, definition, facts)),
    }
}

/// What several ways of giving a value come to: the later go before the earlier, entries
/// of maps are added to one another.
fn of_items(definition: &Definition, items: &[Item]) -> std::result::Result<Value, String> {
    let kind = &definition.kind;
    let mut value = Value::Null;
    let mut by_set = false;
    for item in items {
        let was_set = std::mem::replace(&mut by_set, matches!(item, Item::Set(_)));
        let new = match item {
            Item::Set(_) | Item::Entry(..) if definition.secret => {
                return Err(
                    "is a secret, and all who see the list of processes see the \
                            command line"
                        .into(),
                );
            }
            Item::Set(text) => kind.of_text(text)?,
            Item::Entry(key, text) => kind.of_entry(key, text)?,
            Item::FileText(text) => kind.of_file(text)?,
            Item::Whole(value, _) => value.clone(),
        };
        kind.check(&new)?;
        value = match (value, new) {
            (Value::Object(mut before), Value::Object(new)) => {
                before.extend(new);
                Value::Object(before)
            }
            (Value::Array(before), Value::Array(new)) if was_set && by_set => {
                before.into_iter().chain(new).collect()
            }
            (_, new) => new,
        };
    }
    Ok(value)
}

/// A value in words.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("`{}`", text.escape_debug()),
        other => format!("`{other}`"),
    }
}

fn wrong(template: &Template, definition: &Definition, why: &str, item: &Item) -> Error {
    let is = match item {
        Item::Set(text) | Item::Entry(_, text) if !definition.secret => {
            format!(", and is `{}`", text.escape_debug())
        }
        _ => String::new(),
    };
    let message = format!(
        "value `{}` of template `{}` {why}{is}",
        definition.name, template.name
    );
    // A line of a file may show a secret.
    let error = match item {
        Item::Whole(_, spot) if !definition.secret => spot.error(&message),
        _ => Error::new(Kind::Usage, message).at(template.place(definition.span.clone())),
    };
    error.hint(format!("write it like `{}`", definition.example()))
}

fn missing(template: &Template, definition: &Definition, facts: &Facts) -> Error {
    let message = format!(
        "value `{}` of template `{}` is missing",
        definition.name, template.name
    );
    let about = uncapitalised(&definition.description);
    let error = Error::new(Kind::Usage, message)
        .at(template.place(definition.span.clone()))
        .hint(format!("{about}: `{}`", definition.example()));
    match &definition.default {
        Default::From(expression) if expression.contains("bundle.") && facts.bundle.is_none() => {
            error.hint(
                "it comes by itself from an export: name the folder that `nodelith export` made \
                 in place of the image",
            )
        }
        Default::From(expression) if expression.contains("bundle.") => error.hint(format!(
            "the export does not have it: it is `{expression}`, of a format that `nodelith \
             export --to` makes"
        )),
        _ => error,
    }
}

/// A description within a line; words in capitals stay.
fn uncapitalised(text: &str) -> String {
    let mut letters = text.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if !second.is_uppercase() => {
            format!("{}{}", first.to_lowercase(), &text[first.len_utf8()..])
        }
        _ => text.to_owned(),
    }
}

fn broken(template: &Template, definition: &Definition, why: &str) -> Error {
    let message = format!(
        "template `{}`: the default of `{}` {why}",
        template.name, definition.name
    );
    Error::new(Kind::Usage, message).at(template.place(definition.span.clone()))
}
