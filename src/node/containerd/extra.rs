//! A profile's own tables for containerd, laid over what is generated.
//!
//! containerd passes over tables and keys that it does not know, some lines
//! without a word. What a table of versions knows to be in vain is refused.

use serde_json::{Map, Value};

use super::super::draft::Draft;
use super::known::{Known, known};
use crate::compat::Version;
use crate::compat::containerd::{Row, plugin};
use crate::error::Result;

const KEYS: [&str; 2] = ["containerd", "extra"];

/// Merges `extra` over `table`: tables by key, all else replaced.
pub(super) fn merge(
    draft: &mut Draft<'_>,
    version: Version,
    row: &Row,
    table: &mut Map<String, Value>,
) -> Result<()> {
    let extra = &draft.profile.containerd.extra.0;
    if extra.contains_key("version") {
        let message = "the version of containerd's configuration cannot be chosen";
        return Err(draft
            .refuse(message, &KEYS, "version")
            .hint(format!("it is {} for containerd {}", row.config, row.line)));
    }
    if let Some(Value::Array(disabled)) = extra.get("disabled_plugins") {
        for id in disabled.iter().filter_map(Value::as_str) {
            if id == "cri" || plugin(id).is_some_and(|plugin| plugin.enables_cri) {
                let message = format!("without the plug-in `{id}` containerd serves no pods");
                return Err(draft
                    .refuse(message, &KEYS, id)
                    .hint("take it out of `disabled_plugins`"));
            }
        }
    }
    let known_by = Known {
        keys: &KEYS,
        version,
        row,
    };
    for (key, value) in extra {
        known(draft, &known_by, &mut vec![key.clone()], value)?;
    }
    lay(table, extra);
    let mut settings = Vec::new();
    flatten(
        "containerd.extra",
        &Value::Object(extra.clone()),
        &mut settings,
    );
    for (name, value) in settings {
        draft.set(name, value);
    }
    Ok(())
}

/// Lays one table over another.
pub(in crate::node) fn lay(under: &mut Map<String, Value>, over: &Map<String, Value>) {
    for (key, value) in over {
        match (under.get_mut(key), value) {
            (Some(Value::Object(under)), Value::Object(over)) => lay(under, over),
            _ => {
                under.insert(key.clone(), value.clone());
            }
        }
    }
}

/// Every value in a table by its name, for people who compare two images.
pub(in crate::node) fn flatten(name: &str, value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(table) if !table.is_empty() => {
            for (key, value) in table {
                flatten(&format!("{name}.{key}"), value, found);
            }
        }
        Value::Object(_) => {}
        Value::String(text) => found.push((name.to_owned(), text.clone())),
        other => found.push((name.to_owned(), other.to_string())),
    }
}
