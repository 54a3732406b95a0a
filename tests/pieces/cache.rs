//! Two machines share work through a registry.

use std::fs;

use super::common::refused;
use super::team::Team;

#[test]
fn two_machines_share_work() {
    let team = Team::new();
    let (a, b, cache) = (team.first(), team.machine("b"), team.cache());
    let first = team.build(&a, &["--cache-to", &cache]);
    assert!(first.messages("warning").is_empty(), "{}", first.said);
    let given = first.messages("note");
    assert!(
        given.contains(&"given to caches: 1 root, 3 layers".to_owned()),
        "{given:?}"
    );

    // Neither packages nor scripts, and no layer of its own.
    let second = team.build_from_caches(&b, &["--cache-from", &cache]);
    assert_eq!(second.made(), [""; 0]);
    assert_eq!(second.digest, first.digest);
    assert!(second.messages("warning").is_empty(), "{}", second.said);
    let notes = second.messages("note");
    assert!(
        notes.contains(&"taken from caches: 1 root, 3 layers".to_owned()),
        "{notes:?}"
    );
    let lock = fs::read_to_string(b.path("node.lock.toml")).unwrap();
    for line in lock.lines().filter(|line| line.starts_with("digest = ")) {
        let hex = line.split(['"', ':']).nth(2).unwrap();
        assert!(!b.path("store/blobs/sha256").join(hex).exists(), "{line}");
    }

    // What came is as good as what is made here: nothing is asked again.
    let again = team.build_from_caches(&b, &[]);
    assert_eq!(again.told["unchanged"], true);

    // A flag changed: one layer is made, and the next machine has that too.
    let c = team.machine("c");
    c.change_a_flag();
    let third = team.build_from_caches(&c, &["--cache-from", &cache, "--cache-to", &cache]);
    assert_eq!(third.made(), ["configuration"]);
    let given = third.messages("note");
    assert!(
        given.contains(&"given to caches: 1 layer".to_owned()),
        "{given:?}"
    );
    let d = team.machine("d");
    d.change_a_flag();
    let fourth = team.build_from_caches(&d, &["--cache-from", &cache]);
    assert_eq!(fourth.made(), [""; 0]);
    assert_eq!(fourth.digest, third.digest);
}

#[test]
fn an_unchanged_build_fills_a_new_cache() {
    let team = Team::new();
    let a = team.first();
    let first = team.build(&a, &[]);
    let cache = team.cache();
    let second = team.build(&a, &["--cache-to", &cache]);
    assert_eq!(second.told["unchanged"], true, "{}", second.said);
    let stored = team.registry.stored();
    // There already, so nothing moves.
    let third = team.build(&a, &["--cache-to", &cache]);
    let given = third.messages("note");
    assert!(
        given.contains(&"given to caches: nothing".to_owned()),
        "{given:?}"
    );
    assert_eq!(team.registry.stored(), stored);

    let b = team.machine("b");
    let other = team.registry.name("empty");
    let from = team.build_from_caches(&b, &["--cache-from", &other, "--cache-from", &cache]);
    assert_eq!(from.digest, first.digest);
    assert_eq!(from.made(), [""; 0]);
}

#[test]
fn layers_in_another_compression() {
    let team = Team::new();
    let (a, b, cache) = (team.first(), team.machine("b"), team.cache());
    let gzip = ["--compression", "gzip"];
    let first = team.build(&a, &[&gzip[..], &["--cache-to", &cache]].concat());
    assert!(!first.made().is_empty());
    let second = team.build_from_caches(&b, &[&gzip[..], &["--cache-from", &cache]].concat());
    assert_eq!(second.made(), [""; 0]);
    assert_eq!(second.digest, first.digest);
}

#[test]
fn times_that_the_epoch_clamps() {
    let team = Team::new();
    let (a, cache) = (team.first(), team.cache());
    let lock = fs::read_to_string(a.path("node.lock.toml")).unwrap();
    let line = lock
        .lines()
        .find(|line| line.starts_with("source-date-epoch"));
    let early = lock.replace(line.unwrap(), "source-date-epoch = 1000000000");
    fs::write(a.path("node.lock.toml"), &early).unwrap();
    let first = team.build(&a, &["--cache-to", &cache]);
    let b = team.machine("b");
    let second = team.build_from_caches(&b, &["--cache-from", &cache]);
    assert_eq!(second.digest, first.digest);
    assert_eq!(second.made(), [""; 0]);
    // Another epoch, another root: this one is not taken for it.
    fs::write(b.path("node.lock.toml"), lock).unwrap();
    let third = team.build_from_caches(&b, &["--cache-from", &cache]);
    assert_ne!(third.status, 0);
}

#[test]
fn names_of_caches() {
    let team = Team::new();
    let machine = team.machine("b");
    let said = |arguments: &[&str]| {
        let mut command = machine.nodelith(&["build", "node.toml"]);
        refused(command.args(arguments), 2)
    };
    let tag = said(&["--cache-from", "registry.example/cache:1"]);
    assert!(
        tag.contains("names a tag, and a cache is a whole repository"),
        "{tag}"
    );
    let offline = said(&["--offline", "--cache-to", "registry.example/cache"]);
    assert!(
        offline.contains("`--offline` forbids the network"),
        "{offline}"
    );
}
