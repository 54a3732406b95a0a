//! Bases made on the spot, and a folder in which nodes are built on them.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nodelith::digest::Digest;
use serde_json::{Value, json};

use super::common::{self, output, run};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// A time in all members of base layers, which none of ours carries.
pub const TIME: u64 = 1_700_000_000;

/// A layer of a base under construction.
pub struct Layer(tar::Builder<Vec<u8>>);

impl Layer {
    pub fn new() -> Self {
        Self(tar::Builder::new(Vec::new()))
    }

    fn add(mut self, kind: tar::EntryType, path: &str, mode: u32, link: &str, text: &[u8]) -> Self {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(text.len() as u64);
        header.set_mode(mode);
        header.set_mtime(TIME);
        if link.is_empty() {
            self.0.append_data(&mut header, path, text).unwrap();
        } else {
            self.0.append_link(&mut header, path, link).unwrap();
        }
        self
    }

    pub fn folder(self, path: &str) -> Self {
        self.add(tar::EntryType::Directory, path, 0o755, "", b"")
    }

    pub fn folder_of(mut self, path: &str, mode: u32, owner: u64) -> Self {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_size(0);
        header.set_mode(mode);
        header.set_uid(owner);
        header.set_gid(owner);
        header.set_mtime(TIME);
        self.0.append_data(&mut header, path, &b""[..]).unwrap();
        self
    }

    pub fn file(self, path: &str, text: impl AsRef<[u8]>) -> Self {
        self.add(tar::EntryType::Regular, path, 0o644, "", text.as_ref())
    }

    pub fn program(self, path: &str) -> Self {
        self.add(tar::EntryType::Regular, path, 0o755, "", b"#!/bin/sh\n")
    }

    pub fn link(self, path: &str, target: &str) -> Self {
        self.add(tar::EntryType::Symlink, path, 0o777, target, b"")
    }

    pub fn hard(self, path: &str, target: &str) -> Self {
        self.add(tar::EntryType::Link, path, 0o644, target, b"")
    }

