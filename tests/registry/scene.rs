//! A folder with a store and a home of its own, and small images in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nodelith::digest::Digest;
use serde_json::{Value, json};

use super::common;

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// A home, a store, and what tests put beside them.
pub struct Scene {
    pub folder: tempfile::TempDir,
}

impl Scene {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program in this folder; plain HTTP, and short waits.
    pub fn nodelith(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nodelith"));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.folder.path())
            .env("NODELITH_STORE", self.path("store"))
            .env("NODELITH_PLAIN_HTTP", "1")
            .current_dir(self.folder.path())
            .args(arguments);
        command
    }

    /// Runs a verb that deals with registries and must succeed; its JSON.
    pub fn json(&self, arguments: &[&str]) -> Value {
        common::json(self.nodelith(arguments).args(quick(arguments)))
    }

    /// What a verb that must fail with `status` says, ports and pauses made out.
    pub fn failing(&self, status: i32, arguments: &[&str]) -> String {
        let said = common::refused(self.nodelith(arguments).args(quick(arguments)), status);
        without_ports(&said)
    }

    /// An image layout of these layers, for one architecture.
    pub fn layout(&self, name: &str, layers: &[Vec<u8>]) -> PathBuf {
        let folder = self.path(name);
        let mut blobs = Blobs::default();
        let image = blobs.image("amd64", layers);
        blobs.write(&folder, &[image]);
        folder
    }

    /// Every blob of the store is what its name says, and nothing else is there.
    pub fn assert_store_is_sound(&self) {
        for entry in fs::read_dir(self.path("store/blobs/sha256")).unwrap() {
            let path = entry.unwrap().path();
            let digest = Digest::of(&fs::read(&path).unwrap());
            assert_eq!(path.file_name().unwrap().to_str().unwrap(), digest.hex());
        }
    }

    /// Whether the store holds a blob, or a part of it.
    pub fn has(&self, digest: &Digest) -> bool {
        let hex = digest.hex();
        self.path("store/blobs/sha256").join(&hex).exists()
            || self.path("store/partial").join(&hex).exists()
    }
}

/// Arguments for short waits.
pub const QUICK: [&str; 6] = ["--retry-delay", "5ms", "--timeout", "1s", "--retries", "3"];

/// The same, without what is given already.
fn quick(arguments: &[&str]) -> &'static [&'static str] {
    match arguments.contains(&"--retries") {
        true => &QUICK[..4],
        false => &QUICK,
    }
}

pub fn without_ports(said: &str) -> String {
    let mut shown = String::new();
    let mut rest = said;
    while let Some(at) = rest.find("127.0.0.1:") {
        let (before, after) = rest.split_at(at + "127.0.0.1:".len());
        shown.push_str(before);
        shown.push_str("PORT");
        rest = after.trim_start_matches(|letter: char| letter.is_ascii_digit());
    }
    shown + rest
}

/// Bytes that look like nothing, different for each seed.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    })
    .take(length)
    .collect()
}

/// A layer with one file in it.
pub fn layer(path: &str, bytes: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, path, bytes).unwrap();
    builder.into_inner().unwrap()
}

/// Blobs of images under construction, by digest.
#[derive(Default)]
pub struct Blobs(pub BTreeMap<Digest, Vec<u8>>);

impl Blobs {
    /// Adds a blob; its descriptor.
    pub fn add(&mut self, media_type: &str, bytes: Vec<u8>) -> Value {
        let digest = Digest::of(&bytes);
        let descriptor = json!({"mediaType": media_type, "digest": digest, "size": bytes.len()});
        self.0.insert(digest, bytes);
        descriptor
    }

    /// Adds an image; the descriptor of its manifest, with its platform.
    pub fn image(&mut self, architecture: &str, layers: &[Vec<u8>]) -> Value {
        let diff_ids: Vec<Digest> = layers.iter().map(|layer| Digest::of(layer)).collect();
        let config = json!({
            "architecture": architecture, "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        let config = self.add(CONFIG, config.to_string().into_bytes());
        let layers: Vec<Value> = layers
            .iter()
            .map(|layer| self.add(LAYER, layer.clone()))
            .collect();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers,
        });
        let mut descriptor = self.add(MANIFEST, manifest.to_string().into_bytes());
        descriptor["platform"] = json!({"architecture": architecture, "os": "linux"});
        descriptor
    }

    /// Adds an index.
    pub fn index(&mut self, manifests: &[Value]) -> Value {
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
        self.add(INDEX, index.to_string().into_bytes())
    }

    /// Writes a layout whose index names these.
    pub fn write(&self, folder: &Path, named: &[Value]) {
        let blobs = folder.join("blobs/sha256");
        fs::create_dir_all(&blobs).unwrap();
        for (digest, bytes) in &self.0 {
            fs::write(blobs.join(digest.hex()), bytes).unwrap();
        }
        let index = json!({"schemaVersion": 2, "manifests": named});
        fs::write(folder.join("index.json"), index.to_string()).unwrap();
        let mark = r#"{"imageLayoutVersion":"1.0.0"}"#;
        fs::write(folder.join("oci-layout"), mark).unwrap();
    }
}
