//! Commands with places for values: `metalctl reimage {node} --image {image}`.
//!
//! Values are quoted for the shell as they are put in, so a place must not stand within
//! quotes. `{{` and `}}` are braces.

use std::borrow::Cow;

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
    /// For a brace alone, a place that is unknown, and one within quotes.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let mut parts = vec![Part::Text(String::new())];
        let mut quote = None;
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let after = &rest[c.len_utf8()..];
            let doubled = after.starts_with(c);
            if c == '{' && !doubled {
                let Some((name, behind)) = after.split_once('}') else {
                    return Err(alone('{'));
                };
                parts.push(Part::Slot(slot(name, quote.is_some())?));
                parts.push(Part::Text(String::new()));
                rest = behind;
                continue;
            }
            if c == '}' && !doubled {
                return Err(alone('}'));
            }
            match (c, quote) {
                ('\'' | '"', None) => quote = Some(c),
                (_, Some(open)) if open == c => quote = None,
                _ => {}
            }
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

fn slot(name: &str, in_quotes: bool) -> Result<Slot, Refusal> {
    let Some((_, slot)) = SLOTS.iter().find(|(known, _)| *known == name) else {
        let known: Vec<_> = SLOTS
            .iter()
            .map(|(name, _)| format!("`{{{name}}}`"))
            .collect();
        return Err(Refusal {
            message: format!("a command cannot name `{{{name}}}`"),
            hint: format!("there are {}; write `{{{{` for a brace", known.join(", ")),
        });
    };
    match in_quotes {
        true => Err(Refusal {
            message: format!("`{{{name}}}` stands within quotes"),
            hint: "leave the quotes out: values are quoted as they are put in".into(),
        }),
        false => Ok(*slot),
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
        for wrong in ["{", "}", "a {nod}", "'{node}'", "\"{node}\"", "{node", "{}"] {
            assert!(filled(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn words_are_quoted() {
        assert_eq!(quoted("aws:///eu-1a/i-0"), "aws:///eu-1a/i-0");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("$(x)"), "'$(x)'");
    }
}
