//! The functions in `nix/`: evaluated offline, and built in Nix's own sandbox.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::{refused, run};
use crate::layers::layers;
use crate::store::{Store, able};
use crate::{HELLO, PROFILE, accepted, build};

/// Where the functions are.
fn functions() -> String {
    format!("{}/nix", env!("CARGO_MANIFEST_DIR"))
}

/// A store that has the program as a package, smaller than with its symbols.
fn store() -> Store {
    with_package(Store::new())
}

pub fn with_package(store: Store) -> Store {
    let bin = store.path("package/bin");
    fs::create_dir_all(&bin).unwrap();
    let mut strip = Command::new("strip");
    strip
        .arg("-o")
        .arg(bin.join("nodelith"))
        .arg(env!("CARGO_BIN_EXE_nodelith"));
    run(&mut strip);
    store
}

/// An image with everything that the functions take but a base image.
pub fn expression(name: &str) -> String {
    format!(
        r#"let
  hello = {HELLO};
  nodelith = builtins.path {{ path = ./package; name = "nodelith"; }};
  inherit (import {} {{ inherit nodelith; }}) nodeImage layer;
  base = layer {{ name = "base"; deps = [ tools ]; }};
in nodeImage {{
  name = "{name}";
  tag = "7";
  copyToRoot = hello;
  perms = [ {{ path = hello; regex = ".*/etc/one"; mode = "0600"; }} ];
  layers = [ base (layer {{ deps = [ hello tools ]; layers = [ base ]; maxLayers = 2; }}) ];
  profile.image.compression = "none";
  acceptFindings = "a root to try closures in, no node";
}}"#,
        functions()
    )
}

#[test]
fn the_functions_evaluate_without_anything_else() {
    if !able() {
        return;
    }
    let store = store();
    let file = store.write("image.nix", &expression("node"));
    let mut instantiate = store.nix("nix-instantiate");
    let derivation = String::from_utf8(run(instantiate.arg(&file))).unwrap();
    assert!(
        derivation.trim().ends_with("-image-node.drv"),
        "{derivation}"
    );
    for (attribute, value) in [("imageName", "\"node\""), ("imageTag", "\"7\"")] {
        let mut eval = store.nix("nix-instantiate");
        eval.args(["--eval", "-A", attribute]).arg(&file);
        assert_eq!(String::from_utf8(run(&mut eval)).unwrap().trim(), value);
    }
    // What is not among the arguments is told by Nix.
    let file = store.write(
        "wrong.nix",
        &expression("node").replace("copyToRoot", "copyToRot"),
    );
    let mut eval = store.nix("nix-instantiate");
    let said = refused(eval.arg(&file), 1);
    assert!(said.contains("copyToRot"), "{said}");
}

#[test]
fn an_image_is_built_in_the_sandbox() {
    if !able() {
        return;
    }
    let store = store();
    let file = store.write("image.nix", &expression("node"));
    let built = |attribute: Option<&str>, more: &[&str]| {
        let mut build = store.nix("nix-build");
        build.arg("--no-out-link").arg(&file).args(more);
        build.args(attribute.iter().flat_map(|name| ["-A", name]));
        build.args(["--option", "sandbox-fallback", "false"]);
        String::from_utf8(run(&mut build))
            .unwrap()
            .trim()
            .to_owned()
    };
    let image = store.on_disk(&built(None, &[]));
    // Built once more, it is the same to the byte; Nix compares.
    built(None, &["--check"]);
    let digest = fs::read_to_string(store.on_disk(&built(Some("digest"), &[]))).unwrap();
    assert_eq!(digest, crate::common::manifest_digest(&image));
    // Nothing but the layout.
    assert_eq!(fs::read_dir(&image).unwrap().count(), 3);

    let mut inspect = Command::new("skopeo");
    let inspected = run(inspect
        .arg("inspect")
        .arg("--config")
        .arg(format!("oci:{}:7", image.display())));
    let config: serde_json::Value = serde_json::from_slice(&inspected).unwrap();
    let ids: Vec<_> = config["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["created_by"].as_str().unwrap())
        .collect();
    assert!(ids.contains(&"nodelith nix.base"), "{ids:?}");

    let bundle = store.path("bundle");
    let mut umoci = Command::new("umoci");
    umoci
        .args(["unpack", "--image"])
        .arg(format!("{}:7", image.display()))
        .arg(&bundle);
    run(&mut umoci);
    let root = bundle.join("rootfs");
    let registered = fs::read_to_string(root.join("nix-path-registration")).unwrap();
    let paths: Vec<_> = registered
        .lines()
        .filter(|line| line.starts_with("/nix/store/"))
        .collect();
    let hello = paths
        .iter()
        .find(|path| path.ends_with("-hello-1.0"))
        .unwrap();
    accepted(&store, &root, &[hello]);
    let one = fs::metadata(root.join("etc/one")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&one) & 0o777, 0o600);

    let push = fs::read_to_string(store.on_disk(&format!("{}/bin/push", built(Some("push"), &[]))))
        .unwrap();
    assert!(
        push.contains("/bin/nodelith' push 'oci:/nix/store/"),
        "{push}"
    );
}

