//! Files that import one another.

use super::versions::filled;
use crate::check::facts::Facts;
use crate::check::facts::containerd::{CRI, File, OLD_ID};
use crate::check::rule::Found;

/// The root file and the files that it imports, if any of them says its version.
pub(super) fn root_and_imports<'f>(facts: &'f Facts<'_>) -> Option<(&'f File, &'f [File])> {
    facts.containerd.files.split_first()
}

pub(super) fn higher_drop_in(facts: &Facts<'_>, found: &mut Found<'_>) {
    let (Some(version), Some((root, imports))) =
        (facts.containerd.version, root_and_imports(facts))
    else {
        return;
    };
    let affected = facts.containerd.has("newer-import").is_some();
    let of_root = root.said.unwrap_or(1);
    for file in imports {
        if let Some(said) = file.said.filter(|said| affected && *said > of_root)
            && let Some(node) = file.parsed.root().and_then(|root| root.get("version"))
        {
            found.at_value(node, format!("version {said}, and the file that imports it has {of_root}: containerd {version} does not start"));
        }
    }
}

pub(super) fn mixed_versions(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    let Some((root, imports)) = root_and_imports(facts) else {
        return;
    };
    if config.has("mixed-imports").is_none() || root.said != Some(2) {
        return;
    }
    let has_cri = root.plugins().any(|(id, node)| id == CRI && filled(node));
    for file in imports.iter().filter(|_| has_cri) {
        if let Some(said) = file.said.filter(|said| *said >= 3)
            && let Some(node) = file.parsed.root().and_then(|root| root.get("version"))
        {
            found.at_value(node, format!("version {said} here makes containerd ignore CRI's settings in the file of version 2 that imports it"));
        }
    }
}

pub(super) fn replaced(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    if config.version.is_some() && config.has("imports-replace-plugins").is_none() {
        return;
    }
    for (number, file) in config.files.iter().enumerate() {
        for (id, node) in file.plugins() {
            if [OLD_ID, CRI].contains(&id) && filled(node) && config.is_replaced(number, id) {
                let later = config.files[number + 1..].iter().rev();
                let by = later
                    .flat_map(File::plugins)
                    .find(|(other, _)| *other == id);
                if let Some((_, by)) = by {
                    let shown = &facts.subject.texts[file.parsed.text].shown;
                    found.at(
                        by,
                        format!("this table takes the place of the whole one in {shown}"),
                    );
                }
            }
        }
    }
}

pub(super) fn strays(facts: &Facts<'_>, found: &mut Found<'_>) {
    for &text in &facts.containerd.strays {
        found.text(text, "no file that containerd reads imports this one");
    }
}

pub(super) fn relative_imports(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    let Some(version) = config.version else {
        return;
    };
    let old = config.has("relative-imports").is_some();
    for item in config.listed("imports").iter().filter(|_| old) {
        let pattern = item.text().unwrap_or_default();
        if !pattern.starts_with('/') {
            found.at_value(
                item,
                format!(
                    "containerd {version} looks for `{pattern}` in the folder it was started in"
                ),
            );
        }
    }
}
