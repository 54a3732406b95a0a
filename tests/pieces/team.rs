//! Machines that build the same profile, each with a store of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use super::common::mirror::{MINIMAL, Mirror, Recipe, minimal_packages};
use super::common::{copy_store, document, manifest_digest, nodelith, output, run, scratch};
use super::docker::DockerRegistry;

/// A file of the profile's own, so that its configuration has something to say.
pub const NOTE: &str = "\n[[files]]\npath = \"/etc/motd\"\ntext = \"hello\\n\"\n";

/// An archive, a registry, and what the first machine built.
pub struct Team {
    pub mirror: Mirror,
    pub registry: DockerRegistry,
    pub folder: tempfile::TempDir,
}

/// A machine: a store, and a folder with the profile and its lock.
pub struct Machine {
    pub folder: PathBuf,
}

impl Team {
    /// A team whose first machine, `a`, has built the profile; its cache is empty.
    pub fn new() -> Self {
        let team = Self {
            mirror: Mirror::new(minimal_packages()),
            registry: DockerRegistry::start(),
            folder: tempfile::Builder::new()
                .prefix("team-")
                .tempdir_in(scratch())
                .unwrap(),
        };
        let first = team.machine("a");
        copy_store(first_store(), &first.path("store"));
        run(first
            .nodelith(&["lock", "node.toml"])
            .args(["--mirror", &team.mirror.url()])
            .arg("--keyring")
            .arg(team.mirror.keyring()));
        team
    }

    /// Puts a newer package into the archive; its name.
    pub fn newer(&self) -> String {
        let recipe = Recipe {
            name: "base-passwd",
            fields: &[
                "Version: 99.1",
                "Architecture: amd64",
                "Essential: yes",
                "Priority: required",
            ],
            ..Recipe::default()
        };
        let folder = tempfile::tempdir().unwrap();
        self.mirror.add(&recipe.make(folder.path()));
        self.mirror.publish(None);
        recipe.name.to_owned()
    }

    /// A machine that has the profile, and the first one's lock if there is one.
    pub fn machine(&self, name: &str) -> Machine {
        let machine = Machine {
            folder: self.folder.path().join(name),
        };
        fs::create_dir(&machine.folder).unwrap();
        fs::write(machine.path("node.toml"), format!("{MINIMAL}{NOTE}")).unwrap();
        let lock = self.folder.path().join("a/node.lock.toml");
        if lock.exists() {
            fs::copy(lock, machine.path("node.lock.toml")).unwrap();
        }
        machine
    }

    /// The first machine.
    pub fn first(&self) -> Machine {
        Machine {
            folder: self.folder.path().join("a"),
        }
    }

    /// The cache.
    pub fn cache(&self) -> String {
        self.registry.name("cache")
    }

    /// A build on a machine that may use the archive.
    pub fn build(&self, machine: &Machine, arguments: &[&str]) -> Built {
        let mut command = machine.build(arguments);
        command.args(["--mirror", &self.mirror.url()]);
        Built::of(machine, command.arg("--keyring").arg(self.mirror.keyring()))
    }

    /// A build on a machine that can have nothing but what caches have.
    pub fn build_from_caches(&self, machine: &Machine, arguments: &[&str]) -> Built {
        let nowhere = format!("file://{}/nowhere", self.folder.path().display());
        let mut command = machine.build(arguments);
        Built::of(machine, command.args(["--mirror", &nowhere]))
    }
}

impl Machine {
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn nodelith(&self, arguments: &[&str]) -> Command {
        let mut command = nodelith();
        command
            .env_remove("NODELITH_STORE")
            .env("HOME", &self.folder)
            .current_dir(&self.folder)
            .args(["--store", "store"])
            .args(arguments);
        command
    }

    fn build(&self, arguments: &[&str]) -> Command {
        let mut command = self.nodelith(&[
            "build",
            "node.toml",
            "--locked",
            "--output",
            "out",
            "--json",
        ]);
        command.args(arguments);
        command
    }

    /// Changes the profile in a way that changes nothing but configuration.
    pub fn change_a_flag(&self) {
        fs::write(
            self.path("node.toml"),
            format!("{MINIMAL}{NOTE}\n[sysctl]\n\"vm.swappiness\" = 10\n"),
        )
        .unwrap();
    }

    /// How many records of a kind its store has.
    pub fn records(&self, kind: &str) -> usize {
        fs::read_dir(self.path("store/records").join(kind)).map_or(0, Iterator::count)
    }
}

/// What a build came to.
pub struct Built {
    pub status: i32,
    /// Standard error, ports and digests made out.
    pub said: String,
    /// The document; null where it failed.
    pub told: Value,
    /// Of the manifest; empty where it failed.
    pub digest: String,
}

impl Built {
    fn of(machine: &Machine, command: &mut Command) -> Self {
        let done = output(command);
        let stderr = String::from_utf8_lossy(&done.stderr).into_owned();
        let success = done.status.success();
        Self {
            status: done.status.code().unwrap(),
            said: stderr,
            told: if success {
                document(&done.stdout)
            } else {
                Value::Null
            },
            digest: if success {
                manifest_digest(&machine.path("out"))
            } else {
                String::new()
            },
        }
    }

    /// The ids of the layers that it made.
    pub fn made(&self) -> Vec<&str> {
        assert_eq!(self.status, 0, "{}", self.said);
        let layers = self.told["images"][0]["layers"].as_array().unwrap().iter();
        let made = layers.filter(|layer| layer["reused"] == false);
        made.map(|layer| layer["id"].as_str().unwrap()).collect()
    }

    /// The messages of its events of one sort.
    pub fn messages(&self, event: &str) -> Vec<String> {
        let events = self.said.lines();
        let events = events.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let events = events.filter(|said| said["event"] == event);
        events
            .map(|said| said["message"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// A store in which the profile was built.
fn first_store() -> &'static Path {
    static STORE: OnceLock<PathBuf> = OnceLock::new();
    STORE.get_or_init(|| {
        let mirror = Mirror::new(minimal_packages());
        let folder = tempfile::Builder::new()
            .prefix("team-")
            .tempdir_in(scratch())
            .unwrap();
        let machine = Machine {
            folder: folder.path().to_owned(),
        };
        fs::write(machine.path("node.toml"), format!("{MINIMAL}{NOTE}")).unwrap();
        run(machine
            .nodelith(&["build", "node.toml"])
            .args(["--mirror", &mirror.url()])
            .arg("--keyring")
            .arg(mirror.keyring()));
        let kept = scratch().join("team-store");
        let _ = fs::remove_dir_all(&kept);
        fs::rename(machine.path("store"), &kept).unwrap();
        kept
    })
}
