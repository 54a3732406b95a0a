//! Formats whose words cannot be quoted, or whose quoting depends on the place: a value is
//! put in as it is, or refused.

use serde_json::Value;

use super::{Quoting, scalars};

/// What a word may be.
pub(super) struct Words {
    /// What it must not have, beside control characters.
    refused: &'static str,
    /// What it must not be.
    operators: &'static [&'static str],
    /// What it must not begin with.
    first: &'static str,
    /// Whether spaces may be in it.
    spaced: bool,
    /// Who says so.
    what: &'static str,
    /// What is written twice.
    doubled: Option<char>,
}

impl Words {
    /// iPXE splits lines at spaces, with no way to quote, then expands `${…}`; `#` begins a
    /// comment, and `||`, `&&` and `;` end a command (src/core/exec.c). A line that ends in `\`
    /// goes on with the next (src/image/script.c).
    pub(super) const IPXE: Self = Self {
        refused: "$\\",
        operators: &["||", "&&", ";"],
        first: "#",
        spaced: false,
        what: "iPXE",
        doubled: None,
    };

    /// dnsmasq(8), "CONFIG FILE": `#` begins a comment, `"` quotes, `\` escapes, and `,`
    /// separates.
    pub(super) const DNSMASQ: Self = Self {
        refused: "#\"\\,",
        operators: &[],
        first: "",
        spaced: false,
        what: "dnsmasq",
        doubled: None,
    };

    /// systemd.syntax(7), and `%` of specifiers (systemd.unit(5)).
    pub(super) const SYSTEMD: Self = Self {
        refused: "'\"\\",
        operators: &[],
        first: "#;",
        spaced: false,
        what: "systemd",
        doubled: Some('%'),
    };

    /// Any text: one line.
    pub(super) const TEXT: Self = Self {
        refused: "",
        operators: &[],
        first: "",
        spaced: true,
        what: "a line of text",
        doubled: None,
    };
}

impl Quoting for Words {
    fn text(&mut self, _: &str) {}

    fn value(&mut self, value: &Value, _: &str) -> Result<String, String> {
        let mut words = scalars(value)?;
        for word in &mut words {
            let unfit = |c: char| {
                c.is_control() || self.refused.contains(c) || (!self.spaced && c.is_whitespace())
            };
            if word.is_empty() {
                return Err("is empty".into());
            }
            if word.contains(unfit)
                || self.operators.contains(&&**word)
                || word.starts_with(|c| self.first.contains(c))
            {
                return Err(format!("has characters that {} does not take", self.what));
            }
            if let Some(doubled) = self.doubled {
                *word = word.replace(doubled, &format!("{doubled}{doubled}"));
            }
        }
        Ok(words.join(" "))
    }
}
