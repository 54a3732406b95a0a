//! Runtimes, plug-ins, pulling, streaming: what settings come to.

use std::collections::BTreeSet;

use super::keys::keys;
use super::versions::filled;
use crate::check::document::{Node, Value};
use crate::check::facts::Facts;
use crate::check::facts::containerd::{CRI, File, IMAGES, OLD_ID};
use crate::check::rule::Found;
use crate::compat::companions;
use crate::compat::containerd::Reading;

pub(super) fn default_runtime(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    let name = config.default_runtime();
    if let Some(node) = config.one("default-runtime")
        && !config.runtimes().contains(name)
        && name != "runc"
    {
        found.at_value(node, format!("there is no runtime `{name}`"));
    }
}

pub(super) fn removed_runtimes(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    let Some(line) = config.line() else { return };
    for name in config.runtimes() {
        let Some(node) = config.within("runtimes", &[name, "runtime_type"]) else {
            continue;
        };
        let kind = node.text().unwrap_or_default();
        if companions::runtime(kind).is_some_and(|runtime| !runtime.is_in(line)) {
            found.at_value(
                node,
                format!("runtime `{name}` is `{kind}`, which containerd {line} does not have"),
            );
        }
    }
}

pub(super) fn snapshotter(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    let mut nodes = config.all("snapshotter");
    for name in config.runtimes() {
        nodes.extend(config.within("runtimes", &[name, "snapshotter"]));
    }
    for node in nodes {
        let Some(name) = node.text().filter(|name| !name.is_empty()) else {
            continue;
        };
        if config.top(&["proxy_plugins", name]).is_some() {
            continue;
        }
        match (companions::snapshotter(name), config.line()) {
            (Some(known), Some(line)) if !known.is_in(line) => {
                found.at_value(
                    node,
                    format!("containerd {line} has no snapshotter `{name}`"),
                );
            }
            (Some(_), _) => {}
            (None, _) => {
                found.at_value(node, format!("no snapshotter `{name}` is built in, and `proxy_plugins` does not declare it"));
            }
        }
    }
}

pub(super) fn needed_plugins(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    let snapshotter = config
        .one("snapshotter")
        .and_then(Node::text)
        .unwrap_or("overlayfs");
    for item in config.listed("disabled_plugins") {
        let name = item.text().unwrap_or_default();
        if name == format!("io.containerd.snapshotter.v1.{snapshotter}") {
            found.at_value(
                item,
                format!("CRI uses the snapshotter `{snapshotter}`, which is turned off"),
            );
        } else if name == "io.containerd.transfer.v1.local" && config.from(2, 1) {
            found.at_value(
                item,
                "images are pulled through the transfer service, which is turned off",
            );
        }
    }
}

pub(super) fn required(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    let Some(root) = config
        .files
        .first()
        .filter(|file| file.parsed.root().is_some())
    else {
        return;
    };
    let required = config.listed("required_plugins");
    if !required
        .iter()
        .any(|item| item.text() == Some(CRI) || item.text() == Some(OLD_ID))
    {
        found.text(root.parsed.text, "`required_plugins` does not name CRI");
    }
}

pub(super) fn old_kernel(facts: &Facts<'_>, found: &mut Found<'_>) {
    if facts
        .containerd
        .has("unprivileged-on-old-kernels")
        .is_none()
    {
        return;
    }
    let off = ["unprivileged-ports", "unprivileged-icmp"]
        .iter()
        .all(|name| {
            facts
                .containerd
                .one(name)
                .is_some_and(|node| node.is(false))
        });
    for kernel in facts.subject.kernels() {
        let numbers: Vec<u32> = kernel
            .split(['.', '-'])
            .take(2)
            .flat_map(str::parse)
            .collect();
        if let [major, minor] = numbers[..]
            && (major, minor) < (4, 11)
            && !off
        {
            found.at_path(
                format!("usr/lib/modules/{kernel}"),
                format!("the kernel is {major}.{minor}"),
            );
        }
    }
}

