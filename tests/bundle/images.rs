//! Images to export: ours of trees, others' of layers made by hand.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nodelith::digest::Digest;
use nodelith::image::layout::write;
use nodelith::image::{ImageSpec, assemble};
use nodelith::layer::{Compression, make_all, plan};
use nodelith::store::Store;
use nodelith::tree::Tree;
use serde_json::{Value, json};

use crate::common::nodelith;

/// A layout of an image of this tree, in at most `layers` layers.
pub fn ours(folder: &Path, tree: &Tree, compression: Compression, layers: u32) -> PathBuf {
    let store = Store::open(folder.join("store")).unwrap();
    let plan = plan(tree, &BTreeMap::new(), layers as usize).unwrap();
    let planned: Vec<_> = plan.layers.iter().collect();
    let blobs = make_all(&store, &planned, tree, compression, 2, &|_| {}).unwrap();
    let spec = ImageSpec {
        architecture: "amd64".into(),
        created: 1_700_000_000,
        ..ImageSpec::default()
    };
    let image = assemble(&store, &spec, &blobs).unwrap();
    let name = format!("{compression}-{layers}").replace(':', "-");
    let layout = folder.join(name);
    write(&store, &layout, Some("1"), &[image]).unwrap();
    layout
}

/// A layout of these uncompressed layers, as another maker would write it.
pub fn theirs(folder: &Path, layers: &[Vec<u8>]) -> PathBuf {
    let layout = folder.join("theirs");
    let blobs = layout.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let blob = |media: &str, bytes: &[u8]| {
        let digest = Digest::of(bytes);
        fs::write(blobs.join(digest.hex()), bytes).unwrap();
        json!({"mediaType": media, "digest": digest, "size": bytes.len()})
    };
    let media = "application/vnd.oci.image.layer.v1.tar";
    let descriptors: Vec<Value> = layers.iter().map(|layer| blob(media, layer)).collect();
    let ids: Vec<&Value> = descriptors.iter().map(|layer| &layer["digest"]).collect();
    let config = json!({
        "architecture": "amd64", "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": ids},
    });
    let config = blob(
        "application/vnd.oci.image.config.v1+json",
        config.to_string().as_bytes(),
    );
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": descriptors});
    let manifest = blob(
        "application/vnd.oci.image.manifest.v1+json",
        manifest.to_string().as_bytes(),
    );
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    fs::write(layout.join("index.json"), index.to_string()).unwrap();
    let mark = r#"{"imageLayoutVersion":"1.0.0"}"#;
    fs::write(layout.join("oci-layout"), mark).unwrap();
    layout
}

/// A layer of these members: path, type, content or link target.
pub fn layer(members: &[(&str, u8, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for &(path, kind, data) in members {
        let mut header = tar::Header::new_gnu();
        header.set_path(path).unwrap();
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_mode(if kind == b'5' { 0o755 } else { 0o644 });
        header.set_mtime(1_700_000_000);
        let file = kind == b'0';
        if matches!(kind, b'1' | b'2') {
            header.set_link_name(data).unwrap();
        }
        header.set_size(if file { data.len() as u64 } else { 0 });
        header.set_cksum();
        let content = if file { data.as_bytes() } else { b"" };
        builder.append(&header, content).unwrap();
    }
    builder.into_inner().unwrap()
}

/// `nodelith export IMAGE --to FORMATS --output FOLDER`.
pub fn export(image: impl AsRef<Path>, formats: &str, folder: &Path) -> Command {
    let mut command = nodelith();
    command.arg("export").arg(image.as_ref());
    command.args(["--to", formats, "--output"]).arg(folder);
    command
}

/// The largest blob of a layout: one of its layers.
pub fn largest_blob(layout: &Path) -> PathBuf {
    let blobs = fs::read_dir(layout.join("blobs/sha256")).unwrap();
    let paths = blobs.map(|entry| entry.unwrap().path());
    paths
        .max_by_key(|path| path.metadata().unwrap().len())
        .unwrap()
}
