//! Keys that this containerd does not read, or not as they are written.

use super::versions::reading;
use crate::check::document::{Node, Value};
use crate::check::facts::Facts;
use crate::check::facts::containerd::{CRI, File, IMAGES, OLD_ID, RUNTIME};
use crate::check::rule::Found;
use crate::check::rules::nearest;
use crate::compat::companions;
use crate::compat::containerd::{self, Kind, Reading};

/// Calls `each` for every key of a file whose table is one that containerd looks
/// for; other rules speak of those that it does not.
pub(super) fn keys(facts: &Facts<'_>, mut each: impl FnMut(&File, &[&str], &Node, Reading)) {
    let config = &facts.containerd;
    for file in &config.files {
        let Some(root) = file.parsed.root() else {
            continue;
        };
        let version = config.version_of(file);
        let misplaced = |id: &str| match version {
            ..=1 => {
                config.has("version-1-loses-cri").is_some() && id == OLD_ID
                    || [CRI, IMAGES, RUNTIME].contains(&id)
            }
            2 => [OLD_ID, IMAGES, RUNTIME].contains(&id),
            _ => {
                id == OLD_ID
                    || (id == CRI && !config.before(2, 0))
                    || ([IMAGES, RUNTIME].contains(&id) && config.before(2, 0))
            }
        };
        walk(root, &mut Vec::new(), &mut |path, node| {
            if let ["plugins", id] = path
                && misplaced(id)
            {
                return false;
            }
            let reading = reading(facts, file, path);
            let deeper = matches!(reading, Reading::Table);
            each(file, path, node, reading);
            deeper
        });
    }
}

pub(super) fn unknown_keys(facts: &Facts<'_>, found: &mut Found<'_>) {
    let known = facts.containerd.version.is_some();
    keys(facts, |file, path, node, reading| {
        let key = path.last().copied().unwrap_or_default();
        let or = |instead: Option<&str>| {
            instead
                .map(|instead| format!(": {instead}"))
                .unwrap_or_default()
        };
        let message = match reading {
            Reading::Elsewhere(_, Some(place)) => {
                format!("`{key}` is looked for at `{}`", shown(&place.path))
            }
            Reading::Elsewhere(_, None) => format!("`{key}` is not looked for here"),
            Reading::Later(version) if known => format!("`{key}` came with containerd {version}"),
            Reading::Gone { since, instead } if known => {
                format!("`{key}` is gone since containerd {since}{}", or(instead))
            }
            Reading::Unknown => {
                let version = facts.containerd.version_of(file).clamp(1, 255);
                let siblings = containerd::siblings(
                    path,
                    facts.containerd.judged_by(version),
                    u8::try_from(version).unwrap_or(u8::MAX),
                );
                let near = nearest(key, siblings.into_iter());
                let near = near
                    .map(|near| format!("; did you mean `{near}`?"))
                    .unwrap_or_default();
                format!("there is no key `{key}`{near}")
            }
            _ => return,
        };
        found.at(node, message);
    });
    options(facts, found);
}

/// A path of keys as TOML writes it.
pub(super) fn shown(path: &[String]) -> String {
    let bare = |key: &String| {
        key.chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    };
    let keys = path.iter().map(|key| match bare(key) || key == "*" {
        true => key.clone(),
        false => format!("\"{key}\""),
    });
    keys.collect::<Vec<_>>().join(".")
}

/// Options of runc's shim.
pub(super) fn options(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    for name in config.runtimes() {
        if !config.is_runc(name) {
            continue;
        }
        let tables = config.all("runtimes");
        let options = tables
            .iter()
            .filter_map(|table| table.at(&[name, "options"]));
        for (key, node) in options.flat_map(Node::entries) {
            match (companions::option(key), config.line()) {
                (Some(option), Some(line)) if !option.is_in(line) => {
                    let instead = option
                        .instead
                        .as_deref()
                        .map(|instead| format!(": {instead}"));
                    let instead = instead.unwrap_or_default();
                    found.at(
                        node,
                        format!("containerd {line} has no option `{key}` for runc{instead}"),
                    );
                }
                (Some(_), _) => {}
                (None, _) => {
                    let known = companions::options()
                        .iter()
                        .map(|option| option.name.as_str());
                    let near = nearest(key, known);
                    let near = near
                        .map(|near| format!("; did you mean `{near}`?"))
                        .unwrap_or_default();
                    found.at(node, format!("runc has no option `{key}`{near}"));
                }
            }
        }
    }
}

/// A value of another type keeps containerd from reading the file, or the plug-in
/// from loading.
pub(super) fn types(facts: &Facts<'_>, found: &mut Found<'_>) {
    keys(facts, |_, path, node, reading| {
        let (Reading::Read(setting) | Reading::Deprecated { setting, .. }) = reading else {
            return;
        };
        let fits = match setting.kind {
            Kind::Text => node.text().is_some(),
            Kind::Integer => node.integer().is_some(),
            Kind::Boolean => matches!(node.value, Value::Boolean(_)),
            Kind::Texts => {
                matches!(&node.value, Value::List(items) if items.iter().all(|item| item.text().is_some()))
            }
            Kind::Table | Kind::Group => matches!(node.value, Value::Table(_)),
            Kind::Tables => matches!(&node.value, Value::List(_)),
        };
        // A setting that is one item of a list is described as that item.
        let listed = matches!(node.value, Value::List(_)) && setting.kind == Kind::Text;
        if !fits && !listed {
            let key = path.last().copied().unwrap_or_default();
            found.at_value(node, format!("`{key}` should be {}", setting.kind.name()));
        }
    });
}

/// Calls `each` for every key, and goes below those for which it says so.
pub(super) fn walk<'n>(
    node: &'n Node,
    path: &mut Vec<&'n str>,
    each: &mut dyn FnMut(&[&str], &Node) -> bool,
) {
    for (key, value) in node.entries() {
        path.push(key);
        if each(path, value) {
            walk(value, path, each);
        }
        path.pop();
    }
}

/// The runtime that these keys belong to.
const LINUX: &str = "io.containerd.runtime.v1.linux";

pub(super) fn keys_of_the_old_runtime(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    if config.version.is_some() && config.has("keys-of-the-old-runtime").is_none() {
        return;
    }
    let within = |name: &str, key: &str| config.within("runtimes", &[name, key]);
    let is_old = |name: &str| within(name, "runtime_type").and_then(Node::text) == Some(LINUX);
    // Two are held against the default runtime, two against the one that they stand in.
    if !is_old(config.default_runtime()) {
        for (_, id, node) in config.cri_tables() {
            let pivot = node.get("containerd").and_then(|node| node.get("no_pivot"));
            for (key, node) in [
                ("systemd_cgroup", node.get("systemd_cgroup")),
                ("no_pivot", pivot),
            ] {
                if let Some(node) = node.filter(|node| node.is(true))
                    && [OLD_ID, CRI].contains(&id)
                {
                    found.at(node, format!("`{key}` keeps the CRI plug-in from loading"));
                }
            }
        }
    }
    for name in config.runtimes().into_iter().filter(|name| !is_old(name)) {
        for key in ["runtime_engine", "runtime_root"] {
            let node = within(name, key);
            if let Some(node) = node.filter(|node| node.text().is_some_and(|text| !text.is_empty()))
            {
                found.at(
                    node,
                    format!("`{key}` of runtime `{name}` keeps the CRI plug-in from loading"),
                );
            }
        }
    }
}
