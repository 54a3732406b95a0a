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
mod refused;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use blobs::{Blobs, layer};
use common::mirror::{Mirror, Recipe};
use common::run;
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

/// The digest that a layout's index names.
fn digest(layout: &std::path::Path) -> String {
    common::manifest_digest(layout)
}
