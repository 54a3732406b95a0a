//! Reading a shell's text as far as to know where a word can be put in: POSIX, sections 2.2
//! (Quoting), 2.6 (Word Expansions) and 2.7.4 (Here-Document), and bash's `$'…'`.
//!
//! What cannot be read for sure without being a shell (quotes within a substitution that stands
//! within quotes itself) makes all that follows unsure, and no word is put in there.

/// Why a word cannot be put in at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// Within quotes, backticks too.
    Quotes,
    /// Behind a backslash.
    Backslash,
    /// Behind a `$`, which makes another thing of quotes and of words.
    Dollar,
    /// Within `${…}` or arithmetic, where quotes mean something else.
    Expansion,
    /// In or after a here-document.
    Here,
    /// After what cannot be read for sure.
    Unsure,
}

impl Unfit {
    /// Where the word stands.
    #[must_use]
    pub fn place(self) -> &'static str {
        match self {
            Self::Quotes => "within quotes",
            Self::Backslash => "behind a backslash",
            Self::Dollar => "behind a `$`",
            Self::Expansion => "within `${…}` or arithmetic",
            Self::Here => "in or after a here-document",
            Self::Unsure => "after quotes within a substitution",
        }
    }
}

/// What quotes are open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quote {
    Single,
    /// `$'…'` of bash, which is `$` and single quotes to others.
    Dollar,
    Double,
    Backtick,
}

/// A substitution within double quotes.
#[derive(Debug)]
struct Nested {
    open: char,
    close: char,
    depth: usize,
    text: String,
}

/// Reads a text, character by character.
#[derive(Debug, Default)]
pub struct Reader {
    quote: Option<Quote>,
    nested: Option<Nested>,
    escapes: bool,
    comment: bool,
    here: bool,
    unsure: bool,
    /// How many `${` are open, outside quotes.
    braces: usize,
    /// How many parentheses of arithmetic are open.
    parentheses: usize,
    /// The character before, and the one before that.
    last: [Option<char>; 2],
}

impl Reader {
    /// Reads on.
    pub fn read(&mut self, c: char) {
        let [last, second] = self.last;
        self.last = [Some(c), last];
        if self.comment {
            self.comment = c != '\n';
            return;
        }
        if std::mem::take(&mut self.escapes) {
            // What is escaped has no meaning for what follows.
            self.last = [Some('x'), None];
            return;
        }
        match self.quote {
            None => self.plain(c, last, second),
            Some(Quote::Double) => self.doubly(c, last),
            Some(Quote::Single) => self.close(c == '\''),
            Some(Quote::Dollar) => {
                self.unsure |= c == '\\';
                self.close(c == '\'');
            }
            Some(Quote::Backtick) => {
                self.unsure |= "'\"\\#".contains(c);
                self.close(c == '`');
            }
        }
    }

    /// A word was put in.
    pub fn word(&mut self) {
        self.last = [Some('x'), None];
    }

    /// Whether a comment has begun, which ends with the line.
    #[must_use]
    pub fn in_comment(&self) -> bool {
        self.comment
    }

    /// Why a word cannot be put in here.
    #[must_use]
    pub fn unfit(&self) -> Option<Unfit> {
        let dollar = !self.comment && self.last[0] == Some('$');
        [
            (self.quote.is_some(), Unfit::Quotes),
            (self.escapes, Unfit::Backslash),
            (self.here, Unfit::Here),
            (self.unsure, Unfit::Unsure),
            (self.braces + self.parentheses > 0, Unfit::Expansion),
            (dollar, Unfit::Dollar),
        ]
        .into_iter()
        .find_map(|(is, why)| is.then_some(why))
    }

