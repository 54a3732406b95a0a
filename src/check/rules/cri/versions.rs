//! What a file's version and the names of its tables decide: whether CRI is there, and whether its settings are read.

use crate::check::document::Node;
use crate::check::facts::Facts;
use crate::check::facts::containerd::{CRI, File, IMAGES, OLD_ID, RUNTIME};
use crate::check::rule::Found;
use crate::compat::Version;
use crate::compat::containerd::{self, Reading};

pub(super) fn disabled(facts: &Facts<'_>, found: &mut Found<'_>) {
    for item in facts.containerd.listed("disabled_plugins") {
        let Some(name) = item.text() else { continue };
        if [OLD_ID, CRI, IMAGES, RUNTIME].contains(&name) {
            found.at_value(item, format!("`disabled_plugins` has `{name}`"));
        }
    }
}

pub(super) fn version(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    let Some(version) = config.version else {
        return;
    };
    let Some(row) = containerd::line(version) else {
        return;
    };
    for file in &config.files {
        let (Some(said), Some(root)) = (file.said, file.parsed.root()) else {
            continue;
        };
        let Some(node) = root.get("version") else {
            continue;
        };
        match row
            .row
            .accepts(version, u8::try_from(said).unwrap_or(u8::MAX))
        {
            Ok(true) => {}
            Ok(false) => found.at_value(
                node,
                format!("version {said}: containerd {version} passes over what is new in it"),
            ),
            Err(highest) => found.at_value(
                node,
                format!(
                    "version {said}: containerd {version} reads up to {highest}, and does not start"
                ),
            ),
        }
    }
}

pub(super) fn broken(facts: &Facts<'_>, found: &mut Found<'_>) {
    for file in &facts.containerd.files {
        if let Err(broken) = &file.parsed.node {
            found.in_text(file.parsed.text, broken.span.start, broken.why.clone());
        }
    }
}

pub(super) fn short_names(facts: &Facts<'_>, found: &mut Found<'_>) {
    for file in &facts.containerd.files {
        let Some(root) = file.parsed.root() else {
            continue;
        };
        if file.said.unwrap_or(1) < 2 {
            continue;
        }
        for key in ["disabled_plugins", "required_plugins"] {
            for item in root.get(key).map(Node::items).unwrap_or_default() {
                let name = item.text().unwrap_or_default();
                if name.split('.').count() < 4 {
                    found.at_value(
                        item,
                        format!("`{key}` has `{name}`, which is no plug-in's whole id"),
                    );
                }
            }
        }
    }
}

/// Whether a table of settings has anything in it.
pub(super) fn filled(node: &Node) -> bool {
    node.entries().next().is_some()
}

pub(super) fn table_names(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    for (file, id, node) in config.cri_tables() {
        let version = config.version_of(file);
        let old_containerd = config.before(2, 0);
        let what = match (version, id) {
            (2.., OLD_ID) => format!(
                "`plugins.{OLD_ID}` is a name of version 1, and this file has version {version}"
            ),
            (..=1, CRI | IMAGES | RUNTIME) => format!(
                "`plugins.\"{id}\"` is not looked for in a file of version 1, which this is by having no other `version`"
            ),
            (2, IMAGES | RUNTIME) => match config.version {
                Some(version) if old_containerd => {
                    format!("containerd {version} has no plug-in `{id}`")
                }
                _ => format!("`{id}` is not looked for in a file of version 2"),
            },
            (3.., IMAGES | RUNTIME) if old_containerd => {
                let version = config.version.map(|version| version.to_string());
                format!(
                    "containerd {} has no plug-in `{id}`",
                    version.unwrap_or_default()
                )
            }
            _ => continue,
        };
        if filled(node) {
            found.at(node, what);
        }
    }
}

pub(super) fn lost_version_1(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    let (Some(version), Some(_)) = (config.version, config.has("version-1-loses-cri")) else {
        return;
    };
    for (file, id, node) in config.cri_tables() {
        if file.said.unwrap_or(1) == 1 && id == OLD_ID && filled(node) {
            found.at(
                node,
                format!("containerd {version} loses what is in `plugins.cri`"),
            );
        }
    }
}

/// What containerd makes of the key at a path of a file.
pub(super) fn reading(facts: &Facts<'_>, file: &File, path: &[&str]) -> Reading {
    let config = &facts.containerd;
    let version = config.version_of(file).clamp(1, 255);
    let judged = config.judged_by(version);
    containerd::reading(path, judged, u8::try_from(version).unwrap_or(u8::MAX))
}

pub(super) fn streaming_table(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    for (file, id, node) in config.cri_tables() {
        if id != CRI || config.version_of(file) < 3 || config.before(2, 0) {
            continue;
        }
        let newest = Version {
            major: 2,
            minor: 2,
            patch: 0,
        };
        for (key, value) in node.entries() {
            let streaming = containerd::reading(&["plugins", CRI, key], newest, 3);
            if matches!(
                streaming,
                Reading::Read(_) | Reading::Deprecated { .. } | Reading::Table
            ) {
                continue;
            }
            let what = match config.from(2, 3) && config.version_of(file) == 3 {
                true => "wins over the plug-in's own table",
                false => "is not read",
            };
            found.at(
                value,
                format!("`{key}` stands in the streaming server's table and {what}"),
            );
        }
    }
}
