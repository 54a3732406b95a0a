//! Docker: daemon.json, and dockerd's flags, which have the same meaning.

mod flags;
mod registries;
mod runtimes;

use serde_json::json;
use toml::Value;

use super::work::{Found, Where, Work};
use crate::check::document::{Node, Value as Data};
use crate::compat::docker::{self, Becomes};
use crate::compat::kubelet;

const WHOSE: &str = "docker";
const FILES: [&str; 2] = ["/etc/docker/daemon.json", "/etc/docker/daemon.yaml"];

/// Reads what Docker's daemon was told.
pub(super) fn import(work: &mut Work<'_>) {
    let subject = work.subject;
    let file = FILES.iter().find_map(|path| subject.text_at(path));
    let read = file.map(|text| (text, Node::yaml(&subject.texts[text].text, text)));
    let documents = match read {
        Some((_, Ok(documents))) => documents,
        Some((text, Err(broken))) => {
            let at = Where {
                text,
                at: broken.span.start,
            };
            let found = work.found(WHOSE, "daemon.json", at, None);
            work.lost(&found, &format!("it cannot be read: {}", broken.why));
            Vec::new()
        }
        None => Vec::new(),
    };
    let flags = flags::settings(work);
    let flags = flags.iter().map(|(key, node)| (key.as_str(), node));
    let all = documents.iter().flat_map(Node::entries).chain(flags);
    // The default is one of them, wherever either stands.
    let (first, rest): (Vec<_>, Vec<_>) = all.partition(|(key, _)| *key == "runtimes");
    for (key, node) in first.into_iter().chain(rest) {
        setting(work, key, node);
    }
    registries::certificates(work);
}

/// One key of daemon.json. Lists and tables whose items have fates of their own are
/// taken apart.
fn setting(work: &mut Work<'_>, key: &str, node: &Node) {
    let fits = match (key, &node.value) {
        ("registry-mirrors" | "insecure-registries", Data::List(_))
        | ("runtimes" | "default-ulimits" | "proxies" | "features", Data::Table(_))
        | ("log-opts" | "exec-opts" | "storage-opts", Data::List(_) | Data::Table(_)) => true,
        (
            "registry-mirrors"
            | "insecure-registries"
            | "runtimes"
            | "default-ulimits"
            | "proxies"
            | "features"
            | "log-opts"
            | "exec-opts"
            | "storage-opts",
            _,
        ) => false,
        _ => true,
    };
    if !fits {
        let found = work.found(WHOSE, key, node, Some(node));
        work.lost(&found, "dockerd does not take such a value");
        return;
    }
    match key {
        "registry-mirrors" => registries::mirrors(work, node),
        "insecure-registries" => registries::insecure(work, node),
        "runtimes" => runtimes::handlers(work, node),
        "default-runtime" => runtimes::default(work, node),
        "log-opts" | "exec-opts" | "storage-opts" => options(work, key, node),
        "default-ulimits" => limits(work, node),
        "proxies" => proxies(work, node),
        "features" => features(work, node),
        _ => {
            let found = work.found(WHOSE, key, node, Some(node));
            if !simple(work, &found, key, node) {
                by_table(work, &found, key, node.text());
            }
        }
    }
}

