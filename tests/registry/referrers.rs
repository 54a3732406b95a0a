//! What refers to a manifest: asked of a registry that keeps such lists, and by the
//! tag that stands in for it where the registry (docker-registry) does not.

use std::collections::BTreeMap;

use nodelith::http;
use nodelith::image::manifest::Descriptor;
use nodelith::registry::{Artifact, Listed, Options, Reference, Registries};
use nodelith::report::{Mode, Report};
use nodelith::store::Store;
use serde_json::json;

use super::docker::DockerRegistry;
use super::scene::{INDEX, Scene, layer};
use super::server::{Act, Reply, Server};

const KIND: &str = "application/vnd.nodelith.proof.v1+json";

struct World {
    scene: Scene,
    store: Store,
    registries: Registries,
}

impl World {
    /// A scene, and an image of it pushed as `a:1`.
    fn new(host: &str) -> (Self, Reference) {
        let scene = Scene::new();
        scene.layout("image", &[layer("x", b"x")]);
        scene.json(&["push", "image", &format!("{host}/a:1")]);
        let store = Store::open(scene.path("store")).unwrap();
        let default = Options::default();
        let options = Options {
            plain_http: true,
            http: http::Options {
                retries: 1,
                ..default.http
            },
            ..default
        };
        let registries = Registries::new(store.clone(), Report::new(Mode::Silent), options);
        let world = Self {
            scene,
            store,
            registries,
        };
        (world, format!("{host}/a:1").parse().unwrap())
    }

    fn artifact(&self, text: &str, kind: &str) -> Artifact {
        let digest = self.store.put(text.as_bytes()).unwrap();
        Artifact {
            artifact_type: kind.into(),
            blobs: vec![Descriptor {
                media_type: "application/json".into(),
                digest,
                size: text.len() as u64,
                annotations: BTreeMap::new(),
                platform: None,
            }],
            annotations: BTreeMap::from([("says".into(), text.into())]),
        }
    }

    fn attach(&self, image: &Reference, text: &str, kind: &str) -> Listed {
        let subject = self.registries.resolve(image).unwrap();
        let artifact = self.artifact(text, kind);
        let attached = self.registries.attach(image, &subject, &artifact);
        attached.unwrap().listed
    }

    fn says(&self, image: &Reference, kind: Option<&str>) -> Vec<String> {
        let found = self.registries.referrers(image, kind).unwrap();
        let mut says: Vec<_> = found
            .iter()
            .map(|one| one.descriptor.annotations["says"].clone())
            .collect();
        says.sort();
        says
    }
}

#[test]
fn a_registry_without_lists_has_a_tag_for_them() {
    let registry = DockerRegistry::start();
    let (world, image) = World::new(&registry.host);
    assert!(world.registries.referrers(&image, None).unwrap().is_empty());
    let subject = world.registries.resolve(&image).unwrap().digest;
    let tag = format!("sha256-{}", subject.hex());
    for text in ["one", "two", "one"] {
        assert_eq!(world.attach(&image, text, KIND), Listed::Tag(tag.clone()));
    }
    world.attach(&image, "other", "text/plain");
    assert_eq!(world.says(&image, None), ["one", "other", "two"]);
    assert_eq!(world.says(&image, Some(KIND)), ["one", "two"]);
    // Others find them there, and the artifact is an image like any other.
    let raw = super::common::run(std::process::Command::new("skopeo").args([
        "inspect",
        "--raw",
        "--tls-verify=false",
        &format!("docker://{}", registry.name(&format!("a:{tag}"))),
    ]));
    let index: serde_json::Value = serde_json::from_slice(&raw).unwrap();
    assert_eq!(index["mediaType"], INDEX);
    assert_eq!(index["manifests"].as_array().unwrap().len(), 3);
    assert_eq!(index["manifests"][0]["artifactType"], KIND);
    let digest = index["manifests"][0]["digest"].as_str().unwrap();
    let name = format!("{}@{digest}", registry.name("a"));
    world.scene.json(&["pull", &name, "-o", "artifact"]);
}

#[test]
fn a_registry_with_lists_is_asked_and_the_tag_is_read_too() {
    let server = Server::good();
    let (world, image) = World::new(&server.host);
    let tag = match world.attach(&image, "early", KIND) {
        Listed::Tag(tag) => tag,
        Listed::Registry => panic!("it keeps no lists yet"),
    };
    server.state.lock().unwrap().referrers = true;
    assert_eq!(world.attach(&image, "late", KIND), Listed::Registry);
    let early = server.asked("PUT", &tag).len();
    assert_eq!(early, 1);
    assert_eq!(world.says(&image, Some(KIND)), ["early", "late"]);
    assert_eq!(world.says(&image, Some("text/plain")), [""; 0]);
    // A registry that forgets the old ones.
    let subject = world.registries.resolve(&image).unwrap().digest;
    let mut state = server.state.lock().unwrap();
    state.manifests.remove(&("a".into(), tag));
    drop(state);
    assert_eq!(world.says(&image, None), ["early", "late"]);
    let _ = subject;
}

#[test]
fn lists_in_pages() {
    let page = |number: usize| {
        let manifests: Vec<_> = (0..2)
            .map(|one| {
                let text = format!("{number}-{one}");
                json!({
                    "mediaType": super::scene::MANIFEST, "size": 1, "artifactType": KIND,
                    "digest": nodelith::digest::Digest::of(text.as_bytes()),
                    "annotations": {"says": text},
                })
            })
            .collect();
        json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}).to_string()
    };
    let endless = Server::new(move |request, _| {
        if !request.path().contains("/referrers/") {
            return Act::Right;
        }
        let number: usize = request
            .value("n")
            .map_or(0, |number| number.parse().unwrap());
        let reply = Reply::new(200)
            .with("Content-Type", INDEX)
            .body(page(number));
        let last = request.path().contains("/short/") && number == 2;
        Act::Reply(match last {
            true => reply,
            false => {
                let next = format!("<{}?n={}>; rel=\"next\"", request.path(), number + 1);
                reply.with("Link", next)
            }
        })
    });
    let (world, _) = World::new(&endless.host);
    let digest = nodelith::digest::Digest::of(b"x");
    let name = |repository: &str| -> Reference {
        format!("{}@{digest}", endless.name(repository))
            .parse()
            .unwrap()
    };
    let found = world.says(&name("short"), None);
    assert_eq!(found, ["0-0", "0-1", "1-0", "1-1", "2-0", "2-1"]);
    let error = world.registries.referrers(&name("long"), None).unwrap_err();
    assert!(error.message().contains("more than"), "{error}");
}
