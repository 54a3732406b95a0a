//! containerd: its configuration of any version, and hosts.toml of its registries.

use toml::{Table, Value};

use super::kubelet::sandbox;
use super::work::{Found, Work};
use crate::check::document::{Node, Value as Data};
use crate::check::facts::containerd::OLD_ID;
use crate::compat::Version;
use crate::compat::containerd::{self, Reading};
use crate::profile::value::credentials;

const WHOSE: &str = "containerd";
/// Where configurations of all sites have their registries' folders.
const HOSTS: &str = "etc/containerd/certs.d/";

/// A value of a configuration file.
struct Leaf<'n> {
    /// The keys that lead to it.
    path: Vec<&'n str>,
    node: &'n Node,
    /// The version of its file, which says where settings stand.
    config: u8,
    /// The release by which it is understood.
    version: Version,
}

/// Reads what containerd was told.
pub(super) fn import(work: &mut Work<'_>) {
    let facts = work.facts;
    for file in &facts.containerd.files {
        let root = match &file.parsed.node {
            Ok(root) => root,
            Err(broken) => {
                let at = super::work::Where {
                    text: file.parsed.text,
                    at: broken.span.start,
                };
                let found = work.found(WHOSE, "configuration", at, None);
                work.lost(&found, &format!("it cannot be read: {}", broken.why));
                continue;
            }
        };
        let config = facts.containerd.version_of(file);
        let version = facts.containerd.judged_by(config);
        let config = u8::try_from(config.max(1)).unwrap_or(u8::MAX);
        let mut leaves = Vec::new();
        gather(root, &mut Vec::new(), &mut |path, node| {
            leaves.push(Leaf {
                path: path.to_vec(),
                node,
                config,
                version,
            });
        });
        for leaf in &leaves {
            setting(work, leaf);
        }
    }
    hosts(work);
}

/// Every value that is no table, and empty tables.
fn gather<'n>(node: &'n Node, path: &mut Vec<&'n str>, each: &mut dyn FnMut(&[&'n str], &'n Node)) {
    for (key, below) in node.entries() {
        path.push(key);
        match &below.value {
            Data::Table(table) if !table.is_empty() => gather(below, path, each),
            _ => each(path, below),
        }
        path.pop();
    }
}

fn setting(work: &mut Work<'_>, leaf: &Leaf<'_>) {
    let name = leaf.path.join(".");
    let found = work.found(WHOSE, &name, leaf.node, Some(leaf.node));
    if matches!(&leaf.node.value, Data::Table(table) if table.is_empty()) {
        work.same(&found, "it is empty");
        return;
    }
    if leaf.config >= 2 && leaf.path.get(..2) == Some(&["plugins", OLD_ID]) {
        work.lost(
            &found,
            "containerd passed over it: in a file of this version the plug-in has another name",
        );
        return;
    }
    let known = match containerd::reading(&leaf.path, leaf.version, leaf.config) {
        Reading::Read(setting)
        | Reading::Deprecated { setting, .. }
        | Reading::Elsewhere(setting, _) => setting,
        Reading::Unknown | Reading::Later(_) => {
            work.lost(&found, "no setting of this containerd that is known here");
            return;
        }
        Reading::Gone { instead, .. } => {
            let instead = instead.unwrap_or("nothing takes its place");
            work.lost(&found, &format!("containerd passed over it: {instead}"));
            return;
        }
        Reading::Table | Reading::Unchecked => {
            let why = "no plug-in that pods need: set it in `[containerd.extra]` if it is missed";
            work.lost(&found, why);
            return;
        }
    };
    let by_default = serde_json::to_value(known.default(leaf.version)).ok();
    if by_default.as_ref() == Some(&leaf.node.json())
        && !matches!(known.name.as_str(), "sandbox-image")
    {
        work.same(&found, "it is containerd's default");
        return;
    }
    let text = matches!(&leaf.node.value, Data::Text(text) if text.is_empty());
    if by_default == Some(serde_json::Value::Null) && (text || leaf.node.is(false)) {
        work.same(&found, "it is not set");
        return;
    }
    if !named(work, &found, &known.name, leaf) {
        elsewhere(work, &found, &known.name, leaf.node);
    }
}

