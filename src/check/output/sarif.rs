//! SARIF 2.1.0 (OASIS "Static Analysis Results Interchange Format").

use serde_json::{Value, json};

use super::Report;
use crate::check::rule::{Finding, Severity};
use crate::check::rules;

/// The findings as a SARIF log.
#[must_use]
pub fn sarif(report: &Report<'_>) -> Value {
    let ids: Vec<_> = rules::all().map(|rule| rule.id).collect();
    let rules: Vec<_> = rules::all()
        .map(|rule| {
            json!({
                "id": rule.id,
                "shortDescription": {"text": rule.title},
                "fullDescription": {"text": rule.why},
                "help": {"text": format!("To do: {}.", rule.fix)},
                "defaultConfiguration": {"level": level(rule.severity)},
            })
        })
        .collect();
    let results: Vec<_> = report
        .findings
        .iter()
        .map(|finding| result(finding, &ids))
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "nodelith", "semanticVersion": env!("CARGO_PKG_VERSION"), "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "originalUriBaseIds": {"ROOT": {"description": {"text": "the root of the node"}}},
            "results": results,
        }],
    })
}

fn level(severity: Severity) -> &'static str {
    // The names are the same.
    severity.name()
}

fn result(finding: &Finding, ids: &[&str]) -> Value {
    let message = format!("{}: {}", finding.rule.title, finding.message);
    let mut result = json!({
        "ruleId": finding.rule.id,
        "ruleIndex": ids.iter().position(|id| *id == finding.rule.id),
        "level": level(finding.rule.severity),
        "message": {"text": message},
    });
    if let Some(place) = &finding.place {
        let mut location = json!({"artifactLocation": artifact(&place.file)});
        if let Some(line) = place.line {
            location["region"] =
                json!({"startLine": line, "startColumn": place.column.unwrap_or(1)});
        }
        result["locations"] = json!([{"physicalLocation": location}]);
    }
    if let Some(reason) = &finding.accepted {
        result["suppressions"] = json!([{"kind": "external", "justification": reason}]);
    }
    result
}

/// Paths of the node are below its root, others where they are.
fn artifact(file: &str) -> Value {
    match file.strip_prefix('/') {
        Some(path) => json!({"uri": uri(path), "uriBaseId": "ROOT"}),
        None => json!({"uri": uri(file)}),
    }
}

/// A path as a relative reference (RFC 3986).
fn uri(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/@+,=".contains(&byte);
    path.bytes().fold(String::new(), |mut uri, byte| {
        match plain(byte) {
            true => uri.push(char::from(byte)),
            false => uri += &format!("%{byte:02X}"),
        }
        uri
    })
}
