//! The pieces as documents: parsed, and their references followed.

use std::fs;
use std::path::Path;

use serde_json::Value;

/// Every file with a piece in it.
pub const ALL: [&str; 6] = [
    "ci/github/setup/action.yml",
    "ci/github/build/action.yml",
    "ci/github/node-images.yml",
    "ci/gitlab/templates/node-images.yml",
    "ci/argo/node-images.yaml",
    "ci/argo/renew-locks.yaml",
];

/// A file of the repository.
pub fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The documents of a YAML file; a component of GitLab's has two.
pub fn documents(text: &str) -> Vec<Value> {
    let parts = text.split("\n---\n");
    parts
        .map(|part| serde_saphyr::from_str(part).unwrap_or_else(|error| panic!("{error}\n{part}")))
        .collect()
}

/// The only, or last, document of a file.
pub fn document(path: &str) -> Value {
    documents(&read(path)).pop().unwrap()
}

/// Every script in a document, with where it stands.
pub fn scripts(value: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    collect(value, "", &mut found);
    found
}

fn collect(value: &Value, place: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let place = format!("{place}/{name}");
                match (name.as_str(), value) {
                    ("run", Value::String(text)) => found.push((place, text.clone())),
                    // Of an Argo script; elsewhere a source is something else.
                    ("source", Value::String(text)) if fields.contains_key("command") => {
                        found.push((place, text.clone()));
                    }
                    ("script" | "before_script", Value::Array(lines)) => {
                        found.push((place, joined(lines)));
                    }
                    _ => collect(value, &place, found),
                }
            }
        }
        Value::Array(values) => {
            for (number, value) in values.iter().enumerate() {
                collect(value, &format!("{place}/{number}"), found);
            }
        }
        _ => {}
    }
}

/// The lines of a script of GitLab's, which run in one shell.
pub fn joined(lines: &[Value]) -> String {
    let lines = lines.iter().map(|line| line.as_str().unwrap().trim_end());
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

/// What stands between two marks in a text, each time.
pub fn between<'a>(text: &'a str, open: &str, close: &str) -> Vec<&'a str> {
    let parts = text.split(open).skip(1);
    parts
        .map(|part| part.split_once(close).unwrap().0.trim())
        .collect()
}
