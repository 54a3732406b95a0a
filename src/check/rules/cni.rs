//! Networks of pods: where CNI's plug-ins and configuration are.

use super::Rule;
use crate::check::facts::Facts;
use crate::check::rule::{Found, Severity};
use crate::check::subject::ReadOnly;
use crate::compat::companions;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "ND-CNI-001",
        severity: Severity::Error,
        title: "no CNI plug-in where containerd looks",
        why: "Every pod sandbox needs the `loopback` plug-in at least (unless containerd 2 is told to \
              use its own), and network add-ons call `portmap`, `bridge` and others: pods stay in \
              ContainerCreating.",
        fix: "install the plug-ins there, or point CNI's directory to where they are",
        sources: &[
            "containerd release/2.3: docs/cri/config.md",
            "kubernetes.io: Troubleshooting CNI plugin-related errors",
        ],
        check: missing,
    },
    Rule {
        id: "ND-CNI-002",
        severity: Severity::Error,
        title: "the loopback plug-in is too old",
        why: "containerd 1.6 and later ask for CNI 1.0.0, which plug-ins before 1.0.0 do not speak: \
              \"incompatible CNI versions\", and sandboxes that cannot be removed.",
        fix: "install CNI plug-ins 1.0.0 or later",
        sources: &[
            "trap T28",
            "kubernetes.io: Troubleshooting CNI plugin-related errors",
        ],
        check: loopback,
    },
    Rule {
        id: "ND-CNI-003",
        severity: Severity::Error,
        title: "`bin_dir` and `bin_dirs` together",
        why: "containerd 2.1 and later refuse a configuration that sets both: the CRI plug-in does \
              not load.",
        fix: "keep `bin_dirs`",
        sources: &[
            "trap T23",
            "containerd v2.1.0: internal/cri/config/config.go",
        ],
        check: both,
    },
    Rule {
        id: "ND-CNI-004",
        severity: Severity::Warning,
        title: "a network add-on cannot write where it must",
        why: "Add-ons run as a DaemonSet that copies its plug-in and its configuration to the node. \
              On a root that is read-only they cannot, unless the directory lies where the node can \
              write.",
        fix: "point `bin_dirs` and `conf_dir` below /var, or make the directory writable when the node starts",
        sources: &[
            "docs/paths.md (kept state)",
            "bootc: docs/src/filesystem.md",
        ],
        check: read_only,
    },
    Rule {
        id: "ND-CNI-005",
        severity: Severity::Warning,
        title: "a CNI configuration without a version",
        why: "containerd 1.6.0 to 1.6.3 cannot remove the networks of pods then: \"incompatible CNI \
              versions\".",
        fix: "set `cniVersion`",
        sources: &[
            "trap T28",
            "kubernetes.io: Troubleshooting CNI plugin-related errors",
        ],
        check: conf_version,
    },
    Rule {
        id: "ND-CNI-006",
        severity: Severity::Error,
        title: "a CNI configuration that is not JSON",
        why: "containerd takes the first configuration of the directory by name; one that cannot be \
              read leaves the node without a network.",
        fix: "correct the file",
        sources: &["containerd/go-cni: opts.go (loadFromConfDir)"],
        check: conf_broken,
    },
    Rule {
        id: "ND-CNI-007",
        severity: Severity::Note,
        title: "a CNI configuration calls a plug-in that is not in the image",
        why: "Pods get no network until something brings the plug-in.",
        fix: "add the plug-in, or leave the configuration to the network add-on",
        sources: &["CNI specification: plugin discovery"],
        check: plugins,
    },
];

fn own_loopback(facts: &Facts<'_>) -> bool {
    facts.containerd.within("cni.conf-dir", &[]).is_some()
        && facts.containerd.cri_tables().iter().any(|(.., node)| {
            let cni = node
                .get("cni")
                .and_then(|cni| cni.get("use_internal_loopback"));
            cni.is_some_and(|node| node.is(true))
        })
}

/// Whether a plug-in is in one of the directories.
fn has(facts: &Facts<'_>, name: &str) -> bool {
    let dirs = facts.containerd.bin_dirs();
    dirs.iter()
        .any(|(dir, _)| facts.subject.has(&format!("{dir}/{name}")))
}

fn missing(facts: &Facts<'_>, found: &mut Found<'_>) {
    if !facts.subject.whole
        || !facts.containerd.present
        || has(facts, "loopback")
        || own_loopback(facts)
    {
        return;
    }
    let dirs = facts.containerd.bin_dirs();
    let elsewhere = ["usr/lib/cni", "opt/cni/bin", "usr/libexec/cni"];
    let elsewhere = elsewhere
        .iter()
        .find(|folder| facts.subject.has(&format!("{folder}/loopback")));
    let hint = elsewhere
        .map(|folder| format!("; it is in /{folder}"))
        .unwrap_or_default();
    let names: Vec<_> = dirs.iter().map(|(dir, _)| dir.as_str()).collect();
    let message = format!("there is no `loopback` in {}{hint}", names.join(", "));
    match dirs.first() {
        Some((_, Some(node))) => found.at_value(node, message),
        Some((dir, None)) => found.at_path(dir, message),
        None => {}
    }
}

