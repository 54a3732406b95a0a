//! Whatever daemon.json says: a profile that loads comes of it, and every key is in just
//! one of the three parts.

use std::collections::BTreeMap;

use nodelith::check::subject::Subject;
use nodelith::compat::docker;
use nodelith::import::{Imported, Target, import, report};
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
    let mut subject = Subject::new(node, false);
    let text = serde_json::to_string_pretty(daemon).unwrap();
    let path = "/etc/docker/daemon.json";
    subject.add_text(path[1..].into(), path.into(), text);
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
}
