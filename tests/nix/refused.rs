//! What is not what it should be stops the build, which names it.

use std::fs;

use crate::common::{refused, run};
use crate::store::{Store, able};
use crate::{HELLO, PROFILE, build, nodelith};

#[test]
fn a_path_that_is_not_what_its_hash_says_is_named() {
    if !able() {
        return;
    }
    let store = Store::new();
    let hello = store.build(HELLO);
    store.damage(&format!("{hello}/etc/one"), b"evil\n");
    let said = refused(&mut nodelith(&store, PROFILE), 4);
    assert!(
        said.contains(&format!("`{hello}` has the NAR hash")),
        "{said}"
    );
    assert!(said.contains("hint: "), "{said}");
    assert!(!store.path("image").exists());

    // A graph that says something else of a path is no better.
    let store = Store::new();
    let hello = store.build(HELLO);
    let closure = store.ask(&["--query", "--requisites", &hello]);
    let closure: Vec<&str> = closure.lines().collect();
    let dumped = store.ask(&[&["--dump-db"], &closure[..]].concat());
    let hash = dumped.lines().nth(1).unwrap();
    let wrong = dumped.replace(hash, &"0".repeat(64));
    fs::write(store.path("graph"), wrong).unwrap();
    let profile = PROFILE.replace("path = \"result\"", "graph = \"graph\"");
    let said = refused(&mut nodelith(&store, &profile), 4);
    let named = dumped.lines().next().unwrap();
    assert!(
        said.contains(&format!("`{named}` has the NAR hash")),
        "{said}"
    );
    assert!(!store.path("image").exists());
}

#[test]
fn a_file_that_changes_after_it_was_verified_is_noticed() {
    if !able() {
        return;
    }
    let store = Store::new();
    let hello = store.build(HELLO);
    build(&store, PROFILE, &[]);
    // The record of what was verified stays, the layers go.
    let layers = store.path("cache/records/layers");
    fs::remove_dir_all(&layers).unwrap();
    fs::remove_dir_all(store.path("cache/records/images")).unwrap();
    fs::remove_dir_all(store.path("image")).unwrap();
    store.damage(&format!("{hello}/etc/one"), b"evil\n");
    let said = refused(&mut nodelith(&store, PROFILE), 4);
    assert!(
        said.contains("etc/one` changed after it was verified"),
        "{said}"
    );
    assert!(!store.path("image").exists());
}

#[test]
fn what_is_missing_is_named() {
    if !able() {
        return;
    }
    let store = Store::new();
    let hello = store.build(HELLO);
    let mut info = store.nix("nix");
    let alone = info.args(["path-info", "--json", &hello]);
    fs::write(store.path("graph.json"), run(alone)).unwrap();
    let profile = PROFILE.replace("path = \"result\"", "graph = \"graph.json\"");
    let said = refused(&mut nodelith(&store, &profile), 3);
    assert!(
        said.contains(&format!("`{hello}` refers to `/nix/store/")),
        "{said}"
    );
    assert!(said.contains("--recursive"), "{said}");

    build(&store, PROFILE, &[]);
    fs::remove_dir_all(store.path("cache")).unwrap();
    fs::rename(store.root(), store.path("away")).unwrap();
    let said = refused(&mut nodelith(&store, PROFILE), 3);
    assert!(said.contains("the store has no `/nix/store/"), "{said}");

    fs::remove_file(store.path("result")).unwrap();
    fs::remove_file(store.path("node.lock.toml")).unwrap();
    let said = refused(&mut nodelith(&store, PROFILE), 3);
    assert!(said.contains("there is no `"), "{said}");
    assert!(said.contains("node.toml:9"), "{said}");
}

#[test]
fn profiles_that_mean_nothing_are_refused() {
    if !able() {
        return;
    }
    let store = Store::new();
    let hello = store.build(HELLO);
    let both = format!("{PROFILE}graph = \"graph.json\"\n");
    let perms = format!("{PROFILE}perms = [{{ mode = \"0600\" }}]\n");
    let system = format!("{PROFILE}system = true\n[debian]\nsuite = \"trixie\"\n");
    let unknown = format!("{PROFILE}modes = []\n");
    let inside = format!("{PROFILE}[[files]]\npath = \"{hello}/etc/one\"\ntext = \"x\"\n");
    for (profile, status, says) in [
        (both, 2, "needs just one of `path` and `graph`"),
        (
            perms,
            2,
            "`perms` of the closure `hello` has nothing to act on",
        ),
        (
            system,
            2,
            "the system `hello` and `[debian]` exclude each other",
        ),
        (unknown, 2, "`modes`"),
        (inside, 2, "is in the Nix store"),
        (
            PROFILE.replace("compression = \"none\"", "layers = 2"),
            2,
            "2 layers are too few",
        ),
    ] {
        let said = refused(&mut nodelith(&store, &profile), status);
        assert!(said.contains(says), "{says}:\n{said}");
        assert!(!store.path("image").exists());
    }
}

#[test]
fn graphs_that_describe_nothing_are_told_with_their_place() {
    if !able() {
        return;
    }
    let store = Store::new();
    for (text, says) in [
        ("", "it names no path"),
        ("[]", "it names no path"),
        ("[{]", "graph:1:3"),
        (
            "{\n\"/nix/store/x\": {}}",
            "`/nix/store/x` is not a store path",
        ),
        (
            "/nix/store/00000000000000000000000000000000-a\nx\n",
            "graph:2:1",
        ),
        (
            "[{\"path\": \"/nix/store/00000000000000000000000000000000-a\"}]",
            "has no `narHash`",
        ),
    ] {
        fs::write(store.path("graph"), text).unwrap();
        let profile = PROFILE.replace("path = \"result\"", "graph = \"graph\"");
        let said = refused(&mut nodelith(&store, &profile), 2);
        assert!(said.contains(says), "{text}: {says}:\n{said}");
        assert!(said.contains("hint: "), "{said}");
    }
}
