//! What a daemon makes of its configuration, held against what was asked for.

use std::fs;
use std::path::Path;

use nodelith::compat::Version;
use serde_json::Value;

use super::Profile;
use crate::common::containerd::Suite;
use crate::node::{Dump, Running};

/// What a daemon says of settings that it does not take as they are.
const COMPLAINTS: [&str; 5] = [
    "unknown key",
    "deprecated",
    "migrated",
    "invalid plugin config",
    "Falling back to local image pull",
];

/// The whole configuration has every value that the profile asked for, and all else
/// that stands in the file.
pub fn holds(profile: &Profile, version: Version, config: &Path, effective: &Dump) {
    let name = profile.name;
    assert_eq!(effective.said, "", "{name}");
    let mut table = effective.table.clone();
    if let Some(toml::Value::Array(imports)) = table.get_mut("imports") {
        // containerd 1.x adds the importing file itself.
        imports.retain(|file| file.as_str() != Some("/etc/containerd/config.toml"));
    }
    for (setting, path, value) in profile.asked(version) {
        let missing = missing(&value, at(&table, &path));
        assert!(missing.is_empty(), "{name}: {setting}: {missing:?}");
    }
    let file: toml::Table = fs::read_to_string(config).unwrap().parse().unwrap();
    let lost = missing(&file.into(), Some(&table.into()));
    assert!(lost.is_empty(), "{name}: {lost:?}");
}

/// CRI's status has what the profile asked for, as far as it tells of it.
pub fn in_status(profile: &Profile, version: Version, status: &Value) {
    for (setting, path, value) in profile.asked(version) {
        of_status(profile.name, setting, &path, &value, status);
    }
}

/// Version, Status, and `RuntimeConfig` where there is such a thing.
pub fn answers(profile: &Profile, running: &Running) {
    let version = running.says(&["version"]);
    let minor = format!("RuntimeVersion:  {}.", running.0.suite.containerd());
    assert!(version.contains(&minor), "{version}");
    let info: Value = serde_json::from_str(&running.says(&["info"])).unwrap();
    let conditions = info["status"]["conditions"].as_array().unwrap();
    let is = |kind: &str| conditions.iter().find(|one| one["type"] == kind);
    assert_eq!(is("RuntimeReady").unwrap()["status"], true, "{info:#}");
    if let Some(condition) = is("ContainerdHasNoDeprecationWarnings") {
        assert_eq!(condition["status"], true, "{}: {condition:#}", profile.name);
    }
    if running.0.suite != Suite::Forky {
        let said = running.refuses(&["runtime-config"]);
        assert!(said.contains("code = Unimplemented"), "{said}");
        return;
    }
    let driver = match profile.text.contains("systemd-cgroup = false") {
        true => "cgroup driver:   CGROUPFS\n",
        false => "cgroup driver:   SYSTEMD\n",
    };
    assert_eq!(
        running.says(&["runtime-config"]),
        driver,
        "{}",
        profile.name
    );
}

/// The log holds nothing against the configuration.
pub fn quiet(profile: &Profile, running: &Running) {
    let log = running.0.log();
    let complaints = complaints(&log);
    assert!(complaints.is_empty(), "{}: {complaints:#?}", profile.name);
}

/// The lines of a log, as text or JSON, that have something against the configuration.
fn complaints(log: &str) -> Vec<&str> {
    let is_bad = |line: &str| {
        ["warning", "error"].into_iter().any(|level| {
            line.contains(&format!("level={level}"))
                || line.contains(&format!("\"level\":\"{level}\""))
        })
    };
    let about = |line: &str| COMPLAINTS.iter().any(|complaint| line.contains(complaint));
    log.lines()
        .filter(|line| is_bad(line) && about(line))
        .collect()
}

fn at<'a>(table: &'a toml::Table, path: &[String]) -> Option<&'a toml::Value> {
    let (first, rest) = path.split_first()?;
    let start = table.get(first)?;
    rest.iter()
        .try_fold(start, |value, key| value.as_table()?.get(key))
}

