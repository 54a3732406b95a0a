//! A profile file's text, and where in it something stands.

use std::ops::Range;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::explain;
use super::file::ProfileFile;
use crate::error::{Place, Result};

/// One file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Document {
    /// As the user would name it.
    pub(super) file: PathBuf,
    /// Its whole text.
    pub(super) text: String,
}

impl Document {
    /// Reads the text as a profile file.
    pub(super) fn parse(&self) -> Result<ProfileFile> {
        toml::from_str(&self.text).map_err(|error| explain::explain(&error, self))
    }

    /// The place of a range of bytes.
    pub(super) fn place(&self, span: Range<usize>) -> Place {
        let end = span.end.min(self.text.len());
        Place {
            file: self.file.clone(),
            text: self.text.clone(),
            span: span.start.min(end)..end,
        }
    }

    /// Where the value of `keys` stands; with `item`, where that text stands
    /// within the value. Lists of tables are searched one after the other.
    pub(super) fn find(&self, keys: &[&str], item: Option<&str>) -> Option<Range<usize>> {
        let table = DeTable::parse(&self.text).ok()?;
        find_in_table(table.get_ref(), keys, item)
    }

    /// Like [`Document::find`], for the last of several occurrences.
    pub(super) fn find_last(&self, keys: &[&str], item: &str) -> Option<Range<usize>> {
        let table = DeTable::parse(&self.text).ok()?;
        let mut spans = Vec::new();
        collect_in_table(table.get_ref(), keys, item, &mut spans);
        spans.into_iter().max_by_key(|span| span.start)
    }
}

type Key<'a> = Spanned<std::borrow::Cow<'a, str>>;

fn find_in_table(table: &DeTable<'_>, keys: &[&str], item: Option<&str>) -> Option<Range<usize>> {
    let (first, rest) = keys.split_first()?;
    let (key, value): (&Key<'_>, _) = table.iter().find(|(key, _)| key.get_ref() == first)?;
    if !rest.is_empty() {
        return find_below(value, rest, item);
    }
    let Some(item) = item else {
        // A table's own span is its header, or nothing at all if keys are dotted.
        let span = value.span();
        return Some(if value.get_ref().is_table() && span.is_empty() {
            key.span()
        } else {
            span
        });
    };
    let mut spans = Vec::new();
    collect(value, item, &mut spans);
    spans.into_iter().min_by_key(|span| span.start)
}

fn find_below(
    value: &Spanned<DeValue<'_>>,
    keys: &[&str],
    item: Option<&str>,
) -> Option<Range<usize>> {
    match value.get_ref() {
        DeValue::Table(table) => find_in_table(table, keys, item),
        DeValue::Array(values) => values
            .iter()
            .find_map(|value| find_below(value, keys, item)),
        _ => None,
    }
}

fn collect_in_table(table: &DeTable<'_>, keys: &[&str], item: &str, spans: &mut Vec<Range<usize>>) {
    let Some((first, rest)) = keys.split_first() else {
        return;
    };
    for (_, value) in table.iter().filter(|(key, _)| key.get_ref() == first) {
        match value.get_ref() {
            _ if rest.is_empty() => collect(value, item, spans),
            DeValue::Table(table) => collect_in_table(table, rest, item, spans),
            DeValue::Array(values) => {
                for value in values {
                    if let DeValue::Table(table) = value.get_ref() {
                        collect_in_table(table, rest, item, spans);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Every place at or below `value` where `item` stands, as a text or as a key.
fn collect(value: &Spanned<DeValue<'_>>, item: &str, spans: &mut Vec<Range<usize>>) {
    match value.get_ref() {
        DeValue::String(text) if text == item => spans.push(value.span()),
        DeValue::Array(values) => {
            for value in values {
                collect(value, item, spans);
            }
        }
        DeValue::Table(table) => {
            for (key, value) in table {
                if key.get_ref() == item {
                    spans.push(key.span());
                }
                collect(value, item, spans);
            }
        }
        _ => {}
    }
}