    fn plain(&mut self, c: char, last: Option<char>, second: Option<char>) {
        match c {
            '\\' => self.escapes = true,
            '\'' if last == Some('$') => self.quote = Some(Quote::Dollar),
            '\'' => self.quote = Some(Quote::Single),
            '"' => self.quote = Some(Quote::Double),
            '`' => self.quote = Some(Quote::Backtick),
            '{' if last == Some('$') => self.braces += 1,
            '}' => self.braces = self.braces.saturating_sub(1),
            '(' if self.parentheses > 0 => self.parentheses += 1,
            '(' if last == Some('(') && second == Some('$') => self.parentheses = 2,
            ')' => self.parentheses = self.parentheses.saturating_sub(1),
            '#' if self.braces == 0 => {
                let begins = last.is_none_or(|c| c.is_whitespace() || ";&|(".contains(c));
                // What looks like arithmetic may be commands in parentheses.
                self.unsure |= begins && self.parentheses > 0;
                self.comment = begins && self.parentheses == 0;
            }
            '<' if last == Some('<') && self.parentheses == 0 => self.here = true,
            _ => {}
        }
    }

    fn doubly(&mut self, c: char, last: Option<char>) {
        let Some(nested) = &mut self.nested else {
            let close = match (last, c) {
                (_, '`') => '`',
                (Some('$'), '{') => '}',
                (Some('$'), '(') => ')',
                _ => {
                    self.escapes = c == '\\';
                    self.close(c == '"');
                    return;
                }
            };
            self.nested = Some(Nested {
                open: c,
                close,
                depth: 1,
                text: String::new(),
            });
            return;
        };
        if c == nested.close {
            nested.depth -= 1;
        } else if c == nested.open {
            nested.depth += 1;
        }
        nested.text.push(c);
        // Quotes of its own, or others within it.
        self.unsure |= "'\"\\".contains(c)
            || (c == '`' && nested.close != '`')
            || (nested.open != '(' && last == Some('$') && "{(".contains(c));
        if nested.depth == 0 {
            // What may have a `)` or a quote that is none.
            let command = nested.open != '{';
            let strange = ["case", "#", "<<", "${"]
                .iter()
                .any(|one| nested.text.contains(one));
            self.unsure |= command && strange;
            self.nested = None;
        }
    }

    fn close(&mut self, ends: bool) {
        if ends {
            self.quote = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(text: &str) -> Option<Unfit> {
        let mut reader = Reader::default();
        text.chars().for_each(|c| reader.read(c));
        reader.unfit()
    }

    #[test]
    fn where_words_fit() {
        for text in [
            "",
            "echo ",
            "x=",
            "x=$(echo ",
            "cd \"${1:-.}\"\necho ",
            "x=\"$(date)\" y=\"`date`\" ",
            "x=\"$(echo $((1 + 2)))\" ",
            "# it's\n",
            "echo $# ",
            "echo ${#x} ",
            "echo \\$",
            "echo '$'",
            "echo $'a' ",
            "echo $((1 << 2)) ",
            "echo \"\\$(\" ",
            "x=`date` ",
        ] {
            assert_eq!(after(text), None, "{text}");
        }
    }

    #[test]
    fn where_words_do_not_fit() {
        for (text, why) in [
            ("'", Unfit::Quotes),
            ("`", Unfit::Quotes),
            ("\"$(", Unfit::Quotes),
            ("\"`", Unfit::Quotes),
            ("\\", Unfit::Backslash),
            ("cat <<E\n", Unfit::Here),
            ("$", Unfit::Dollar),
            ("x=\"$(echo \"", Unfit::Quotes),
            ("x=\"$(echo \"\")\" ", Unfit::Unsure),
            ("x=\"${u:-\"", Unfit::Quotes),
            ("x=\"${u:-\"\"}\" ", Unfit::Unsure),
            ("x=\"`echo \"", Unfit::Quotes),
            ("x=\"$(case a in a) echo \"", Unfit::Unsure),
            ("x=`echo \\`", Unfit::Unsure),
            ("${x:- #\"", Unfit::Quotes),
            ("${x:-", Unfit::Expansion),
            ("$((", Unfit::Expansion),
            ("$'\\'", Unfit::Unsure),
        ] {
            assert_eq!(after(text), Some(why), "{text}");
        }
    }
}
