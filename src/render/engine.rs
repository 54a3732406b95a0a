//! The templates' language: Jinja, by minijinja.
//!
//! A value is not written where it stands: a mark is, and [`escape`](super::escape) puts
//! the value in its place when it sees what is around it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Error as Failure, ErrorKind, UndefinedBehavior, Value as Datum};
use serde_json::Value;

use super::escape;
use super::facts::Facts;
use super::template::{File, Template};
use super::values::Values;
use crate::error::{Error, Kind, Result};

/// The name by which a file's text is known to the engine.
const NAME: &str = "file";

/// The name of our way of escaping.
const ESCAPE: &str = "marks";

/// Renders a file.
pub(super) fn render(
    template: &Template,
    file: &File,
    facts: &Facts,
    values: &Values,
) -> Result<String> {
    let mut environment = environment();
    let marked = Arc::new(Mutex::new(Vec::new()));
    let marks = Arc::clone(&marked);
    environment.set_formatter(move |output, _, datum| {
        // What a macro or a block made has its marks already.
        if datum.is_safe() {
            output.write_str(datum.as_str().unwrap_or_default())?;
            return Ok(());
        }
        let value = json(datum)?;
        let mut marks = marks.lock().unwrap_or_else(PoisonError::into_inner);
        output.write_str(&escape::mark(marks.len()))?;
        marks.push(value);
        Ok(())
    });
    refuse_other_escapes(template, file)?;
    let broken = |failure: &Failure| failed(template, file, failure);
    environment
        .add_template_owned(NAME, file.text.clone())
        .map_err(|failure| broken(&failure))?;
    let text = environment
        .get_template(NAME)
        .and_then(|found| found.render(context(facts, values)))
        .map_err(|failure| broken(&failure))?;
    let marked = marked.lock().unwrap_or_else(PoisonError::into_inner);
    escape::fill(template, file, &text, &marked)
}

/// `autoescape` would have filters write values as they are, or as HTML.
fn refuse_other_escapes(template: &Template, file: &File) -> Result<()> {
    for (at, _) in file.text.match_indices("{%") {
        let tag = file.text[at + 2..].trim_start_matches(['-', '+']);
        if tag.trim_start().starts_with("autoescape") {
            let line = file.text[..at].matches('\n').count() + 1;
            let message = format!(
                "template `{}`: `{}`: there is no `autoescape`",
                template.name, file.name
            );
            return Err(Error::new(Kind::Usage, message)
                .at(template.line(file, line))
                .hint("values are quoted for the file's format where they land"));
        }
    }
    Ok(())
}

/// Whether an expression can be read; if not, why.
pub(super) fn compiles(expression: &str) -> std::result::Result<(), String> {
    let environment = environment();
    let compiled = environment.compile_expression(expression);
    compiled.map(drop).map_err(|failure| why(&failure))
}

/// What an expression makes of the facts and of values; nothing if it names what is not there.
pub(super) fn evaluate(
    expression: &str,
    facts: &Facts,
    values: &Values,
) -> std::result::Result<Option<Value>, String> {
    let environment = environment();
    let found = environment
        .compile_expression(expression)
        .and_then(|compiled| compiled.eval(context(facts, values)));
    match found {
        Ok(datum) if datum.is_undefined() || datum.is_none() => Ok(None),
        Ok(datum) => json(&datum).map(Some).map_err(|failure| why(&failure)),
        Err(failure) if failure.kind() == ErrorKind::UndefinedError => Ok(None),
        Err(failure) => Err(why(&failure)),
    }
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_recursion_limit(50);
    environment.set_syntax(
        SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .keep_trailing_newline(true)
            .build()
            .unwrap_or_default(),
    );
    // Blocks and macros count as made already, and what filters join to them goes through
    // the formatter: a name of our own, since Jinja would write HTML for its own.
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::Custom(ESCAPE.into()));
    environment.remove_filter("safe");
    environment.remove_filter("escape");
    environment.remove_filter("e");
    environment.add_filter("words", |text: String| -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    });
    environment.add_filter("slug", |text: String| slug(&text));
    environment.add_filter("triple", |text: String| triple(&text));
    environment.add_filter("json", |datum: Datum| {
        json(&datum).map(|value| value.to_string())
    });
    environment.add_filter("with", |map: Datum, key: String, value: String| {
        with(&map, key, value)
    });
    environment.add_filter("pairs", |map: Datum, key: String, value: String| {
        pairs(&map, &key, &value)
    });
    environment.add_filter(
        "ipxe",
        |words: Datum| -> std::result::Result<Datum, Failure> {
            escape::ipxe(&json(&words)?)
                .map_err(|why| Failure::new(ErrorKind::InvalidOperation, why))?;
            Ok(words)
        },
    );
    environment.add_filter("assignments", |map: Datum| assignments(&map));
    environment.add_function(
        "fail",
        |why: String| -> std::result::Result<Datum, Failure> {
            Err(Failure::new(ErrorKind::InvalidOperation, why))
        },
    );
    environment
}

