//! Container images that the node carries, and what imports them.

use super::Rule;
use crate::check::facts::Facts;
use crate::check::facts::units::Setting;
use crate::check::rule::{Found, Severity};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "ND-IMG-001",
        severity: Severity::Error,
        title: "the archive of a preloaded image does not hold what is imported from it",
        why: "containerd takes an image's name from the archive, word for word, and pods are given \
              the image of just the name that they ask for: under another name, or with another \
              digest, it is as if it were not there, and the node asks a registry.",
        fix: "build the image again, or make the archive of the same reference and digest",
        sources: &["containerd: pkg/archive (images.AnnotationImageName), images import"],
        check: held,
    },
    Rule {
        id: "ND-IMG-002",
        severity: Severity::Warning,
        title: "nothing imports the preloaded images",
        why: "The archives only take space while no unit gives them to containerd: a node without \
              a registry starts no pod.",
        fix: "enable the unit, or take the images out of the profile",
        sources: &["docs/node.md: Images in the node"],
        check: imported,
    },
];

/// The unit that imports.
const UNIT: &str = "nodelith-images.service";
/// What it runs.
const SCRIPT: &str = "/preload-image";
/// Where the archives are.
const FOLDER: &str = "usr/share/nodelith/images/";

/// A command that imports.
struct Command<'f> {
    setting: &'f Setting,
    archive: &'f str,
    references: Vec<&'f str>,
    digest: &'f str,
    parts: Vec<&'f str>,
}

fn commands<'f>(facts: &'f Facts<'_>) -> Vec<Command<'f>> {
    let unit = facts.units.units.get(UNIT);
    let started = unit.map(|unit| unit.all("Service", "ExecStart"));
    let command = |setting: &'f Setting| {
        let words: Vec<&str> = setting.value.split_whitespace().collect();
        let [program, archive, references, digest, parts @ ..] = &words[..] else {
            return None;
        };
        program.ends_with(SCRIPT).then(|| Command {
            setting,
            archive,
            references: references.split(',').collect(),
            digest,
            parts: parts.to_vec(),
        })
    };
    started.into_iter().flatten().filter_map(command).collect()
}

fn held(facts: &Facts<'_>, found: &mut Found<'_>) {
    for command in commands(facts) {
        let mut say = |message: String| {
            found.in_text(command.setting.text, command.setting.at, message);
        };
        let files = command.parts.iter().chain([&command.archive]);
        let mut missing = files.filter(|path| facts.subject.find(path).is_none());
        if let Some(path) = missing.next().filter(|_| facts.subject.whole) {
            say(format!("there is no `{path}`"));
            continue;
        }
        let path = command.archive.trim_start_matches('/');
        // Only where archives were looked into.
        let Some(images) = facts.subject.images.get(path.as_bytes()) else {
            continue;
        };
        for reference in command.references {
            let image = images.iter().find(|image| image.name == reference);
            let digest = image.and_then(|image| image.digest.as_deref());
            match image {
                None => say(format!("`/{path}` has no image `{reference}`")),
                Some(_) if digest.is_some_and(|digest| digest != command.digest) => say(format!(
                    "`{reference}` in `/{path}` is {}, and {} is wanted",
                    digest.unwrap_or_default(),
                    command.digest
                )),
                Some(_) => {}
            }
        }
    }
}

fn imported(facts: &Facts<'_>, found: &mut Found<'_>) {
    if !facts.subject.whole {
        return;
    }
    let starts = facts.units.enabled.contains_key(UNIT) && !facts.units.masked.contains(UNIT);
    let commands = commands(facts);
    let archives = facts.subject.tree.entries.keys().filter(|path| {
        let name = path.as_bytes().strip_prefix(FOLDER.as_bytes());
        name.is_some_and(|name| name.ends_with(b".tar"))
    });
    for archive in archives {
        let path = format!("/{archive}");
        if !starts {
            found.at_path(archive, format!("`{UNIT}` is not started"));
        } else if commands.iter().all(|command| command.archive != path) {
            found.at_path(archive, format!("`{UNIT}` does not import it"));
        }
    }
}
