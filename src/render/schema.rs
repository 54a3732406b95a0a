//! The JSON schema of a template's values, for editors and checks of files of values.

use serde_json::{Map, Value, json};

use super::template::Template;
use super::values::{Default, Definition, Type};

/// The schema (draft 2020-12) of a file of values for this template. A value is required in
/// it that has no default whatever the image.
#[must_use]
pub fn of(template: &Template) -> Value {
    let properties: Map<String, Value> = template
        .values
        .iter()
        .map(|value| (value.name.clone(), property(value)))
        .collect();
    let required = template
        .values
        .iter()
        .filter(|value| value.required && !value.secret && matches!(value.default, Default::None));
    let required: Vec<&str> = required.map(|value| value.name.as_str()).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": template.name,
        "description": template.description,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn property(definition: &Definition) -> Value {
    let line = |pattern: Option<&str>| match pattern {
        Some(pattern) => {
            json!({"type": "string", "minLength": 1, "pattern": format!("^(?:{pattern})$")})
        }
        None => json!({"type": "string", "minLength": 1}),
    };
    let mut schema = match &definition.kind {
        Type::String(pattern) => line(pattern.as_ref().map(|pattern| &*pattern.text)),
        Type::Text => json!({"type": "string"}),
        Type::Integer { minimum, maximum } => {
            let mut schema = json!({"type": "integer"});
            for (name, bound) in [("minimum", minimum), ("maximum", maximum)] {
                if let Some(bound) = bound {
                    schema[name] = json!(bound);
                }
            }
            schema
        }
        Type::Boolean => json!({"type": "boolean"}),
        Type::Choice(choices) => json!({"enum": choices}),
        Type::List(pattern) => {
            json!({"type": "array", "items": line(pattern.as_ref().map(|pattern| &*pattern.text))})
        }
        Type::Map { pattern } => json!({
            "type": "object",
            "additionalProperties": line(pattern.as_ref().map(|pattern| &*pattern.text)),
        }),
    };
    schema["description"] = definition.description.clone().into();
    if let Default::Value(value) = &definition.default {
        schema["default"] = value.clone();
    }
    if !definition.examples.is_empty() {
        schema["examples"] = definition.examples.clone().into();
    }
    schema
}
