//! Images that a profile has its node carry: from registries, layouts and archives,
//! into the lock and into the node, through the real command line.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "../registry/scene.rs"]
#[expect(dead_code, reason = "only a part of it is used here")]
mod blobs;
#[path = "../common/mod.rs"]
mod common;
#[path = "../registry/docker.rs"]
#[expect(dead_code, reason = "only a part of it is used here")]
mod docker;
#[path = "../failures/scene.rs"]
#[expect(dead_code, reason = "only a part of it is used here")]
mod scene;

mod locks;
mod node;
mod real;
mod refused;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use blobs::{Blobs, layer};
use common::mirror::{Mirror, Recipe, minimal_packages};
use common::{copy_store, run, scratch};
use docker::DockerRegistry;
use scene::{HELLO, Scene};

/// A folder with a profile, the archive of a made-up package, and a registry.
struct Stage {
    scene: Scene,
    mirror: Mirror,
    registry: DockerRegistry,
}

impl Stage {
    /// `REGISTRY` in the profile stands for the registry's host.
    fn new(images: &str) -> Self {
        let registry = DockerRegistry::start();
        let images = images.replace("REGISTRY", &registry.host);
        let recipe = Recipe {
            name: "hello",
            ..Recipe::default()
        };
        Self {
            scene: Scene::new(&format!("{HELLO}{images}")),
            mirror: Mirror::of(&[recipe]),
            registry,
        }
    }

    /// A node with a made-up containerd of this version, and systemd; the store has its root.
    fn node(containerd: &'static str, images: &str) -> Self {
        let registry = DockerRegistry::start();
        let images = images.replace("REGISTRY", &registry.host);
        let stage = Self {
            scene: Scene::new(&format!("{NODE}{images}")),
            mirror: mirror(containerd),
            registry,
        };
        stage.renew_store(containerd);
        stage
    }

    /// Puts a store in place that has a root alone.
    fn renew_store(&self, containerd: &'static str) {
        let store = self.scene.path("store");
        let _ = fs::remove_dir_all(&store);
        copy_store(&root(containerd), &store);
    }

    fn build(&self, output: &str) -> Command {
        build(&self.scene, &self.mirror, output)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        self.scene.with(&self.mirror, arguments)
    }

    /// Writes a layout of an index of images for these architectures, each with a
    /// layer of its own and one for all.
    fn layout(&self, name: &str, architectures: &[&str], text: &str) -> PathBuf {
        let mut blobs = Blobs::default();
        let images: Vec<_> = architectures
            .iter()
            .map(|architecture| {
                let own = layer("own", format!("{text} {architecture}").as_bytes());
                blobs.image(architecture, &[layer("shared", b"shared"), own])
            })
            .collect();
        let top = match &images[..] {
            [one] => one.clone(),
            several => blobs.index(several),
        };
        let folder = self.scene.path(name);
        let _ = fs::remove_dir_all(&folder);
        blobs.write(&folder, &[top]);
        folder
    }

    /// Pushes a layout to the registry.
    fn push(&self, layout: &str, name: &str) {
        let reference = self.registry.name(name);
        run(&mut self
            .scene
            .nodelith(&["push", &format!("oci:{layout}"), &reference]));
    }

    /// The images of the lock.
    fn images(&self, architecture: &str) -> Vec<toml::Table> {
        let text = fs::read_to_string(self.scene.path("node.lock.toml")).unwrap();
        let lock: toml::Table = text.parse().unwrap();
        let images = lock["architecture"][architecture].get("image").cloned();
        let images = images.and_then(|images| images.try_into().ok());
        images.unwrap_or_default()
    }

    /// Standard error of a command that must fail, the registry named so.
    fn failing(&self, status: i32, command: &mut Command) -> String {
        self.named(&self.scene.failing(status, command))
    }

    fn named(&self, said: &str) -> String {
        let mut said = said.replace(&self.registry.host, "REGISTRY");
        // Ports differ in length.
        while said.contains("^^") {
            said = said.replace("^^", "^");
        }
        said
    }
}

/// A node that runs nothing.
const NODE: &str = r#"
name = "node"
version = "1"
architecture = "amd64"

[debian]
suite = "trixie"
packages = ["systemd"]
updates = false
security = false

[containerd]
source = "package"
"#;

/// What Debian's smallest root has, a containerd and a systemd.
fn mirror(containerd: &str) -> Mirror {
    let folder = tempfile::tempdir().unwrap();
    let version = format!("Version: {containerd}");
    let unit: &[u8] = b"[Service]\nExecStart=/usr/bin/containerd\n";
    let containerd = Recipe {
        name: "containerd",
        fields: &[&version],
        files: &[
            ("usr/bin/containerd", b"x"),
            ("usr/lib/systemd/system/containerd.service", unit),
        ],
        ..Recipe::default()
    };
    let systemd = Recipe {
        name: "systemd",
        files: &[("usr/lib/systemd/systemd", b"x")],
        ..Recipe::default()
    };
    let mut packages = minimal_packages().to_vec();
    packages.extend([containerd, systemd].map(|recipe| recipe.make(folder.path())));
    Mirror::new(&packages)
}

/// A store in which the node's root was made, once for each containerd.
fn root(containerd: &'static str) -> PathBuf {
    static STORES: Mutex<BTreeMap<&str, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut stores = STORES.lock().unwrap_or_else(PoisonError::into_inner);
    let store = stores.entry(containerd).or_insert_with(|| {
        let image = "[[images]]\nreference = \"r.example/none:1\"\nsource = \"oci:none\"\n";
        let scene = Scene::new(&format!("{NODE}{image}"));
        let mut blobs = Blobs::default();
        let none = blobs.image("amd64", &[]);
        blobs.write(&scene.path("none"), &[none]);
        run(&mut build(&scene, &mirror(containerd), "out"));
        let kept = scratch().join(format!("preload-{containerd}"));
        let _ = fs::remove_dir_all(&kept);
        fs::rename(scene.path("store"), &kept).unwrap();
        kept
    });
    store.clone()
}

/// Builds a profile, whatever a check of so small a node finds.
fn build(scene: &Scene, mirror: &Mirror, output: &str) -> Command {
    let mut command = scene.with(mirror, &["build", "node.toml", "--output", output]);
    command.args(["--compression", "none", "--accept-findings", "no real node"]);
    command
}

/// The digest that a layout's index names.
fn digest(layout: &std::path::Path) -> String {
    common::manifest_digest(layout)
}
