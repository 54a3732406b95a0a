//! What a cache has that is of no use: it is told, and made here.

use std::fs;
use std::path::Path;

use nodelith::digest::Digest;
use nodelith::image::manifest::Descriptor;
use nodelith::layer::FORMAT;
use nodelith::registry::{Options, Registries, Tagged};
use nodelith::report::{Mode, Report};
use nodelith::store::Store;
use serde_json::{Value, json};

use super::common::manifest_digest;
use super::team::{Machine, Team};

const ARTIFACT: &str = "application/vnd.nodelith.cache.v1";
const DOCUMENT: &str = "application/vnd.nodelith.cache.v1+json+zstd";

/// The only record of a kind in a machine's store: its key, and what it says.
fn record(machine: &Machine, kind: &str) -> (String, Value) {
    let folder = machine.path("store/records").join(kind);
    let files = fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 1);
    let path = files.pop().unwrap();
    let key = path.file_name().unwrap().to_str().unwrap().to_owned();
    (
        key,
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap(),
    )
}

/// Puts entries into a cache as somebody would who means harm.
struct Hand {
    store: Store,
    registries: Registries,
    cache: String,
}

impl Hand {
    fn new(store: &Path, cache: &str) -> Self {
        let store = Store::open(store).unwrap();
        let report = Report::new(Mode::Quiet);
        let options = Options {
            plain_http: true,
            ..Options::default()
        };
        Self {
            registries: Registries::new(store.clone(), report, options),
            store,
            cache: cache.to_owned(),
        }
    }

    fn put(&self, tag: &str, kind: &str, document: &[u8], blobs: &[(Digest, u64)]) {
        let descriptor = |media_type: &str, digest: Digest, size: u64| Descriptor {
            media_type: media_type.to_owned(),
            digest,
            size,
            annotations: Default::default(),
            platform: None,
        };
        let digest = self.store.put(document).unwrap();
        let artifact = Tagged {
            artifact_type: kind.to_owned(),
            config: descriptor(DOCUMENT, digest, document.len() as u64),
            layers: blobs
                .iter()
                .map(|(digest, size)| descriptor("application/octet-stream", *digest, *size))
                .collect(),
            annotations: Default::default(),
        };
        let reference = format!("{}:{tag}", self.cache).parse().unwrap();
        self.registries.put_tagged(&reference, &artifact).unwrap();
    }

    fn put_json(&self, tag: &str, document: &Value, blobs: &[(Digest, u64)]) {
        let bytes = zstd::encode_all(document.to_string().as_bytes(), 3).unwrap();
        self.put(tag, ARTIFACT, &bytes, blobs);
    }

    /// A layer with one file, as no build of ours would pack it.
    fn foreign_layer(&self) -> (Digest, u64, Digest, u64) {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(4);
        header.set_mode(0o644);
        builder
            .append_data(&mut header, "etc/motd", &b"evil"[..])
            .unwrap();
        let tar = builder.into_inner().unwrap();
        let bytes = zstd::encode_all(&tar[..], 3).unwrap();
        let digest = self.store.put(&bytes).unwrap();
        (
            digest,
            bytes.len() as u64,
            Digest::of(&tar),
            tar.len() as u64,
        )
    }
}

fn blobs(record: &Value) -> Vec<(Digest, u64)> {
    let layers = record["layers"].as_array().unwrap().iter();
    layers
        .map(|layer| &layer["blob"])
        .map(|blob| {
            let digest = blob["digest"].as_str().unwrap().parse().unwrap();
            (digest, blob["size"].as_u64().unwrap())
        })
        .collect()
}

