//! What a person or a program sees while work goes on: progress, notes, warnings.
//!
//! Everything here goes to standard error; standard output is for results.
//! On a terminal there are bars with rates, elsewhere one plain line at each
//! stage's end, with `--json` one JSON object a line, with `--quiet` nothing
//! but warnings.

mod table;
mod task;
mod xml;

use std::io::{IsTerminal, Write};
use std::sync::Arc;

use serde_json::{Value, json};

pub use table::Table;
pub use task::{Task, Unit, counted, human_bytes};
pub use xml::xml_text;

/// How to report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Bars when standard error is a terminal, plain lines otherwise.
    #[default]
    Auto,
    /// One JSON object a line.
    Json,
    /// Warnings only.
    Quiet,
    /// Nothing at all (tests, measuring).
    Silent,
}

#[derive(Debug, Clone)]
enum Style {
    Bars(indicatif::MultiProgress),
    Plain,
    Json,
    Quiet,
    Silent,
}

/// Where progress and messages go. Cheap to clone; clones speak to the same place.
#[derive(Debug, Clone)]
pub struct Report(Arc<Style>);

impl Report {
    /// A report in `mode`, on standard error.
    #[must_use]
    pub fn new(mode: Mode) -> Self {
        Self(Arc::new(match mode {
            Mode::Auto if std::io::stderr().is_terminal() => {
                Style::Bars(indicatif::MultiProgress::new())
            }
            Mode::Auto => Style::Plain,
            Mode::Json => Style::Json,
            Mode::Quiet => Style::Quiet,
            Mode::Silent => Style::Silent,
        }))
    }

    /// Begins a piece of work named by a verb ("fetching"), with its size if known.
    #[must_use]
    pub fn task(&self, name: &str, total: Option<u64>, unit: Unit) -> Task {
        Task::begin(self.clone(), name, total, unit)
    }

    /// Something that the user should look at.
    pub fn warning(&self, message: &str) {
        match &*self.0 {
            Style::Json => self.event(&json!({"event": "warning", "message": message})),
            Style::Silent => {}
            _ => self.line(&format!("warning: {message}")),
        }
    }

    /// Something worth knowing.
    pub fn note(&self, message: &str) {
        match &*self.0 {
            Style::Json => self.event(&json!({"event": "note", "message": message})),
            Style::Quiet | Style::Silent => {}
            _ => self.line(message),
        }
    }

    /// An event for programs; shown only with `--json`.
    pub fn event(&self, event: &Value) {
        if matches!(&*self.0, Style::Json) {
            self.line(&event.to_string());
        }
    }

    /// Whether events are wanted as JSON.
    #[must_use]
    pub fn is_json(&self) -> bool {
        matches!(&*self.0, Style::Json)
    }

    fn line(&self, text: &str) {
        let write = || {
            // A closed standard error must not stop a build.
            let _ = writeln!(std::io::stderr().lock(), "{text}");
        };
        match &*self.0 {
            Style::Bars(bars) => bars.suspend(write),
            _ => write(),
        }
    }
}