    pub fn finish(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

/// A base: layers as tars, and what its configuration says besides.
pub struct Base {
    pub layers: Vec<Vec<u8>>,
    pub architecture: &'static str,
    /// The configuration's `config`.
    pub config: Value,
    /// Further keys of the configuration.
    pub more: Value,
}

impl Base {
    pub fn of(layers: Vec<Layer>) -> Self {
        Self {
            layers: layers.into_iter().map(Layer::finish).collect(),
            architecture: "amd64",
            config: json!({}),
            more: json!({"created": "2026-01-02T03:04:05.000000006Z"}),
        }
    }

    pub fn labels(mut self, labels: Value) -> Self {
        self.config["Labels"] = labels;
        self
    }

    /// Writes it as a layout with this tag; layers are in gzip but for the first.
    pub fn write(&self, folder: &Path, tag: &str) -> Vec<String> {
        let mut blobs: BTreeMap<Digest, Vec<u8>> = BTreeMap::new();
        let mut add = |media_type: &str, bytes: Vec<u8>| {
            let digest = Digest::of(&bytes);
            let size = bytes.len();
            blobs.insert(digest, bytes);
            json!({"mediaType": media_type, "digest": digest, "size": size})
        };
        let mut layers = Vec::new();
        for (number, layer) in self.layers.iter().enumerate() {
            layers.push(match number {
                0 => add(LAYER, layer.clone()),
                _ => add(&format!("{LAYER}+gzip"), gzip(layer)),
            });
        }
        let diff_ids: Vec<_> = self.layers.iter().map(|layer| Digest::of(layer)).collect();
        let mut config = json!({
            "architecture": self.architecture, "os": "linux", "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        for (key, value) in self.more.as_object().unwrap() {
            config[key] = value.clone();
        }
        let config = add(CONFIG, config.to_string().into_bytes());
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers,
        });
        let mut manifest = add(MANIFEST, manifest.to_string().into_bytes());
        manifest["annotations"] = json!({"org.opencontainers.image.ref.name": tag});
        let place = folder.join("blobs/sha256");
        fs::create_dir_all(&place).unwrap();
        for (digest, bytes) in &blobs {
            fs::write(place.join(digest.hex()), bytes).unwrap();
        }
        let index = json!({"schemaVersion": 2, "manifests": [manifest]});
        fs::write(folder.join("index.json"), index.to_string()).unwrap();
        let mark = r#"{"imageLayoutVersion":"1.0.0"}"#;
        fs::write(folder.join("oci-layout"), mark).unwrap();
        let digest = |layer: &Value| layer["digest"].as_str().unwrap().to_owned();
        layers.iter().map(digest).collect()
    }
}

/// Bytes in gzip, as another maker would have them: not as ours.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut child = Command::new("gzip")
        .args(["-n", "-1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || input.write_all(&bytes).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output.stdout
}

/// A root with merged /usr in two layers: accounts, a unit, programs.
pub fn small() -> Base {
    let first = Layer::new()
        .folder("usr")
        .folder("usr/bin")
        .folder("usr/lib")
        .folder("usr/lib/systemd")
        .folder("usr/lib/systemd/system")
        .folder_of("etc", 0o755, 0)
        .folder_of("etc/site", 0o750, 7)
        .folder("var")
        .folder("var/lib")
        .folder_of("tmp", 0o1777, 0)
        .link("bin", "usr/bin")
        .link("lib", "usr/lib")
        .link("etc/os-release", "../usr/lib/os-release")
        .file(
            "usr/lib/os-release",
            "ID=small\nPRETTY_NAME=\"Small Linux 1\"\nIMAGE_ID=base\n",
        )
        .file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
        .file("etc/group", "root:x:0:\n")
        .file("etc/shadow", "root:*:19000:0:99999:7:::\n")
        .file("etc/motd", "the base's\n")
        .file("etc/site/a", "a\n")
        .file("etc/site/b", "b\n")
        .file("usr/lib/doomed", "gone in the second layer\n")
        .program("usr/bin/tool");
    let second = Layer::new()
        .folder("usr/lib")
        .file("usr/lib/.wh.doomed", "")
        .folder("usr/lib/systemd/system")
        .file(
            "usr/lib/systemd/system/agent.service",
            "[Service]\nExecStart=/usr/bin/tool\n[Install]\nWantedBy=multi-user.target\n",
        )
        .file("usr/lib/systemd/system/multi-user.target", "[Unit]\n")
        .hard("usr/bin/tool-2", "usr/bin/tool")
        .folder("opt")
        .file("opt/extra", "extra\n");
    Base {
        config: json!({
            "Env": ["PATH=/opt/bin:/usr/bin", "LANG=C.UTF-8"],
            "Entrypoint": ["/usr/bin/tool"], "User": "1000",
            "Labels": {"vendor": "small", "org.opencontainers.image.version": "1.2"},
        }),
        ..Base::of(vec![first, second])
    }
}

/// A profile on the base in `base`.
pub const PROFILE: &str = r#"
name = "node"
version = "7"
architecture = "amd64"

[base.image]
reference = "oci:base:1"
"#;

/// A folder with a profile, a store, and a base.
pub struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    pub fn new(profile: &str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("base-")
            .tempdir_in(common::scratch())
            .unwrap();
        fs::write(folder.path().join("node.toml"), profile.trim_start()).unwrap();
        Self { folder }
    }

    /// The same with `base` in it.
    pub fn on(profile: &str, base: &Base) -> (Self, Vec<String>) {
        let scene = Self::new(profile);
        let layers = base.write(&scene.path("base"), "1");
        (scene, layers)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    /// The program in this folder, with no way to the network but to this machine.
    pub fn nodelith(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nodelith"));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.folder.path())
            .env("NODELITH_PLAIN_HTTP", "1")
            .current_dir(self.folder.path())
            .args(["--store", "store"])
            .args(arguments);
        command
    }

    /// `nodelith build` into `out`; what these roots lack of a node is accepted.
    pub fn build(&self, arguments: &[&str]) -> Command {
        let mut command = self.nodelith(&["build", "node.toml", "--output", "out"]);
        command.args(["--accept-findings", "a fixture of the tests"]);
        command.args(arguments);
        command
    }

    /// Builds it; what is printed.
    pub fn built(&self, arguments: &[&str]) -> Value {
        common::json(&mut self.build(arguments))
    }

    /// Standard error of a command that must fail.
    pub fn failing(&self, status: i32, command: &mut Command) -> String {
        let said = output(command);
        let error = String::from_utf8_lossy(&said.stderr).into_owned();
        assert_eq!(said.status.code(), Some(status), "{command:?}:\n{error}");
        error
    }

    pub fn lock(&self) -> toml::Table {
        let text = fs::read_to_string(self.path("node.lock.toml")).unwrap();
        text.parse().unwrap()
    }

    fn blob(&self, layout: &str, digest: &str) -> Vec<u8> {
        let hex = digest.trim_start_matches("sha256:");
        fs::read(self.path(layout).join("blobs/sha256").join(hex)).unwrap()
    }

    /// Manifest and configuration of the image in `out`.
    pub fn documents(&self) -> [Value; 2] {
        let digest = common::manifest_digest(&self.path("out"));
        let manifest: Value = serde_json::from_slice(&self.blob("out", &digest)).unwrap();
        let config = manifest["config"]["digest"].as_str().unwrap();
        let config = serde_json::from_slice(&self.blob("out", config)).unwrap();
        [manifest, config]
    }

    /// The image in `out`, unpacked by umoci; the root's folder.
    pub fn unpacked(&self) -> PathBuf {
        let bundle = self.path("bundle");
        let _ = fs::remove_dir_all(&bundle);
        let tag = self.documents()[0]["annotations"]["org.opencontainers.image.version"].clone();
        let image = format!("{}:{}", self.path("out").display(), tag.as_str().unwrap());
        let mut umoci = Command::new("umoci");
        umoci.args(["unpack", "--image", &image]);
        if !rustix::process::geteuid().is_root() {
            umoci.arg("--rootless");
        }
        run(umoci.arg(&bundle));
        bundle.join("rootfs")
    }

    /// The digests of the layers of the image in `out`.
    pub fn layers(&self) -> Vec<String> {
        let [manifest, _] = self.documents();
        let layers = manifest["layers"].as_array().unwrap();
        let digest = |layer: &Value| layer["digest"].as_str().unwrap().to_owned();
        layers.iter().map(digest).collect()
    }
}
