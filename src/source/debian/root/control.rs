//! Control stanzas (deb822, `deb-control(5)`) as a package carries them, and
//! the few things that unpacking needs to know from them.

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
    fn names_that_are_paths_are_no_package_names() {
        assert!(is_package_name("libstdc++6") && is_package_name("0ad"));
        for name in ["", "a", "../x", "a/b", "-a", "a b", "a:b", "a_b", ".a"] {
            assert!(!is_package_name(name), "{name:?}");
        }
    }
}
