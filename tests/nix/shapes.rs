//! A closure is the same, whichever of Nix's shapes describes it.

use std::fs;

use serde_json::{Value, json};

use crate::common::run;
use crate::layers::layers;
use crate::store::{Store, able};
use crate::{HELLO, PROFILE, build, lock};

/// Attributes of a derivation that asks for a graph, which copies them.
const EXPORTED: &str = r#"derivation {
  name = "exported";
  system = builtins.currentSystem;
  builder = "${tools}/bin/sh";
  args = [ "-euc" ''${tools}/bin/busybox cat .attrs.json > "$(${tools}/bin/busybox sed -n 's/.*"out":"\([^"]*\)".*/\1/p' .attrs.json)"'' ];
  __structuredAttrs = true;
  exportReferencesGraph.closure = [ (HELLO) ];
}"#;

#[test]
fn every_shape_is_read() {
    if !able() {
        return;
    }
    let store = Store::new();
    let exported = store.build(&EXPORTED.replace("HELLO", HELLO));
    let exported = fs::read_to_string(store.on_disk(&exported)).unwrap();
    let hello = store.build(HELLO);
    build(&store, PROFILE, &[]);
    let wanted = layers(&store);
    let locked = lock(&store)["architecture"]["amd64"]["nix"][0]["path"].clone();

    let closure = store.ask(&["--query", "--requisites", &hello]);
    let closure: Vec<&str> = closure.lines().collect();
    let dumped = store.ask(&[&["--dump-db"], &closure[..]].concat());
    let mut info = store.nix("nix");
    let sized = info.args([
        "path-info",
        "--json",
        "--recursive",
        "--closure-size",
        &hello,
    ]);
    let list: Value = serde_json::from_slice(&run(sized)).unwrap();
    assert!(list[0]["closureSize"].is_u64(), "{list:#}");
    let exported: Value = serde_json::from_str(&exported).unwrap();
    // As later versions write it; tests/nix/newer.rs asks one.
    let by_path: Value = list
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["path"].as_str().unwrap().to_owned(), item.clone()))
        .collect();
    let base = |path: &Value| json!(path.as_str().unwrap().rsplit('/').next().unwrap());
    let by_base: Value = list
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            let references = item["references"].as_array().unwrap().iter().map(base);
            let info = json!({
                "version": 2, "storeDir": "/nix/store", "narSize": item["narSize"],
                "narHash": item["narHash"], "references": references.collect::<Value>(),
            });
            (base(&item["path"]).as_str().unwrap().to_owned(), info)
        })
        .collect();
    let versioned = json!({"version": 2, "storeDir": "/nix/store", "info": by_base});
    let shapes = [
        ("list.json", list.to_string()),
        ("map.json", by_path.to_string()),
        ("versioned.json", versioned.to_string()),
        ("graph.json", exported["closure"].to_string()),
        (".attrs.json", exported.to_string()),
        ("dumped", dumped.clone()),
        ("closure-info/registration", dumped),
    ];
    fs::create_dir(store.path("closure-info")).unwrap();
    for (name, text) in shapes {
        fs::write(store.path(name), text).unwrap();
        let name = name.trim_end_matches("/registration");
        let profile = PROFILE.replace("path = \"result\"", &format!("graph = \"{name}\""));
        fs::remove_file(store.path("node.lock.toml")).unwrap();
        build(&store, &profile, &[]);
        assert_eq!(layers(&store), wanted, "{name}");
        let pinned = &lock(&store)["architecture"]["amd64"]["nix"][0]["path"];
        assert_eq!(*pinned, locked, "{name}");
    }
}
