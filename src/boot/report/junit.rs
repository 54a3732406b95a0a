//! JUnit's XML: a suite for each image and way, a test case for each check of a boot.

use super::Proof;
use crate::report::xml_text as escaped;

/// The proofs as a JUnit report.
#[must_use]
pub fn junit(proofs: &[Proof]) -> String {
    let (mut tests, mut failures) = (0, 0);
    let mut suites = String::new();
    for proof in proofs {
        let mut cases = String::new();
        let mut failed = 0;
        for (boot, check, found) in &proof.rows {
            let name = escaped(&format!("{check} ({boot})"));
            let class = escaped(proof.about.way.name());
            cases += &format!("    <testcase name=\"{name}\" classname=\"{class}\"");
            match found {
                Ok(words) => {
                    let words = escaped(words);
                    cases +=
                        &format!(">\n      <system-out>{words}</system-out>\n    </testcase>\n");
                }
                Err(words) => {
                    failed += 1;
                    let words = escaped(words);
                    cases += &format!(">\n      <failure message=\"{words}\"/>\n    </testcase>\n");
                }
            }
        }
        let way = proof.about.way.name();
        let name = escaped(&format!("{}, way {way}", proof.about.reference));
        let count = proof.rows.len();
        let seconds: f64 = proof.times.iter().map(|(_, times)| times.total()).sum();
        let console = proof.console.as_deref().map_or(String::new(), |console| {
            format!("    <system-out>{}</system-out>\n", escaped(console))
        });
        suites += &format!(
            "  <testsuite name=\"{name}\" tests=\"{count}\" failures=\"{failed}\" errors=\"0\" skipped=\"0\" time=\"{seconds:.3}\">\n{cases}{console}  </testsuite>\n"
        );
        tests += count;
        failures += failed;
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"nodelith boot\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\">\n{suites}</testsuites>"
    )
}
