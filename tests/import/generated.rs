//! Whatever daemon.json, lists of images, Node objects, limits and networks say: a profile
//! that loads comes of it, and every setting is in just one of the three parts.

use std::collections::BTreeMap;

use nodelith::check::subject::Subject;
use nodelith::compat::docker;
use nodelith::import::{Imported, Target, import, report};
use nodelith::profile::Profile;
use nodelith::profile::file::Architecture;
use proptest::prelude::*;
use serde_json::{Value, json};

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z0-9:/.@=,%\" \\\\-]{0,24}".prop_map(Value::from),
        Just(json!("json-file")),
        Just(json!("https://mirror.example")),
        Just(json!("native.cgroupdriver=systemd")),
        Just(json!("max-size=10m")),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-zA-Z.\"\n-]{1,12}", inner, 0..4)
                .prop_map(|map| json!(map)),
        ]
    })
}

fn daemon() -> impl Strategy<Value = BTreeMap<String, Value>> {
    let known: Vec<String> = docker::settings()
        .iter()
        .flat_map(|row| row.keys.clone())
        .collect();
    let key = prop_oneof![9 => prop::sample::select(known), 1 => "[a-z\n-]{1,10}"];
    prop::collection::btree_map(key, value(), 0..12)
}

/// What a profile can have because of daemon.json, or as every node of ours has it.
const SECTIONS: [&str; 18] = [
    "architecture",
    "certificates",
    "cni",
    "containerd",
    "crictl",
    "debian",
    "files",
    "kernel",
    "kubelet",
    "kubernetes",
    "modules",
    "name",
    "pause",
    "proxy",
    "runc",
    "sysctl",
    "units",
    "version",
];

/// The import of a node that has this daemon.json.
fn made(node: &str, daemon: &Value, minor: u32) -> nodelith::error::Result<Imported> {
    let text = serde_json::to_string_pretty(daemon).unwrap();
    of_files(node, &[("/etc/docker/daemon.json", text)], minor)
}

/// The import of a node that has these files.
fn of_files(node: &str, files: &[(&str, String)], minor: u32) -> nodelith::error::Result<Imported> {
    let mut subject = Subject::new(node, false);
    for (path, text) in files {
        subject.add_text(path[1..].into(), (*path).into(), text.clone());
    }
    let target = Target {
        name: "generated".to_owned().try_into().unwrap(),
        architecture: Architecture::Amd64,
        suite: None,
        kubernetes: Some(format!("1.{minor}.0").parse().unwrap()),
    };
    import(&subject, &target, &|_, _| Ok(()))
}

/// Names of the node's files and settings end no comment, and are no commands for a terminal.
#[test]
fn names_are_no_lines_of_the_profile() {
    let evil = "\u{1b}[2J\u{9b}x\r\n[proxy]\nhttp = \"http://evil.example\"\n#";
    let daemon = json!({
        "runtimes": {evil: {"path": "/usr/bin/crun"}},
        "log-opts": {evil: "x"},
        evil: "x",
    });
    let made = made(&format!("node{evil}"), &daemon, 33).unwrap();
    let profile: toml::Table = made.profile.parse().unwrap();
    assert!(!profile.contains_key("proxy"), "{}", made.profile);
    let packages = profile["debian"]["packages"].as_array().unwrap();
    assert!(packages.contains(&"crun".into()), "{}", made.profile);
    for text in [&made.profile, &report::text(&made)] {
        assert!(text.contains("evil.example"), "{text}");
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'));
        assert!(!text.contains("\n[proxy]"), "{text}");
    }
}

/// A text of a node that is a name, nearly one, or none at all.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z0-9]{1,8}([./:-][a-z0-9]{1,6}){0,3}",
        1 => "[ -~\n\u{80}-\u{9f}]{0,12}",
        1 => Just("<none>".to_owned()),
    ]
}

/// What a list says of an image: repository, tag, and whether a registry has it.
fn listed() -> impl Strategy<Value = Vec<(String, String, bool)>> {
    prop::collection::vec((word(), word(), any::<bool>()), 0..8)
}

const IMAGE: &str = "sha256:0d17b565c37bcbd895e9d92315a05c1c3c9a29f762b011a10c54a66cd53c9b31";

/// The list as `docker images` and `crictl images` write it.
fn lists(images: &[(String, String, bool)]) -> [String; 2] {
    let digest = |known: &bool| if *known { IMAGE } else { "<none>" };
    let docker = images.iter().map(|(repository, tag, known)| {
        let line = json!({"Repository": repository, "Tag": tag, "Digest": digest(known)});
        format!("{line}\n")
    });
    let crictl = images.iter().map(|(repository, tag, known)| {
        let digests: Vec<_> = known
            .then(|| format!("{repository}@{IMAGE}"))
            .into_iter()
            .collect();
        json!({"repoTags": [format!("{repository}:{tag}")], "repoDigests": digests})
    });
    let crictl = json!({"images": crictl.collect::<Vec<_>>()});
    [docker.collect(), crictl.to_string()]
}

/// The profile with what it suggests in comments.
fn with_suggestions(profile: &str) -> String {
    let lines = profile.lines().map(|line| {
        let rest = line.strip_prefix('#').filter(|rest| !rest.starts_with(' '));
        format!("{}\n", rest.unwrap_or(line))
    });
    lines.collect()
}

fn loads(profile: &str) -> nodelith::error::Result<Profile> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("generated.toml");
    std::fs::write(&path, profile).unwrap();
    Profile::load(&path)
}

