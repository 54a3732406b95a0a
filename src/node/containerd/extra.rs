//! A profile's own tables for containerd, laid over what is generated.
//!
//! containerd passes over tables and keys that it does not know, some lines
//! without a word. What a table of versions knows to be in vain is refused.

use serde_json::{Map, Value};

use super::super::draft::Draft;
use crate::compat::Version;
use crate::compat::containerd::{Reading, Row, Setting, plugin, reading, siblings};
use crate::error::Result;
use crate::profile::explain::nearest;

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
    for (key, value) in extra {
        known(draft, version, row, &mut vec![key.clone()], value)?;
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

/// Whether this containerd reads what stands at `path`, and all that is below it.
fn known(
    draft: &mut Draft<'_>,
    version: Version,
    row: &Row,
    path: &mut Vec<String>,
    value: &Value,
) -> Result<()> {
    let keys: Vec<_> = path.iter().map(String::as_str).collect();
    let key = keys.last().copied().unwrap_or_default();
    let at = keys.join(".");
    match reading(&keys, version, row.config) {
        Reading::Read(setting) => return fits(draft, setting, key, &at, value),
        Reading::Deprecated {
            setting, instead, ..
        } => {
            fits(draft, setting, key, &at, value)?;
            let instead = instead.map(|instead| format!(": use {instead}"));
            let instead = instead.unwrap_or_default();
            draft.warn(format!(
                "containerd {} deprecates `{at}`{instead}",
                row.line
            ));
            return Ok(());
        }
        Reading::Unchecked => return Ok(()),
        Reading::Table => {}
        Reading::Elsewhere(_, place) => {
            let message = format!("containerd {} does not read `{at}`", row.line);
            let hint = match place {
                Some(place) => format!("it reads that at `{}`", place.path.join(".")),
                None => "take it out".to_owned(),
            };
            return Err(draft.refuse(message, &KEYS, key).hint(hint));
        }
        Reading::Later(from) => {
            let message = format!("containerd {version} does not know `{at}`");
            return Err(draft
                .refuse(message, &KEYS, key)
                .hint(format!("it came with {from}")));
        }
        Reading::Gone { since, instead } => {
            let message = format!("containerd {} does not read `{at}` any more", row.line);
            let instead = instead.map(|instead| format!(": {instead}"));
            let instead = instead.unwrap_or_default();
            return Err(draft
                .refuse(message, &KEYS, key)
                .hint(format!("it is gone since {since}{instead}")));
        }
        Reading::Unknown => {
            let message = format!("containerd {} does not know `{at}`", row.line);
            let names = siblings(&keys, version, row.config);
            let hint = match nearest(key, names) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "it would be passed over".to_owned(),
            };
            return Err(draft.refuse(message, &KEYS, key).hint(hint));
        }
    }
    let Value::Object(table) = value else {
        let message = format!("`{at}` must be a table");
        return Err(draft.refuse(message, &KEYS, key));
    };
    for (key, value) in table {
        path.push(key.clone());
        known(draft, version, row, path, value)?;
        path.pop();
    }
    Ok(())
}

fn fits(draft: &Draft<'_>, setting: &Setting, key: &str, at: &str, value: &Value) -> Result<()> {
    let fits = toml::Value::try_from(value).is_ok_and(|value| setting.kind.fits(&value));
    if fits {
        return Ok(());
    }
    let message = format!("`{at}` must be {}", setting.kind.name());
    Err(draft.refuse(message, &KEYS, key))
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