#[test]
fn an_image_is_built_upon_another() {
    if !able() {
        return;
    }
    let store = with_package(Store::new());
    store.build(&HELLO.replace("hello-1.0", "base-1.0"));
    build(&store, &PROFILE.replace("none", "gzip"), &[]);
    let base = layers(&store);
    fs::rename(store.path("image"), store.path("base")).unwrap();
    let image = expression("node").replace(
        "acceptFindings",
        "fromImage = builtins.path { path = ./base; name = \"base\"; };\n  acceptFindings",
    );
    let file = store.write("image.nix", &image);
    let mut build = store.nix("nix-build");
    build.arg("--no-out-link").arg(&file);
    let built = String::from_utf8(run(&mut build)).unwrap();
    let mut copy = Command::new("cp");
    copy.arg("-r")
        .arg(store.on_disk(built.trim()))
        .arg(store.path("image"));
    run(&mut copy);
    let layers = layers(&store);
    assert!(
        base.keys().all(|digest| layers.contains_key(digest)),
        "{base:#?} {layers:#?}"
    );
    assert!(layers.len() > base.len());
    let mut umoci = Command::new("umoci");
    umoci
        .args(["unpack", "--image", "image:7", "bundle"])
        .current_dir(store.path(""));
    run(&mut umoci);
    let root = store.path("bundle/rootfs");
    assert_eq!(fs::read_to_string(root.join("etc/two")).unwrap(), "same\n");
    let mut names = fs::read_dir(root.join("nix/store"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    assert!(names.any(|name| name.to_string_lossy().ends_with("-base-1.0")));
    let registered = fs::read_to_string(root.join("nix-path-registration")).unwrap();
    let hello = registered
        .lines()
        .find(|line| line.ends_with("-hello-1.0"))
        .unwrap();
    accepted(&store, &root, &[hello]);
}

#[test]
fn the_flake_hands_the_functions_on() {
    if !able() {
        return;
    }
    let flake = Path::new(env!("CARGO_MANIFEST_DIR")).join("flake.nix");
    let store = Store::new();
    let file = store.path("flake-test.nix");
    // A nixpkgs that only tells what it was asked for.
    let text = format!(
        r#"let
  flake = import {};
  package = derivation {{ name = "nodelith"; system = "x86_64-linux"; builder = "/none"; }};
  packages = {{
    callPackage = file: arguments: import file ({{ inherit (packages) lib glibc rustPlatform; }} // arguments);
    stdenv.hostPlatform.system = "x86_64-linux";
    rustPlatform.buildRustPackage = arguments: package // {{ inherit arguments; }};
    glibc.static = "glibc-static";
    lib.fileset = {{ toSource = arguments: arguments.root; unions = list: list; }};
    lib.licenses.asl20 = "Apache-2.0";
    lib.platforms.linux = "linux";
  }};
  outputs = flake.outputs {{
    self = outputs // {{ outPath = {}; }};
    nixpkgs.legacyPackages = {{ x86_64-linux = packages; aarch64-linux = packages; }};
  }};
  overlaid = outputs.overlays.default (packages // overlaid) packages;
in {{
  package = {{ inherit (outputs.packages.x86_64-linux.default.arguments) pname RUSTFLAGS buildInputs; }};
  functions = builtins.attrNames outputs.lib.x86_64-linux;
  overlay = builtins.attrNames overlaid;
  image = (overlaid.nodelithImages.nodeImage {{ name = "x"; deps = [ package ]; arch = "arm64"; }}).name;
}}"#,
        flake.display(),
        env!("CARGO_MANIFEST_DIR")
    );
    fs::write(&file, text).unwrap();
    let mut eval = store.nix("nix-instantiate");
    eval.args(["--eval", "--strict", "--json", "--system", "x86_64-linux"])
        .arg(&file);
    let value: serde_json::Value = serde_json::from_slice(&run(&mut eval)).unwrap();
    assert_eq!(
        value,
        serde_json::json!({
            "package": {
                "pname": "nodelith", "RUSTFLAGS": "-C target-feature=+crt-static",
                "buildInputs": ["glibc-static"],
            },
            "functions": ["layer", "nodeImage"],
            "overlay": ["nodelith", "nodelithImages"], "image": "image-x",
        })
    );
}