/// A Node object, with its labels, taints and annotations.
fn object() -> impl Strategy<Value = Value> {
    let texts = || prop::collection::btree_map(word(), word(), 0..5);
    let amounts = || {
        let name = prop_oneof![
            Just("cpu".to_owned()),
            Just("memory".to_owned()),
            Just("pods".to_owned()),
            Just("hugepages-2Mi".to_owned()),
            Just("hugepages-1Gi".to_owned()),
            word(),
        ];
        let amount = prop_oneof!["[0-9]{1,6}(m|Ki|Mi|Gi)?", "[0-9]{20}", word()];
        prop::collection::btree_map(name, amount, 0..5)
    };
    let effect = prop_oneof![Just("NoSchedule".to_owned()), word()];
    let taints = prop::collection::vec((word(), word(), effect), 0..4);
    (texts(), texts(), taints, amounts(), amounts(), value()).prop_map(
        |(labels, annotations, taints, capacity, allocatable, info)| {
            let taint =
                |(key, value, effect)| json!({"key": key, "value": value, "effect": effect});
            let taints: Vec<_> = taints.into_iter().map(taint).collect();
            json!({
                "kind": "Node",
                "metadata": {"name": "n", "labels": labels, "annotations": annotations},
                "spec": {"taints": taints},
                "status": {"capacity": capacity, "allocatable": allocatable, "nodeInfo": info},
            })
        },
    )
}

/// Whether nothing is said below a key.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn whatever_daemon_json_says(daemon in daemon(), minor in 18u32..38) {
        let made = made("generated", &json!(daemon), minor);
        let made = made.map_err(|error| TestCaseError::fail(error.to_string()))?;
        let profile: toml::Table = made.profile.parse().unwrap();
        let asked = profile.keys().all(|key| SECTIONS.contains(&key.as_str()));
        prop_assert!(asked, "{}", made.profile);
        let is_text = |text: &str| !text.contains(|c: char| c.is_control() && c != '\n');
        prop_assert!(is_text(&report::text(&made)));
        for (key, value) in &daemon {
            let of = |setting: &str| {
                setting == format!("docker {key}") || setting.starts_with(&format!("docker {key}."))
            };
            let count = made.items.iter().filter(|item| of(&item.setting)).count();
            match value {
                Value::Object(_) | Value::Array(_) => prop_assert!(
                    count > 0 || is_empty(value), "{key} is in no part: {value}"
                ),
                _ => prop_assert_eq!(count, 1, "{}: {}", key, value),
            }
        }
    }

    #[test]
    fn whatever_lists_of_images_say(images in listed(), minor in 18u32..38) {
        let [docker, crictl] = lists(&images);
        for (path, text) in [("/nodelith/docker-images.json", docker), ("/nodelith/crictl-images.json", crictl)] {
            let made = of_files("generated", &[(path, text)], minor);
            let made = made.map_err(|error| TestCaseError::fail(error.to_string()))?;
            let count = made.items.iter().filter(|item| item.setting.starts_with("image ")).count();
            prop_assert_eq!(count, images.len(), "{:?}", made.items);
            // What is suggested is good as it stands.
            let whole = loads(&with_suggestions(&made.profile));
            let whole = whole.map_err(|error| TestCaseError::fail(format!("{error}\n{}", made.profile)))?;
            let carried = made.items.iter().filter(|item| item.why.as_ref().is_some_and(|why| why.contains("last lines")));
            prop_assert!(whole.images.len() <= carried.count());
        }
    }

    #[test]
    fn whatever_a_node_object_says(object in object(), minor in 18u32..38) {
        let text = serde_json::to_string_pretty(&object).unwrap();
        let made = of_files("generated", &[("/nodelith/node.json", text)], minor);
        let made = made.map_err(|error| TestCaseError::fail(error.to_string()))?;
        let parts = [("label", "/metadata/labels"), ("annotation", "/metadata/annotations"), ("taint", "/spec/taints"), ("capacity", "/status/capacity"), ("allocatable", "/status/allocatable")];
        for (part, place) in parts {
            let given = object.pointer(place).unwrap();
            let given = given.as_array().map_or_else(|| given.as_object().unwrap().len(), Vec::len);
            let of = format!("node {part} ");
            let count = made.items.iter().filter(|item| item.setting.starts_with(&of)).count();
            prop_assert_eq!(count, given, "{}: {:?}", part, made.items);
        }
    }

    #[test]
    fn whatever_limits_and_networks_say(
        lines in prop::collection::vec(prop::collection::vec(word(), 0..6), 0..6),
        network in value(),
        minor in 18u32..38,
    ) {
        let limits: Vec<String> = lines.iter().map(|words| words.join(" ").replace('\n', " ")).collect();
        let network = json!({"cniVersion": "1.0.0", "name": "n", "type": "bridge", "more": network});
        let files = [
            ("/etc/security/limits.d/docker.conf", limits.join("\n")),
            ("/etc/cni/net.d/10-x.conf", network.to_string()),
        ];
        let made = of_files("generated", &files, minor);
        let made = made.map_err(|error| TestCaseError::fail(error.to_string()))?;
        let of = |begin: &str| made.items.iter().filter(|item| item.setting.starts_with(begin)).count();
        prop_assert_eq!(of("network "), 1);
        let said = limits.iter().filter(|line| {
            let line = line.split('#').next().unwrap();
            !line.trim().is_empty()
        });
        prop_assert_eq!(of("limits "), said.count(), "{:?}", limits);
    }
}
