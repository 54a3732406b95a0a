//! What the guest said, by section.

use std::collections::BTreeMap;

use serde_json::Value;

/// One command's output and exit status.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Section {
    pub text: String,
    pub status: i32,
}

/// All sections that were ended.
#[derive(Debug, Default)]
pub struct Sections {
    found: BTreeMap<String, Section>,
    /// Whether the test came to its end.
    pub done: bool,
    /// A section that was begun and not ended.
    pub open: Option<String>,
}

impl Sections {
    /// Reads them; what stands outside of sections is passed over.
    pub fn parse(text: &str) -> Self {
        let mut sections = Self::default();
        let mut open: Option<(String, String)> = None;
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("=== BEGIN ") {
                open = Some((name.to_owned(), String::new()));
            } else if let Some(rest) = line.strip_prefix("=== END ") {
                let (name, status) = rest.rsplit_once(' ').unwrap_or((rest, ""));
                if let Some((begun, text)) = open.take()
                    && begun == name
                {
                    let status = status.parse().unwrap_or(-1);
                    let text = text.trim_end().to_owned();
                    sections.found.insert(begun, Section { text, status });
                }
            } else if line == "=== DONE" {
                sections.done = true;
            } else if let Some((_, text)) = &mut open {
                text.push_str(line);
                text.push('\n');
            }
        }
        sections.open = open.map(|(name, _)| name);
        sections
    }

    /// A section, whatever its status.
    pub fn get(&self, name: &str) -> Result<&Section, String> {
        self.found
            .get(name)
            .ok_or_else(|| format!("`{name}` was not reached"))
    }

    /// The text of a section whose command succeeded.
    pub fn text(&self, name: &str) -> Result<&str, String> {
        let section = self.get(name)?;
        match section.status {
            0 => Ok(&section.text),
            status => Err(format!(
                "`{name}` failed with {status}: {}",
                last(&section.text)
            )),
        }
    }

    /// The JSON of a section whose command succeeded.
    pub fn json(&self, name: &str) -> Result<Value, String> {
        serde_json::from_str(self.text(name)?)
            .map_err(|error| format!("`{name}` is no JSON: {error}"))
    }
}

/// The last line that says what happened.
fn last(text: &str) -> &str {
    text.lines()
        .rev()
        .find(|line| !line.trim().is_empty() && !line.starts_with("hint: "))
        .unwrap_or("(nothing said)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_read() {
        let text = "noise\n=== BEGIN a\none\n\n=== END a 0\n=== BEGIN b\nwrong\nhint: try\n\n=== END b 3\n=== BEGIN c\n";
        let sections = Sections::parse(text);
        assert_eq!(sections.text("a"), Ok("one"));
        assert_eq!(
            sections.text("b"),
            Err("`b` failed with 3: wrong".to_owned())
        );
        assert_eq!(sections.get("b").unwrap().status, 3);
        assert_eq!(sections.text("d"), Err("`d` was not reached".to_owned()));
        assert!(
            sections
                .json("a")
                .unwrap_err()
                .starts_with("`a` is no JSON")
        );
        assert_eq!(
            (sections.done, sections.open.as_deref()),
            (false, Some("c"))
        );
        assert!(Sections::parse("=== DONE\n").done);
    }
}
