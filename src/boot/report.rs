//! What came of it: as a table for people, as JSON, and as JUnit for build servers.

mod junit;
mod times;

use serde_json::{Value, json};

use super::accelerator::Engine;
use super::bundle::Bundle;
use super::checks::{Boot, EACH, Found, REBOOT, kubelet_flags, plain, sandbox_image};
use super::qemu::End;
use super::subject::Subject;
use super::ways::Way;
use crate::digest::Digest;
use crate::report::Table;
pub use junit::junit;
use times::Times;

/// Lines of a console that are shown when a boot went wrong.
const LINES: usize = 30;

/// Letters of one of them that are shown.
const WIDTH: usize = 400;

/// What was booted.
#[derive(Debug, Clone)]
pub(super) struct About {
    /// What it was named by.
    reference: String,
    /// The digest of the image's manifest.
    digest: Digest,
    way: Way,
    /// The os-release's name, where it is known before.
    system: Option<String>,
    /// Whether it is a bundle.
    bundle: bool,
}

impl About {
    pub(super) fn image(subject: &Subject<'_>, way: Way) -> Self {
        Self {
            reference: subject.image.reference.clone(),
            digest: subject.image.manifest.digest,
            way,
            system: os_name(&String::from_utf8_lossy(&subject.parts.os_release)),
            bundle: false,
        }
    }

    pub(super) fn bundle(bundle: &Bundle, way: Way) -> Self {
        Self {
            reference: bundle.reference.clone(),
            digest: bundle.image,
            way,
            system: None,
            bundle: true,
        }
    }
}

/// What the checks of one image, booted in one way, found.
#[derive(Debug, Clone)]
pub struct Proof {
    about: About,
    engine: Engine,
    /// Boot (`first`, `second`, `both`), check, what it found.
    rows: Vec<(&'static str, &'static str, Found)>,
    /// What the first boot said of the node.
    node: Value,
    /// Boot, its times.
    times: Vec<(&'static str, Times)>,
    /// The end of the last console, if that boot was not whole.
    console: Option<String>,
    /// Whether that boot was ended at its deadline.
    late: bool,
}

impl Proof {
    /// Runs the checks; those of a reboot if there should have been one.
    pub(super) fn new(about: About, boots: &[Boot], reboot: bool, engine: Engine) -> Self {
        let about = About {
            system: about.system.or_else(|| boots.first().and_then(system)),
            ..about
        };
        let mut rows = Vec::new();
        let mut times = Vec::new();
        for (name, boot) in ["first", "second"].into_iter().zip(boots) {
            let checks = EACH.iter();
            rows.extend(checks.map(|(check, found)| (name, *check, found(boot))));
            times.push((name, Times::of(boot)));
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
            about,
            engine,
            rows,
            node: boots.first().map_or(Value::Null, node),
            times,
            console: broken.map(end),
            late: broken.is_some_and(|boot| matches!(boot.outcome.end, End::Deadline(_))),
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
            table.row([*boot, *check, result, &shown(words)]);
        }
        let failed = self.rows.iter().filter(|(_, _, found)| found.is_err());
        let verdict = match failed.count() {
            0 => format!("passed: {} checks", self.rows.len()),
            failed => format!("failed: {failed} of {} checks", self.rows.len()),
        };
        let system = self.about.system.as_deref().map(shown);
        let system = system.as_deref().unwrap_or("unknown system");
        let mut text = format!(
            "{} ({system}), way `{}`, by {}\n{}\n",
            self.about.reference,
            self.about.way.name(),
            self.engine.name(),
            table.render()
        );
        for (boot, times) in &self.times {
            text += &format!("\n{boot} boot: {}", times.text());
        }
        text += &format!("\n{verdict}");
        if let Some(console) = &self.console {
            text += &format!("\n\nthe console's end:\n{console}");
        }
        if self.late {
            text += "\nhint: a slow machine may need more time: `--deadline SECONDS`";
            if self.about.bundle && self.about.system.is_none() {
                text += "\nhint: in a bundle whose systemd is older than 256 the test never begins: \
                         boot its image with `--way kernel`";
            }
        }
        text
    }

    /// What is the same whenever the image is booted, and apart from it what was measured.
    #[must_use]
    pub(super) fn facts(&self) -> Value {
        let rows = self.rows.iter().map(|(boot, check, found)| {
            let (Ok(words) | Err(words)) = found;
            json!({ "boot": boot, "check": check, "passed": found.is_ok(), "message": words })
        });
        let times = self.times.iter();
        let times: Vec<Value> = times.map(|(boot, times)| times.json(boot)).collect();
        json!({
            "way": self.about.way.name(),
            "system": self.about.system,
            "passed": self.passed(),
            "checks": rows.collect::<Vec<_>>(),
            "node": self.node,
            "measured": { "accelerator": self.engine.name(), "boots": times },
        })
    }
}

/// All proofs as one document.
#[must_use]
pub fn json(proofs: &[Proof]) -> Value {
    let one = |proof: &Proof| {
        let mut value = proof.facts();
        value["image"] = proof.about.reference.clone().into();
        value["digest"] = proof.about.digest.to_string().into();
        value["console"] = proof.console.clone().into();
        value
    };
    json!({
        "schema": "nodelith.boot", "version": 1,
        "passed": proofs.iter().all(Proof::passed),
        "images": proofs.iter().map(one).collect::<Vec<_>>(),
    })
}

/// Words of the guest's in a row of their own: without what a terminal would obey.
fn shown(words: &str) -> String {
    let lines: Vec<String> = words.lines().map(plain).collect();
    lines.join(" ")
}

/// The system's name, as the guest said it.
fn system(boot: &Boot) -> Option<String> {
    os_name(boot.said.text("os-release").ok()?)
}

/// `PRETTY_NAME` of an os-release.
fn os_name(text: &str) -> Option<String> {
    let mut lines = text.lines();
    let name = lines.find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(name.trim_matches('"').to_owned())
}

/// What a boot said of the node, without what may be secret: of containerd's and
/// kubelet's settings only these.
fn node(boot: &Boot) -> Value {
    let said = &boot.said;
    let containerd = said.text("containerd").ok();
    let containerd = containerd.and_then(|text| text.split_whitespace().nth(2));
    let config = said.text("config").unwrap_or_default();
    let info = said.json("info").unwrap_or_default();
    let conditions = info["status"]["conditions"].as_array();
    let conditions = conditions.into_iter().flatten().map(|condition| {
        json!({
            "type": condition["type"], "status": condition["status"],
            "reason": condition["reason"], "message": condition["message"],
        })
    });
    let kubelet = said.text("kubelet-version").ok().map(|version| {
        json!({
            "version": version.rsplit(' ').next(),
            "flags": kubelet_flags(said).unwrap_or_default(),
        })
    });
    json!({
        "containerd": containerd,
        "sandbox-image": sandbox_image(config),
        "systemd-cgroup": config.lines().any(|line| line.trim() == "SystemdCgroup = true"),
        "conditions": conditions.collect::<Vec<_>>(),
        "kubelet": kubelet,
    })
}

/// The last lines of what was on the console, and what QEMU said.
fn end(boot: &Boot) -> String {
    let console = boot
        .outcome
        .console
        .lines()
        .chain(boot.outcome.qemu.lines());
    let console = console.map(|line| plain(line).chars().take(WIDTH).collect::<String>());
    let lines: Vec<String> = console.filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