/// A key with one value that the profile has a place for; whether it was one.
fn simple(work: &mut Work<'_>, found: &Found, key: &str, node: &Node) -> bool {
    let text = node.text().unwrap_or_default();
    match key {
        "log-driver" if text == "json-file" => work.otherwise(
            found,
            "kubelet rotates logs, in /var/log/pods; lines are in CRI's format, not JSON: what reads /var/lib/docker/containers/*-json.log must read /var/log/containers",
        ),
        "storage-driver" => match docker::snapshotter(text) {
            Some("overlayfs") => {
                work.carried(found, &["containerd", "snapshotter"], "overlayfs");
            }
            Some(own) => work.otherwise(
                found,
                &format!("images are kept by overlayfs; `{own}` needs a file system or device of its own"),
            ),
            None => return false,
        },
        "max-concurrent-downloads" => match node.integer() {
            Some(count) if (1..=i64::from(u16::MAX)).contains(&count) => {
                work.carried(found, &["containerd", "concurrent-downloads"], count);
            }
            _ => return false,
        },
        "selinux-enabled" if node.is(true) => {
            work.carried(found, &["containerd", "selinux"], true);
        }
        "ip-forward" if node.is(true) => {
            work.carried(found, &["sysctl", "net", "ipv4", "ip_forward"], 1);
        }
        "ip-forward" => work.otherwise(found, "pods reach nothing without it, so that it is on"),
        "data-root" | "graph" => work.lost(
            found,
            "containerd's data are in /var/lib/containerd: mount the disk there; images and containers are not taken along",
        ),
        "exec-root" | "pidfile" => work.otherwise(found, "containerd has its own in /run/containerd"),
        "live-restore" | "oom-score-adjust" => {
            let why = docker::setting(key, None).map_or("it is so anyway", |row| &row.how);
            work.same(found, why);
        }
        "cdi-spec-dirs" => {
            let folders: Vec<Value> = texts(node).into_iter().map(Value::from).collect();
            work.carried(found, &["containerd", "cdi-directories"], folders);
        }
        "debug" if node.is(true) => extra(work, found, &["debug", "level"], "debug"),
        "log-level" => match text {
            "debug" | "info" | "warn" | "error" | "fatal" => {
                extra(work, found, &["debug", "level"], text);
            }
            _ => return false,
        },
        "log-format" if matches!(text, "text" | "json") => {
            extra(work, found, &["debug", "format"], text);
        }
        "metrics-addr" if !text.is_empty() => {
            let path = ["containerd", "extra", "metrics", "address"];
            work.changed(found, &path, text, "metrics have other names");
        }
        "shutdown-timeout" => match node.integer() {
            Some(seconds) => {
                let value = format!("{seconds}s");
                let why = "kubelet waits for pods when the machine shuts down, for all of them together";
                field(work, found, "shutdownGracePeriod", json!(value), Some(why));
            }
            None => return false,
        },
        "seccomp-profile" if text == "unconfined" => {
            work.same(found, "it is kubelet's default");
        }
        "nri-opts" => match node.get("enable") {
            Some(enable) => {
                let on = enable.is(true);
                work.carried(found, &["containerd", "nri"], on);
            }
            None => return false,
        },
        "http-proxy" | "https-proxy" | "no-proxy" => {
            let key = key.trim_end_matches("-proxy");
            super::proxy::set(work, found, if key == "no" { "no-proxy" } else { key }, text);
        }
        _ if off(key, node) => work.same(found, "it is off there, and here"),
        _ => return false,
    }
    true
}

/// Switches that mean nothing where they are off.
fn off(key: &str, node: &Node) -> bool {
    const SWITCHES: [&str; 12] = [
        "debug",
        "experimental",
        "init",
        "no-new-privileges",
        "raw-logs",
        "rootless",
        "selinux-enabled",
        "tls",
        "tlsverify",
        "ipv6",
        "allow-direct-routing",
        "bridge-accept-fwmark",
    ];
    node.is(false) && SWITCHES.contains(&key)
}

/// A key that only the table knows, or nobody.
fn by_table(work: &mut Work<'_>, found: &Found, key: &str, detail: Option<&str>) {
    let Some(row) = docker::setting(key, detail) else {
        work.lost(
            found,
            "no key of dockerd that is known here: see what it did, and whether it is missed",
        );
        return;
    };
    let breaks = row.breaks.as_deref().map(|breaks| format!("; {breaks}"));
    let who = match row.becomes {
        Becomes::Pod => "pods must say it: ",
        Becomes::Kubelet => "kubelet does it: ",
        _ => "",
    };
    let why = format!("{who}{}{}", row.how, breaks.unwrap_or_default());
    match row.becomes {
        Becomes::Same => work.same(found, &why),
        _ => work.lost(found, &why),
    }
}

