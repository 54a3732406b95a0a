//! The shells: POSIX (section 2.2, Quoting) and GRUB's (GRUB's manual, "Quoting"). A value is
//! a word in single quotes where that is needed; where quotes are open or mean something else it
//! is refused ([`Reader`]).

use serde_json::Value;

use super::{Quoting, scalars};
use crate::fleet::shell::Reader;
use crate::fleet::template::quoted;

/// Reads a script as far as to know what is quoted.
#[derive(Default)]
pub(super) struct Shell {
    grub: bool,
    reader: Reader,
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
        text.chars().for_each(|c| self.reader.read(c));
    }

    fn value(&mut self, value: &Value, _: &str) -> Result<String, String> {
        if let Some(unfit) = self.reader.unfit() {
            return Err(format!("stands {}", unfit.place()));
        }
        let words = scalars(value)?;
        if self.reader.in_comment() && words.iter().any(|word| word.contains('\n')) {
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
        self.reader.word();
        let words: Vec<_> = words.iter().map(|word| quoted(word)).collect();
        Ok(words.join(" "))
    }
}
