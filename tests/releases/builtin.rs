//! The crictl that is part of Nodelith: found beside the program, kept by the store.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use insta::assert_snapshot;
use nodelith::digest::Digest;

use super::common::run;
use super::{CRICTL, Stage};

const OWN: &[u8] = b"#!/bin/sh\necho one\n";
const OTHER: &[u8] = b"#!/bin/sh\necho another\n";

/// A stage whose program is in a folder of its own.
struct Installed(Stage);

impl Installed {
    fn new() -> Self {
        let stage = Stage::new(&CRICTL.replace("\"release\"", "\"builtin\""));
        fs::create_dir(stage.scene.path("bin")).unwrap();
        // A copy that was just written cannot be run while another test starts programs.
        let program = stage.scene.path("bin/nodelith");
        fs::hard_link(env!("CARGO_BIN_EXE_nodelith"), program).unwrap();
        Self(stage)
    }

    fn crictl(&self, bytes: &[u8]) {
        let path = self.0.scene.write("bin/nodelith-crictl", bytes);
        fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }

    /// The installed program with archive and publishers.
    fn command(&self, arguments: &[&str]) -> Command {
        let command = self.0.command(arguments);
        let mut installed = Command::new(self.0.scene.path("bin/nodelith"));
        installed.args(command.get_args());
        installed.env_clear();
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                installed.env(name, value);
            }
        }
        installed.current_dir(command.get_current_dir().unwrap());
        installed
    }

    fn failing(&self, status: i32, command: &mut Command) -> String {
        self.0.failing_anyhow(status, command)
    }
}

#[test]
fn it_is_found_beside_the_program_and_kept_in_the_store() {
    let stage = Installed::new();
    let mut lock = stage.command(&["lock", "node.toml"]);
    assert_snapshot!(stage.failing(3, &mut lock), @r#"
    error: there is no built-in crictl at `[SCENE]/bin/nodelith-crictl`
      --> node.toml:15:10
       |
    15 | source = "builtin"
       |          ^^^^^^^^^
    hint: install all of Nodelith's programs in one folder: `cargo install --locked --path .`
    hint: or name the file with `--component crictl=FILE`
    "#);
    stage.crictl(OWN);
    run(&mut stage.command(&["lock", "node.toml"]));
    let [[_, version, source, digest]] = &stage.0.components("amd64")[..] else {
        panic!();
    };
    assert_eq!(
        [version.as_str(), source, digest],
        [
            env!("CARGO_PKG_VERSION"),
            "builtin",
            &Digest::of(OWN).to_string()
        ]
    );
    // The one that is locked comes from the store, from a vendor folder, or not at all.
    stage.crictl(OTHER);
    run(&mut stage.command(&["vendor", "node.toml"]));
    let vendored = format!("vendor/components/{}", Digest::of(OWN).hex());
    assert_eq!(fs::read(stage.0.scene.path(&vendored)).unwrap(), OWN);
    let mut from = stage.command(&["vendor", "node.toml", "--vendor", "vendor", "-o", "again"]);
    run(from.args(["--store", "second"]));
    let mut build = stage.command(&["build", "node.toml", "--store", "third"]);
    assert_snapshot!(stage.failing(3, &mut build), @r"
    error: the lock has the crictl that was built into nodelith 0.1.0 for amd64 (sha256:[DIGEST]), and it is neither in the store nor beside this nodelith 0.1.0
    hint: take the one at hand: renew the lock with `nodelith lock --update crictl`
    hint: or name the file with `--component crictl=FILE`
    ");
    // Beside the program again.
    stage.crictl(OWN);
    run(&mut stage.command(&[
        "vendor",
        "node.toml",
        "--store",
        "third",
        "-o",
        "third-vendor",
    ]));
    // Renewed.
    stage.crictl(OTHER);
    run(&mut stage.command(&["lock", "node.toml", "--update", "crictl"]));
    assert_eq!(
        stage.0.components("amd64")[0][3],
        Digest::of(OTHER).to_string()
    );
}

#[test]
fn it_is_for_one_architecture() {
    let stage = Installed::new();
    stage.crictl(OWN);
    let other = match cfg!(target_arch = "aarch64") {
        true => "amd64",
        false => "arm64",
    };
    let both = "architecture = [\"amd64\", \"arm64\"]";
    let text = CRICTL
        .replace("\"release\"", "\"builtin\"")
        .replace("architecture = \"amd64\"", both);
    stage.0.scene.write("node.toml", text.trim_start());
    let mut lock = stage.command(&["lock", "node.toml"]);
    let said = stage.failing(3, &mut lock).replace("arm64", "[OTHER]");
    assert_snapshot!(said, @r#"
       resolving 1 package in 1 suite in [SECONDS]
    error: the built-in crictl at hand is for amd64, and the image for [OTHER]
      --> node.toml:15:10
       |
    15 | source = "builtin"
       |          ^^^^^^^^^
    hint: name one with `--component crictl:[OTHER]=FILE`, or set `source = "release"` in `[crictl]`
    "#);
    stage.0.scene.write("theirs", OTHER);
    let component = format!("crictl:{other}=theirs");
    run(stage
        .command(&["lock", "node.toml"])
        .args(["--component", &component]));
    assert_eq!(
        stage.0.components(other)[0][3],
        Digest::of(OTHER).to_string()
    );
}
