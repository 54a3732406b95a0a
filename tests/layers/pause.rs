//! The pause image made from catatonit: its bytes, and that other tools read them.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use nodelith::build::pause::stand_in;
use nodelith::image::Image;
use nodelith::image::archive;
use nodelith::layer::{Compression, make, plan};
use nodelith::store::Store;
use nodelith::tree::{Content, Node, Tree};
use serde_json::{Value, json};

use super::judges::run;
use super::layout::built;
use super::sample;

const REFERENCE: &str = "registry.k8s.io/pause:3.10";

/// Digests of the archive by architecture, made from [`program`].
///
/// If this fails, nodes would import another image of the same program: raise
/// `FORMAT`, as for layers.
const GOLDEN: [(&str, &str); 2] = [
    (
        "amd64",
        "67a7c2409860df55a0cc91bcf0d7d10bb3c0cbe29be83b110407edcc5719b1de",
    ),
    (
        "arm64",
        "07d7d32acfe2dd16b5c781fed1a3722badab223417be36a12a3f09003f268c4c",
    ),
];

/// Stands for catatonit's bytes.
fn program() -> Vec<u8> {
    sample::noise(70_001)
}

/// A root with a program; its content is as `content` has it.
fn root(content: Content) -> Tree {
    let size = program().len() as u64;
    let file = sample::entry(Node::File { size, content }, 0o755, "deb:catatonit");
    let folder = || sample::entry(Node::Directory, 0o755, "generated");
    Tree {
        entries: BTreeMap::from([
            ("usr".into(), folder()),
            ("usr/bin".into(), folder()),
            ("usr/bin/catatonit".into(), file),
        ]),
    }
}

fn in_memory() -> Tree {
    root(Content::Inline(program().into()))
}

/// The archive in a file of its own.
fn file(store: &Store, architecture: &str) -> PathBuf {
    let made = stand_in(store, &in_memory(), architecture, REFERENCE).unwrap();
    let Content::Blob(digest) = made.content else {
        panic!("{made:?}");
    };
    let path = store.blob_path(&digest);
    assert_eq!(fs::metadata(&path).unwrap().len(), made.size);
    path
}

#[test]
fn the_archive_is_these_bytes() {
    let (_folder, store) = sample::store();
    let found = GOLDEN.map(|(architecture, _)| {
        let path = file(&store, architecture);
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (architecture, name)
    });
    assert_eq!(
        found,
        GOLDEN.map(|(name, digest)| (name, digest.to_owned()))
    );
}

/// In a node's build the program is in a layer of the root.
#[test]
fn it_is_the_same_from_a_layer() {
    let (_folder, store) = sample::store();
    let tree = in_memory();
    let whole = plan(&tree, &BTreeMap::new(), 1).unwrap().layers.remove(0);
    let layer = make(&store, &whole, &tree, Compression::ZSTD, 1).unwrap();
    let layered = root(Content::Layer(layer.digest));
    assert_eq!(
        stand_in(&store, &layered, "amd64", REFERENCE).unwrap(),
        stand_in(&store, &tree, "amd64", REFERENCE).unwrap(),
    );
    let error = stand_in(&store, &Tree::default(), "amd64", REFERENCE).unwrap_err();
    assert!(error.message().contains("catatonit"), "{error}");
}

#[test]
fn skopeo_reads_and_copies_it() {
    let (folder, store) = sample::store();
    for architecture in ["amd64", "arm64"] {
        let archive = format!("oci-archive:{}", file(&store, architecture).display());
        let said = run("skopeo", &["inspect", "--raw", &archive]);
        let manifest: Value = serde_json::from_slice(&said).unwrap();
        assert_eq!(manifest["annotations"]["io.nodelith.pause"], "catatonit");
        let said = run("skopeo", &["inspect", "--config", &archive]);
        let config: Value = serde_json::from_slice(&said).unwrap();
        assert_eq!(config["architecture"], architecture);
        assert_eq!(config["config"]["Entrypoint"], json!(["/catatonit", "-P"]));
        assert_eq!(config["config"]["User"], "65535:65535");
        let copy = folder.path().join(architecture);
        let to = format!("dir:{}", copy.display());
        run("skopeo", &["copy", &archive, &to]);
        let layer = manifest["layers"][0]["digest"].as_str().unwrap();
        let layer = copy.join(layer.trim_start_matches("sha256:"));
        let listed = run("tar", &["-tf", layer.to_str().unwrap()]);
        assert_eq!(String::from_utf8(listed).unwrap(), "./\ncatatonit\n");
    }
}

/// Both names are the full reference, word for word.
#[test]
fn the_descriptor_has_the_reference() {
    let (_folder, store) = sample::store();
    let path = file(&store, "arm64");
    let index = run("tar", &["-xOf", path.to_str().unwrap(), "index.json"]);
    let index: Value = serde_json::from_slice(&index).unwrap();
    let descriptor = &index["manifests"][0];
    for key in [
        "io.containerd.image.name",
        "org.opencontainers.image.ref.name",
    ] {
        assert_eq!(descriptor["annotations"][key], REFERENCE);
    }
    assert_eq!(descriptor["platform"]["architecture"], "arm64");
    let archive = format!("oci-archive:{}", path.display());
    assert!(Image::open(&archive, Some("arm64")).is_ok());
    assert!(Image::open(&archive, Some("amd64")).is_err());
}

/// Several images may share an archive, and then their blobs too.
#[test]
fn a_shared_blob_stands_once() {
    let (folder, store) = sample::store();
    let tree = sample::tree();
    let one = built(&store, &tree, "amd64", Compression::ZSTD);
    let images = ["r.example/a:1", "r.example/b:1"].map(|name| (name, &one.manifest));
    let blobs: Vec<_> = one.blobs().chain(one.blobs()).collect();
    let (digest, _) = archive::write(&store, &images, &blobs).unwrap();
    let path = folder.path().join("both.tar");
    fs::copy(store.blob_path(&digest), &path).unwrap();
    let listed = run("tar", &["-tf", path.to_str().unwrap()]);
    let listed = String::from_utf8(listed).unwrap();
    assert_eq!(listed.lines().count(), 4 + one.blobs().count());
    for (reference, _) in images {
        let archive = format!("oci-archive:{}:{reference}", path.display());
        run("skopeo", &["inspect", &archive]);
    }
}
