//! Images and archives of roots: hostile manifests, configurations, layers and
//! what lies in them. Digests are made right around the input, or nothing but
//! them would be tried.

use std::fs;
use std::path::{Path, PathBuf};

use super::{choose, file, folder, judge};
use nodelith::check::subject::look::look;
use nodelith::check::subject::{archive, image};
use nodelith::digest::Digest;
use nodelith::image::read::Image;
use nodelith::tree::{TreePath, image as tree};
use serde_json::{Value, json};

/// Files that are looked into rather than read as text.
const LOOKED: [&str; 7] = [
    "usr/bin/containerd",
    "usr/lib/sysimage/rpm/rpmdb.sqlite",
    "var/lib/dpkg/status",
    "lib/apk/db/installed",
    "usr/share/nodelith/images/one.tar",
    "root/.docker/config.json",
    "etc/containerd/config.toml",
];

/// Tries one input.
pub fn run(bytes: &[u8]) {
    let (choice, rest) = choose(bytes);
    match choice % 5 {
        0 => root(rest),
        1 => layer(choice / 5, rest),
        2 => manifest(rest),
        3 => config(rest),
        _ => inside(LOOKED[choice / 5 % LOOKED.len()], rest),
    }
}

/// A tar archive, or a layout in one.
fn root(bytes: &[u8]) {
    let path = file("root.tar", bytes);
    let _ = archive::kept(&path);
    if let Ok(subject) = archive::read(&path) {
        judge(&subject);
    }
    read(&format!("oci-archive:{}", path.display()));
}

/// A layer in an image that is right but for it.
fn layer(choice: usize, bytes: &[u8]) {
    const KINDS: [&str; 3] = ["tar", "tar+gzip", "tar+zstd"];
    let kind = KINDS[choice % KINDS.len()];
    let blobs = blobs();
    let layer = put(&blobs, bytes);
    let config = put(&blobs, configuration(&[layer]).to_string().as_bytes());
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", config),
        "layers": [descriptor(&format!("application/vnd.oci.image.layer.v1.{kind}"), layer)],
    });
    layout(&blobs, manifest.to_string().as_bytes());
}

/// A manifest that says anything.
fn manifest(bytes: &[u8]) {
    layout(&blobs(), bytes);
}

/// A configuration that says anything.
fn config(bytes: &[u8]) {
    let blobs = blobs();
    let layer = put(&blobs, &[0; 1024]);
    let config = put(&blobs, bytes);
    let manifest = json!({
        "schemaVersion": 2,
        "config": descriptor("application/vnd.oci.image.config.v1+json", config),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", layer)],
    });
    layout(&blobs, manifest.to_string().as_bytes());
}

/// A file that is looked into.
fn inside(path: &str, bytes: &[u8]) {
    let size = bytes.len() as u64;
    let path = TreePath::from(path);
    // Programs are looked into from some size on.
    for size in [size, size + (1 << 20)] {
        let _ = look(&path, size, &mut &bytes[..]);
    }
}

fn read(reference: &str) {
    for architecture in [None, Some("amd64")] {
        let Ok(image) = Image::open(reference, architecture) else {
            continue;
        };
        let _ = tree::read(&image);
        if let Ok(subject) = image::read(&image) {
            judge(&subject);
        }
    }
}

fn blobs() -> PathBuf {
    let blobs = folder().join("layout/blobs/sha256");
    let _ = fs::remove_dir_all(&blobs);
    fs::create_dir_all(&blobs).unwrap();
    blobs
}

type Blob = (Digest, usize);

fn put(blobs: &Path, bytes: &[u8]) -> Blob {
    let digest = Digest::of(bytes);
    fs::write(blobs.join(digest.hex()), bytes).unwrap();
    (digest, bytes.len())
}

fn descriptor(media_type: &str, (digest, size): Blob) -> Value {
    json!({"mediaType": media_type, "digest": digest.to_string(), "size": size})
}

fn configuration(layers: &[Blob]) -> Value {
    let ids: Vec<_> = layers
        .iter()
        .map(|(digest, _)| digest.to_string())
        .collect();
    json!({
        "architecture": "amd64", "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": ids},
    })
}

fn layout(blobs: &Path, manifest: &[u8]) {
    let manifest = put(blobs, manifest);
    let index = json!({
        "schemaVersion": 2,
        "manifests": [descriptor("application/vnd.oci.image.manifest.v1+json", manifest)],
    });
    let folder = folder().join("layout");
    fs::write(folder.join("index.json"), index.to_string()).unwrap();
    fs::write(
        folder.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )
    .unwrap();
    read(&format!("oci:{}", folder.display()));
}
