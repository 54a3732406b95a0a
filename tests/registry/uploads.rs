//! Uploads that break, and registries that have their own ways with them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nodelith::digest::Digest;

use super::scene::{Scene, layer, noise};
use super::server::{Act, Reply, Request, Server, State};

/// A layer of two and a half parts of 1 MiB.
fn long() -> Vec<u8> {
    layer("usr/bin/long", &noise(1, (5 << 20) / 2))
}

/// Pushes an image with one long layer in parts of 1 MiB; the registry must have it all.
fn push(server: &Server, layers: &[Vec<u8>]) -> serde_json::Value {
    let scene = Scene::new();
    scene.layout("image", layers);
    let pushed = scene.json(&["push", "image", &server.name("a:1"), "--chunk-size", "1"]);
    let state = server.state.lock().unwrap();
    for bytes in layers {
        let key = ("a".to_owned(), Digest::of(bytes));
        assert_eq!(state.blobs.get(&key), Some(bytes));
    }
    assert!(state.manifests.contains_key(&("a".into(), "1".into())));
    pushed
}

/// A registry that misbehaves once, at the request of this method and number (from 1).
fn once(
    method: &'static str,
    number: usize,
    act: impl Fn() -> Act + Send + Sync + 'static,
) -> Server {
    let count = Arc::new(AtomicUsize::new(0));
    Server::new(move |request, _| {
        if request.method == method && count.fetch_add(1, Ordering::SeqCst) + 1 == number {
            act()
        } else {
            Act::Right
        }
    })
}

fn ranges(server: &Server) -> Vec<String> {
    let parts = server.asked("PATCH", "");
    let ranges = parts
        .iter()
        .map(|part| part.header("content-range").unwrap().to_owned());
    ranges.collect()
}

#[test]
fn long_blobs_go_in_parts_and_short_ones_at_once() {
    let server = Server::good();
    push(&server, &[long(), layer("short", b"short")]);
    let size = long().len();
    assert_eq!(
        ranges(&server),
        [
            "0-1048575".to_owned(),
            "1048576-2097151".to_owned(),
            format!("2097152-{}", size - 1)
        ]
    );
    assert_eq!(server.asked("POST", "/blobs/uploads/").len(), 3);
}

#[test]
fn a_part_may_be_answered_with_created() {
    // As Amazon's registry does.
    let server = Server::new(|request, _| match &*request.method {
        "PATCH" => Act::Change(|mut reply| {
            reply.status = 201;
            reply
        }),
        _ => Act::Right,
    });
    push(&server, &[long()]);
    assert_eq!(ranges(&server).len(), 3);
}

#[test]
fn an_upload_goes_on_where_the_connection_broke() {
    let server = once("PATCH", 2, || Act::CutBody(500_000));
    push(&server, &[long()]);
    assert_eq!(server.asked("GET", "/blobs/uploads/").len(), 1);
    let ranges = ranges(&server);
    assert_eq!(
        ranges[2],
        format!("{}-{}", 1_548_576, 1_548_576 + (1 << 20) - 1),
        "{ranges:?}"
    );
    // Only one upload was begun for it, and one for the configuration.
    assert_eq!(server.asked("POST", "/blobs/uploads/").len(), 2);
}

#[test]
fn a_lost_upload_begins_anew() {
    let server = once("PATCH", 2, || {
        Act::Reply(Reply::error(404, "BLOB_UPLOAD_UNKNOWN", "gone"))
    });
    push(&server, &[long()]);
    assert_eq!(server.asked("POST", "/blobs/uploads/").len(), 3);
    // One that is always lost is given up.
    let server = Server::new(|request, _| match request.method == "PUT" {
        true => Act::Reply(Reply::error(400, "BLOB_UPLOAD_INVALID", "gone")),
        false => Act::Right,
    });
    let scene = Scene::new();
    scene.layout("image", &[layer("x", b"x")]);
    let said = scene.failing(5, &["push", "image", &server.name("a:1"), "--retries", "9"]);
    let error = said.lines().find(|line| line.starts_with("error")).unwrap();
    assert!(
        error.ends_with("400 Bad Request: BLOB_UPLOAD_INVALID: gone"),
        "{said}"
    );
    assert!(server.asked("PUT", "").len() <= 8);
}

