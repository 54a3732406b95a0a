//! JSON and YAML: a value is written as JSON, which YAML is a superset of (YAML 1.2, section
//! 1.3), and must be a whole value there.

use serde_json::Value;

use super::Quoting;

/// Reads JSON or YAML as far as to know what stands before a value.
pub(super) struct Data {
    yaml: bool,
    /// The line so far.
    line: String,
}

impl Data {
    pub(super) fn new(yaml: bool) -> Self {
        Self {
            yaml,
            line: String::new(),
        }
    }

    /// Whether a value may begin here.
    fn may_begin(&self) -> bool {
        let before = self.line.trim_end();
        let spaced = before.len() < self.line.len();
        if before.is_empty() || before.ends_with(['[', ',', '{']) {
            return true;
        }
        match self.yaml {
            false => before.ends_with(':'),
            true => {
                spaced && (before.ends_with(':') || before.trim_start().chars().all(|c| c == '-'))
            }
        }
    }

    /// Whether the line has a quote that is open, as far as one line tells.
    fn in_quotes(&self) -> bool {
        let open = |quote: char| self.line.matches(quote).count() % 2 == 1;
        open('"') || (self.yaml && open('\''))
    }

    fn in_comment(&self) -> bool {
        self.yaml && self.line.trim_start().starts_with('#')
    }
}

impl Quoting for Data {
    fn text(&mut self, text: &str) {
        match text.rsplit_once('\n') {
            Some((_, line)) => line.clone_into(&mut self.line),
            None => self.line.push_str(text),
        }
    }

    fn value(&mut self, value: &Value, next: &str) -> Result<String, String> {
        if !self.in_comment() {
            if self.in_quotes() {
                return Err("stands within quotes".into());
            }
            if !self.may_begin() {
                return Err("is not the whole of what stands there".into());
            }
            let after = next.lines().next().unwrap_or_default();
            let ends = after.trim().is_empty()
                || after.trim_start().starts_with([',', ']', '}', ':'])
                || (self.yaml && after.starts_with(" #"));
            if !ends {
                return Err("is followed by more".into());
            }
        }
        let text = written(value);
        self.line.push('x');
        Ok(text)
    }
}

/// JSON without the characters that YAML does not take as they are (YAML 1.2, section 5.1).
fn written(value: &Value) -> String {
    let mut text = String::new();
    for c in value.to_string().chars() {
        match c {
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' => {
                text.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => text.push(c),
        }
    }
    text
}
