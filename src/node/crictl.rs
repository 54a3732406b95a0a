//! crictl's configuration: the socket that it asks, so that it need not guess.

use serde_json::{Map, Value, json};

use super::components::Components;
use super::containerd::ENDPOINT;
use super::draft::Draft;
use super::yaml;
use crate::compat::crictl;
use crate::error::Result;

const PATH: &str = "etc/crictl.yaml";

pub(super) fn configure(draft: &mut Draft<'_>, components: &Components) -> Result<()> {
    if components.containerd.is_none() {
        return Ok(());
    }
    let crictl = &draft.profile.crictl;
    let said: [(&str, Option<Value>); 4] = [
        ("runtime-endpoint", Some(json!(ENDPOINT))),
        ("image-endpoint", Some(json!(ENDPOINT))),
        ("timeout", crictl.timeout.map(Value::from)),
        ("debug", crictl.debug.map(Value::from)),
    ];
    let mut map = Map::new();
    for (key, value) in said {
        let Some(value) = value else { continue };
        if !crictl::reads(key, components.crictl) {
            let message = format!("this crictl has no setting `{key}`");
            return Err(draft.refuse(message, &["crictl", key], ""));
        }
        draft.set(format!("crictl.{key}"), value.to_string().trim_matches('"'));
        map.insert(key.to_owned(), value);
    }
    draft.text(PATH, &yaml::document(&map));
    Ok(())
}