#[test]
fn roots_that_are_not_what_they_say() {
    let team = Team::new();
    let a = team.first();
    let (key, good) = record(&a, "roots");
    let hand = Hand::new(&a.path("store"), &team.cache());
    let tag = format!("root-{key}");
    let document = |record: &Value| {
        json!({
            "schema": "nodelith.cache-entry", "version": 1, "format": FORMAT, "what": "root",
            "key": format!("sha256:{key}"), "record": record,
        })
    };
    let (foreign, size, diff_id, length) = hand.foreign_layer();
    type Change<'a> = &'a dyn Fn(&mut Value);
    let cases: [(&str, Change<'_>); 14] = [
        ("it is for root sha256:0000", &|entry| {
            entry["key"] = format!("sha256:{}", "0".repeat(64)).into();
        }),
        ("it is for layer", &|entry| entry["what"] = "layer".into()),
        ("`nodelith.cache-entry` 1, format 0", &|entry| {
            entry["format"] = 0.into();
        }),
        ("it is no entry of ours: missing field", &|entry| {
            entry["record"]["tree"] = json!({});
        }),
        // Files of the machine that builds must not come into an image.
        ("the tree says something else of `usr/bin/env`", &|entry| {
            let node = json!({"file": {"size": 9, "content": {"disk": "/etc/shadow"}}});
            entry["record"]["tree"]["entries"]["usr/bin/env"]["node"] = node;
        }),
        ("the tree says something else of `usr/bin/env`", &|entry| {
            entry["record"]["tree"]["entries"]["usr/bin/env"]["mode"] = 0o4755.into();
        }),
        ("the tree says something else of `usr/bin/env`", &|entry| {
            entry["record"]["tree"]["entries"]["usr/bin/env"]["component"] = "generated".into();
        }),
        ("`usr/bin/env` is not in the tree", &|entry| {
            let entries = entry["record"]["tree"]["entries"].as_object_mut();
            entries.unwrap().remove("usr/bin/env").unwrap();
        }),
        ("`usr/bin/evil` is in no layer", &|entry| {
            let entries = &mut entry["record"]["tree"]["entries"];
            entries["usr/bin/evil"] = entries["usr/bin/env"].clone();
        }),
        ("is in two layers", &|entry| {
            let layers = entry["record"]["layers"].as_array_mut().unwrap();
            layers.push(layers[0].clone());
        }),
        ("does not match its digest", &|entry| {
            let blob = &mut entry["record"]["layers"][0]["blob"];
            blob["diffId"] = format!("sha256:{}", "0".repeat(64)).into();
        }),
        // However much would come out of it, no more is read than was said.
        ("has not the size that it should have", &|entry| {
            entry["record"]["layers"][0]["blob"]["uncompressedSize"] = 10_240.into();
        }),
        ("it is not packed as we pack it", &|entry| {
            entry["record"]["tree"]["entries"] = json!({"etc/motd": {
                "node": {"file": {"size": 4, "content": {"layer": foreign}}},
                "mode": 0o644, "uid": 0, "gid": 0, "mtime": 0, "component": "generated",
            }});
            entry["record"]["layers"] = json!([{
                "components": ["generated"],
                "blob": {
                    "id": "generated", "digest": foreign, "size": size, "diffId": diff_id,
                    "uncompressedSize": length, "files": 1,
                    "mediaType": "application/vnd.oci.image.layer.v1.tar+zstd",
                },
            }]);
        }),
        ("its times are another lock's", &|entry| {
            entry["record"]["newest"] = i64::MAX.into();
        }),
    ];
    for (number, (why, change)) in cases.into_iter().enumerate() {
        let mut entry = document(&good);
        change(&mut entry);
        let mut named = blobs(&good);
        named.push((foreign, size));
        hand.put_json(&tag, &entry, &named);
        assert_refused(&team, &format!("case-{number}"), why);
    }
    // What is no document at all.
    hand.put(&tag, ARTIFACT, b"not even compressed", &[]);
    assert_refused(&team, "no-document", "it is no entry of ours");
    // A bomb: a gigabyte of nothing.
    let zeros = std::io::Read::take(std::io::repeat(0), 1 << 30);
    hand.put(&tag, ARTIFACT, &zstd::encode_all(zeros, 3).unwrap(), &[]);
    assert_refused(&team, "bomb", "its document is longer than 256 MiB");
    // Somebody else's, which is nobody's fault.
    hand.put(&tag, "application/vnd.example", b"theirs", &[]);
    let machine = team.machine("theirs");
    let built = team.build_from_caches(&machine, &["--cache-from", &team.cache()]);
    assert_eq!(built.messages("warning"), [""; 0]);
    // As it was, it is taken.
    hand.put_json(&tag, &document(&good), &blobs(&good));
    let machine = team.machine("good");
    let built = team.build_from_caches(&machine, &["--cache-from", &team.cache()]);
    assert_eq!(
        (built.status, built.messages("warning")),
        (0, vec![]),
        "{}",
        built.said
    );
}

/// A machine that has nothing else does not take what the cache has.
fn assert_refused(team: &Team, name: &str, why: &str) {
    let machine = team.machine(name);
    let built = team.build_from_caches(&machine, &["--cache-from", &team.cache()]);
    assert_ne!(built.status, 0, "{why}");
    let warnings = built.messages("warning");
    assert!(
        warnings
            .iter()
            .any(|said| said.contains("is not used") && said.contains(why)),
        "{why}: {warnings:#?}"
    );
    assert_eq!(machine.records("roots"), 0, "{why}");
    assert!(!machine.path("out").exists());
    fs::remove_dir_all(&machine.folder).unwrap();
}

#[test]
fn what_is_refused_is_made_and_given_again() {
    let team = Team::new();
    let (a, cache) = (team.first(), team.cache());
    let good = team.build(&a, &["--cache-to", &cache]);
    let hand = Hand::new(&a.path("store"), &cache);
    let (foreign, size, diff_id, length) = hand.foreign_layer();
    let layers = a.path("store/records/layers");
    let keys: Vec<String> = fs::read_dir(&layers)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    // Every layer entry now names another content, all of it true but for its key.
    for key in &keys {
        let record = fs::read(layers.join(key)).unwrap();
        let mut record: Value = serde_json::from_slice(&record).unwrap();
        for (field, value) in [
            ("digest", json!(foreign)),
            ("size", json!(size)),
            ("diffId", json!(diff_id)),
            ("uncompressedSize", json!(length)),
            ("files", json!(1)),
        ] {
            record[field] = value;
        }
        let document = json!({
            "schema": "nodelith.cache-entry", "version": 1, "format": FORMAT, "what": "layer",
            "key": format!("sha256:{key}"), "record": record,
        });
        hand.put_json(&format!("layer-{key}"), &document, &[(foreign, size)]);
    }
    let (root, _) = record(&a, "roots");
    hand.put(&format!("root-{root}"), ARTIFACT, b"broken", &[]);

    // Packages are there, so all of it is made here; and the cache is right again.
    let b = team.machine("b");
    let both = ["--cache-from", cache.as_str(), "--cache-to", cache.as_str()];
    let built = team.build(&b, &both);
    assert_eq!(built.digest, good.digest);
    let warnings = built.messages("warning");
    let told = warnings.iter().filter(|said| said.contains("is not used"));
    assert_eq!(told.count(), 1 + keys.len(), "{warnings:#?}");
    let c = team.machine("c");
    let built = team.build_from_caches(&c, &["--cache-from", &cache]);
    assert_eq!(
        (built.digest.as_str(), built.made().len()),
        (&*good.digest, 0)
    );
    assert_eq!(built.messages("warning"), [""; 0]);
}

#[test]
fn a_cache_that_cannot_be_reached() {
    let team = Team::new();
    let a = team.first();
    let good = team.build(&a, &[]);
    // Nobody listens there.
    let gone = "127.0.0.1:1/cache";
    fs::remove_dir_all(a.path("store/records/images")).unwrap();
    let built = team.build(&a, &["--cache-from", gone, "--cache-to", gone]);
    assert_eq!(built.digest, good.digest);
    let warnings = built.messages("warning");
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    assert!(warnings[0].contains("`127.0.0.1:1/cache`"), "{warnings:#?}");
    assert_eq!(manifest_digest(&a.path("out")), good.digest);
}
