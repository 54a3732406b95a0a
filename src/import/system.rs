//! The system around the runtime: kernel settings, modules, crictl.

use super::work::{Found, Where, Work, may_be_shown};
use crate::check::facts::kernel::Said;

/// Reads what the machine itself was told.
pub(super) fn import(work: &mut Work<'_>) {
    sysctls(work);
    modules(work);
    crictl(work);
}

/// Whether a text is the site's rather than a package's.
fn is_local(work: &Work<'_>, text: usize) -> bool {
    let text = work.subject.texts.get(text);
    text.is_some_and(|text| text.path.as_bytes().starts_with(b"etc/"))
}

fn found(work: &Work<'_>, whose: &str, name: &str, said: &Said) -> Found {
    let at = Where {
        text: said.text,
        at: said.at,
    };
    Found {
        value: may_be_shown(name, &said.value).then(|| said.value.clone()),
        ..work.found(whose, name, at, None)
    }
}

fn sysctls(work: &mut Work<'_>) {
    let facts = work.facts;
    for (name, said) in &facts.kernel.sysctl {
        if !is_local(work, said.text) {
            continue;
        }
        let found = found(work, "sysctl", name, said);
        let path: Vec<&str> = ["sysctl"].into_iter().chain(name.split('.')).collect();
        match said.value.parse::<i64>() {
            Ok(number) => work.carried(&found, &path, number),
            Err(_) => work.carried(&found, &path, said.value.clone()),
        }
    }
}

fn modules(work: &mut Work<'_>) {
    let facts = work.facts;
    for said in facts.kernel.modules.values() {
        if !is_local(work, said.text) {
            continue;
        }
        let found = found(work, "module", &said.value, said);
        let path = ["modules", "load"];
        work.draft.add(&path, said.value.clone(), &found.from());
        work.push(&found, super::Part::Carried, &path, None);
    }
}

fn crictl(work: &mut Work<'_>) {
    let facts = work.facts;
    let Some(root) = facts.crictl.as_ref().and_then(|parsed| parsed.root()) else {
        return;
    };
    for (name, node) in root.entries() {
        let found = work.found("crictl", name, node, Some(node));
        match (name, node.integer()) {
            ("timeout", Some(seconds @ 1..=3600)) => {
                work.carried(&found, &["crictl", "timeout"], seconds);
            }
            ("timeout", _) => work.same(&found, "it is crictl's default"),
            ("runtime-endpoint" | "image-endpoint", _) => {
                let is_docker = node.text().is_some_and(|text| text.contains("docker"));
                match is_docker {
                    true => work.otherwise(&found, "crictl asks containerd"),
                    false => work.same(&found, "it is containerd's socket"),
                }
            }
            ("debug", _) if node.is(false) => work.same(&found, "it is off there, and here"),
            _ => work.lost(
                &found,
                "give it to crictl as a flag: `crictl --help` lists them",
            ),
        }
    }
}
