//! Writes YAML as its programs read it: block style, texts quoted as in JSON.

use serde_json::{Map, Value};

/// A mapping as a YAML document, keys sorted.
pub(super) fn document(map: &Map<String, Value>) -> String {
    let mut text = String::new();
    mapping(&mut text, map, 0);
    text
}

fn mapping(text: &mut String, map: &Map<String, Value>, depth: usize) {
    // Sorted whatever features of the JSON library are on.
    let sorted: std::collections::BTreeMap<_, _> = map.iter().collect();
    for (key, value) in sorted {
        *text += &"  ".repeat(depth);
        *text += &self::key(key);
        text.push(':');
        match value {
            Value::Object(map) if !map.is_empty() => {
                text.push('\n');
                mapping(text, map, depth + 1);
            }
            Value::Array(list) if !list.is_empty() => {
                text.push('\n');
                for item in list {
                    // JSON is YAML too: what is within a list stays on its line.
                    *text += &format!("{}- {}\n", "  ".repeat(depth), scalar(item));
                }
            }
            other => *text += &format!(" {}\n", scalar(other)),
        }
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) if plain(text) => text.clone(),
        other => other.to_string(),
    }
}

fn key(key: &str) -> String {
    match plain(key) {
        true => key.to_owned(),
        false => Value::from(key).to_string(),
    }
}

/// Whether a text can stand without quotes and still be that text.
fn plain(text: &str) -> bool {
    const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._/-".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_all_kinds() {
        let value = serde_json::json!({
            "b": {"x": 1, "y.z/w": true, "empty": {}}, "a": ["one", "two: three", {"k": "v"}],
            "no": "no", "number": "5", "path": "/run/x", "none": [], "%": "100%",
        });
        let Value::Object(map) = value else { panic!() };
        let text = document(&map);
        insta::assert_snapshot!(text, @r#"
        "%": "100%"
        a:
        - one
        - "two: three"
        - {"k":"v"}
        b:
          empty: {}
          x: 1
          y.z/w: true
        "no": "no"
        none: []
        number: "5"
        path: /run/x
        "#);
    }
}