type Map = BTreeMap<String, String>;

/// What a map of strings has.
fn entries(map: &Datum) -> std::result::Result<Map, Failure> {
    serde_json::from_value(json(map)?)
        .map_err(|_| Failure::new(ErrorKind::InvalidOperation, "this is not a map of strings"))
}

/// The map with one more entry.
fn with(map: &Datum, key: String, value: String) -> std::result::Result<Datum, Failure> {
    let mut map = entries(map)?;
    map.insert(key, value);
    Ok(Datum::from(Serde(map)))
}

/// The entries of a map as a list: `[{KEY: name, VALUE: value}, …]`.
fn pairs(map: &Datum, key: &str, value: &str) -> std::result::Result<Datum, Failure> {
    let pair = |(name, is)| Map::from([(key.to_owned(), name), (value.to_owned(), is)]);
    let pairs: Vec<Map> = entries(map)?.into_iter().map(pair).collect();
    Ok(Datum::from(Serde(pairs)))
}

/// A map as `NAME=VALUE,…`.
fn assignments(map: &Datum) -> std::result::Result<String, Failure> {
    let mut parts = Vec::new();
    for (name, is) in entries(map)? {
        if name.contains(['=', ',']) || is.contains(',') {
            let why = format!("`{name}={is}` cannot be one of several with commas between");
            return Err(Failure::new(ErrorKind::InvalidOperation, why));
        }
        parts.push(format!("{name}={is}"));
    }
    Ok(parts.join(","))
}

/// Small letters, digits and `-`, as the names of things in clouds and clusters are.
fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars() {
        match c.to_ascii_lowercase() {
            c if c.is_ascii_alphanumeric() => slug.push(c),
            _ if slug.is_empty() || slug.ends_with('-') => {}
            _ => slug.push('-'),
        }
    }
    slug.trim_end_matches('-').to_owned()
}

/// A version of three numbers, zeros in place of those that are not said; none if it is not of
/// numbers alone.
fn triple(text: &str) -> Option<String> {
    let numbers: Vec<u32> = text
        .split('.')
        .map(|number| number.parse().ok())
        .collect::<Option<_>>()?;
    let number = |at: usize| numbers.get(at).copied().unwrap_or_default();
    (numbers.len() <= 3).then(|| format!("{}.{}.{}", number(0), number(1), number(2)))
}

fn context(facts: &Facts, values: &Values) -> Datum {
    let mut all = values.values.clone();
    all.insert("image".into(), facts.image.clone());
    let bundle = facts.bundle.clone();
    all.extend(bundle.map(|bundle| ("bundle".to_owned(), bundle)));
    Datum::from(Serde(all))
}

fn json(datum: &Datum) -> std::result::Result<Value, Failure> {
    let unfit = |what: &str| Failure::new(ErrorKind::InvalidOperation, what.to_owned());
    if datum.is_undefined() || datum.is_none() {
        return Err(Failure::new(
            ErrorKind::UndefinedError,
            "a value that is not given is put in: ask `if … is not none` first",
        ));
    }
    let value = serde_json::to_value(datum).map_err(|_| unfit("this cannot be put in"))?;
    if has_marks(&value) {
        return Err(unfit("a block's text cannot be changed any more"));
    }
    Ok(value)
}

fn has_marks(value: &Value) -> bool {
    let marked = |text: &str| text.contains(escape::is_of_mark);
    match value {
        Value::String(text) => marked(text),
        Value::Array(items) => items.iter().any(has_marks),
        Value::Object(map) => map
            .iter()
            .any(|(key, value)| marked(key) || has_marks(value)),
        _ => false,
    }
}

fn failed(template: &Template, file: &File, failure: &Failure) -> Error {
    let message = format!(
        "template `{}`: `{}`: {}",
        template.name,
        file.name,
        why(failure)
    );
    let mut error = Error::new(Kind::Usage, message);
    if let Some(line) = failure.line() {
        error = error.at(template.line(file, line));
    }
    match failure.kind() {
        ErrorKind::UndefinedError => error.hint(
            "there are the template's values, `image`, and for exports `bundle`; ask `if … is \
             defined` where one may be missing",
        ),
        _ => error.hint(format!(
            "`nodelith render {} --list` says what its values are",
            template.name
        )),
    }
}

/// What went wrong, in our way of saying things.
fn why(failure: &Failure) -> String {
    let kind = failure.kind().to_string();
    match failure.detail() {
        Some(detail) if failure.kind() == ErrorKind::InvalidOperation => detail.to_owned(),
        Some(detail) => format!("{kind}: {detail}"),
        None => kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_things() {
        assert_eq!(slug("Node 1.33_(x)"), "node-1-33-x");
        assert_eq!(slug("--"), "");
        assert_eq!(triple("1").as_deref(), Some("1.0.0"));
        assert_eq!(triple("1.2.3").as_deref(), Some("1.2.3"));
        for wrong in ["1.2.3.4", "1.x", "", "2026-11"] {
            assert_eq!(triple(wrong), None, "{wrong}");
        }
    }
}