fn loopback(facts: &Facts<'_>, found: &mut Found<'_>) {
    let (Some(said), Some(line)) = (&facts.versions.cni, facts.containerd.line()) else {
        return;
    };
    let need = companions::needs(line).find(|need| need.program == "loopback");
    if let Some(need) = need.filter(|need| said.version < need.least) {
        let message = format!(
            "CNI plug-ins {} ({}); at least {}",
            said.version, said.from, need.least
        );
        match said.from.strip_prefix('/') {
            Some(path) => found.at_path(path, message),
            None => found.nowhere(message),
        }
    }
}

fn both(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    if config.version.is_some() && config.has("both-cni-directories").is_none() {
        return;
    }
    for (_, _, node) in config.cri_tables() {
        let cni = node.get("cni");
        let key = |key: &str| cni.and_then(|cni| cni.get(key));
        if let (Some(dir), Some(dirs)) = (key("bin_dir"), key("bin_dirs"))
            && dir.text().is_some_and(|dir| !dir.is_empty())
        {
            let plain = dirs.items().len() == 1 && dirs.items()[0].text() == Some("/opt/cni/bin");
            if !plain {
                found.at(dir, "`bin_dir` is set beside `bin_dirs`");
            }
        }
    }
}

/// Places that can be written while a node with such a root runs.
fn writable(kind: ReadOnly) -> &'static [&'static str] {
    match kind {
        ReadOnly::Nodelith => &[
            "/etc/cni/net.d",
            "/etc/kubernetes",
            "/opt/cni/bin",
            "/run",
            "/tmp",
            "/var",
        ],
        ReadOnly::Bootc => &["/etc", "/run", "/tmp", "/var"],
        ReadOnly::Mounted => &["/run", "/tmp", "/var"],
    }
}

fn read_only(facts: &Facts<'_>, found: &mut Found<'_>) {
    let Some(kind) = facts
        .subject
        .read_only()
        .filter(|_| facts.containerd.present)
    else {
        return;
    };
    let mut dirs = facts.containerd.bin_dirs();
    dirs.push(facts.containerd.conf_dir());
    // Any one of several directories is enough for an add-on's programs.
    let within = |dir: &str| {
        let real = facts.subject.find(dir).map(|(path, _)| format!("/{path}"));
        let real = real.unwrap_or_else(|| dir.to_owned());
        writable(kind).iter().any(|place| {
            real.strip_prefix(place)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    };
    let (conf, bins) = dirs
        .split_last()
        .map(|(conf, bins)| (conf.clone(), bins.to_vec()))
        .unwrap_or_default();
    let mut wrong = Vec::new();
    if !within(&conf.0) {
        wrong.push(conf);
    }
    if !bins.iter().any(|(dir, _)| within(dir)) {
        wrong.extend(bins.into_iter().take(1));
    }
    for (dir, node) in wrong {
        let message = format!("`{dir}` cannot be written while the node runs");
        match node {
            Some(node) => found.at_value(node, message),
            None => found.at_path(&dir, message),
        }
    }
}

/// The configurations of CNI in the image.
fn configurations(facts: &Facts<'_>) -> Vec<usize> {
    let (dir, _) = facts.containerd.conf_dir();
    let prefix = format!("{}/", dir.trim_matches('/'));
    let texts = facts.subject.texts_below(&prefix);
    let endings: [&[u8]; 3] = [b".conf", b".conflist", b".json"];
    texts
        .filter(|text| {
            let name = facts.subject.texts[*text].path.name();
            endings.iter().any(|ending| name.ends_with(ending))
        })
        .collect()
}

fn json(facts: &Facts<'_>, text: usize) -> Result<serde_json::Value, serde_json::Error> {
    serde_json::from_str(&facts.subject.texts[text].text)
}

fn conf_version(facts: &Facts<'_>, found: &mut Found<'_>) {
    if facts.containerd.version.is_some() && facts.containerd.has("cni-without-version").is_none() {
        return;
    }
    for text in configurations(facts) {
        if json(facts, text).is_ok_and(|value| value.is_object() && value["cniVersion"].is_null()) {
            found.text(text, "there is no `cniVersion`");
        }
    }
}

fn conf_broken(facts: &Facts<'_>, found: &mut Found<'_>) {
    for text in configurations(facts) {
        if let Err(error) = json(facts, text) {
            let source = &facts.subject.texts[text].text;
            let lines = source
                .split_inclusive('\n')
                .take(error.line().saturating_sub(1));
            let at: usize = lines.map(str::len).sum();
            let error = error.to_string();
            let why = error
                .split(" at line ")
                .next()
                .unwrap_or_default()
                .to_owned();
            found.in_text(text, at, why);
        }
    }
}

fn plugins(facts: &Facts<'_>, found: &mut Found<'_>) {
    if !facts.subject.whole {
        return;
    }
    for text in configurations(facts) {
        let Ok(value) = json(facts, text) else {
            continue;
        };
        let list = value["plugins"]
            .as_array()
            .cloned()
            .unwrap_or_else(|| vec![value.clone()]);
        for plugin in &list {
            let names = [plugin["type"].as_str(), plugin["ipam"]["type"].as_str()];
            for name in names.into_iter().flatten().filter(|name| !has(facts, name)) {
                found.text(text, format!("it calls `{name}`"));
            }
        }
    }
}
