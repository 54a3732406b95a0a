//! Good builds, through the real command line, of real packages from the mirror
//! that this machine's apt uses; the judges are other people's tools.
//!
//! Most of it is shown on a small profile whose scripts make accounts and keys;
//! the quickstart profile is built once (root only), and goes through the whole
//! matrix with `NODELITH_TEST_ALL=1`.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]
#![expect(clippy::print_stderr, reason = "seeds, and what failing commands said")]

#[path = "../common/mod.rs"]
mod common;

mod archive;
mod dynamic;
mod judges;
mod killed;
mod layers;
mod locks;
mod offline;
mod sameness;
mod unpacked;
mod user;
mod verbs;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use common::{manifest_digest, nodelith, profile, run, scratch, shared_store};

/// Scripts of its packages make users, host keys, certificates' links and units' links.
const SMALL: &str = r#"
name = "small"
version = "1"
architecture = "amd64"

[debian]
suite = "trixie"
packages = [
  "ca-certificates",
  "dbus",
  "iproute2",
  "openssh-server",
  "systemd-resolved",
  "systemd-sysv",
]
exclude = { documentation = true, man-pages = true, locales = true }

[[files]]
path = "/etc/motd"
text = "hello\n"
"#;

/// A profile and what was built of it.
struct Image {
    /// The folder of all of it.
    folder: PathBuf,
    profile: PathBuf,
    lock: PathBuf,
    layout: PathBuf,
    digest: String,
}

/// The small image, built with the shared store.
fn small() -> &'static Image {
    static IMAGE: OnceLock<Image> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let folder = fresh("small");
        let profile = profile(&folder, SMALL);
        build_first(folder, profile)
    })
}

/// The quickstart image, built with the shared store.
fn quickstart() -> &'static Image {
    static IMAGE: OnceLock<Image> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let profile = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles/quickstart.toml");
        build_first(fresh("quickstart"), profile)
    })
}

fn build_first(folder: PathBuf, profile: PathBuf) -> Image {
    forget_roots();
    let lock = folder.join("first.lock.toml");
    let layout = folder.join("out");
    let mut command = nodelith();
    command.args(["build", "--lock"]).arg(&lock);
    run(command.arg(&profile).arg("--output").arg(&layout));
    let digest = manifest_digest(&layout);
    Image {
        folder,
        profile,
        lock,
        layout,
        digest,
    }
}

/// What an earlier run of the tests made may be another program's work.
fn forget_roots() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        let _ = fs::remove_dir_all(shared_store().join("records"));
    });
}

/// An empty folder of this name for the tests here.
fn fresh(name: &str) -> PathBuf {
    let folder = scratch().join("image").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

impl Image {
    /// Builds it again with this store, into a folder of this name; needs no network.
    fn rebuild(&self, store: &Path, name: &str, arguments: &[&str]) -> String {
        let layout = self.folder.join(name);
        run(self.command(store, &layout).args(arguments));
        manifest_digest(&layout)
    }

    /// The command that builds it again with this store; needs no network.
    fn command(&self, store: &Path, layout: &Path) -> Command {
        let mut command = nodelith();
        command.args(self.arguments(store, layout));
        command
    }

    fn arguments(&self, store: &Path, layout: &Path) -> Vec<PathBuf> {
        let mut arguments: Vec<PathBuf> = ["build", "--locked", "--offline"].map(Into::into).into();
        for (name, value) in [
            ("--store", store),
            ("--lock", &self.lock),
            ("--output", layout),
        ] {
            arguments.extend([name.into(), value.to_owned()]);
        }
        arguments.push(self.profile.clone());
        arguments
    }

    /// A new store in the image's folder that has the packages and releases, and nothing
    /// made of them.
    fn packages_only(&self, name: &str) -> PathBuf {
        let store = self.folder.join(name);
        let blobs = store.join("blobs/sha256");
        fs::create_dir_all(&blobs).unwrap();
        for hex in self.input_digests() {
            let from = shared_store().join("blobs/sha256").join(&hex);
            fs::hard_link(from, blobs.join(hex)).unwrap();
        }
        store
    }

    /// The SHA-256 of each package, in hexadecimal.
    fn package_digests(&self) -> Vec<String> {
        self.locked_digests("package")
    }

    /// The same, and those of releases.
    fn input_digests(&self) -> Vec<String> {
        let mut digests = self.package_digests();
        digests.extend(self.locked_digests("component"));
        digests
    }

    fn locked_digests(&self, kind: &str) -> Vec<String> {
        let lock: toml::Table = fs::read_to_string(&self.lock).unwrap().parse().unwrap();
        let pinned = lock["architecture"]["amd64"].get(kind);
        pinned
            .and_then(toml::Value::as_array)
            .into_iter()
            .flatten()
            .map(|package| {
                let digest = package["digest"].as_str().unwrap();
                digest.strip_prefix("sha256:").unwrap().to_owned()
            })
            .collect()
    }

    /// A profile in the image's folder with one text replaced, and the same lock.
    fn variant(&self, name: &str, from: &str, to: &str) -> Image {
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder).unwrap();
        let text = fs::read_to_string(&self.profile).unwrap();
        assert!(text.contains(from), "{text}");
        let profile = profile(&folder, &text.replace(from, to));
        let lock = folder.join("first.lock.toml");
        fs::copy(&self.lock, &lock).unwrap();
        let layout = folder.join("out");
        Image {
            folder,
            profile,
            lock,
            layout,
            digest: String::new(),
        }
    }

    /// Builds it with the shared store, making a new lock if it must.
    fn build(mut self) -> Image {
        let mut command = nodelith();
        command.args(["build", "--lock"]).arg(&self.lock);
        run(command.arg(&self.profile).arg("-o").arg(&self.layout));
        self.digest = manifest_digest(&self.layout);
        self
    }

    /// Layers by their ids: digests.
    fn layers(&self) -> std::collections::BTreeMap<String, String> {
        let shown = common::json(nodelith().arg("show").arg(&self.layout));
        let layers = shown["layers"].as_array().unwrap().iter();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        layers
            .map(|layer| (text(&layer["id"]), text(&layer["digest"])))
            .collect()
    }
}
