//! What is wrong with a node image, anybody's, without starting it.
//!
//! ```text
//! subject   what is looked at, as plain data: paths, small texts, packages, programs
//! facts     what its files come to: containerd's configuration, kubelet's flags, units
//! rules     one function each, over facts and the version tables; one file per family
//! findings  what they found, with the place in the file; some accepted by a baseline
//! ```
//!
//! A *rule* has a stable id (`ND-CRI-001`), a severity, an explanation, a fix and
//! its sources; `docs/checks.md` lists them all. A *finding* is one place where a
//! rule does not hold. A *trap* (T1 to T30 in the rules' sources) is a combination
//! of versions and settings that has broken nodes.

pub mod baseline;
pub mod catalogue;
pub mod document;
pub mod facts;
pub mod output;
pub mod rule;
pub mod rules;
pub mod subject;

use facts::Facts;
use rule::{Finding, Found, Severity};
use subject::Subject;

/// Looks for everything that is wrong with a subject, the worst first.
#[must_use]
pub fn check(subject: &Subject) -> Vec<Finding> {
    let facts = Facts::of(subject);
    let mut findings = Vec::new();
    for rule in rules::all() {
        let mut found = Found::new(subject, rule, &mut findings);
        (rule.check)(&facts, &mut found);
        found.finish();
    }
    findings.sort_by(|a, b| {
        let key = |finding: &Finding| (finding.rule.severity, finding.rule.id);
        // A stable sort: the places of one rule stay as it found them.
        key(a).cmp(&key(b))
    });
    findings
}

/// How many findings of a severity are not accepted.
#[must_use]
pub fn count(findings: &[Finding], severity: Severity) -> usize {
    let open = findings.iter().filter(|finding| finding.accepted.is_none());
    open.filter(|finding| finding.rule.severity == severity)
        .count()
}
