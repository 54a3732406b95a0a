//! A table for people, by severity.

use super::Report;
use crate::check::rule::Severity;
use crate::check::{count, rules};
use crate::report::{Table, counted};

/// The findings that are not accepted, in words.
#[must_use]
pub fn table(report: &Report<'_>) -> String {
    let mut parts = Vec::new();
    let versions = report.versions();
    if !versions.is_empty() {
        let mut table = Table::new(&["VERSION", "", "FROM"]);
        for (name, said) in versions {
            table.row([name.to_owned(), said.version.to_string(), said.from]);
        }
        parts.push(table.render());
    }
    let mut first = None;
    for severity in Severity::ALL {
        let open = report
            .findings
            .iter()
            .filter(|finding| finding.accepted.is_none());
        let of_it: Vec<_> = open
            .filter(|finding| finding.rule.severity == severity)
            .collect();
        if of_it.is_empty() {
            continue;
        }
        let mut table = Table::new(&[
            &format!("{}S", severity.name().to_uppercase()),
            "PLACE",
            "WHAT",
        ]);
        for finding in of_it {
            first.get_or_insert(finding.rule.id);
            let place = finding
                .place
                .as_ref()
                .map_or_else(|| "-".to_owned(), |place| printable(&place.to_string()));
            let what = format!("{}: {}", finding.rule.title, printable(&finding.message));
            table.row([finding.rule.id.to_owned(), place, what]);
        }
        parts.push(table.render());
    }
    let mut last: Vec<String> = Severity::ALL
        .iter()
        .filter_map(|severity| {
            let number = count(report.findings, *severity);
            (number > 0).then(|| counted(number, severity.name()))
        })
        .collect();
    if last.is_empty() {
        last.push("nothing found".to_owned());
    }
    let accepted = report
        .findings
        .iter()
        .filter(|finding| finding.accepted.is_some())
        .count();
    if accepted > 0 {
        last.push(format!("{accepted} accepted"));
    }
    let mut last = last.join(", ");
    if let Some(id) = first {
        last = format!("{last}; `nodelith check --explain {id}` says why, and what to do");
    }
    parts.push(last);
    parts.join("\n\n")
}

/// Every rule on a line.
#[must_use]
pub fn list() -> String {
    let mut table = Table::new(&["RULE", "SEVERITY", "WHAT"]);
    for rule in rules::all() {
        table.row([rule.id, rule.severity.name(), rule.title]);
    }
    table.render()
}

/// What a hostile target can put on a terminal.
fn printable(text: &str) -> String {
    let escape = |c: char| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    text.chars().map(escape).collect()
}