/// Settings that a profile has keys for; whether it was one.
fn named(work: &mut Work<'_>, found: &Found, name: &str, leaf: &Leaf<'_>) -> bool {
    let node = leaf.node;
    let text = node.text().unwrap_or_default();
    let plain: &[(&str, &str)] = &[
        ("cdi", "cdi"),
        ("cdi-directories", "cdi-directories"),
        ("concurrent-downloads", "concurrent-downloads"),
        ("transfer.max-concurrent-downloads", "concurrent-downloads"),
        ("default-runtime", "default-runtime"),
        ("device-ownership", "device-ownership"),
        ("log-line-size", "log-line-size"),
        ("pull-progress-timeout", "pull-progress-timeout"),
        ("selinux", "selinux"),
        ("selinux-categories", "selinux-categories"),
        ("unprivileged-icmp", "unprivileged-icmp"),
        ("unprivileged-ports", "unprivileged-ports"),
    ];
    match name {
        "version" | "imports" | "required-plugins" | "plugin-dir" => {
            work.same(found, "the new node's file is made for its containerd");
        }
        "disabled-plugins" => {
            let cri = node.items().iter().filter_map(Node::text).any(|one| one.contains("cri"));
            match cri {
                true => work.otherwise(found, "CRI is on: kubelet needs it"),
                false => work.same(found, "pods need none of them"),
            }
        }
        "sandbox-image" => sandbox(work, found, text),
        "snapshotter" if text == "overlayfs" => {
            work.carried(found, &["containerd", "snapshotter"], text);
        }
        "snapshotter" => work.otherwise(
            found,
            "images are kept by overlayfs: another snapshotter needs a file system, a device or a plug-in of its own",
        ),
        "default-runtime" if text == "runc" || text.is_empty() => {
            work.same(found, "it is containerd's default");
        }
        "default-runtime" if !work.draft.has(&["containerd", "runtimes", text, "runtime_type"]) => {
            work.lost(
                found,
                "the profile has no such handler: pods run with runc until `[containerd] default-runtime` names one",
            );
        }
        "registry-directory" => work.same(found, "registries' folders are in /etc/containerd/certs.d"),
        "nri-disabled" => work.carried(found, &["containerd", "nri"], node.is(false)),
        "streaming.address" if !text.is_empty() => {
            work.carried(found, &["containerd", "streaming", "address"], text);
        }
        "streaming.port" => match node.shown().parse::<u16>() {
            Ok(port) => {
                work.carried(found, &["containerd", "streaming", "port"], i64::from(port));
            }
            Err(_) => return false,
        },
        "streaming.idle-timeout" => {
            work.carried(found, &["containerd", "streaming", "idle-timeout"], text);
        }
        "cni.bin-dir" | "cni.conf-dir" => work.otherwise(
            found,
            "network plug-ins are in /opt/cni/bin, networks in /etc/cni/net.d, where add-ons put them",
        ),
        "grpc.address" | "ttrpc.address" => work.otherwise(
            found,
            "the socket is /run/containerd/containerd.sock, on kubelet's side too",
        ),
        "root" | "state" => work.lost(
            found,
            "containerd's data are in /var/lib/containerd: mount the disk there; images are pulled again",
        ),
        "cri-systemd-cgroup" => work.changed(
            found,
            &["containerd", "systemd-cgroup"],
            true,
            "it is set for each runtime handler now",
        ),
        "registry.mirrors.endpoint" => mirrors(work, found, leaf),
        "registry.configs.tls.insecure-skip-verify" => match host(leaf) {
            Some(host) => {
                work.carried(found, &["containerd", "registries", host, "skip-verify"], node.is(true));
            }
            None => return false,
        },
        _ if name.starts_with("registry.configs.tls") => work.lost(
            found,
            "write the authority's file into `ca` of the registry; a client's key must come to the node when it boots (`client-key`)",
        ),
        _ if name.starts_with("registry.configs.auth") || name.starts_with("registry.auths") => {
            work.lost(found, "a password must not be in an image: give pods a pull secret");
        }
        _ if name == "runtimes" || name.starts_with("runtime.") => handler(work, found, leaf),
        _ => match plain.iter().find(|(known, _)| *known == name) {
            Some((_, key)) => match value(node) {
                Some(value) => work.carried(found, &["containerd", key], value),
                None => return false,
            },
            None => return false,
        },
    }
    true
}

