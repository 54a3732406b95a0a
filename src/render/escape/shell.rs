//! The shells: POSIX (section 2.2, Quoting) and GRUB's (GRUB's manual, "Quoting"). A value is
//! a word in single quotes where that is needed; within quotes, behind a backslash and in
//! here-documents it is refused.

use serde_json::Value;

use super::{Quoting, scalars};
use crate::fleet::template::quoted;

/// Reads a script as far as to know what is quoted.
#[derive(Default)]
pub(super) struct Shell {
    grub: bool,
    quote: Option<char>,
    escapes: bool,
    comment: bool,
    here: bool,
    /// The character before.
    last: Option<char>,
}

impl Shell {
    pub(super) fn grub() -> Self {
        Self {
            grub: true,
            ..Self::default()
        }
    }
}

impl Quoting for Shell {
    fn text(&mut self, text: &str) {
        for c in text.chars() {
            let last = self.last.replace(c);
            if self.comment {
                self.comment = c != '\n';
                continue;
            }
            if std::mem::take(&mut self.escapes) {
                continue;
            }
            match (c, self.quote) {
                ('\\', None | Some('"')) => self.escapes = true,
                ('\'' | '"' | '`', None) => self.quote = Some(c),
                (_, Some(open)) if open == c => self.quote = None,
                ('#', None) => {
                    self.comment = last.is_none_or(|c| c.is_whitespace() || ";&|(".contains(c));
                }
                ('<', None) if last == Some('<') => self.here = true,
                _ => {}
            }
        }
    }

    fn value(&mut self, value: &Value, _: &str) -> Result<String, String> {
        if self.quote.is_some() {
            return Err("stands within quotes".into());
        }
        if self.escapes {
            return Err("stands behind a backslash".into());
        }
        if self.here {
            return Err("stands in or after a here-document".into());
        }
        let words = scalars(value)?;
        if self.comment && words.iter().any(|word| word.contains('\n')) {
            return Err("has several lines and stands in a comment".into());
        }
        if self.grub {
            // GRUB itself cannot hand these on to a kernel unchanged (lib/cmdline.c).
            let unfit = |c: char| c.is_control() || "'\"\\".contains(c);
            if words.iter().any(|word| word.contains(unfit)) {
                return Err(
                    "has quotes, backslashes or control characters, which GRUB does not \
                            hand on"
                        .into(),
                );
            }
        }
        self.last = Some('x');
        let words: Vec<_> = words.iter().map(|word| quoted(word)).collect();
        Ok(words.join(" "))
    }
}
