//! Commands with places for values: `metalctl reimage {node} --image {image}`.
//!
//! Values are quoted for the shell as they are put in, so a place must not stand within
//! quotes. `{{` and `}}` are braces.

use std::borrow::Cow;

use super::shell::{Reader, Unfit};

/// What a command can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// The node's name.
    Node,
    /// The image with its digest.
    Image,
    /// The digest alone.
    Digest,
    /// The node's pool.
    Pool,
    /// The node's zone.
    Zone,
    /// `spec.providerID` of the node.
    ProviderId,
}

/// Every place, by name.
const SLOTS: [(&str, Slot); 6] = [
    ("node", Slot::Node),
    ("image", Slot::Image),
    ("digest", Slot::Digest),
    ("pool", Slot::Pool),
    ("zone", Slot::Zone),
    ("provider-id", Slot::ProviderId),
];

/// A command with places for values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Slot(Slot),
}

/// Why a command cannot be a template, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl Template {
    /// Reads a command.
    ///
    /// # Errors
    /// For a brace alone, a place that is unknown, and one within quotes or behind a `\`.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let mut parts = vec![Part::Text(String::new())];
        let mut reader = Reader::default();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let after = &rest[c.len_utf8()..];
            let doubled = after.starts_with(c);
            if c == '{' && !doubled {
                let Some((name, behind)) = after.split_once('}') else {
                    return Err(alone('{'));
                };
                let slot = slot(name)?;
                if let Some(unfit) = reader.unfit() {
                    return Err(unfit_here(name, unfit));
                }
                reader.word();
                parts.push(Part::Slot(slot));
                parts.push(Part::Text(String::new()));
                rest = behind;
                continue;
            }
            if c == '}' && !doubled {
                return Err(alone('}'));
            }
            reader.read(c);
            if let Some(Part::Text(before)) = parts.last_mut() {
                before.push(c);
            }
            rest = match matches!(c, '{' | '}') {
                true => &after[1..],
                false => after,
            };
        }
        Ok(Self(parts))
    }

    /// The command with what `value` gives for each place, put in as it is.
    pub fn fill<'a>(&self, value: impl Fn(Slot) -> Cow<'a, str>) -> String {
        let parts = self.0.iter().map(|part| match part {
            Part::Text(text) => Cow::Borrowed(text.as_str()),
            Part::Slot(slot) => Cow::Owned(value(*slot).into_owned()),
        });
        parts.collect()
    }
}

fn slot(name: &str) -> Result<Slot, Refusal> {
    let slot = SLOTS.iter().find(|(known, _)| *known == name);
    slot.map(|(_, slot)| *slot).ok_or_else(|| {
        let known: Vec<_> = SLOTS
            .iter()
            .map(|(name, _)| format!("`{{{name}}}`"))
            .collect();
        Refusal {
            message: format!("a command cannot name `{{{name}}}`"),
            hint: format!("there are {}; write `{{{{` for a brace", known.join(", ")),
        }
    })
}

fn unfit_here(name: &str, unfit: Unfit) -> Refusal {
    let values = "values are quoted as they are put in";
    Refusal {
        message: format!("`{{{name}}}` stands {}", unfit.place()),
        hint: match unfit {
            Unfit::Backslash => format!("leave the backslash out: {values}"),
            Unfit::Quotes => format!("leave the quotes out: {values}"),
            _ => format!("put it where a word stands alone: {values}"),
        },
    }
}

fn alone(brace: char) -> Refusal {
    Refusal {
        message: format!("a `{brace}` stands alone"),
        hint: "write braces of the command itself twice: `{{`, `}}`".into(),
    }
}

/// A word for the POSIX shell: as it is where that is safe, else in single quotes.
#[must_use]
pub fn quoted(text: &str) -> Cow<'_, str> {
    let safe = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    match !text.is_empty() && text.chars().all(safe) {
        true => Cow::Borrowed(text),
        false => Cow::Owned(format!("'{}'", text.replace('\'', r"'\''"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_put_in() {
        let filled = |text: &str| {
            Template::parse(text).map(|template| {
                template.fill(|slot| match slot {
                    Slot::Node => "w1".into(),
                    _ => quoted("it's; rm"),
                })
            })
        };
        assert_eq!(
            filled("a {node} --x={zone}").unwrap(),
            r"a w1 --x='it'\''s; rm'"
        );
        assert_eq!(
            filled("awk '{{print}}' \"x\" {node}").unwrap(),
            "awk '{print}' \"x\" w1"
        );
        assert_eq!(filled("ü {node}ß").unwrap(), "ü w1ß");
        for nested in [
            "x=\"$(echo \"{node}\")\"",
            "\"${{u:-\"{node}\"}}\"",
            "`{node}`",
            "${node}",
        ] {
            assert!(filled(nested).is_err(), "{nested}");
        }
        for wrong in ["{", "}", "a {nod}", "'{node}'", "\"{node}\"", "{node", "{}"] {
            assert!(filled(wrong).is_err(), "{wrong}");
        }
    }

    /// As the POSIX shell has it (2.2, Quoting): not within single quotes.
    #[test]
    fn backslashes_take_the_meaning_of_quotes() {
        let parse = |text: &str| Template::parse(text).map(drop).map_err(|why| why.message);
        for wrong in [
            r#"ssh bmc "reimage \"{node}\""#,
            r#"a "\\\"{node}""#,
            r#"a \\"{node}""#,
            r"a '\' '{node}'",
        ] {
            let message = "`{node}` stands within quotes".to_owned();
            assert_eq!(parse(wrong), Err(message), "{wrong}");
        }
        let message = "`{node}` stands behind a backslash".to_owned();
        assert_eq!(parse(r"a \{node}"), Err(message));
        for right in [
            r#"a \" {node} \'"#,
            r#"a "\\" {node}"#,
            r"a \\{node}",
            r"a '\' {node}",
            r#"a "\"" {node}"#,
        ] {
            assert_eq!(parse(right), Ok(()), "{right}");
        }
    }

    #[test]
    fn words_are_quoted() {
        assert_eq!(quoted("aws:///eu-1a/i-0"), "aws:///eu-1a/i-0");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("$(x)"), "'$(x)'");
    }
}
