//! What no good registry sends: one clear message, the right exit status, nothing kept.

use std::fs;

use insta::assert_snapshot;
use nodelith::digest::Digest;
use serde_json::{Value, json};

use super::scene::{Blobs, CONFIG, INDEX, MANIFEST, Scene, layer, noise};
use super::server::{Act, Reply, Request, Server, State};

/// A registry with one small image, and the digest of its one layer.
fn with_image(
    act: impl Fn(&Request, &mut State) -> Act + Send + Sync + 'static,
) -> (Server, Digest, Value) {
    let server = Server::new(act);
    let mut blobs = Blobs::default();
    let bytes = layer("usr/bin/x", &noise(1, 5000));
    let digest = Digest::of(&bytes);
    let top = blobs.image("amd64", &[bytes]);
    server.fill("a", &blobs, "1", &top);
    (server, digest, top)
}

/// Pulls `a:1`, which must fail, and leave nothing.
fn refused(status: i32, server: &Server) -> String {
    let scene = Scene::new();
    let said = scene.failing(status, &["pull", &server.name("a:1"), "-o", "out"]);
    assert!(!scene.path("out").exists());
    scene.assert_store_is_sound();
    said
}

fn reply(kind: &str, body: impl Into<Vec<u8>>) -> Act {
    Act::Reply(Reply::new(200).with("Content-Type", kind).body(body))
}

#[test]
fn a_layer_with_other_bytes() {
    let (server, digest, _) = with_image(|request, state| {
        for ((_, digest), bytes) in &mut state.blobs {
            if request.target.ends_with(&digest.to_string()) && bytes.len() > 5000 {
                let mut other = bytes.clone();
                other[1000] ^= 1;
                return Act::Reply(Reply::new(200).body(other));
            }
        }
        Act::Right
    });
    let scene = Scene::new();
    let said = scene.failing(4, &["pull", &server.name("a:1"), "-o", "out"]);
    assert_snapshot!(said);
    assert!(!scene.has(&digest));
    scene.assert_store_is_sound();
    // It was asked for once more before that was believed.
    assert_eq!(server.asked("GET", &digest.to_string()).len(), 2);
}

#[test]
fn a_layer_that_is_longer_or_shorter_than_said() {
    for (more, less) in [(100, 0), (0, 100)] {
        let (server, digest, _) = with_image(move |request, state| {
            let found = state.blobs.iter().find(|((_, digest), bytes)| {
                request.target.ends_with(&digest.to_string()) && bytes.len() > 5000
            });
            match found {
                Some((_, bytes)) => {
                    let mut other = bytes[..bytes.len() - less].to_vec();
                    other.resize(other.len() + more, 0);
                    Act::Reply(Reply::new(200).body(other))
                }
                None => Act::Right,
            }
        });
        let scene = Scene::new();
        let said = scene.failing(4, &["pull", &server.name("a:1"), "-o", "out"]);
        assert!(said.contains("gives something else"), "{said}");
        assert!(!scene.has(&digest));
    }
}

