//! Whether a containerd reads what a profile's own tables say.

use serde_json::Value;

use super::super::draft::Draft;
use crate::compat::Version;
use crate::compat::containerd::{Reading, Row, Setting, reading, siblings};
use crate::error::Result;
use crate::profile::explain::nearest;

/// By what a table is judged.
pub(super) struct Known<'a> {
    /// Where it stands in the profile.
    pub(super) keys: &'a [&'a str],
    /// containerd's version.
    pub(super) version: Version,
    /// Its line.
    pub(super) row: &'a Row,
}

/// Whether this containerd reads what stands at `path`, and all that is below it.
pub(super) fn known(
    draft: &mut Draft<'_>,
    by: &Known<'_>,
    path: &mut Vec<String>,
    value: &Value,
) -> Result<()> {
    let Known { version, row, .. } = *by;
    let keys: Vec<_> = path.iter().map(String::as_str).collect();
    let key = keys.last().copied().unwrap_or_default();
    let at = keys.join(".");
    match reading(&keys, version, row.config) {
        Reading::Read(setting) => return fits(draft, by, setting, key, &at, value),
        Reading::Deprecated {
            setting, instead, ..
        } => {
            fits(draft, by, setting, key, &at, value)?;
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
            return Err(draft.refuse(message, by.keys, key).hint(hint));
        }
        Reading::Later(from) => {
            let message = format!("containerd {version} does not know `{at}`");
            return Err(draft
                .refuse(message, by.keys, key)
                .hint(format!("it came with {from}")));
        }
        Reading::Gone { since, instead } => {
            let message = format!("containerd {} does not read `{at}` any more", row.line);
            let instead = instead.map(|instead| format!(": {instead}"));
            let instead = instead.unwrap_or_default();
            return Err(draft
                .refuse(message, by.keys, key)
                .hint(format!("it is gone since {since}{instead}")));
        }
        Reading::Unknown => {
            let message = format!("containerd {} does not know `{at}`", row.line);
            let names = siblings(&keys, version, row.config);
            let hint = match nearest(key, names) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "it would be passed over".to_owned(),
            };
            return Err(draft.refuse(message, by.keys, key).hint(hint));
        }
    }
    let Value::Object(table) = value else {
        let message = format!("`{at}` must be a table");
        return Err(draft.refuse(message, by.keys, key));
    };
    for (key, value) in table {
        path.push(key.clone());
        known(draft, by, path, value)?;
        path.pop();
    }
    Ok(())
}

fn fits(
    draft: &Draft<'_>,
    by: &Known<'_>,
    setting: &Setting,
    key: &str,
    at: &str,
    value: &Value,
) -> Result<()> {
    let fits = toml::Value::try_from(value).is_ok_and(|value| setting.kind.fits(&value));
    if fits {
        return Ok(());
    }
    let message = format!("`{at}` must be {}", setting.kind.name());
    Err(draft.refuse(message, by.keys, key))
}
