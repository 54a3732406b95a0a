//! What became of each setting, for people and for programs.

use serde_json::{Value, json};

use super::draft::{keys_text, one_line};
use super::{Imported, Item, Part};

/// As text: the three parts, each setting with its place.
#[must_use]
pub fn text(imported: &Imported) -> String {
    let mut text = String::new();
    for part in Part::ALL {
        let items: Vec<&Item> = imported
            .items
            .iter()
            .filter(|item| item.part == part)
            .collect();
        text += &format!("{} ({})\n", part.title(), items.len());
        for item in items {
            text += &line(item);
        }
        text.push('\n');
    }
    text.trim_end().to_owned()
}

fn line(item: &Item) -> String {
    let value = item.value.as_ref().map(|value| format!(" = {value}"));
    let place = match item.place.line {
        Some(line) => format!("{}:{line}", item.place.file),
        None => item.place.file.clone(),
    };
    let mut lines = vec![format!(
        "  {}{}  [{place}]",
        item.setting,
        value.unwrap_or_default()
    )];
    if !item.profile.is_empty() {
        lines.push(format!("    → {}", keys_text(&item.profile)));
    }
    lines.extend(item.why.as_ref().map(|why| format!("    {why}")));
    lines.iter().map(|line| one_line(line) + "\n").collect()
}

/// As JSON.
#[must_use]
pub fn json(imported: &Imported) -> Value {
    let count = |part| {
        imported
            .items
            .iter()
            .filter(|item| item.part == part)
            .count()
    };
    json!({
        "schema": "nodelith.import", "version": 1,
        "carried": count(Part::Carried), "changed": count(Part::Changed), "lost": count(Part::Lost),
        "settings": imported.items,
        "files": imported.files.iter().map(|(path, _)| path).collect::<Vec<_>>(),
    })
}
