//! Profiles that between them set every setting: the daemon takes each value.

mod effective;
mod table;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use nodelith::compat::Version;
use nodelith::compat::containerd::{Location, location, setting, settings};

use super::common::containerd::Suite;
use super::common::{all, document, nodelith, profile, root, run, scratch};
use super::node::{Running, dumped};
use table::{AS_BY_DEFAULT, LEFT_OUT, NAME, PROFILES, Profile, Started};

const SUITES: [Suite; 3] = [Suite::Forky, Suite::Trixie, Suite::Bookworm];

#[test]
fn containerd_2_1() {
    hold(Suite::Forky);
}

#[test]
fn containerd_1_7() {
    if all("profiles on containerd 1.7") {
        hold(Suite::Trixie);
    }
}

#[test]
fn containerd_1_6() {
    if all("profiles on containerd 1.6") {
        hold(Suite::Bookworm);
    }
}

fn hold(suite: Suite) {
    if !root("containerd runs as root") {
        return;
    }
    let version = suite.version().parse().unwrap();
    let profiles = PROFILES.iter().filter(|one| one.suites.contains(&suite));
    // All are tried, so that one run tells all that is wrong.
    let failed = profiles.filter(|profile| {
        let tried = std::panic::catch_unwind(|| tried(profile, suite, version));
        tried.is_err()
    });
    let failed: Vec<_> = failed.map(|profile| profile.name).collect();
    assert!(failed.is_empty(), "{failed:?} on {}", suite.name());
}

fn tried(profile: &Profile, suite: Suite, version: Version) {
    let folder = tempfile::tempdir_in(scratch()).unwrap();
    let files = configured(folder.path(), suite, &profile.written(version));
    let config = files.join("etc/containerd/config.toml");
    if profile.can_start() {
        let running = Running::over(suite, &files);
        effective::answers(profile, &running);
        let effective = running.dump();
        effective::holds(profile, version, &config, &effective);
        effective::in_status(profile, version, &running.config());
        effective::quiet(profile, &running);
    } else {
        let effective = dumped(suite, &config);
        effective::holds(profile, version, &config, &effective);
    }
}

/// Builds the profile over the suite's root and unpacks what it configures.
fn configured(folder: &Path, suite: Suite, text: &str) -> std::path::PathBuf {
    let path = profile(folder, &format!("{}{text}", suite.profile()));
    fs::copy(suite.lock(), folder.join("lock.toml")).unwrap();
    let mut build = nodelith();
    build
        .args(["build", "--json", "--ignore-valid-until"])
        .args(["--output", "image", "--compression", "none"])
        .args(["--accept-findings", "a root to try programs in, no node"])
        .args(["--lock", "lock.toml"])
        .arg(path)
        .current_dir(folder);
    let built = document(&run(&mut build));
    let layers = built["images"][0]["layers"].as_array().unwrap();
    let layer = layers.iter().find(|layer| layer["id"] == "configuration");
    let digest = layer.unwrap()["digest"].as_str().unwrap();
    let files = folder.join("files");
    fs::create_dir(&files).unwrap();
    let mut tar = Command::new("tar");
    tar.arg("-xf")
        .arg(folder.join("image/blobs").join(digest.replace(':', "/")))
        .arg("-C")
        .arg(&files);
    run(&mut tar);
    fs::remove_dir_all(folder.join("image")).unwrap();
    certificate(&files.join("etc/tls"));
    files
}

/// What is given to a node and never in its image.
fn certificate(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let mut openssl = Command::new("openssl");
    openssl
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
        ])
        .args(["-nodes", "-days", "9", "-subj", "/CN=localhost"])
        .args(["-keyout", "server.key", "-out", "server.crt"])
        .current_dir(folder);
    run(&mut openssl);
}

impl Profile {
    fn can_start(&self) -> bool {
        match self.started {
            Started::Always => true,
            Started::OnCgroup2 => Path::new("/sys/fs/cgroup/cgroup.controllers").exists(),
            Started::Never(why) => {
                assert!(!why.is_empty());
                false
            }
        }
    }