/// What is asked for and not found: tables key by key, all else as a whole.
fn missing(asked: &toml::Value, found: Option<&toml::Value>) -> Vec<String> {
    match (asked, found) {
        (toml::Value::Table(asked), Some(toml::Value::Table(found))) => asked
            .iter()
            .flat_map(|(key, value)| {
                let missing = missing(value, found.get(key));
                missing.into_iter().map(move |one| format!("{key}.{one}"))
            })
            .collect(),
        (toml::Value::Array(asked), Some(toml::Value::Array(found)))
            if asked.len() == found.len() =>
        {
            let pairs = asked.iter().zip(found);
            pairs
                .flat_map(|(asked, found)| missing(asked, Some(found)))
                .collect()
        }
        (asked, Some(found)) if asked == found => Vec::new(),
        (asked, found) => vec![format!(" {asked} became {found:?}")],
    }
}

/// The plug-ins whose settings CRI's status has, by version of the configuration.
const IN_STATUS: [&str; 2] = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime"];

/// The verbose status of CRI has it too, where that plug-in's settings are in it.
fn of_status(name: &str, setting: &str, path: &[String], value: &toml::Value, status: &Value) {
    let [plugins, plugin, keys @ ..] = path else {
        return;
    };
    if plugins != "plugins" || !IN_STATUS.contains(&plugin.as_str()) {
        return;
    }
    // From 2.0 on the streaming server's settings are in no status.
    if setting.starts_with("streaming.") && status.get("streamServerPort").is_none() {
        return;
    }
    let found = keys.iter().try_fold(status, |value, key| look(value, key));
    let found = found.unwrap_or_else(|| panic!("{name}: {setting} is not in {status:#}"));
    assert!(
        same(value, found),
        "{name}: {setting}: {value} became {found}"
    );
}

/// A key by its name in the configuration: Go writes its JSON in another way.
fn look<'a>(table: &'a Value, key: &str) -> Option<&'a Value> {
    let bare = |key: &str| key.replace('_', "").to_ascii_lowercase();
    // Its name before 2.0.
    let old = (key == "max_container_log_line_size").then_some("maxContainerLogSize");
    let table = table.as_object()?;
    let found = table
        .iter()
        .find(|(name, _)| bare(name) == bare(key) || Some(name.as_str()) == old);
    found.map(|(_, value)| value)
}

fn same(asked: &toml::Value, found: &Value) -> bool {
    match asked {
        toml::Value::Table(asked) => asked
            .iter()
            .all(|(key, value)| look(found, key).is_some_and(|found| same(value, found))),
        asked => serde_json::to_value(asked).unwrap() == *found,
    }
}

/// The judge finds what is lost and what is changed.
#[test]
fn the_judge_judges() {
    let table = |text: &str| toml::Value::from(text.parse::<toml::Table>().unwrap());
    let asked = table("a = { b = 1, c = [\"x\"] }");
    assert!(missing(&asked, Some(&table("a = { b = 1, c = [\"x\"], d = 2 }"))).is_empty());
    for wrong in [
        "a = { b = 2, c = [\"x\"] }",
        "a = { b = 1 }",
        "a = { b = 1, c = [] }",
        "",
    ] {
        assert_eq!(missing(&asked, Some(&table(wrong))).len(), 1, "{wrong}");
    }
    let status =
        serde_json::json!({"enableTLSStreaming": true, "runtimes": {"one": {"runtimeType": "t"}}});
    let found = look(&status, "enable_tls_streaming").unwrap();
    assert!(same(&true.into(), found) && !same(&false.into(), found));
    assert!(look(&status, "enable_selinux").is_none());
    let log = "level=warning msg=\"Ignoring unknown key in TOML for plugin\" key=x\n\
        {\"level\":\"warning\",\"msg\":\"`bin_dir` is deprecated\"}\n\
        level=info msg=\"nothing is deprecated\"\nlevel=warning msg=\"Selinux is not supported\"\n";
    assert_eq!(complaints(log).len(), 2);
    let runtimes = look(&status, "runtimes").unwrap();
    assert!(same(&table("one = { runtime_type = \"t\" }"), runtimes));
    assert!(!same(&table("two = { runtime_type = \"t\" }"), runtimes));
}
