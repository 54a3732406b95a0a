//! Turns what the TOML reader says into what a person can act on.

use std::path::Path;

use super::document::Document;
use super::value::HINT_MARK;
use crate::error::{Error, Kind};

/// The error of a file that cannot be read as a profile.
pub(super) fn explain(error: &toml::de::Error, document: &Document) -> Error {
    let (mut message, hint) = reword(error.message());
    if let (true, Some(span)) = (message == "duplicate key", error.span()) {
        let key = document.text.get(span).unwrap_or_default();
        message = format!("`{key}` is given twice");
    }
    let mut result = Error::new(Kind::Usage, message);
    if let Some(span) = error.span() {
        result = result.at(document.place(span));
    }
    match hint {
        Some(hint) => result.hint(hint),
        None => result,
    }
}

/// The same for a file that is no profile: a text, and what the user calls it.
pub(crate) fn explain_text(error: &toml::de::Error, file: &Path, text: &str) -> Error {
    let document = Document {
        file: file.to_owned(),
        text: text.to_owned(),
    };
    explain(error, &document)
}

/// The message in our words, and a hint where there is one to give.
fn reword(message: &str) -> (String, Option<String>) {
    if let Some((message, hint)) = message.split_once(HINT_MARK) {
        return (message.to_owned(), Some(hint.to_owned()));
    }
    if let Some((key, known)) = unknown(message, "unknown field ") {
        let hint = nearest_hint(key, &known)
            .or_else(|| top_level_hint(key))
            .or_else(|| listed_hint("known keys here", &known));
        return (format!("unknown key `{key}`"), hint);
    }
    if let Some((value, known)) = unknown(message, "unknown variant ") {
        let hint = nearest_hint(value, &known).or_else(|| listed_hint("possible values", &known));
        return (format!("unknown value `{value}`"), hint);
    }
    if let Some(key) = message.strip_prefix("missing field ") {
        return (format!("key {key} is missing"), None);
    }
    if message == "wanted string or table" {
        return ("expected a string".to_owned(), None);
    }
    (reword_type(message), type_hint(message))
}

/// The name and the expected names of serde's "unknown …" messages.
fn unknown<'a>(message: &'a str, start: &str) -> Option<(&'a str, Vec<&'a str>)> {
    let rest = message.strip_prefix(start)?;
    let (name, expected) = rest
        .rsplit_once(", ")
        .filter(|_| !rest.contains(", expected"))
        .or_else(|| rest.split_once(", expected"))?;
    let known = expected.split('`').skip(1).step_by(2).collect();
    Some((name.trim_matches('`'), known))
}

/// The known name that was probably meant.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace('_', "-");
    let name = plain(name);
    known
        .into_iter()
        .map(|known| {
            let other = plain(known);
            let mut score = strsim::jaro_winkler(&name, &other);
            // One slip in a short word, two in a longer one.
            let slips = strsim::damerau_levenshtein(&name, &other);
            if name.len() >= 3 && slips <= 1 + name.len() / 5 {
                score += 1.0;
            }
            (score, known)
        })
        .filter(|(score, _)| *score >= 0.88)
        .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)))
        .map(|(_, known)| known)
}

fn nearest_hint(name: &str, known: &[&str]) -> Option<String> {
    const ALIASES: [(&str, &str); 4] = [
        ("x86_64", "amd64"),
        ("x86-64", "amd64"),
        ("aarch64", "arm64"),
        ("armv8", "arm64"),
    ];
    let alias = ALIASES
        .iter()
        .find(|(alias, real)| *alias == name && known.contains(real));
    let found = match alias {
        Some((_, real)) => Some(*real),
        None => nearest(name, known.iter().copied()),
    };
    found.map(|known| format!("did you mean `{known}`?"))
}

/// A key of the top level that stands after the first table header.
fn top_level_hint(key: &str) -> Option<String> {
    const TOP: [&str; 5] = ["name", "version", "description", "architecture", "extends"];
    TOP.contains(&key)
        .then(|| format!("`{key}` belongs at the top of the file, before the first `[table]`"))
}

fn listed_hint(what: &str, known: &[&str]) -> Option<String> {
    let known: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
    (!known.is_empty()).then(|| format!("{what}: {}", known.join(", ")))
}

/// serde's `map` and `sequence` are TOML's tables and lists.
fn reword_type(message: &str) -> String {
    // The names of our structs mean nothing to anybody.
    let message = match message.find("expected struct ") {
        Some(at) => format!("{}expected a table", &message[..at]),
        None => message.to_owned(),
    };
    message
        .replace("invalid type: map", "invalid type: table")
        .replace("invalid type: sequence", "invalid type: list")
        .replace("expected a sequence", "expected a list")
        .replace("expected a map", "expected a table")
        .replace("expected a boolean", "expected true or false")
        .replace("expected i64", "expected a number")
        .replace("expected u16", "expected a number from 0 to 65535")
        .replace("expected u32", "expected a number from 0 to 4294967295")
}

/// What to write instead of a value of the wrong type.
fn type_hint(message: &str) -> Option<String> {
    let rest = message.strip_prefix("invalid type: ")?;
    let (found, expected) = rest.split_once(", expected ")?;
    let value = found.split('`').nth(1);
    if let Some(value) = value {
        let number = found.starts_with("integer") || found.starts_with("floating");
        if (number || found.starts_with("boolean")) && expected.contains("string") {
            return Some(format!("write it in quotes: \"{value}\""));
        }
    }
    if found.starts_with("string") {
        let value = found.trim_start_matches("string ").trim_matches('"');
        if expected.contains("bool") {
            return Some("write `true` or `false` without quotes".to_owned());
        }
        if value.parse::<i64>().is_ok() {
            return Some(format!("write it without quotes: {value}"));
        }
        if expected.contains("sequence") {
            return Some(format!("write it as a list: [\"{value}\"]"));
        }
    }
    None
}
