//! The JSON schema of profiles, for editors and for checks in CI.

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use serde_json::{Value, json};

use super::file::ProfileFile;

/// The JSON schema (draft 2020-12) of a profile file, as text that is the same
/// everywhere.
#[must_use]
pub fn text() -> String {
    let mut text = format!("{:#}", value());
    text.push('\n');
    text
}

/// The JSON schema of a profile file.
#[must_use]
pub fn value() -> Value {
    let settings = SchemaSettings::draft2020_12().with_transform(WithoutNull);
    let schema = settings
        .into_generator()
        .into_root_schema_for::<ProfileFile>();
    let mut value = schema.to_value();
    value["examples"] = json!([{
        "name": "my-node",
        "architecture": "amd64",
        "debian": { "suite": "trixie", "packages": ["containerd", "systemd-sysv"] },
        "kubernetes": { "version": "1.33" },
    }]);
    // Whether keys are sorted must not depend on who else uses `serde_json`.
    value.sort_all_objects();
    value
}

/// TOML has no null: a key is left out instead.
#[derive(Debug, Clone)]
struct WithoutNull;

impl Transform for WithoutNull {
    fn transform(&mut self, schema: &mut Schema) {
        if let Some(object) = schema.as_object_mut() {
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = &types[..] {
                    let only = only.clone();
                    object.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
                choices.retain(|choice| choice.get("type") != Some(&json!("null")));
                if let [Value::Object(only)] = &choices[..] {
                    let only = only.clone();
                    object.remove("anyOf");
                    for (key, value) in only {
                        object.entry(key).or_insert(value);
                    }
                }
            }
            // A default that is empty says nothing.
            object.remove("default");
            object.remove("format");
        }
        transform_subschemas(self, schema);
    }
}
