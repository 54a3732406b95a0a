//! What the end-to-end tests share: running the program, one store of
//! downloads for all of them, and a small archive of their own.
#![expect(dead_code, reason = "each test program uses its own part of this")]

pub mod containerd;
pub mod image;
pub mod mirror;
mod skip;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub use skip::skip;

/// The program under test, with an environment of its own and the shared store.
pub fn nodelith() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nodelith"));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", scratch())
        .env("NODELITH_STORE", shared_store())
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    for (name, value) in std::env::vars_os() {
        if name.to_string_lossy().to_lowercase().ends_with("_proxy") {
            command.env(name, value);
        }
    }
    command
}

/// A folder for what tests leave for one another.
pub fn scratch() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// The store that tests share, so that each package is downloaded once.
pub fn shared_store() -> PathBuf {
    scratch().join("store")
}

/// Puts a store to `to` that has what the one in `from` has, by links. Its locks are its
/// own: a lock is of a file, whatever names that has.
pub fn copy_store(from: &Path, to: &Path) {
    run(Command::new("cp").arg("-al").arg(from).arg(to));
    fs::remove_dir_all(to.join("locks")).unwrap();
}

/// Runs a command that must succeed and returns its standard output.
pub fn run(command: &mut Command) -> Vec<u8> {
    let output = output(command);
    assert!(
        output.status.success(),
        "{command:?} failed with {}:\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    output.stdout
}

/// Runs a command and returns what came of it.
pub fn output(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Writes a profile into a folder.
pub fn profile(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("node.toml");
    fs::write(&path, text).unwrap();
    path
}

/// A result printed with `--json`, which must say what it is.
pub fn json(command: &mut Command) -> serde_json::Value {
    document(&run(command.arg("--json")))
}

/// A JSON document, which must say what it is.
pub fn document(bytes: &[u8]) -> serde_json::Value {
    let value: serde_json::Value = serde_json::from_slice(bytes).unwrap();
    let schema = value["schema"].as_str().unwrap_or_default();
    assert!(schema.starts_with("nodelith."), "{value:#}");
    assert!(value["version"].is_u64(), "{value:#}");
    value
}

/// What a command that must fail with `status` says on standard error.
pub fn refused(command: &mut Command, status: i32) -> String {
    let output = output(command);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(status), "{command:?}:\n{said}");
    said
}

/// Whether the slow tests were asked for; says so when they were not.
pub fn all(what: &str) -> bool {
    let all = std::env::var_os("NODELITH_TEST_ALL").is_some_and(|value| value != "0");
    if !all {
        skip(&format!("{what} (only with NODELITH_TEST_ALL=1)"));
    }
    all
}

/// Whether this user is root; says so when a test is left out for it.
pub fn root(what: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skip(&format!("{what} (needs root)"));
    }
    root
}

/// The digest of an image layout's only manifest of an image.
pub fn manifest_digest(layout: &Path) -> String {
    let index = fs::read(layout.join("index.json")).unwrap();
    let index: serde_json::Value = serde_json::from_slice(&index).unwrap();
    let mut manifests = index["manifests"].as_array().unwrap().clone();
    manifests.retain(|entry| entry["artifactType"].is_null());
    assert_eq!(manifests.len(), 1, "{index:#}");
    manifests[0]["digest"].as_str().unwrap().to_owned()
}