/// A key of a runtime handler: runc's is made anew, others are carried where Debian has
/// their program.
fn handler(work: &mut Work<'_>, found: &Found, leaf: &Leaf<'_>) {
    let at = leaf.path.iter().position(|key| *key == "runtimes");
    let Some((name, key)) = at.and_then(|at| Some((*leaf.path.get(at + 1)?, &leaf.path[at + 2..])))
    else {
        work.otherwise(found, "runtime handlers are set by name");
        return;
    };
    match (name, key) {
        ("runc", ["runtime_type"]) => match leaf.node.text() {
            Some("io.containerd.runc.v2") => work.same(found, "it is so on the new node"),
            _ => work.otherwise(found, "it is io.containerd.runc.v2: earlier ones are gone"),
        },
        ("runc", ["options", "SystemdCgroup"]) if leaf.node.is(true) => {
            work.carried(found, &["containerd", "systemd-cgroup"], true);
        }
        ("runc", ["options", "SystemdCgroup"]) => work.changed(
            found,
            &["containerd", "systemd-cgroup"],
            true,
            "systemd manages cgroups, on kubelet's side too",
        ),
        ("runc", _) if is_nothing(leaf.node) => work.same(found, "it is not set"),
        ("runc", ["base_runtime_spec"]) => work.lost(
            found,
            "what such a file is mostly for are limits: set `[containerd.rlimits]`",
        ),
        ("runc", _) => work.lost(found, "runc's handler is made anew: set it in `[containerd.extra]` if it is missed"),
        _ => work.lost(
            found,
            &format!("bring the handler's program by `[[files]]` or a package, then set it in `[containerd.runtimes.{name}]`"),
        ),
    }
}

fn is_nothing(node: &Node) -> bool {
    match &node.value {
        Data::Text(text) => text.is_empty(),
        Data::Integer(number) => *number == 0,
        Data::Boolean(on) => !on,
        Data::List(items) => items.is_empty(),
        _ => false,
    }
}

/// The host that a registry's table is of.
fn host<'l>(leaf: &Leaf<'l>) -> Option<&'l str> {
    let at = leaf
        .path
        .iter()
        .position(|key| matches!(*key, "mirrors" | "configs"))?;
    leaf.path.get(at + 1).copied()
}

/// `registry.mirrors.HOST.endpoint`: the mirrors, then the registry itself.
fn mirrors(work: &mut Work<'_>, found: &Found, leaf: &Leaf<'_>) {
    let Some(host) = host(leaf) else {
        work.lost(found, "it names no registry");
        return;
    };
    let host = if host == "*" { "_default" } else { host };
    let path = ["containerd", "registries", host, "mirrors"];
    let own = |url: &str| {
        let plain = url.trim_end_matches('/').trim_start_matches("https://");
        plain == host || (host == "docker.io" && plain == "registry-1.docker.io")
    };
    let all: Vec<&str> = leaf.node.items().iter().filter_map(Node::text).collect();
    if all.iter().any(|url| credentials(url)) {
        work.lost(
            found,
            "an address holds a password, which must not be in an image: give pods a pull secret",
        );
        return;
    }
    if all.iter().all(|url| own(url)) {
        work.same(found, "the registry itself is asked anyway");
        return;
    }
    for url in all.into_iter().filter(|url| !own(url)) {
        work.draft
            .add(&path, url.trim_end_matches('/'), &found.from());
    }
    work.push(found, super::Part::Carried, &path, None);
}

