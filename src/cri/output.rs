//! Answers as JSON and YAML.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::args::Output;
use super::say;
use crate::error::{Error, Kind, Result};

/// Prints an answer in protobuf's JSON mapping, fields in their order.
pub fn message<T: Serialize>(message: &T, output: Output) -> Result<()> {
    match output {
        Output::Json => pretty(message),
        // Like crictl, by way of JSON; keys are sorted then.
        Output::Yaml => yaml(&value(message)?),
        Output::Table | Output::GoTemplate => Err(unsupported()),
    }
}

/// Prints statuses: one as it is, several as a list. Keys are sorted.
pub fn statuses(mut statuses: Vec<Value>, output: Output) -> Result<()> {
    let value = match statuses.len() {
        1 => statuses.swap_remove(0),
        _ => Value::Array(statuses),
    };
    match output {
        Output::Json => pretty(&value),
        Output::Yaml => yaml(&value),
        Output::Table | Output::GoTemplate => Err(unsupported()),
    }
}

/// A status with what the runtime adds to it: JSON objects, or plain text.
pub fn with_info(status: Value, info: &BTreeMap<String, String>) -> Result<Map<String, Value>> {
    let mut map = Map::new();
    map.insert("status".to_owned(), status);
    for (key, text) in info {
        let value = match text.starts_with('{') {
            true => serde_json::from_str(text).map_err(|error| {
                let message = format!("unmarshal status info {key:?}: {error}");
                Error::new(Kind::Network, message)
            })?,
            false => Value::from(text.trim_matches('"')),
        };
        map.insert(key.clone(), value);
    }
    Ok(map)
}

/// A message as a JSON value.
pub fn value<T: Serialize>(message: &T) -> Result<Value> {
    serde_json::to_value(message).map_err(|error| failed(&error))
}

/// Refuses a form that is not there.
pub fn unsupported() -> Error {
    Error::new(Kind::Usage, "unsupported output format").hint("json and yaml are there")
}

fn pretty<T: Serialize>(value: &T) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(|error| failed(&error))?;
    say::print(&format!("{text}\n"))
}

fn yaml(value: &Value) -> Result<()> {
    let text = serde_saphyr::to_string(value).map_err(|error| failed(&error))?;
    say::print(&text)
}

fn failed(error: &impl std::fmt::Display) -> Error {
    Error::new(Kind::Io, format!("writing the answer: {error}"))
}

/// Labels or annotations, a line each.
pub fn pairs(text: &mut String, title: &str, pairs: &BTreeMap<String, String>) {
    if pairs.is_empty() {
        return;
    }
    *text += &format!("{title}:\n");
    for (key, value) in pairs {
        *text += &format!("\t{key} -> {value}\n");
    }
}
