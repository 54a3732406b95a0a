//! Images that the node had, as `docker images` and `crictl images` list them: what an
//! image can carry, what only this node ever had.

mod listing;

use super::work::{Found, Where, Work};
use crate::check::rule::Place;
use crate::profile::value::ImageReference;
use crate::registry::reference::Reference;
use listing::{Digests, Listed};

const WHOSE: &str = "image";
/// The folder of what programs of the node say, in the archive of `--collect`.
pub(super) const SAID: &str = "nodelith/";
/// Where Kubernetes' images were until 2023, and where they are.
const MOVED: (&str, &str) = ("k8s.gcr.io", "registry.k8s.io");

/// Reads each list of images.
pub(super) fn import(work: &mut Work<'_>) {
    let subject = work.subject;
    for text in subject.texts_below(SAID) {
        let file = &subject.texts[text];
        if !is_list(file.path.name()) {
            continue;
        }
        match listing::read(&file.text, text) {
            Ok(list) => {
                for listed in &list.images {
                    image(work, text, listed, list.digests);
                }
            }
            Err(why) => {
                let found = work.found(WHOSE, "list", Where { text, at: 0 }, None);
                work.lost(&found, &format!("it cannot be read: {why}"));
            }
        }
    }
    for (name, _) in subject.below(SAID.trim_end_matches('/')) {
        let path = format!("{SAID}{}", String::from_utf8_lossy(name));
        if is_list(name) && subject.text(&path).is_none() {
            let found = Found {
                place: Place::file(format!("/{path}")),
                setting: format!("{WHOSE} list"),
                value: None,
            };
            work.lost(
                &found,
                "it is too long to be read: name a shorter one with `--images`",
            );
        }
    }
}

fn is_list(name: &[u8]) -> bool {
    memchr::memmem::find(name, b"images").is_some()
}

/// One line of a list.
fn image(work: &mut Work<'_>, text: usize, listed: &Listed, digests: Digests) {
    let at = Where {
        text,
        at: listed.at,
    };
    let Some(name) = listed.name() else {
        let found = work.found(WHOSE, "without a name", at, None);
        work.otherwise(
            &found,
            "nothing leads to it but what is built from it: it is not carried",
        );
        return;
    };
    let found = work.found(WHOSE, &name, at, None);
    let Some(reference) = full(&name) else {
        work.lost(&found, "it is no reference of an image");
        return;
    };
    let last = reference.repository.rsplit('/').next().unwrap_or_default();
    let is_own = |host: &str| {
        let host = host.split(':').next().unwrap_or_default();
        host == "localhost" || host.starts_with("127.")
    };
    if last == "pause" || last.starts_with("pause-") {
        work.same(
            &found,
            "it is the image of pods' sandboxes: the new node has one of its own (`[pause]`)",
        );
    } else if is_own(&reference.registry) {
        work.lost(
            &found,
            "its registry is the node itself: push it to one that all nodes reach, and name it so in pods",
        );
    } else if digests == Digests::Told && listed.digest.is_none() {
        work.lost(
            &found,
            "it was built or loaded here and no registry has it: push it, or keep it as an archive and name that as `source` in `[[images]]`",
        );
    } else {
        suggest(work, &found, &reference, listed);
        work.otherwise(
            &found,
            match digests {
                Digests::Told => {
                    "pods pull it again; the profile's last lines put it into the image, if that is wanted"
                }
                Digests::Untold => {
                    "pods pull it again, if a registry has it, which this list does not say (`docker images --digests` does); the profile's last lines put it into the image"
                }
            },
        );
    }
}

/// A reference in full, as containerd compares it.
fn full(name: &str) -> Option<Reference> {
    let reference: Reference = name.parse().ok()?;
    // What a profile takes.
    let whole = text(&reference);
    ImageReference::try_from(whole).ok().map(|_| reference)
}

fn text(reference: &Reference) -> String {
    let tag = reference.tag.as_ref().map(|tag| format!(":{tag}"));
    let digest = (reference.digest.as_ref()).map(|digest| format!("@{digest}"));
    format!(
        "{}{}{}",
        reference.name(),
        tag.unwrap_or_default(),
        digest.unwrap_or_default()
    )
}

/// A commented `[[images]]` for the profile.
fn suggest(work: &mut Work<'_>, found: &Found, reference: &Reference, listed: &Listed) {
    let whole = text(reference);
    let mut lines = vec![
        format!("# {}", found.from()),
        "[[images]]".to_owned(),
        format!("reference = \"{whole}\""),
    ];
    let (old, new) = MOVED;
    if reference.registry == old {
        lines.push(format!("source = \"{}\"", whole.replacen(old, new, 1)));
    }
    if let Some(digest) = listed.digest.filter(|_| reference.digest.is_none()) {
        lines.push(format!("digest = \"{digest}\""));
    }
    work.draft.suggest(&whole, lines);
}
