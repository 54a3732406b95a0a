//! Every format is bit for bit the same from a second run, by another user, from an image
//! that was pulled from a registry, and however its layers are compressed.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use nodelith::bundle::export::Format;
use nodelith::digest::Digest;
use nodelith::layer::Compression;
use nodelith::tree::TreePath;
use serde_json::Value;

use crate::common::{document, nodelith, root, run};
use crate::docker::DockerRegistry;
use crate::images::ours;
use crate::pxe::connected;
use crate::signing::{SIGN, pair};
use crate::uki::bootable;

/// What is in a folder: names to digests. Of the description, what is not about the
/// image's own digest.
fn contents(folder: &Path) -> BTreeMap<String, Digest> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let digest = if name == "export.json" {
            let mut about: Value = document(&fs::read(entry.path()).unwrap());
            about["image"].take();
            Digest::of(about.to_string().as_bytes())
        } else {
            Digest::of_reader(File::open(entry.path()).unwrap())
                .unwrap()
                .0
        };
        found.insert(name, digest);
    }
    found
}

/// What `export` is asked for: everything.
fn everything() -> Vec<String> {
    let names = Format::ALL.map(Format::name).join(",");
    let words = ["--to", &names, "--esp-size", "64M"];
    [&words[..], &SIGN]
        .concat()
        .iter()
        .map(|word| (*word).to_owned())
        .collect()
}

#[test]
fn every_format_is_the_same_wherever_it_is_made() {
    let folder = tempfile::Builder::new()
        .prefix("bundle-")
        .tempdir_in("/tmp")
        .unwrap();
    let folder = folder.path();
    pair(folder, "db");
    let mut tree = bootable(folder);
    connected(&mut tree);
    // It is older than squashfs can say.
    tree.entries.remove(&TreePath::from("etc/old"));
    let zstd = ours(folder, &tree, Compression::ZSTD, 64);
    let gzip = ours(folder, &tree, Compression::GZIP, 6);

    let mut first = nodelith();
    first.current_dir(folder).arg("export").arg(&zstd);
    run(first.args(everything()).args(["--output", "first"]));
    let expected = contents(&folder.join("first"));
    for format in Format::ALL {
        assert!(expected.contains_key(format.file()), "{expected:?}");
    }

    // Out of a registry, with a store that has nothing; another zone, one thread.
    let registry = DockerRegistry::start();
    let name = registry.name("zstd:1");
    let local = |arguments: &[&str]| {
        let mut command = nodelith();
        command
            .current_dir(folder)
            .env("NODELITH_PLAIN_HTTP", "1")
            .env("NODELITH_STORE", folder.join("another-store"))
            .args(arguments);
        command
    };
    run(local(&["push"]).arg(&zstd).arg(&name));
    let image = format!("docker://{name}");
    let mut second = local(&["export", &image, "--threads", "1", "--output", "second"]);
    run(second.args(everything()).env("TZ", "Asia/Tokyo"));
    assert_eq!(contents(&folder.join("second")), expected);

    // Other layers, compressed otherwise, there and back; by a user who has nothing.
    let name = registry.name("gzip:1");
    run(local(&["push"]).arg(&gzip).arg(&name));
    if !root("an export by another user") {
        return;
    }
    run(&mut local(&["pull", &name, "--output", "pulled"]));
    let place = folder.join("nobodys");
    fs::create_dir(&place).unwrap();
    for path in [folder, &place] {
        fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
    }
    for program in [
        env!("CARGO_BIN_EXE_nodelith"),
        env!("CARGO_BIN_EXE_nodelith-init"),
    ] {
        let name = Path::new(program).file_name().unwrap();
        fs::copy(program, place.join(name)).unwrap();
    }
    for file in ["db.key", "db.crt"] {
        fs::copy(folder.join(file), place.join(file)).unwrap();
        fs::set_permissions(place.join(file), Permissions::from_mode(0o644)).unwrap();
    }
    run(Command::new("chmod")
        .args(["-R", "a+rX"])
        .arg(folder.join("pulled")));
    let script = "umask 077; exec ./nodelith export ../pulled --output third \"$@\"";
    run(Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .args(["sh", "-c", script, "sh"])
        .args(everything())
        .env_clear()
        .envs([("PATH", "/usr/bin:/bin"), ("HOME", "/nonexistent")])
        .envs([("TZ", "America/St_Johns"), ("LC_ALL", "tr_TR.UTF-8")])
        .current_dir(&place));
    assert_eq!(contents(&place.join("third")), expected);
}
