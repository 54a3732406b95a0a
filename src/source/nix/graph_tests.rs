use serde_json::json;

use super::super::Closure;
use super::*;

const A: &str = "/nix/store/0000000000000000000000000000000a-a-1.0";
const B: &str = "/nix/store/0000000000000000000000000000000b-b-1.0";
const HASH: &str = "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";

fn path(text: &str) -> StorePath {
    StorePath::parse(text).unwrap()
}

fn info(references: &[&str]) -> Value {
    json!({"narHash": HASH, "narSize": 120, "references": references})
}

fn parse(text: &str) -> Result<Graph> {
    Graph::parse(text, Path::new("graph"))
}

/// A refers to itself and to B.
fn wanted() -> Graph {
    let info = |references: &[&str]| PathInfo {
        nar_hash: Digest::of(b"abc"),
        nar_size: 120,
        references: references.iter().map(|text| path(text)).collect(),
    };
    Graph {
        paths: [(path(A), info(&[A, B])), (path(B), info(&[]))].into(),
    }
}

#[test]
fn every_shape_says_the_same() {
    let base = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    let (a, b) = (base(A), base(B));
    let listed = |path: &str, references: &[&str]| {
        let mut item = info(references);
        item["path"] = json!(path);
        item["closureSize"] = json!(240);
        item
    };
    let list = json!([listed(A, &[A, B]), listed(B, &[])]);
    let half = |item: &Value| json!([item.clone()]);
    let shapes = [
        list.to_string(),
        json!({A: info(&[B, A]), B: info(&[])}).to_string(),
        json!({"version": 1, "storeDir": "/nix/store", A: info(&[A, B]), B: info(&[])}).to_string(),
        json!({"version": 2, "storeDir": "/nix/store",
            "info": {&a: info(&[&a, &b]), &b: info(&[])}})
        .to_string(),
        json!({"exportReferencesGraph": {"one": [A], "two": [B]}, "name": "x",
            "one": half(&list[0]), "two": half(&list[1])})
        .to_string(),
        format!("{A}\n{HASH}\n120\n\n2\n{A}\n{B}\n{B}\n{HASH}\n120\n/deriver\n0\n"),
    ];
    for shape in shapes {
        assert_eq!(parse(&shape).unwrap(), wanted(), "{shape}");
    }
    // What is written for Nix is read as the same.
    let graph = wanted();
    let text = registration::text(&graph.paths.iter().collect());
    assert_eq!(parse(&text).unwrap(), graph);
}

#[test]
fn what_says_too_little_or_two_things_is_refused() {
    let mut other = info(&[]);
    other["narSize"] = json!(121);
    other["path"] = json!(B);
    let mut first = info(&[]);
    first["path"] = json!(B);
    for (text, says) in [
        ("7".to_owned(), "is not a store path"),
        ("{}".to_owned(), "names no path"),
        (json!({A: null}).to_string(), "is not in the store"),
        (
            json!([{"path": A, "valid": false}]).to_string(),
            "is not in the store",
        ),
        (
            json!({A: {"narHash": HASH, "narSize": 1}}).to_string(),
            "has no `references`",
        ),
        (
            json!({A: {"narHash": HASH, "references": []}}).to_string(),
            "has no `narSize`",
        ),
        (
            json!({"info": {}, "version": 2}).to_string(),
            "without `storeDir`",
        ),
        (
            json!({"exportReferencesGraph": {"one": [A]}}).to_string(),
            "has no graph `one`",
        ),
        (json!([first, other]).to_string(), "two things"),
        (format!("{A}\n{HASH}\n120\n\n2\n{A}\n"), "ends within"),
        (
            format!("{A}\n{HASH}\nmany\n\n0\n"),
            "`many` is not a number",
        ),
        // As exportReferencesGraph writes it without structured attributes.
        (format!("{A}\n\n1\n{B}\n{B}\n\n0\n"), "is not a SHA-256"),
    ] {
        let error = parse(&text).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        assert!(error.message().contains(says), "{text}: {error}");
    }
}

#[test]
fn a_closure_has_the_paths_that_its_roots_lead_to() {
    let whole = Closure::new(wanted(), None).unwrap();
    assert_eq!(whole.roots, BTreeSet::from([path(A)]));
    assert!(whole.is_wide(&path(A), 2) && !whole.is_wide(&path(B), 2));
    let part = Closure::new(wanted(), Some(&path(B))).unwrap();
    assert_eq!(part.graph.paths.len(), 1);

    let mut cut = wanted();
    cut.paths.remove(&path(B));
    let error = Closure::new(cut, None).unwrap_err();
    assert!(error.message().contains(B), "{error}");
    let mut foreign = wanted();
    let moved = path(&B.replace("/nix", "/other"));
    let info = foreign.paths[&path(B)].clone();
    foreign.paths.insert(moved, info);
    assert!(Closure::new(foreign, None).is_err());
}

proptest::proptest! {
    #[test]
    fn nothing_makes_it_panic(text in "[\\PC\n]{0,200}", cut in 0usize..400) {
        let _ = parse(&text);
        let shape = json!([{"path": A, "narHash": HASH, "narSize": 1, "references": [B]}]).to_string();
        let cut = cut.min(shape.len());
        let _ = parse(&format!("{}{text}{}", &shape[..cut], &shape[cut..]));
        let _ = hash::parse(&text);
        let _ = StorePath::of(&text);
    }
}
