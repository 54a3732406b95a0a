//! Closures of Nix, through the real command line, from stores that a real Nix made:
//! derivations without nixpkgs, built with a static busybox.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../registry/docker.rs"]
#[expect(dead_code, reason = "only a part of it is used here")]
mod docker;

mod closures;
mod functions;
mod layers;
mod newer;
mod over;
mod push;
mod refused;
mod shapes;
mod store;
mod system;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::run;
use store::Store;

/// Two paths, one of which refers to the other and is copied to `/`.
const HELLO: &str = r##"run "hello-1.0" ''
  mkdir -p $out/bin $out/etc
  echo "#!${tools}/bin/sh" > $out/bin/hello
  chmod +x $out/bin/hello
  ln -s ../bin/hello $out/etc/link
  echo same > $out/etc/one
  echo same > $out/etc/two
''"##;

/// A profile whose root is the closure of `result`.
const PROFILE: &str = r#"
name = "node"
architecture = "amd64"

[image]
compression = "none"

[[nix]]
name = "hello"
path = "result"
"#;

/// Builds the profile in the store's folder into `image`; gives the image's digest.
fn build(store: &Store, profile: &str, more: &[&str]) -> String {
    let printed = run(nodelith(store, profile).args(more));
    String::from_utf8(printed).unwrap().trim().to_owned()
}

/// `nodelith build` of a profile in the store's folder, not run yet.
fn nodelith(store: &Store, profile: &str) -> Command {
    let file = store.path("node.toml");
    fs::write(&file, profile).unwrap();
    let mut command = common::nodelith();
    command
        .args(["build", "--quiet", "--output", "image", "node.toml"])
        .args(["--accept-findings", "a root to try closures in, no node"])
        .arg("--store")
        .arg(store.path("cache"))
        .env("NIX_CONFIG", "build-users-group =")
        .env("NODELITH_NIX_ROOT", store.root())
        .current_dir(store.path(""));
    command
}

/// Unpacks the image with umoci; gives its root.
fn unpacked(store: &Store) -> PathBuf {
    let bundle = store.path("bundle");
    let _ = fs::remove_dir_all(&bundle);
    let mut umoci = Command::new("umoci");
    umoci
        .args(["unpack", "--image", "image:1", "bundle"])
        .current_dir(store.path(""));
    run(&mut umoci);
    bundle.join("rootfs")
}

/// What Nix says of a root that was unpacked from an image: loads the registration
/// into its empty database, and verifies every path of it by its hash.
fn accepted(store: &Store, root: &Path, paths: &[&str]) {
    let registration = fs::File::open(root.join("nix-path-registration")).unwrap();
    let mut load = store.nix_on("nix-store", root);
    run(load.arg("--load-db").stdin(registration));
    let mut verify = store.nix_on("nix-store", root);
    run(verify.arg("--verify-path").args(paths));
    let mut whole = store.nix_on("nix-store", root);
    run(whole.args(["--verify", "--check-contents"]));
}

/// The lock beside the profile.
fn lock(store: &Store) -> toml::Table {
    let text = fs::read_to_string(store.path("node.lock.toml")).unwrap();
    text.parse().unwrap()
}
