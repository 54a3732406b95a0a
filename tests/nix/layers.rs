//! What changes is small: nix2container's worst case does not hold.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::common::run;
use crate::store::{Store, able};
use crate::{HELLO, PROFILE, accepted, build, unpacked};

/// Paths beside the root and the tools.
const PATHS: usize = 158;
/// Bytes of each, which do not compress.
const SIZE: usize = 160 << 10;

/// A root that refers to all of them.
const ALL: &str = r#"let
  leaf = number: builtins.path {
    path = ./. + "/leaves/${toString number}";
    name = "leaf${toString number}-1.0";
  };
  leaves = map leaf (builtins.genList (number: number) @PATHS@);
in run "all-1.0" ''
  mkdir $out
  echo ${toString leaves} > $out/paths
''"#;

/// Bytes that look random, by a number.
fn noise(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..SIZE / 8).flat_map(|_| next()).collect()
}

fn write_leaf(store: &Store, number: usize, seed: u64) {
    let folder = store.path(&format!("leaves/{number}/lib"));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("data"), noise(seed)).unwrap();
}

fn build_all(store: &Store) {
    store.build(&ALL.replace("@PATHS@", &PATHS.to_string()));
    build(store, PROFILE, &[]);
}

fn manifest(store: &Store) -> Value {
    let index = fs::read(store.path("image/index.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    blob(store, index["manifests"][0]["digest"].as_str().unwrap())
}

fn blob(store: &Store, digest: &str) -> Value {
    let path = store
        .path("image/blobs/sha256")
        .join(digest.trim_start_matches("sha256:"));
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Layers by digest, with what made them and their size.
pub fn layers(store: &Store) -> BTreeMap<String, (String, u64)> {
    let manifest = manifest(store);
    let config = blob(store, manifest["config"]["digest"].as_str().unwrap());
    let ids = config["history"].as_array().unwrap().iter();
    let ids = ids.map(|one| one["created_by"].as_str().unwrap().to_owned());
    let layers = manifest["layers"].as_array().unwrap().iter();
    layers
        .zip(ids)
        .map(|(layer, id)| {
            let digest = layer["digest"].as_str().unwrap().to_owned();
            (digest, (id, layer["size"].as_u64().unwrap()))
        })
        .collect()
}

/// The sizes of manifest and configuration, which every image has anew.
fn own(store: &Store) -> u64 {
    let index = fs::read(store.path("image/index.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    let manifest = index["manifests"][0]["size"].as_u64().unwrap();
    manifest + self::manifest(store)["config"]["size"].as_u64().unwrap()
}

#[test]
fn one_path_of_many_changed_is_one_group_to_push() {
    if !able() {
        return;
    }
    let store = Store::new();
    for number in 0..PATHS {
        write_leaf(&store, number, number as u64 + 1);
    }
    build_all(&store);
    let closure = store.ask(&["--query", "--requisites", "result"]);
    assert!(closure.lines().count() >= 150);
    let before = layers(&store);
    assert!(before.len() > 10, "{before:#?}");

    write_leaf(&store, 7, 1_000_000);
    build_all(&store);
    let after = layers(&store);
    let changed: Vec<_> = after
        .iter()
        .filter(|(digest, _)| !before.contains_key(*digest))
        .collect();
    let group = changed
        .iter()
        .filter(|(_, (id, _))| id.contains("nix-bin-"));
    let group: Vec<u64> = group.map(|(_, (_, size))| *size).collect();
    assert_eq!(group.len(), 1, "{changed:#?}");
    let pushed = own(&store) + changed.iter().map(|(_, (_, size))| size).sum::<u64>();
    let whole: u64 = after.values().map(|(_, size)| size).sum();
    assert!(
        pushed as f64 <= group[0] as f64 * 1.1,
        "{pushed} for a group of {}",
        group[0]
    );
    // All in one layer, as where a limit is reached elsewhere, would be all of it.
    assert!(pushed * 8 < whole, "{pushed} of {whole}");
}

#[test]
fn closures_share_paths_and_have_layers_of_their_own() {
    if !able() {
        return;
    }
    let store = Store::new();
    let hello = store.build(HELLO);
    let tools = store.ask(&["--query", "--references", &hello]);
    let mut of_tools = store.nix("nix-store");
    let dumped = run(of_tools.args(["--dump-db", tools.trim()]));
    fs::write(store.path("tools.graph"), dumped).unwrap();
    let first = "[[nix]]\nname = \"base\"\ngraph = \"tools.graph\"\nlayers = 1\n";
    let profile = PROFILE.replace("[[nix]]", &format!("{first}[[nix]]"));
    build(&store, &profile, &[]);
    let ids: Vec<_> = layers(&store).into_values().map(|(id, _)| id).collect();
    assert_eq!(
        ids.iter().filter(|id| **id == "nodelith nix.base").count(),
        1,
        "{ids:?}"
    );
    assert!(!ids.iter().any(|id| id.contains("nix-bin-")), "{ids:?}");
    let root = unpacked(&store);
    accepted(&store, &root, &[&hello, tools.trim()]);
}
