//! What came of it, as a table and as JSON.

use serde_json::{Value, json};

use super::checks::{Boot, EACH, Found, REBOOT, plain};
use super::subject::Subject;
use crate::report::Table;

/// Lines of a console that are shown when a boot went wrong.
const LINES: usize = 30;

/// What the checks of one image found.
pub struct Proof {
    image: String,
    digest: String,
    system: String,
    /// Boot (`first`, `second`, `both`), check, what it found.
    rows: Vec<(&'static str, &'static str, Found)>,
    /// The end of the last console, if that boot was not whole.
    console: Option<String>,
}

impl Proof {
    /// Runs the checks; those of a reboot if there should have been one.
    pub(super) fn new(subject: &Subject<'_>, boots: &[Boot], reboot: bool) -> Self {
        let mut rows = Vec::new();
        for (name, boot) in ["first", "second"].into_iter().zip(boots) {
            let checks = EACH.iter();
            rows.extend(checks.map(|(check, found)| (name, *check, found(boot))));
        }
        for (check, found) in REBOOT.iter().filter(|_| reboot) {
            let found = match boots {
                [first, second] => found(&first.said, &second.said),
                _ => Err("there was no second boot".to_owned()),
            };
            rows.push(("both", check, found));
        }
        let broken = boots.iter().find(|boot| !boot.is_whole());
        Self {
            image: subject.image.reference.clone(),
            digest: subject.image.manifest.digest.to_string(),
            system: subject.name(),
            rows,
            console: broken.map(end),
        }
    }

    /// Whether every check found all well.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.rows.iter().all(|(_, _, found)| found.is_ok())
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut table = Table::new(&["BOOT", "CHECK", "RESULT", ""]);
        for (boot, check, found) in &self.rows {
            let (result, words) = match found {
                Ok(words) => ("ok", words),
                Err(words) => ("FAILED", words),
            };
            table.row([*boot, *check, result, words]);
        }
        let failed = self
            .rows
            .iter()
            .filter(|(_, _, found)| found.is_err())
            .count();
        let verdict = match failed {
            0 => format!("passed: {} checks", self.rows.len()),
            _ => format!("failed: {failed} of {} checks", self.rows.len()),
        };
        let mut text = format!(
            "{} ({})\n{}\n{verdict}",
            self.image,
            self.system,
            table.render()
        );
        if let Some(console) = &self.console {
            text += &format!("\n\nthe console's end:\n{console}");
        }
        text
    }
}

/// The last lines of what was on the console, and what QEMU said.
fn end(boot: &Boot) -> String {
    let console = boot
        .outcome
        .console
        .lines()
        .chain(boot.outcome.qemu.lines());
    let lines: Vec<_> = console.map(plain).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

/// All proofs as one document.
#[must_use]
pub fn json(proofs: &[Proof]) -> Value {
    let one = |proof: &Proof| {
        let rows = proof.rows.iter().map(|(boot, check, found)| {
            let (Ok(words) | Err(words)) = found;
            json!({ "boot": boot, "check": check, "passed": found.is_ok(), "message": words })
        });
        json!({
            "image": proof.image,
            "digest": proof.digest,
            "system": proof.system,
            "passed": proof.passed(),
            "checks": rows.collect::<Vec<_>>(),
            "console": proof.console,
        })
    };
    json!({
        "schema": "nodelith.boot", "version": 1,
        "passed": proofs.iter().all(Proof::passed),
        "images": proofs.iter().map(one).collect::<Vec<_>>(),
    })
}