/// `log-opts`, `exec-opts` and `storage-opts`: each option by itself.
fn options(work: &mut Work<'_>, key: &str, node: &Node) {
    for (name, value, at) in pairs(node) {
        let mut found = work.found(WHOSE, &format!("{key}.{name}"), at, None);
        found.value = super::work::may_be_shown(&name, &value).then(|| value.clone());
        match (key, name.as_str()) {
            ("log-opts", "max-size") => match binary(&value) {
                Some(size) => field(work, &found, "containerLogMaxSize", json!(size), None),
                None => work.lost(&found, "it is no size"),
            },
            ("log-opts", "max-file") => match value.parse::<u32>() {
                // kubelet refuses fewer.
                Ok(count) if count >= 2 => {
                    field(work, &found, "containerLogMaxFiles", json!(count), None);
                }
                Ok(_) => {
                    let why = "kubelet keeps two files at least";
                    field(work, &found, "containerLogMaxFiles", json!(2), Some(why));
                }
                Err(_) => work.lost(&found, "it is no number"),
            },
            ("exec-opts", "native.cgroupdriver") if value == "systemd" => {
                work.carried(&found, &["containerd", "systemd-cgroup"], true);
            }
            ("exec-opts", "native.cgroupdriver") => work.changed(
                &found,
                &["containerd", "systemd-cgroup"],
                true,
                "systemd manages cgroups, on kubelet's side too: a second manager beside it makes nodes unstable",
            ),
            _ => by_table(work, &found, key, Some(&name)),
        }
    }
}

/// Limits of every container.
fn limits(work: &mut Work<'_>, node: &Node) {
    const NAMES: [&str; 16] = [
        "as",
        "core",
        "cpu",
        "data",
        "fsize",
        "locks",
        "memlock",
        "msgqueue",
        "nice",
        "nofile",
        "nproc",
        "rss",
        "rtprio",
        "rttime",
        "sigpending",
        "stack",
    ];
    for (name, limit) in node.entries() {
        let mut found = work.found(WHOSE, &format!("default-ulimits.{name}"), limit, None);
        let number = |key: &str| {
            let value = limit.get(key).and_then(Node::integer);
            value.map(|value| match value {
                ..0 => "unlimited".to_owned(),
                value => value.to_string(),
            })
        };
        let (soft, hard) = (number("Soft"), number("Hard"));
        match (soft.or_else(|| hard.clone()), hard) {
            (Some(soft), Some(hard)) if NAMES.contains(&name) => {
                let value = match soft == hard {
                    true => soft,
                    false => format!("{soft}:{hard}"),
                };
                found.value = Some(value.clone());
                work.carried(&found, &["containerd", "rlimits", name], value);
            }
            _ => work.lost(&found, "it is no limit that the kernel knows"),
        }
    }
}

/// `proxies`: of the daemon; older clients' files have one table more.
fn proxies(work: &mut Work<'_>, node: &Node) {
    for (name, value) in node.entries() {
        let found = work.found(WHOSE, &format!("proxies.{name}"), value, Some(value));
        let key = match name {
            "http-proxy" | "httpProxy" => "http",
            "https-proxy" | "httpsProxy" => "https",
            "no-proxy" | "noProxy" => "no-proxy",
            _ => {
                by_table(work, &found, "proxies", None);
                continue;
            }
        };
        super::proxy::set(work, &found, key, value.text().unwrap_or_default());
    }
}

fn features(work: &mut Work<'_>, node: &Node) {
    for (name, value) in node.entries() {
        let found = work.found(WHOSE, &format!("features.{name}"), value, Some(value));
        match (name, &value.value) {
            ("cdi", Data::Boolean(on)) => work.carried(&found, &["containerd", "cdi"], *on),
            ("containerd-snapshotter", _) => work.same(&found, "containerd keeps the images"),
            _ => by_table(work, &found, "features", None),
        }
    }
}

/// A key of containerd's own file.
fn extra(work: &mut Work<'_>, found: &Found, path: &[&str], value: &str) {
    let path: Vec<&str> = ["containerd", "extra"]
        .iter()
        .chain(path)
        .copied()
        .collect();
    work.carried(found, &path, value);
}

