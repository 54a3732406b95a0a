//! How values are put into files: quoted for what a file is written in, where they land,
//! or refused.
//!
//! The engine leaves a mark for each value, and here the text is read as the program would
//! read it that the file is for: so a value within quotes, where quoting it again would end
//! them, is found.

mod data;
mod shell;
mod words;

use serde_json::Value;

use super::template::{File, Format, Template};
use crate::check::document::Node;
use crate::error::{Error, Kind, Place, Result};

/// Begins a mark. All that a mark is made of are characters that Unicode reserves
/// (noncharacters, section 23.7) and that no value or template has, so that nothing a template
/// does to text meets them.
const OPEN: char = '\u{fdd0}';
/// Ends a mark.
const CLOSE: char = '\u{fdd1}';
/// The digit 0 of a mark's number; the others follow it.
const ZERO: u32 = 0xfdd2;

/// The mark of a value, by its number.
pub(super) fn mark(number: usize) -> String {
    let digits = number.to_string();
    let digits = digits.bytes().map(|digit| ZERO + u32::from(digit - b'0'));
    let digits: String = digits.filter_map(char::from_u32).collect();
    format!("{OPEN}{digits}{CLOSE}")
}

/// Whether marks are made of this character, or could be.
pub(super) fn is_of_mark(c: char) -> bool {
    matches!(c, '\u{fdd0}'..='\u{fdef}')
}

/// A text with marks, in parts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part<'a> {
    /// What the template says.
    Text(&'a str),
    /// A value that is put in.
    Value(&'a Value),
}

/// What values become in a text: its parts one after the other, and for each value where it
/// stands. Why not, in words that follow "a value".
trait Quoting {
    /// What the template says next.
    fn text(&mut self, text: &str);
    /// What a value becomes here; `next` is what the template says after it.
    fn value(&mut self, value: &Value, next: &str) -> std::result::Result<String, String>;
}

/// Puts values in the place of their marks.
pub(super) fn fill(
    template: &Template,
    file: &File,
    text: &str,
    values: &[Value],
) -> Result<String> {
    let parts = parts(text, values).ok_or_else(|| {
        let message = format!(
            "template `{}`: `{}`: the text of a block or a macro is changed where a value stands \
             in it",
            template.name, file.name
        );
        Error::new(Kind::Usage, message).hint("change the value before it is put in")
    })?;
    let mut quoting: Box<dyn Quoting> = match file.format {
        Format::Json => Box::new(data::Data::new(false)),
        Format::Yaml => Box::new(data::Data::new(true)),
        Format::Shell => Box::new(shell::Shell::default()),
        Format::Grub => Box::new(shell::Shell::grub()),
        Format::Ipxe => Box::new(words::Words::IPXE),
        Format::Dnsmasq => Box::new(words::Words::DNSMASQ),
        Format::Systemd => Box::new(words::Words::SYSTEMD),
        Format::Text => Box::new(words::Words::TEXT),
    };
    let mut filled = String::with_capacity(text.len());
    // The same text with dots for values, for messages: values may be secret.
    let mut shown = String::with_capacity(text.len());
    for (at, part) in parts.iter().enumerate() {
        match part {
            Part::Text(text) => {
                quoting.text(text);
                filled.push_str(text);
                shown.push_str(text);
            }
            Part::Value(value) => {
                let next = match parts.get(at + 1) {
                    Some(Part::Text(text)) => text,
                    _ => "",
                };
                let start = shown.len();
                shown.push('…');
                let quoted = quoting.value(value, next).map_err(|why| {
                    let rest = text_after(&parts[at + 1..]);
                    refused(template, file, &why, format!("{shown}{rest}"), start)
                })?;
                filled.push_str(&quoted);
            }
        }
    }
    check(template, file, &filled)?;
    Ok(filled)
}

/// None if a mark is not whole.
fn parts<'a>(text: &'a str, values: &'a [Value]) -> Option<Vec<Part<'a>>> {
    let whole = |text: &'a str| (!text.contains(is_of_mark)).then_some(Part::Text(text));
    let mut pieces = text.split(OPEN);
    let mut parts = vec![whole(pieces.next().unwrap_or_default())?];
    for piece in pieces {
        let (digits, rest) = piece.split_once(CLOSE)?;
        let digits = digits.chars().map(|c| {
            let digit = u32::from(c).checked_sub(ZERO)?;
            char::from_digit(digit, 10)
        });
        let number: usize = digits.collect::<Option<String>>()?.parse().ok()?;
        parts.push(Part::Value(values.get(number)?));
        if !rest.is_empty() {
            parts.push(whole(rest)?);
        }
    }
    Some(parts)
}

/// Whether words, or a single one, are what iPXE can say; if not, why.
pub(super) fn ipxe(words: &Value) -> std::result::Result<(), String> {
    let mut ipxe = words::Words::IPXE;
    let said = ipxe.value(words, "");
    said.map(drop).map_err(|why| format!("a value {why}"))
}

/// The rest of a line, with dots for values.
fn text_after(parts: &[Part<'_>]) -> String {
    let rest = parts.iter().map(|part| match part {
        Part::Text(text) => text,
        Part::Value(_) => "…",
    });
    let rest: String = rest.collect();
    rest.lines().next().unwrap_or_default().to_owned()
}

fn refused(template: &Template, file: &File, why: &str, text: String, start: usize) -> Error {
    let message = format!(
        "template `{}`: `{}`: a value {why}",
        template.name, file.name
    );
    Error::new(Kind::Usage, message)
        .at(Place {
            file: format!("{} (rendered)", file.name).into(),
            span: start..start + '…'.len_utf8(),
            text,
        })
        .hint("the template must not quote, and the value must be what the format can say")
}

/// Whether data can be read again.
fn check(template: &Template, file: &File, text: &str) -> Result<()> {
    let why = match file.format {
        Format::Json => serde_json::from_str::<serde::de::IgnoredAny>(text)
            .err()
            .map(|error| error.to_string()),
        Format::Yaml => Node::yaml(text, 0).err().map(|broken| {
            let line = text[..broken.span.start.min(text.len())]
                .matches('\n')
                .count()
                + 1;
            format!("{} at line {line}", broken.why)
        }),
        _ => None,
    };
    why.map_or(Ok(()), |why| {
        let message = format!(
            "template `{}`: `{}` renders to what is not {}: {why}",
            template.name,
            file.name,
            file.format.name().to_uppercase()
        );
        Err(Error::new(Kind::Usage, message))
    })
}

/// A single value as a text; why it is not one.
fn scalar(value: &Value) -> std::result::Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        Value::Null => Err("is not given".into()),
        Value::Array(_) | Value::Object(_) => {
            Err("is a list or a map, of which one puts in single items".into())
        }
    }
}

/// The words that a value is: one, or those of a list.
fn scalars(value: &Value) -> std::result::Result<Vec<String>, String> {
    match value {
        Value::Array(items) => items.iter().map(scalar).collect(),
        other => Ok(vec![scalar(other)?]),
    }
}
