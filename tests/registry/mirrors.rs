//! Mirrors and proxies.

use super::common;
use super::scene::{Blobs, QUICK, Scene, layer, noise};
use super::server::{Act, Reply, Server};

fn image() -> (Blobs, serde_json::Value) {
    let mut blobs = Blobs::default();
    let top = blobs.image("amd64", &[layer("x", &noise(1, 5000))]);
    (blobs, top)
}

#[test]
fn a_mirror_is_asked_first_and_the_registry_for_what_it_lacks() {
    let (blobs, top) = image();
    let (mirror, registry) = (Server::good(), Server::good());
    registry.fill("team/node", &blobs, "1", &top);
    mirror.fill("cache/team/node", &blobs, "1", &top);
    let scene = Scene::new();
    let name = registry.name("team/node:1");
    let through = format!("{}=http://{}/cache", registry.host, mirror.host);
    let pulled = scene.json(&["pull", &name, "--registry-mirror", &through]);
    assert_eq!(pulled["digest"], top["digest"]);
    assert!(registry.asked("GET", "").is_empty());
    let asked = mirror.asked("GET", "/v2/cache/team/node/manifests/1");
    assert_eq!(asked[0].value("ns").as_deref(), Some(&*registry.host));

    // One layer is missing there.
    let layer = blobs.0.keys().find(|digest| blobs.0[*digest].len() > 5000);
    let key = ("cache/team/node".to_owned(), *layer.unwrap());
    mirror.state.lock().unwrap().blobs.remove(&key);
    let fresh = Scene::new();
    fresh.json(&["pull", &name, "--registry-mirror", &through]);
    assert_eq!(registry.asked("GET", "/blobs/").len(), 1);
    fresh.assert_store_is_sound();

    // It is broken altogether.
    let broken = Server::new(|_, _| Act::Reply(Reply::new(500)));
    let through = format!("{}=http://{}", registry.host, broken.host);
    let fresh = Scene::new();
    fresh.json(&["pull", &name, "--registry-mirror", &through]);

    let wrong = ["pull", &name, "--registry-mirror", "x=ftp://y"];
    common::refused(&mut scene.nodelith(&wrong), 2);
}

#[test]
fn a_proxy_is_used_where_the_environment_names_one() {
    let (blobs, top) = image();
    let proxy = Server::good();
    proxy.fill("node", &blobs, "1", &top);
    let scene = Scene::new();
    let mut pull = scene.nodelith(&["pull", "registry.invalid/node:1"]);
    pull.env("HTTP_PROXY", format!("http://{}", proxy.host));
    let pulled = common::json(pull.args(QUICK));
    assert_eq!(pulled["digest"], top["digest"]);
    let asked = proxy.asked("GET", "/v2/node/manifests/1");
    assert_eq!(asked[0].header("host"), Some("registry.invalid"));
}
