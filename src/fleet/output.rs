//! How a plan is shown: a table and a run book for people, JSON for programs, a picture.

mod json;
mod picture;
mod runbook;
mod table;

use std::time::Duration;

pub use json::json;
pub use picture::picture;
pub(super) use runbook::names_docker;
pub use runbook::runbook;
pub use table::table;

/// A span of time for people, in its two largest units: `2d 4h`, `1h 30m`, `45s`.
#[must_use]
pub fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [
        (seconds / 86_400, "d"),
        (seconds / 3600 % 24, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
    ];
    let shown = units.iter().skip_while(|(number, _)| *number == 0).take(2);
    let shown: Vec<_> = shown
        .filter(|(number, _)| *number > 0)
        .map(|(number, unit)| format!("{number}{unit}"))
        .collect();
    match shown.is_empty() {
        true => "0s".to_owned(),
        false => shown.join(" "),
    }
}

/// Text that may stand in XML and HTML, in content and in attributes.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c if c.is_control() => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short() {
        let shown = |seconds| span(Duration::from_secs(seconds));
        assert_eq!(shown(0), "0s");
        assert_eq!(shown(90), "1m 30s");
        assert_eq!(shown(3600), "1h");
        assert_eq!(shown(2 * 86_400 + 4 * 3600 + 59), "2d 4h");
    }

    #[test]
    fn nothing_escapes() {
        assert_eq!(
            escaped("<a b='\"&\u{1b}"),
            "&lt;a b=&#39;&quot;&amp;\u{fffd}"
        );
    }
}
