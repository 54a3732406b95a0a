//! How findings are shown: a table for people, JSON, SARIF and JUnit for programs.

mod junit;
mod sarif;
mod table;

use serde_json::{Value, json};

use super::rule::{Finding, Severity};
use super::subject::{Said, Subject, Versions};
use super::{count, rules};

pub use junit::junit;
pub use sarif::sarif;
pub use table::{list, table};

/// What came of a check.
#[derive(Debug)]
pub struct Report<'a> {
    /// What was looked at.
    pub subject: &'a Subject,
    /// What was found, the worst first.
    pub findings: &'a [Finding],
    /// Entries of the baseline that accept nothing.
    pub stale: &'a [String],
}

impl Report<'_> {
    /// The versions by which it was judged.
    fn versions(&self) -> Vec<(&'static str, Said)> {
        let versions = Versions::find(self.subject);
        let all = [
            ("containerd", versions.containerd),
            ("kubernetes", versions.kubernetes),
            ("crictl", versions.crictl),
            ("runc", versions.runc),
            ("cni", versions.cni),
        ];
        let known = all
            .into_iter()
            .filter_map(|(name, said)| Some((name, said?)));
        known.collect()
    }

    /// As JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        let versions: serde_json::Map<_, _> = self
            .versions()
            .into_iter()
            .map(|(name, said)| {
                (
                    name.to_owned(),
                    json!({"version": said.version.to_string(), "from": said.from}),
                )
            })
            .collect();
        let findings: Vec<_> = self.findings.iter().map(finding).collect();
        let accepted = self
            .findings
            .iter()
            .filter(|finding| finding.accepted.is_some())
            .count();
        json!({
            "schema": "nodelith.check", "version": 1, "target": self.subject.name,
            "versions": versions, "findings": findings, "stale": self.stale,
            "counts": {
                "error": count(self.findings, Severity::Error),
                "warning": count(self.findings, Severity::Warning),
                "note": count(self.findings, Severity::Note),
                "accepted": accepted,
            },
        })
    }
}

fn finding(finding: &Finding) -> Value {
    json!({
        "id": finding.rule.id, "severity": finding.rule.severity, "title": finding.rule.title,
        "message": finding.message, "place": finding.place, "fix": finding.rule.fix,
        "accepted": finding.accepted,
    })
}

/// The rules as JSON.
#[must_use]
pub fn list_json() -> Value {
    let rules: Vec<_> = rules::all()
        .map(|rule| {
            json!({
                "id": rule.id, "severity": rule.severity, "title": rule.title, "why": rule.why,
                "fix": rule.fix, "sources": rule.sources,
            })
        })
        .collect();
    json!({"schema": "nodelith.rules", "version": 1, "rules": rules})
}