#[test]
fn a_registry_that_knows_no_parts_gets_the_whole() {
    let server = Server::new(|request, _| match request.method == "PATCH" {
        true => Act::Reply(Reply::new(405)),
        false => Act::Right,
    });
    push(&server, &[long()]);
    assert_eq!(server.asked("PATCH", "").len(), 1);
    assert_eq!(server.asked("DELETE", "/blobs/uploads/").len(), 1);
}

#[test]
fn a_registry_may_want_longer_parts() {
    let server = Server::new(|request, _| match request.method == "POST" {
        true => Act::Change(|reply| reply.with("OCI-Chunk-Min-Length", 2 << 20)),
        false => Act::Right,
    });
    push(&server, &[long()]);
    assert_eq!(ranges(&server)[0], "0-2097151");
}

#[test]
fn an_answer_that_is_lost_is_not_sent_for_twice() {
    let server = once("PUT", 1, || Act::CutBody(usize::MAX));
    push(&server, &[layer("x", b"x")]);
    let uploads = server.asked("PUT", "/blobs/uploads/").len();
    assert_eq!(uploads, 2, "one for each blob");
}

#[test]
fn whatever_passes_is_waited_for() {
    let acts: [fn() -> Act; 6] = [
        || Act::Reply(Reply::new(429).with("Retry-After", 0)),
        || Act::Reply(Reply::new(500)),
        || Act::Reply(Reply::new(408)),
        || Act::CutBody(0),
        || Act::Stall(Duration::from_secs(4)),
        || Act::CutReply(3),
    ];
    for act in acts {
        for method in ["HEAD", "POST", "PUT", "PATCH"] {
            let server = once(method, 1, act);
            push(&server, &[long()]);
        }
    }
}

#[test]
fn pulls_go_on_where_they_stopped() {
    let server = Server::good();
    push(&server, &[long()]);
    let count = Arc::new(AtomicUsize::new(0));
    let breaking = Server::new(move |request: &Request, _: &mut State| {
        let is_layer = request.path().contains("/blobs/") && request.method == "GET";
        match is_layer && count.fetch_add(1, Ordering::SeqCst) < 3 {
            true => Act::CutReply(700_000),
            false => Act::Right,
        }
    });
    {
        let from = server.state.lock().unwrap();
        let mut to = breaking.state.lock().unwrap();
        to.blobs = from.blobs.clone();
        to.manifests = from.manifests.clone();
    }
    let scene = Scene::new();
    scene.json(&["pull", &breaking.name("a:1")]);
    scene.assert_store_is_sound();
    let ranges: Vec<_> = breaking
        .asked("GET", "/blobs/")
        .iter()
        .filter_map(|request| request.header("range").map(str::to_owned))
        .collect();
    assert!(ranges.contains(&"bytes=700000-".to_owned()), "{ranges:?}");

    // The next process goes on, too.
    let broken = Server::new(|request, _| {
        match request.path().contains("/blobs/") && request.method == "GET" {
            true => Act::CutReply(700_000),
            false => Act::Right,
        }
    });
    {
        let from = server.state.lock().unwrap();
        let mut to = broken.state.lock().unwrap();
        to.blobs = from.blobs.clone();
        to.manifests = from.manifests.clone();
    }
    let scene = Scene::new();
    scene.failing(
        5,
        &["pull", &broken.name("a:1"), "-o", "out", "--retries", "0"],
    );
    assert!(!scene.path("out").exists());
    scene.json(&["pull", &server.name("a:1"), "-o", "out"]);
    let last = server.asked("GET", &Digest::of(&long()).to_string());
    assert_eq!(last.last().unwrap().header("range"), Some("bytes=700000-"));
}

#[test]
fn a_body_that_is_too_large_for_something_on_the_way() {
    let server = Server::new(|request, _| match request.method == "PUT" {
        true => Act::Reply(Reply::new(413)),
        false => Act::Right,
    });
    let scene = Scene::new();
    scene.layout("image", &[layer("x", b"x")]);
    let said = scene.failing(5, &["push", "image", &server.name("a:1")]);
    assert!(said.contains("choose a smaller `--chunk-size`"), "{said}");
}