pub(super) fn local_pull(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    if config.has("falls-back-to-local-pull").is_none() {
        return;
    }
    let chosen =
        |file: &File, path: &[&str]| file.parsed.root().and_then(|root| root.at(path).cloned());
    for file in &config.files {
        // Tables of older versions are moved here.
        let (images, registry) = match config.version_of(file) {
            3.. => (vec!["plugins", IMAGES], vec!["plugins", IMAGES, "registry"]),
            2 => (vec!["plugins", CRI], vec!["plugins", CRI, "registry"]),
            _ => continue,
        };
        let Some(table) = chosen(file, &images) else {
            continue;
        };
        if table
            .get("use_local_image_pull")
            .is_some_and(|node| node.is(true))
        {
            continue;
        }
        let containerd = table.get("containerd").unwrap_or(&table);
        let mut say = |node: Option<&Node>, why: &str| {
            if let Some(node) = node {
                found.at(node, why);
            }
        };
        let number = table.get("max_concurrent_downloads");
        say(
            number.filter(|node| node.integer().is_some_and(|number| number != 3)),
            "a number other than 3 turns the transfer service off; set it in `io.containerd.transfer.v1.local`",
        );
        for key in ["discard_unpacked_layers", "image_pull_with_sync_fs"] {
            let node = containerd.get(key).or_else(|| table.get(key));
            say(
                node.filter(|node| node.is(true)),
                &format!("`{key}` turns the transfer service off"),
            );
        }
        let annotations = containerd.get("disable_snapshot_annotations");
        say(
            annotations.filter(|node| node.is(false)),
            "`disable_snapshot_annotations = false` turns the transfer service off",
        );
        if let Some(registry) = chosen(file, &registry) {
            for key in ["mirrors", "configs", "auths"] {
                let node = registry.get(key).filter(|node| filled(node));
                say(
                    node,
                    &format!("`registry.{key}` turns the transfer service off"),
                );
            }
        }
    }
}

pub(super) fn no_file(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    if facts.subject.whole && config.present && config.files.is_empty() {
        found.at_path(&config.path, "there is no such file");
    }
}

pub(super) fn streaming(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    let tls = config
        .one("streaming.tls")
        .is_some_and(|node| node.is(true));
    if let Some(node) = config.one("streaming.address")
        && let Some(address) = node.text()
        && !tls
        && !["127.0.0.1", "localhost", "::1", "[::1]"].contains(&address)
        && !address.starts_with("127.")
    {
        let address = if address.is_empty() {
            "every address"
        } else {
            address
        };
        found.at_value(node, format!("it listens on {address}, without TLS"));
    }
}

pub(super) fn streaming_tls(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    let Some(tls) = config.one("streaming.tls").filter(|node| node.is(true)) else {
        return;
    };
    let said = |name: &str| {
        config
            .one(name)
            .and_then(Node::text)
            .is_some_and(|path| !path.is_empty())
    };
    let (certificate, key) = (said("streaming.tls-certificate"), said("streaming.tls-key"));
    if certificate != key {
        let missing = if certificate { "key" } else { "certificate" };
        found.at(tls, format!("TLS is on, and there is no {missing}"));
    }
}

pub(super) fn cdi(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    let said = config.one("cdi");
    let off_by_default = config.from(1, 7) && config.before(2, 0) && said.is_none();
    let specs = ["etc/cdi", "usr/share/cdi"]
        .iter()
        .any(|folder| facts.subject.below(folder).next().is_some());
    match said {
        Some(node) if node.is(false) => found.at(node, "`enable_cdi` is false"),
        None if off_by_default && specs => found.nowhere(
            "CDI is off by default in containerd 1.7, and the node has CDI specifications",
        ),
        _ => {}
    }
}

pub(super) fn deprecated(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    let mut seen = BTreeSet::new();
    if config.version.is_some() {
        keys(facts, |_, path, node, reading| {
            let Reading::Deprecated {
                setting,
                since,
                instead,
            } = reading
            else {
                return;
            };
            // One word for all hosts of a registry's table.
            if seen.insert((node.text, setting.name.clone())) {
                let instead = instead
                    .map(|instead| format!(": {instead}"))
                    .unwrap_or_default();
                let key = path[path.len().saturating_sub(2)..].join(".");
                found.at(node, format!("`{key}`, since containerd {since}{instead}"));
            }
        });
    }
    for file in &config.files {
        if config.from(1, 5) && file.said.unwrap_or(1) < 2 && file.parsed.root().is_some_and(filled)
        {
            found.text(
                file.parsed.text,
                "a file of version 1: write version 2 or later",
            );
        }
    }
}

pub(super) fn all_devices(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    if config.before(1, 7) {
        return;
    }
    for name in config.runtimes() {
        let key = |key: &str| config.within("runtimes", &[name, key]);
        if let Some(node) =
            key("privileged_without_host_devices_all_devices_allowed").filter(|node| node.is(true))
            && !key("privileged_without_host_devices").is_some_and(|node| node.is(true))
        {
            found.at(
                node,
                format!("runtime `{name}` has it without `privileged_without_host_devices`"),
            );
        }
    }
}

pub(super) fn nri(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    let off = match config.one("nri-disabled") {
        Some(node) => node.value == Value::Boolean(true),
        None => config.from(1, 7) && config.before(2, 0),
    };
    if let Some((name, _)) = facts.subject.below("opt/nri/plugins").next()
        && off
    {
        let name = String::from_utf8_lossy(name);
        found.at_path(format!("opt/nri/plugins/{name}"), "NRI is off");
    }
}