/// Any other setting: where the new containerd has it.
fn elsewhere(work: &mut Work<'_>, found: &Found, name: &str, node: &Node) {
    let version = work.suite.containerd;
    match (containerd::location(name, version), value(node)) {
        (Ok(place), Some(value)) if !place.path.iter().any(|key| key == "*") => {
            let value = match place.list {
                true => Value::Array(vec![value]),
                false => value,
            };
            let path: Vec<&str> = ["containerd", "extra"]
                .into_iter()
                .chain(place.path.iter().map(String::as_str))
                .collect();
            work.carried(found, &path, value);
        }
        _ => {
            let instead = containerd::setting(name).and_then(|setting| setting.instead.as_deref());
            let instead = instead.map(|instead| format!(": {instead}"));
            work.lost(
                found,
                &format!(
                    "containerd {version} has no such setting{}",
                    instead.unwrap_or_default()
                ),
            );
        }
    }
}

/// hosts.toml of each registry.
fn hosts(work: &mut Work<'_>) {
    let subject = work.subject;
    for text in subject.texts_below(HOSTS) {
        let file = &subject.texts[text];
        let path = file.path.to_string();
        let Some((host, "hosts.toml")) = path[HOSTS.len()..].split_once('/') else {
            continue;
        };
        let Ok(root) = Node::toml(&file.text, text) else {
            let at = super::work::Where { text, at: 0 };
            let found = work.found(WHOSE, &format!("certs.d/{host}/hosts.toml"), at, None);
            work.lost(
                &found,
                "it cannot be read, so that containerd passed over it",
            );
            continue;
        };
        for (key, node) in root.entries() {
            let found = work.found(WHOSE, &format!("certs.d/{host} {key}"), node, Some(node));
            let path = |key| ["containerd", "registries", host, key];
            match (key, node.text()) {
                ("server", Some(url)) if !credentials(url) => {
                    work.carried(&found, &path("server"), url.trim_end_matches('/'));
                }
                ("skip_verify", _) => work.carried(&found, &path("skip-verify"), node.is(true)),
                ("host", _) => {
                    for (url, table) in node.entries() {
                        mirror(work, host, url, table);
                    }
                }
                _ => work.lost(
                    &found,
                    "set it in `[containerd.registries]` if it is missed",
                ),
            }
        }
    }
}

/// A `[host."URL"]` of hosts.toml.
fn mirror(work: &mut Work<'_>, host: &str, url: &str, table: &Node) {
    let path = |key| ["containerd", "registries", host, key];
    let found = work.found(WHOSE, &format!("certs.d/{host} host"), table, None);
    let found = Found {
        value: super::work::may_be_shown("host", url).then(|| url.to_owned()),
        ..found
    };
    if credentials(url) {
        work.lost(
            &found,
            "the address holds a password, which must not be in an image",
        );
        return;
    }
    work.draft
        .add(&path("mirrors"), url.trim_end_matches('/'), &found.from());
    work.push(&found, super::Part::Carried, &path("mirrors"), None);
    for (key, node) in table.entries() {
        let found = work.found(
            WHOSE,
            &format!("certs.d/{host} host {key}"),
            node,
            Some(node),
        );
        match key {
            "capabilities" => match value(node) {
                Some(list) => work.carried(&found, &path("capabilities"), list),
                None => work.lost(&found, "it is no list"),
            },
            "skip_verify" | "override_path" if node.is(false) => {
                work.same(&found, "it is off there, and here");
            }
            "skip_verify" => work.carried(&found, &path("skip-verify"), true),
            "override_path" => work.carried(&found, &path("override-path"), node.is(true)),
            _ => work.lost(
                &found,
                "set it in `[containerd.registries]` if it is missed; no secret may be in it",
            ),
        }
    }
}

/// A value as the profile has it.
fn value(node: &Node) -> Option<Value> {
    Some(match &node.value {
        Data::Text(text) => Value::from(text.as_str()),
        Data::Integer(number) => Value::from(*number),
        Data::Boolean(on) => Value::from(*on),
        Data::List(items) => Value::Array(items.iter().map(value).collect::<Option<_>>()?),
        Data::Table(table) => {
            let entries = table
                .iter()
                .map(|(key, node)| Some((key.clone(), value(node)?)));
            Value::Table(entries.collect::<Option<Table>>()?)
        }
        Data::Null | Data::Other(_) => return None,
    })
}
