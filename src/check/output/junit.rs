//! JUnit's XML: a test case for each rule, which fails where the rule found something.

use super::Report;
use crate::check::rule::{Finding, Severity};
use crate::check::rules::FAMILIES;
use crate::report::xml_text as escaped;

/// The findings as a JUnit report. Notes do not fail.
#[must_use]
pub fn junit(report: &Report<'_>) -> String {
    let mut suites = String::new();
    let (mut tests, mut failures) = (0, 0);
    for (family, rules) in FAMILIES {
        let mut cases = String::new();
        let mut failed = 0;
        for rule in rules {
            let open = report
                .findings
                .iter()
                .filter(|finding| finding.accepted.is_none());
            let of_rule: Vec<_> = open.filter(|finding| finding.rule.id == rule.id).collect();
            let name = escaped(&format!("{}: {}", rule.id, rule.title));
            let class = escaped(family);
            cases += &format!("    <testcase name=\"{name}\" classname=\"{class}\"");
            let lines: Vec<_> = of_rule.iter().map(|finding| line(finding)).collect();
            let body = escaped(&lines.join("\n"));
            if lines.is_empty() {
                cases += "/>\n";
            } else if rule.severity == Severity::Note {
                cases += &format!(">\n      <system-out>{body}</system-out>\n    </testcase>\n");
            } else {
                failed += 1;
                let kind = rule.severity.name();
                let message = escaped(&of_rule[0].message);
                cases += &format!(
                    ">\n      <failure type=\"{kind}\" message=\"{message}\">{body}</failure>\n    </testcase>\n"
                );
            }
        }
        let name = escaped(family);
        let count = rules.len();
        suites += &format!(
            "  <testsuite name=\"{name}\" tests=\"{count}\" failures=\"{failed}\" errors=\"0\" skipped=\"0\">\n{cases}  </testsuite>\n"
        );
        tests += count;
        failures += failed;
    }
    let name = escaped(&format!("nodelith check {}", report.subject.name));
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\">\n{suites}</testsuites>"
    )
}

fn line(finding: &Finding) -> String {
    match &finding.place {
        Some(place) => format!("{place}: {}", finding.message),
        None => finding.message.clone(),
    }
}
