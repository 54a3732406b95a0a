//! Rules, and what they find.

use std::fmt;

use serde::Serialize;

use super::document::Node;
use super::facts::Facts;
use super::subject::Subject;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The node, or part of it, will not work.
    Error,
    /// It works now and fails sooner or later, or for some.
    Warning,
    /// Worth knowing.
    Note,
}

impl Severity {
    /// All of them, the worst first.
    pub const ALL: [Self; 3] = [Self::Error, Self::Warning, Self::Note];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// Something that a node image must, should or might not be.
pub struct Rule {
    /// Its stable id: `ND-CRI-001`.
    pub id: &'static str,
    /// How bad what it finds is.
    pub severity: Severity,
    /// What it finds, in a few words.
    pub title: &'static str,
    /// Why that matters.
    pub why: &'static str,
    /// What to do about it.
    pub fix: &'static str,
    /// Where that was read.
    pub sources: &'static [&'static str],
    /// Looks for it.
    pub check: fn(&Facts<'_>, &mut Found<'_>),
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id)
    }
}

/// Where a finding stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The file: a path of the node, or one that was given.
    pub file: String,
    /// Line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// Column in characters, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
}

impl Place {
    /// A file as a whole.
    #[must_use]
    pub fn file(file: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            line: None,
            column: None,
        }
    }

    /// A byte of one of the subject's texts.
    #[must_use]
    pub fn in_text(subject: &Subject, text: usize, at: usize) -> Self {
        let Some(text) = subject.texts.get(text) else {
            return Self::file("");
        };
        let place = crate::error::Place {
            file: Default::default(),
            text: text.text.clone(),
            span: floor(&text.text, at)..text.text.len(),
        };
        let (line, column) = place.line_column();
        Self {
            file: text.shown.clone(),
            line: Some(line),
            column: Some(column),
        }
    }
}

/// The last border of characters up to a byte.
fn floor(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(column) = self.column {
            write!(f, ":{column}")?;
        }
        Ok(())
    }
}

/// What a rule found.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The rule.
    pub rule: &'static Rule,
    /// What it found.
    pub message: String,
    /// Where.
    pub place: Option<Place>,
    /// Why it is accepted, where a baseline does.
    pub accepted: Option<String>,
}

/// Takes what a rule finds.
pub struct Found<'a> {
    subject: &'a Subject,
    rule: &'static Rule,
    findings: &'a mut Vec<Finding>,
    count: usize,
}

/// Findings of one rule that are told one by one.
const MOST_OF_ONE: usize = 20;

impl<'a> Found<'a> {
    pub(super) fn new(
        subject: &'a Subject,
        rule: &'static Rule,
        findings: &'a mut Vec<Finding>,
    ) -> Self {
        Self {
            subject,
            rule,
            findings,
            count: 0,
        }
    }

    fn push(&mut self, message: String, place: Option<Place>) {
        self.count += 1;
        if self.count <= MOST_OF_ONE {
            self.findings.push(Finding {
                rule: self.rule,
                message,
                place,
                accepted: None,
            });
        }
    }

    /// Says how many further findings there are. Called when the rule is done.
    pub(super) fn finish(self) {
        if self.count > MOST_OF_ONE {
            self.findings.push(Finding {
                rule: self.rule,
                message: format!("and {} more like these", self.count - MOST_OF_ONE),
                place: None,
                accepted: None,
            });
        }
    }

    /// Something that stands nowhere.
    pub fn nowhere(&mut self, message: impl Into<String>) {
        self.push(message.into(), None);
    }

    /// Something about a path of the node.
    pub fn at_path(&mut self, path: impl fmt::Display, message: impl Into<String>) {
        let path = path.to_string();
        let place = Place::file(format!("/{}", path.trim_start_matches('/')));
        self.push(message.into(), Some(place));
    }

    /// Something about the key of a value.
    pub fn at(&mut self, node: &Node, message: impl Into<String>) {
        self.in_text(node.text, node.key.start, message);
    }

    /// Something about a value.
    pub fn at_value(&mut self, node: &Node, message: impl Into<String>) {
        self.in_text(node.text, node.span.start, message);
    }

    /// Something about a byte of a text.
    pub fn in_text(&mut self, text: usize, at: usize, message: impl Into<String>) {
        let place = Place::in_text(self.subject, text, at);
        self.push(message.into(), Some(place));
    }

    /// Something about a text as a whole.
    pub fn text(&mut self, text: usize, message: impl Into<String>) {
        let shown = self
            .subject
            .texts
            .get(text)
            .map(|text| Place::file(text.shown.clone()));
        self.push(message.into(), shown);
    }
}
