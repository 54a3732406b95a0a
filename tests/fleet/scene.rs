//! A folder with rules and objects, and the program in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::objects;

/// The first TOML block of docs/fleet.md, which is the rules of most tests.
pub fn rules() -> String {
    let page = fs::read_to_string(repository().join("docs/fleet.md")).unwrap();
    let (_, rest) = page.split_once("```toml\n").unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub struct Scene(tempfile::TempDir);

impl Scene {
    /// With the rules of docs/fleet.md.
    pub fn new(objects: &[Value]) -> Self {
        Self::with(&rules(), objects)
    }

    pub fn with(rules: &str, objects: &[Value]) -> Self {
        let scene = Self(tempfile::tempdir().unwrap());
        scene.write("fleet.toml", rules);
        scene.write("cluster.json", &objects::list(objects));
        scene
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub fn fleet(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nodelith"));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .current_dir(self.0.path())
            .arg("fleet")
            .args(arguments);
        command
    }

    pub fn plan(&self, more: &[&str]) -> Command {
        let mut command = self.fleet(&["plan", "--rules", "fleet.toml"]);
        command.args(more);
        command
    }

    pub fn json(&self, arguments: &[&str]) -> Value {
        let output = self.fleet(arguments).arg("--json").output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
    }
}

/// Exit status, standard output and standard error as one text.
pub fn said(output: &Output) -> String {
    format!(
        "status {}\n{}---\n{}",
        output.status.code().unwrap(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
