//! A closure becomes a root, which Nix itself accepts.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::common::run;
use crate::store::{Store, able};
use crate::{HELLO, PROFILE, accepted, build, lock, unpacked};

/// Mode, owner, and time of everything below a folder.
fn metadata(folder: &Path) -> BTreeMap<String, (u32, u32, u32, i64)> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(path) = waiting.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let name = path.strip_prefix(folder).unwrap().display().to_string();
        let mode = metadata.mode() & 0o7777;
        found.insert(
            name,
            (mode, metadata.uid(), metadata.gid(), metadata.mtime()),
        );
        if metadata.is_dir() {
            waiting.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
    }
    found
}

#[test]
fn nix_accepts_the_root() {
    if !able() {
        return;
    }
    let store = Store::new();
    let hello = store.build(HELLO);
    build(&store, PROFILE, &[]);
    let root = unpacked(&store);
    let closure = store.ask(&["--query", "--requisites", &hello]);
    let closure: Vec<&str> = closure.lines().collect();
    assert_eq!(closure.len(), 2);
    accepted(&store, &root, &closure);
    for path in &closure {
        let path = path.trim_start_matches('/');
        let (ours, theirs) = (root.join(path), store.root().join(path));
        assert_eq!(metadata(&ours), metadata(&theirs), "{path}");
    }
    // Its database knows them as the one that they come from.
    let mut dump = store.nix_on("nix-store", &root);
    let dump = run(dump.arg("--dump-db").args(&closure));
    let dump = String::from_utf8(dump).unwrap();
    let theirs = store.ask(&[&["--dump-db"], &closure[..]].concat());
    let without_deriver = |text: &str| {
        let lines = text.lines().filter(|line| !line.ends_with(".drv"));
        lines
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(without_deriver(&dump), without_deriver(&theirs));
    // A path that is not what it was, Nix would notice.
    let file = root.join(hello.trim_start_matches('/')).join("etc/one");
    fs::remove_file(&file).unwrap();
    fs::write(&file, "other").unwrap();
    let mut verify = store.nix_on("nix-store", &root);
    let verified = verify.args(["--verify-path", &hello]).output().unwrap();
    assert!(!verified.status.success());
}

#[test]
fn an_optimised_store_gives_the_same_image() {
    if !able() {
        return;
    }
    let store = Store::new();
    let hello = store.build(HELLO);
    let plain = build(&store, PROFILE, &[]);
    store.ask(&["--optimise"]);
    let links = fs::metadata(store.on_disk(&format!("{hello}/etc/one"))).unwrap();
    assert!(links.nlink() > 1, "the optimiser has linked nothing");
    fs::remove_dir_all(store.path("cache")).unwrap();
    fs::remove_dir_all(store.path("image")).unwrap();
    assert_eq!(build(&store, PROFILE, &["--locked"]), plain);
}

#[test]
fn the_lock_pins_every_path_and_follows_the_result() {
    if !able() {
        return;
    }
    let store = Store::new();
    let hello = store.build(HELLO);
    let first = build(&store, PROFILE, &[]);
    let closures = |store: &Store| lock(store)["architecture"]["amd64"]["nix"].clone();
    let pinned = closures(&store);
    assert_eq!(pinned[0]["root"][0].as_str(), Some(&*hello));
    let paths = pinned[0]["path"].as_array().unwrap();
    assert_eq!(paths.len(), 2);
    let hash = store.ask(&["--query", "--hash", &hello]);
    assert!(hash.starts_with("sha256:"), "{hash}");

    // Once its layers were made, the store of Nix is not needed for another image.
    fs::remove_dir_all(store.path("cache/records/images")).unwrap();
    let away = store.path("away");
    fs::rename(store.root(), &away).unwrap();
    fs::remove_dir_all(store.path("image")).unwrap();
    assert_eq!(build(&store, PROFILE, &["--locked"]), first);
    fs::rename(&away, store.root()).unwrap();

    // Another result is another lock, which `--locked` forbids.
    let other = store.build(&HELLO.replace("hello-1.0", "hello-1.1"));
    let mut locked = crate::nodelith(&store, PROFILE);
    let said = crate::common::refused(locked.arg("--locked"), 3);
    assert!(said.contains("`--locked` forbids"), "{said}");
    assert_eq!(closures(&store), pinned);
    assert_ne!(build(&store, PROFILE, &[]), first);
    assert_eq!(closures(&store)[0]["root"][0].as_str(), Some(&*other));
}

#[test]
fn what_is_copied_to_the_root_has_the_modes_that_were_asked_for() {
    if !able() {
        return;
    }
    let store = Store::new();
    let hello = store.build(HELLO);
    let profile = format!(
        "{PROFILE}copy-to-root = true\n\
         perms = [{{ path = \"{hello}\", regex = \".*/etc/one\", mode = \"0640\", gid = 7 }}]\n\
         [[files]]\npath = \"/etc/two\"\ntext = \"of the profile\"\n"
    );
    build(&store, &profile, &[]);
    let root = unpacked(&store);
    let found = metadata(&root);
    assert_eq!(found["etc/one"].0, 0o640);
    assert_eq!((found["etc/one"].1, found["etc/one"].2), (0, 7));
    assert_eq!(found["bin/hello"].0, 0o555);
    assert_eq!(found["bin"].0, 0o755);
    assert_eq!(found["tmp"].0, 0o1777);
    assert_eq!(
        fs::read_link(root.join("etc/link")).unwrap(),
        Path::new("../bin/hello")
    );
    // The profile wins at `/`, and the store keeps what it has.
    assert_eq!(
        fs::read_to_string(root.join("etc/two")).unwrap(),
        "of the profile"
    );
    accepted(&store, &root, &[&hello]);
}
