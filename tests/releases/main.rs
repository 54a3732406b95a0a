//! Programs that come as releases, through the real command line, from a server of
//! the tests' own that publishes made-up programs as their projects do.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../failures/scene.rs"]
#[expect(dead_code, reason = "only a part of it is used here")]
mod scene;

#[path = "../node/judge.rs"]
#[expect(dead_code, reason = "only a part of it is used here")]
mod judge;

mod arm64;
mod builtin;
mod locks;
mod node;
mod refused;
mod upstream;

use std::fs;
use std::process::Command;

use common::mirror::{Mirror, Recipe};
use scene::Scene;
use upstream::Upstream;

/// All that comes as a release, on a root of one made-up package.
const ALL: &str = r#"
name = "node"
version = "1"
architecture = ["amd64", "arm64"]

[debian]
suite = "trixie"
packages = ["hello"]
updates = false
security = false

[kubernetes]
version = "1.36"

[containerd]
source = "release"
version = "2.3"

[runc]
source = "release"
version = "1.4.3"

[cni]
source = "release"
version = "1.9"

[crictl]
source = "release"

[kubelet]
source = "release"
"#;

/// crictl alone.
const CRICTL: &str = r#"
name = "node"
version = "1"
architecture = "amd64"

[debian]
suite = "trixie"
packages = ["hello"]
updates = false
security = false

[kubernetes]
version = "1.36"

[crictl]
source = "release"
"#;

/// An archive of the made-up package.
fn archive() -> Mirror {
    Mirror::of(&[Recipe {
        name: "hello",
        ..Recipe::default()
    }])
}

/// A folder with a profile, the archive and the publishers.
struct Stage {
    scene: Scene,
    mirror: Mirror,
    upstream: Upstream,
}

impl Stage {
    fn new(profile: &str) -> Self {
        let stage = Self {
            scene: Scene::new(profile),
            mirror: archive(),
            upstream: Upstream::start(),
        };
        stage.scene.write("releases.toml", stage.upstream.table());
        stage
    }

    /// The program with archive and publishers.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.scene.with(&self.mirror, arguments);
        command.args(["--releases", "releases.toml"]);
        command
    }

    fn lock(&self) -> toml::Table {
        let text = fs::read_to_string(self.scene.path("node.lock.toml")).unwrap();
        text.parse().unwrap()
    }

    /// The components of the lock: name, version, source, digest.
    fn components(&self, architecture: &str) -> Vec<[String; 4]> {
        let lock = self.lock();
        let components = lock["architecture"][architecture].get("component");
        let components = components.and_then(toml::Value::as_array).cloned();
        let text = |one: &toml::Value, key| one[key].as_str().unwrap().to_owned();
        components
            .unwrap_or_default()
            .iter()
            .map(|one| ["name", "version", "source", "digest"].map(|key| text(one, key)))
            .collect()
    }

    /// Versions by name.
    fn versions(&self, architecture: &str) -> Vec<String> {
        let components = self.components(architecture).into_iter();
        components
            .map(|[name, version, ..]| format!("{name} {version}"))
            .collect()
    }

    /// Standard error of a command that must fail, with the server named so.
    fn failing(&self, status: i32, command: &mut Command) -> String {
        self.named(&self.scene.failing(status, command))
    }

    /// The same, where something comes to be all the same: another store.
    fn failing_anyhow(&self, status: i32, command: &mut Command) -> String {
        self.named(&self.scene.failing_anyhow(status, command))
    }

    fn named(&self, said: &str) -> String {
        said.replace(&self.upstream.url, "[UPSTREAM]")
    }
}