#[test]
fn a_manifest_with_other_bytes() {
    let (server, _, top) = with_image(|request, _| match request.path() {
        "/v2/a/manifests/1" => Act::Right,
        path if path.contains("/manifests/") => reply(MANIFEST, "{}"),
        _ => Act::Right,
    });
    let scene = Scene::new();
    let pinned = format!("{}@{}", server.name("a"), top["digest"].as_str().unwrap());
    assert_snapshot!(scene.failing(4, &["pull", &pinned, "-o", "out"]));
    // By a tag, the registry's own word for it does not fit.
    let (server, ..) = with_image(|request, _| match request.path().contains("/manifests/") {
        true => Act::Change(|reply| reply.body(r#"{"mediaType":"x"}"#)),
        false => Act::Right,
    });
    let said = refused(4, &server);
    assert!(said.contains(" instead of "), "{said}");
}

#[test]
fn a_manifest_that_is_too_large() {
    let (server, ..) = with_image(|request, _| match request.path().contains("/manifests/") {
        true => reply(MANIFEST, vec![b' '; (4 << 20) + 1]),
        false => Act::Right,
    });
    assert_snapshot!(refused(4, &server));
    // An index says so beforehand.
    let server = Server::good();
    let mut blobs = Blobs::default();
    let entry = json!({"mediaType": MANIFEST, "digest": Digest::of(b"x"), "size": 5 << 20});
    let top = blobs.index(&[entry]);
    server.fill("a", &blobs, "1", &top);
    let said = refused(4, &server);
    assert!(said.contains("larger than 4 MiB"), "{said}");
}

#[test]
fn indexes_without_end() {
    let server = Server::good();
    let mut blobs = Blobs::default();
    let mut top = blobs.image("amd64", &[layer("x", b"x")]);
    for _ in 0..6 {
        top = blobs.index(&[top]);
    }
    server.fill("a", &blobs, "1", &top);
    assert_snapshot!(refused(4, &server));
    assert!(server.asked("GET", "/manifests/").len() <= 6);

    let mut blobs = Blobs::default();
    let many: Vec<Value> = (0..1000)
        .map(|number| json!({"mediaType": MANIFEST, "digest": Digest::of(&[number as u8, (number >> 8) as u8]), "size": 2}))
        .collect();
    let top = blobs.index(&many);
    server.fill("a", &blobs, "1", &top);
    assert_snapshot!(refused(4, &server));
}

#[test]
fn documents_that_are_two_things_or_none() {
    let both = json!({
        "schemaVersion": 2, "manifests": [], "layers": [],
        "config": {"mediaType": CONFIG, "digest": Digest::of(b""), "size": 0},
    });
    let index = json!({"mediaType": INDEX, "manifests": []}).to_string();
    let schema1 = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    let mut said = String::new();
    for (kind, body) in [
        (MANIFEST, both.to_string()),
        (MANIFEST, index),
        (schema1, "{}".into()),
        ("text/html", "<html>".into()),
        ("text/html", "{}".into()),
        (MANIFEST, r#"{"layers": [{}], "config": {}}"#.into()),
        (MANIFEST, "{}".into()),
    ] {
        let server = Server::new(move |_, _| reply(kind, body.clone()));
        said += &refused(4, &server);
    }
    assert_snapshot!(said);
}

#[test]
fn what_is_not_there() {
    let server = Server::good();
    assert_snapshot!(refused(3, &server));
    let (server, digest, _) = with_image(|_, _| Act::Right);
    server
        .state
        .lock()
        .unwrap()
        .blobs
        .remove(&("a".into(), digest));
    let said = refused(5, &server);
    assert!(said.contains("404 Not Found: BLOB_UNKNOWN"), "{said}");
}

#[test]
fn a_registry_that_is_down_or_says_strange_things() {
    let server = Server::new(|_, _| Act::Reply(Reply::new(503)));
    let said = refused(5, &server);
    assert!(said.contains("503 Service Unavailable"), "{said}");
    let last = said.lines().skip_while(|line| !line.starts_with("error"));
    assert_snapshot!(last.collect::<Vec<_>>().join("\n"));
    assert_eq!(server.asked("GET", "/manifests/").len(), 4);
    let server =
        Server::new(|_, _| Act::Reply(Reply::error(403, "DENIED", "not\u{1b}[31m for you")));
    let said = refused(5, &server);
    assert!(!said.contains('\u{1b}'), "{said:?}");
    assert!(said.contains("403 Forbidden: DENIED"), "{said}");
    let server = Server::new(|request, _| {
        Act::Reply(Reply::new(307).with("Location", request.target.clone()))
    });
    let said = refused(5, &server);
    assert!(said.contains("too many redirects"), "{said}");
    let scene = Scene::new();
    let said = scene.failing(5, &["pull", "127.0.0.1:1/a", "--retries", "0"]);
    assert!(said.contains("Connection refused"), "{said}");
}

#[test]
fn a_registry_that_takes_something_else_than_it_was_given() {
    let server = Server::new(|request, _| match &*request.method {
        "PUT" if request.target.contains("/manifests/") => Act::Change(|mut reply| {
            reply.headers.clear();
            reply.with("Docker-Content-Digest", Digest::of(b"other"))
        }),
        _ => Act::Right,
    });
    let scene = Scene::new();
    scene.layout("image", &[layer("x", b"x")]);
    assert_snapshot!(scene.failing(4, &["push", "image", &server.name("a:1")]));
}

#[test]
fn a_damaged_image_is_not_pushed() {
    let server = Server::good();
    let scene = Scene::new();
    let bytes = layer("x", &noise(1, 5000));
    let folder = scene.layout("image", std::slice::from_ref(&bytes));
    let path = folder.join("blobs/sha256").join(Digest::of(&bytes).hex());
    let mut other = bytes.clone();
    other[700] ^= 1;
    fs::write(&path, other).unwrap();
    assert_snapshot!(scene.failing(4, &["push", "image", &server.name("a:1")]));
    let state = server.state.lock().unwrap();
    assert!(state.manifests.is_empty());
    assert!(!state.blobs.contains_key(&("a".into(), Digest::of(&bytes))));
}

#[test]
fn a_layer_that_leads_out_of_the_root() {
    let server = Server::good();
    let mut blobs = Blobs::default();
    let mut bytes = layer("aa/escape", b"x");
    // No tar writer makes such a name.
    bytes[..9].copy_from_slice(b"../escape");
    let sum: u32 = bytes[..512]
        .iter()
        .enumerate()
        .map(|(at, &byte)| {
            if (148..156).contains(&at) {
                32
            } else {
                u32::from(byte)
            }
        })
        .sum();
    bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let top = blobs.image("amd64", &[bytes]);
    server.fill("a", &blobs, "1", &top);
    let scene = Scene::new();
    let name = format!("docker://{}", server.name("a:1"));
    let said = scene.failing(4, &["show", "--files", &name]);
    assert!(said.contains("../escape"), "{said}");
    assert!(!scene.path("escape").exists());
}

#[test]
fn an_image_for_another_architecture_than_its_index_says() {
    let server = Server::good();
    let mut blobs = Blobs::default();
    let mut wrong = blobs.image("riscv64", &[layer("x", b"x")]);
    wrong["platform"]["architecture"] = json!("amd64");
    let right = blobs.image("arm64", &[layer("x", b"y")]);
    let top = blobs.index(&[wrong, right]);
    server.fill("a", &blobs, "1", &top);
    let scene = Scene::new();
    let name = server.name("a:1");
    let said = scene.failing(3, &["pull", &name, "-o", "out", "--arch", "amd64"]);
    assert!(
        said.contains("the image is for `riscv64`, not for `amd64`"),
        "{said}"
    );
    assert!(!scene.path("out").exists());
}

#[test]
fn names_that_are_none() {
    let scene = Scene::new();
    scene.layout("image", &[layer("x", b"x")]);
    let said = scene.failing(2, &["push", "image", "Host/UPPER"]);
    assert_snapshot!(said);
    let said = scene.failing(2, &["push", "nothing", "host.example/a"]);
    assert!(said.contains("there is no image `nothing`"), "{said}");
}