    /// Its text for a version: further settings stand where that has them.
    fn written(&self, version: Version) -> String {
        let mut extra = toml::Table::new();
        let mut handler = toml::Table::new();
        for (name, value) in self.further {
            let Some(place) = place(name, version) else {
                continue;
            };
            let handlers = location("runtimes", version).unwrap().path;
            match place.path.strip_prefix(handlers.as_slice()) {
                Some([_, rest @ ..]) if !rest.is_empty() => put(&mut handler, rest, parsed(value)),
                _ => put(&mut extra, &place.path, parsed(value)),
            }
        }
        // Under what its text says.
        let mut text: toml::Table = self.text.parse().unwrap();
        let containerd = text
            .entry("containerd")
            .or_insert_with(|| toml::Table::new().into());
        let containerd = containerd.as_table_mut().unwrap();
        let mut further = toml::Table::new();
        if !extra.is_empty() {
            further.insert("extra".to_owned(), extra.into());
        }
        if !handler.is_empty() {
            put(
                &mut further,
                &["runtimes".to_owned(), NAME.to_owned()],
                handler.into(),
            );
        }
        lay(containerd, further);
        toml::to_string(&text).unwrap()
    }

    /// What it asks for, and where this version has it.
    fn asked(&self, version: Version) -> Vec<(&'static str, Vec<String>, toml::Value)> {
        let all = self.asks.iter().map(|pair| (pair, true));
        let all = all.chain(self.further.iter().map(|pair| (pair, false)));
        all.filter_map(|((name, value), must)| {
            let place = place(name, version);
            assert!(place.is_some() || !must, "{}: {name}", self.name);
            let place = place?;
            let value = match place.list {
                true => toml::Value::Array(vec![parsed(value)]),
                false => parsed(value),
            };
            Some((*name, place.path, value))
        })
        .collect()
    }
}

/// Where a version has a setting, with a name for any.
fn place(name: &str, version: Version) -> Option<Location> {
    let mut place = location(name, version).ok()?;
    for key in place.path.iter_mut().filter(|key| *key == "*") {
        NAME.clone_into(key);
    }
    Some(place)
}

fn parsed(value: &str) -> toml::Value {
    let table: toml::Table = format!("value = {value}").parse().unwrap();
    table["value"].clone()
}

fn put(table: &mut toml::Table, path: &[String], value: toml::Value) {
    let (last, folders) = path.split_last().unwrap();
    let mut table = table;
    for folder in folders {
        let next = table
            .entry(folder.clone())
            .or_insert_with(|| toml::Table::new().into());
        table = next.as_table_mut().unwrap();
    }
    table.insert(last.clone(), value);
}

fn lay(under: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(toml::Value::Table(under)), toml::Value::Table(over)) => lay(under, over),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

/// No setting of these versions is without a profile that sets it to another value
/// than containerd's own.
#[test]
fn every_setting_is_set() {
    let started = |one: &&Profile| one.started == Started::Always;
    assert!(PROFILES.iter().filter(started).count() >= 12);
    for (suite, version) in SUITES.into_iter().zip(["2.1.9", "1.7.24", "1.6.20"]) {
        let version: Version = version.parse().unwrap();
        let mut set = BTreeSet::new();
        let mut changed = BTreeSet::new();
        for profile in PROFILES.iter().filter(|one| one.suites.contains(&suite)) {
            for (name, _, value) in profile.asked(version) {
                set.insert(name);
                if setting(name).unwrap().default(version) != Some(&value) {
                    changed.insert(name);
                }
            }
        }
        for setting in settings() {
            let name = setting.name.as_str();
            if location(name, version).is_err() {
                continue;
            }
            let left_out = LEFT_OUT.iter().any(|(start, _)| name.starts_with(start));
            assert_ne!(set.contains(name), left_out, "{name} on {}", suite.name());
            let by_default = AS_BY_DEFAULT.iter().any(|(one, _)| *one == name);
            let same = set.contains(name) && !changed.contains(name);
            assert_eq!(same, by_default, "{name} on {}", suite.name());
        }
    }
}
