//! Closures over a root of packages.

use std::collections::BTreeMap;
use std::fs;

use crate::common::mirror::{Mirror, minimal_packages};
use crate::common::{self, refused, run};
use crate::layers::layers;
use crate::store::{Store, able};
use crate::{HELLO, accepted, nodelith, unpacked};

/// Debian's essential packages, and an environment of which a link leads to a folder.
const PROFILE: &str = r#"
name = "node"
architecture = ["amd64", "arm64"]

[image]
compression = "none"

[debian]
suite = "trixie"
updates = false
security = false

[[nix]]
name = "hello"
path = "result-{architecture}"
copy-to-root = true
"#;

#[test]
fn nothing_of_the_root_is_hidden_and_its_layers_stay() {
    if !able() {
        return;
    }
    let mirror = Mirror::new(minimal_packages());
    let store = Store::new();
    let environment = format!(
        r#"let hello = {HELLO}; in run "environment" ''
  mkdir -p $out/usr $out/etc $out/bin
  cp ${{hello}}/bin/hello $out/bin/hello-too
  ln -s ${{hello}}/bin $out/usr/bin
  echo "of the environment" > $out/etc/debian_version
''"#
    );
    let environment = store.build(&environment);
    fs::rename(store.path("result"), store.path("result-amd64")).unwrap();
    let command = |profile: &str| {
        let mut build = nodelith(&store, profile);
        build.args(["--arch", "amd64", "--mirror", &mirror.url()]);
        build.arg("--keyring").arg(mirror.keyring());
        build
    };
    let build = |profile: &str| {
        run(&mut command(profile));
        layers(&store)
    };
    let with = build(PROFILE);
    let root = unpacked(&store);
    let hello = fs::read_link(root.join("usr/bin/hello")).unwrap();
    assert!(
        hello.starts_with("/nix/store") && hello.ends_with("bin/hello"),
        "{hello:?}"
    );
    assert!(
        root.join("usr/bin/env").is_file(),
        "the root's own programs are gone"
    );
    // `/bin` is a link of the root's: what the environment has there is where it leads.
    assert!(root.join("usr/bin/hello-too").is_file());
    assert!(root.join("bin").is_symlink());
    let data = fs::read_to_string(root.join("etc/debian_version")).unwrap();
    assert_eq!(data, "of the environment\n");
    accepted(&store, &root, &[&environment]);

    // What closures bring is not missed where only the profile is looked at.
    let mut check = common::nodelith();
    check.args([
        "check",
        "node.toml",
        "--arch",
        "amd64",
        "--fail-on",
        "never",
    ]);
    check.arg("--store").arg(store.path("cache"));
    let looked = common::output(check.current_dir(store.path("")));
    let told = String::from_utf8_lossy(&looked.stderr);
    assert!(
        told.contains("closures are seen in the built image alone"),
        "{told}"
    );

    // Another result is no other root: the packages' layers are the same.
    let result = |expression: &str| {
        let built = store.build(expression);
        fs::rename(store.path("result"), store.path("result-amd64")).unwrap();
        built
    };
    let other = result(
        r#"run "environment" ''mkdir -p $out/etc; echo another > $out/etc/debian_version''"#,
    );
    let after = build(PROFILE);
    let packages = |layers: &BTreeMap<String, (String, u64)>| {
        let packages = layers.iter().filter(|(_, (id, _))| !id.contains("nix"));
        let packages = packages.filter(|(_, (id, _))| *id != "nodelith configuration");
        let packages = packages.map(|(digest, _)| digest.clone());
        packages.collect::<Vec<_>>()
    };
    assert!(packages(&with).len() > 10);
    assert_eq!(packages(&with), packages(&after));
    accepted(&store, &unpacked(&store), &[&other]);

    // A file in the place of a folder is no copy that the root can take.
    result(r#"run "environment" ''mkdir -p $out/usr; echo x > $out/usr/share''"#);
    let said = refused(&mut command(PROFILE), 2);
    assert!(
        said.contains("`/usr/share`, which is a directory in the root"),
        "{said}"
    );
}
