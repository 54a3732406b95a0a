//! How a failure is shown: one message, its place with the offending text, its hints.

use std::io::{IsTerminal, Write};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::json;

use crate::error::{Error, Kind};
use crate::report::Report;

/// Writes the failure to standard error, as an event where events are wanted.
pub fn tell(error: &Error, report: &Report) {
    if report.is_json() {
        let place = error.place().map(|place| {
            let (line, column) = place.line_column();
            json!({"file": place.file, "line": line, "column": column})
        });
        report.event(&json!({
            "event": "error", "kind": error.kind().name(), "message": error.message(),
            "place": place, "hints": error.hints(),
        }));
        return;
    }
    let styled = std::io::stderr().is_terminal();
    // A closed standard error must not turn into another failure.
    let _ = writeln!(std::io::stderr().lock(), "{}", render(error, styled));
}

/// What clap says of the arguments, as a failure: its first paragraph is the message.
pub fn of_arguments(said: &str) -> Error {
    let (message, rest) = said.trim_start().split_once("\n\n").unwrap_or((said, ""));
    let message = message.strip_prefix("error: ").unwrap_or(message).trim();
    let tips = rest
        .lines()
        .filter_map(|line| line.trim().strip_prefix("tip: "));
    tips.fold(Error::new(Kind::Usage, message), Error::hint)
        .hint("`nodelith help` and `--help` after each verb say what there is")
}

/// The failure as text.
#[must_use]
pub fn render(error: &Error, styled: bool) -> String {
    let message = error.message();
    let title = Level::ERROR.primary_title(message.as_str());
    let path;
    let group = match error.place() {
        Some(place) => {
            path = place.file.display().to_string();
            let end = place.span.end.min(place.text.len());
            let start = place.span.start.min(end);
            title.element(
                Snippet::source(place.text.as_str())
                    .path(path.as_str())
                    .annotation(AnnotationKind::Primary.span(start..end)),
            )
        }
        None => Group::with_title(title),
    };
    let renderer = if styled {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let mut text = renderer.render(&[group]).to_string();
    for hint in error.hints() {
        text.push_str("\nhint: ");
        text.push_str(hint);
    }
    text
}
