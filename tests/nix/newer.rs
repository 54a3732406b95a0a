//! The same with a newer Nix: that of Debian forky, in a root that nodelith made of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use crate::common::{nodelith, profile, run, scratch};
use crate::functions::{expression, with_package};
use crate::layers::layers;
use crate::store::{Store, able};
use crate::{HELLO, PROFILE, accepted, build, unpacked};

/// Nix's programs by name, each a script that starts it with its own libraries.
const PROGRAMS: [&str; 4] = ["nix", "nix-build", "nix-instantiate", "nix-store"];

/// The folder of the programs; the root is made once.
fn programs() -> PathBuf {
    static MAKING: Mutex<()> = Mutex::new(());
    let _one = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = scratch().join("nix-forky");
    let programs = folder.join("programs");
    if programs.exists() {
        return programs;
    }
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let text = "name = \"nix\"\narchitecture = \"amd64\"\n[debian]\nsuite = \"forky\"\n\
        packages = [\"nix-bin\"]\n";
    let mut build = nodelith();
    build
        .args(["build", "--ignore-valid-until", "--compression", "none"])
        .args([
            "--output",
            "image",
            "--accept-findings",
            "a root to try programs in, no node",
        ])
        .arg(profile(&folder, text))
        .current_dir(&folder);
    run(&mut build);
    let mut umoci = Command::new("umoci");
    umoci
        .args(["unpack", "--image", "image:1", "bundle"])
        .current_dir(&folder);
    run(&mut umoci);
    fs::remove_dir_all(folder.join("image")).unwrap();
    let root = folder.join("bundle/rootfs").display().to_string();
    let made = folder.join("new");
    fs::create_dir(&made).unwrap();
    for name in PROGRAMS {
        let text = format!(
            "#!/bin/sh\nexec {root}/usr/lib64/ld-linux-x86-64.so.2 --argv0 {name} \\\n\
             --library-path {root}/usr/lib/x86_64-linux-gnu {root}/usr/bin/nix \"$@\"\n"
        );
        let path = made.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::rename(made, &programs).unwrap();
    programs
}

#[test]
fn a_newer_nix_is_understood_and_accepts_the_root() {
    if !able() {
        return;
    }
    let programs = programs();
    let store = Store::of(programs.clone());
    let version = String::from_utf8(run(store.nix("nix").arg("--version"))).unwrap();
    let minor = version.split('.').nth(1).unwrap().parse::<u32>().unwrap();
    assert!(minor >= 33, "{version}");
    let hello = store.build(HELLO);

    // What it prints itself, in both of its forms, and what it is asked for.
    let mut wanted = None;
    for (format, sized) in [("1", false), ("2", false), ("1", true), ("2", true)] {
        let mut info = store.nix("nix");
        info.args([
            "path-info",
            "--json",
            "--json-format",
            format,
            "--recursive",
            &hello,
        ]);
        info.args(sized.then_some("--closure-size"));
        fs::write(store.path("graph.json"), run(&mut info)).unwrap();
        let profile = PROFILE.replace("path = \"result\"", "graph = \"graph.json\"");
        let _ = fs::remove_file(store.path("node.lock.toml"));
        build(&store, &profile, &[]);
        let layers = layers(&store);
        assert_eq!(
            wanted.get_or_insert(layers.clone()),
            &layers,
            "{format} {sized}"
        );
    }
    fs::remove_file(store.path("node.lock.toml")).unwrap();
    let path = std::env::var("PATH").unwrap();
    let mut asked = crate::nodelith(&store, PROFILE);
    run(asked.env("PATH", format!("{}:{path}", programs.display())));
    assert_eq!(Some(layers(&store)), wanted);
    accepted(&store, &unpacked(&store), &[&hello]);
}

#[test]
fn a_newer_nix_builds_the_same_image() {
    if !able() {
        return;
    }
    let built = |store: &Store, attribute: Option<&str>| {
        let file = store.write("image.nix", &expression("node"));
        let mut build = store.nix("nix-build");
        build.arg("--no-out-link").arg(&file);
        build.args(attribute.iter().flat_map(|name| ["-A", name]));
        build.args(["--option", "sandbox-fallback", "false"]);
        let path = String::from_utf8(run(&mut build)).unwrap();
        path.trim().to_owned()
    };
    let digest =
        |store: &Store| fs::read_to_string(store.on_disk(&built(store, Some("digest")))).unwrap();
    let newer = with_package(Store::of(programs()));
    assert_eq!(digest(&newer), digest(&with_package(Store::new())));
    // No store path is kept alive for the image.
    let image = built(&newer, None);
    assert_eq!(newer.ask(&["--query", "--references", &image]), "");
}