/// A field of kubelet's configuration, or the flag that means the same where this
/// minor merges no drop-ins.
pub(super) fn field(
    work: &mut Work<'_>,
    found: &Found,
    name: &str,
    value: serde_json::Value,
    why: Option<&str>,
) {
    let minor = work.kubernetes.minor;
    let usable = crate::compat::kubernetes::minor(minor)
        .is_some_and(|known| known.row.config_drop_ins.are_usable());
    let known = kubelet::field(name).is_some_and(|field| field.from <= minor);
    let (path, value) = if usable && known {
        (["kubelet", "config", name], value)
    } else if let Some(flag) = kubelet::flag_of(name, minor) {
        (["kubelet", "flags", flag], as_flag(name, value))
    } else {
        let kubelet = format!(
            "kubelet 1.{minor} is told by its cluster alone: set `{name}` in the KubeletConfiguration of the cluster"
        );
        work.lost(found, &kubelet);
        return;
    };
    let Ok(value) = Value::try_from(value) else {
        work.lost(found, "it has no value");
        return;
    };
    match why {
        Some(why) => work.changed(found, &path, value, why),
        None => work.carried(found, &path, value),
    }
}

/// A field's value as the flag that means the same has it (pflag's maps and lists).
fn as_flag(field: &str, value: serde_json::Value) -> serde_json::Value {
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    // `memory.available<100Mi`: thresholds are compared, all else is set.
    let sign = if field.starts_with("eviction") && !field.contains("Grace") {
        "<"
    } else {
        "="
    };
    match value {
        serde_json::Value::Object(fields) => {
            let pairs = fields
                .iter()
                .map(|(name, value)| format!("{name}{sign}{}", text(value)));
            json!(pairs.collect::<Vec<_>>().join(","))
        }
        serde_json::Value::Array(items) => {
            json!(items.iter().map(text).collect::<Vec<_>>().join(","))
        }
        value => value,
    }
}

/// Options as daemon.json has them: a table, or a list of `NAME=VALUE`.
fn pairs(node: &Node) -> Vec<(String, String, Where)> {
    let table = node
        .entries()
        .map(|(name, value)| (name.to_owned(), value.shown(), value.into()));
    let list = node.items().iter().map(|item| {
        let shown = item.shown();
        let (name, value) = shown.split_once('=').unwrap_or((&shown, ""));
        (name.to_owned(), value.to_owned(), item.into())
    });
    table.chain(list).collect()
}

/// The texts of a list.
fn texts(node: &Node) -> Vec<&str> {
    node.items().iter().filter_map(Node::text).collect()
}

/// Docker's `10m` is 10 MiB (go-units, `RAMInBytes`), kubelet's `10m` a hundredth: `10Mi`.
fn binary(size: &str) -> Option<String> {
    let size = size.trim().to_ascii_lowercase();
    let size = size.strip_suffix('b').unwrap_or(&size);
    let size = size.strip_suffix('i').unwrap_or(size);
    let (number, unit) = match size.char_indices().next_back()? {
        (at, 'k') => (&size[..at], "Ki"),
        (at, 'm') => (&size[..at], "Mi"),
        (at, 'g') => (&size[..at], "Gi"),
        (at, 't') => (&size[..at], "Ti"),
        _ => (size, ""),
    };
    number
        .parse::<u64>()
        .ok()
        .map(|number| format!("{number}{unit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_binary() {
        let sizes = ["10m", "10MB", "1g", "1GiB", "512k", "1000", "-1", "", "m"];
        let read: Vec<_> = sizes.iter().map(|size| binary(size)).collect();
        let read: Vec<_> = read.iter().map(Option::as_deref).collect();
        let wanted = [
            Some("10Mi"),
            Some("10Mi"),
            Some("1Gi"),
            Some("1Gi"),
            Some("512Ki"),
            Some("1000"),
            None,
            None,
            None,
        ];
        assert_eq!(read, wanted);
    }
}
