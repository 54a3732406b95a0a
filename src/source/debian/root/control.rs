//! Control stanzas (deb822, `deb-control(5)`) as a package carries them, and
//! the few things that unpacking needs to know from them.

use std::str::FromStr;

use debversion::Version;

use crate::error::{Error, Kind, Result};

/// The fields of one stanza, in their order and with their text as written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stanza {
    fields: Vec<(String, String)>,
}

impl Stanza {
    /// Parses one stanza. Values keep their continuation lines, without the last line's end.
    ///
    /// # Errors
    /// When a line is neither a field nor a continuation, a field occurs twice,
    /// or there is more than one stanza.
    pub fn parse(text: &str) -> Result<Self> {
        let mut fields: Vec<(String, String)> = Vec::new();
        let mut ended = false;
        for line in text.lines() {
            if line.trim().is_empty() {
                ended = !fields.is_empty();
                continue;
            }
            if ended {
                return Err(malformed("it has more than one stanza"));
            }
            if line.starts_with([' ', '\t']) {
                let (_, value) = fields
                    .last_mut()
                    .ok_or_else(|| malformed("it begins with a continuation line"))?;
                value.push('\n');
                value.push_str(line.trim_end());
                continue;
            }
            let (name, value) = line
                .split_once(':')
                .filter(|(name, _)| is_field_name(name))
                .ok_or_else(|| malformed(&format!("`{}` is not a field", shorten(line))))?;
            if fields
                .iter()
                .any(|(known, _)| known.eq_ignore_ascii_case(name))
            {
                return Err(malformed(&format!("field `{name}` occurs twice")));
            }
            fields.push((name.to_owned(), value.trim().to_owned()));
        }
        Ok(Self { fields })
    }

    /// The value of a field; names are compared without regard to case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// All fields in their order.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A field that must be there and not be empty.
    ///
    /// # Errors
    /// When it is missing or empty.
    pub fn require(&self, name: &str) -> Result<&str> {
        self.get(name)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| malformed(&format!("field `{name}` is missing")))
    }

    /// Whether a field says `yes`.
    #[must_use]
    pub fn says_yes(&self, name: &str) -> bool {
        self.get(name) == Some("yes")
    }
}

fn is_field_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(['#', '-'])
        && name
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b':')
}

fn malformed(why: &str) -> Error {
    Error::new(Kind::Verify, format!("malformed control stanza: {why}"))
}

fn shorten(line: &str) -> String {
    line.chars().take(40).collect()
}

/// Whether `name` can be a package name (Debian policy 5.6.7, and `:` for nothing else).
#[must_use]
pub fn is_package_name(name: &str) -> bool {
    name.len() >= 2
        && name.as_bytes()[0].is_ascii_alphanumeric()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// One alternative of a relation field: a name, perhaps with an architecture, perhaps with versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alternative<'a> {
    /// The package's name, without architecture.
    pub name: &'a str,
    /// The comparison and the version to compare with.
    pub version: Option<(&'a str, &'a str)>,
}

impl Alternative<'_> {
    /// Whether a package of this name and version is meant.
    #[must_use]
    pub fn matches(&self, name: &str, version: &str) -> bool {
        if self.name != name {
            return false;
        }
        let Some((comparison, wanted)) = self.version else {
            return true;
        };
        let (Ok(have), Ok(wanted)) = (Version::from_str(version), Version::from_str(wanted)) else {
            return false;
        };
        match comparison {
            "<<" => have < wanted,
            // A single `<` or `>` is an old spelling of "or equal".
            "<=" | "<" => have <= wanted,
            "=" => have == wanted,
            ">=" | ">" => have >= wanted,
            ">>" => have > wanted,
            _ => false,
        }
    }
}

/// A relation field of a binary package (`Depends`, `Replaces`, `Provides`) as groups of alternatives.
#[must_use]
pub fn relations(value: &str) -> Vec<Vec<Alternative<'_>>> {
    value
        .split(',')
        .map(|group| group.split('|').filter_map(alternative).collect::<Vec<_>>())
        .filter(|group| !group.is_empty())
        .collect()
}

fn alternative(text: &str) -> Option<Alternative<'_>> {
    let (name, rest) = match text.find(['(', '[', '<']) {
        Some(at) => (&text[..at], &text[at..]),
        None => (text, ""),
    };
    let name = name.trim();
    let name = name.split_once(':').map_or(name, |(name, _)| name);
    let version = rest
        .strip_prefix('(')
        .and_then(|rest| rest.split_once(')'))
        .map(|(inside, _)| inside.trim())
        .and_then(|inside| {
            let at = inside.find(|character| !"<>=".contains(character))?;
            Some((&inside[..at], inside[at..].trim()))
        });
    (!name.is_empty()).then_some(Alternative { name, version })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stanza_keeps_order_and_text() {
        let text = "Package: a1\nDescription: short\n long\n .\n  verbatim\nX-Own:   spaced  \n";
        let stanza = Stanza::parse(text).unwrap();
        let fields: Vec<_> = stanza.fields().collect();
        assert_eq!(
            fields,
            [
                ("Package", "a1"),
                ("Description", "short\n long\n .\n  verbatim"),
                ("X-Own", "spaced")
            ]
        );
        assert_eq!(stanza.get("package"), Some("a1"));
        assert!(stanza.require("Version").is_err());
    }

    #[test]
    fn malformed_stanzas_are_refused() {
        for text in [
            " continuation first\n",
            "Package: a\nPackage: b\n",
            "Package: a\n\nPackage: b\n",
            "no colon here\n",
            ": empty name\n",
        ] {
            assert!(Stanza::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn relations_are_split() {
        let groups = relations("awk, libc6:any (>= 2.38) [amd64] | libc6.1(<<3) , , x <!stage1>");
        assert_eq!(groups.len(), 3);
        assert_eq!(groups[1][0].name, "libc6");
        assert_eq!(groups[1][0].version, Some((">=", "2.38")));
        assert_eq!(groups[1][1].version, Some(("<<", "3")));
        assert_eq!(groups[2][0].name, "x");
        assert!(groups[1][0].matches("libc6", "2.41-12+deb13u3"));
        assert!(!groups[1][0].matches("libc6", "2.36-9"));
        assert!(!groups[1][0].matches("libc", "2.41"));
    }

    #[test]
    fn names_that_are_paths_are_no_package_names() {
        assert!(is_package_name("libstdc++6") && is_package_name("0ad"));
        for name in ["", "a", "../x", "a/b", "-a", "a b", "a:b", "a_b", ".a"] {
            assert!(!is_package_name(name), "{name:?}");
        }
    }
}
