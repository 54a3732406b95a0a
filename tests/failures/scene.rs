//! A folder with a profile, a store and whatever a failing command may touch.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use insta::internals::SettingsBindDropGuard;

use super::common::mirror::{MINIMAL, Mirror, minimal_packages};
use super::common::{self, copy_store, manifest_digest, output, run, scratch};

/// A profile of one made-up package.
pub const HELLO: &str = r#"
name = "hello"
version = "1"
architecture = "amd64"

[debian]
suite = "trixie"
packages = ["hello"]
updates = false
security = false
"#;

/// Where a command is run: `node.toml`, `store` and, after a build, `out`.
pub struct Scene {
    folder: tempfile::TempDir,
    _filters: SettingsBindDropGuard,
}

impl Scene {
    /// A scene with this profile and an empty store.
    pub fn new(profile: &str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("scene-")
            .tempdir_in(scratch())
            .unwrap();
        // Some commands are run as other users.
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        fs::write(folder.path().join("node.toml"), profile.trim_start()).unwrap();
        let filters = filters().bind_to_scope();
        Self {
            folder,
            _filters: filters,
        }
    }

    /// A scene in which the lock of `profile` was made from `mirror`.
    pub fn locked(profile: &str, mirror: &Mirror) -> Self {
        let scene = Self::new(profile);
        run(&mut scene.with(mirror, &["lock", "node.toml"]));
        scene
    }

    /// A scene with an image of the minimal profile in `out`; with its mirror.
    pub fn built() -> (Self, Mirror) {
        let mirror = Mirror::new(minimal_packages());
        let scene = Self::new(MINIMAL);
        copy_store(store_with_root(), &scene.path("store"));
        run(&mut scene.build(&mirror));
        (scene, mirror)
    }

    /// A file or folder of the scene.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file of the scene.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// The program in this scene, with no way to the network but to this machine.
    pub fn nodelith(&self, arguments: &[&str]) -> Command {
        let mut command = common::nodelith();
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().to_lowercase().ends_with("_proxy") {
                command.env_remove(name);
            }
        }
        command
            .env_remove("NODELITH_STORE")
            .env("RUST_BACKTRACE", "1")
            .env("HOME", self.folder.path())
            .current_dir(self.folder.path())
            .args(["--store", "store"])
            .args(arguments);
        command
    }

    /// The same, with an archive.
    pub fn with(&self, mirror: &Mirror, arguments: &[&str]) -> Command {
        let mut command = self.nodelith(arguments);
        command.args(["--mirror", &mirror.url()]);
        command.arg("--keyring").arg(mirror.keyring());
        command
    }

    /// `nodelith build` of the profile into `out`.
    pub fn build(&self, mirror: &Mirror) -> Command {
        self.with(mirror, &["build", "node.toml", "--output", "out"])
    }

    /// `nodelith lock` of the profile.
    pub fn lock(&self, mirror: &Mirror) -> Command {
        self.with(mirror, &["lock", "node.toml"])
    }

    /// The digest of the image in `out`, all of whose blobs are what their names say.
    pub fn image(&self) -> String {
        let layout = self.path("out");
        for blob in fs::read_dir(layout.join("blobs/sha256")).unwrap() {
            let path = blob.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            let name = path.file_name().unwrap().to_str().unwrap();
            assert_eq!(nodelith::digest::Digest::of(&bytes).hex(), name);
        }
        manifest_digest(&layout)
    }

    /// Runs a command that must end with `status`, one message, and nothing left
    /// behind: no file outside of the store changed, and nothing in it half done.
    /// Returns what was written to standard error.
    pub fn failing(&self, status: i32, command: &mut Command) -> String {
        let before = self.files();
        let said = self.failing_anyhow(status, command);
        assert_eq!(self.files(), before, "something was left behind\n{said}");
        self.assert_nothing_under_way();
        said
    }

    /// The same, where files may change.
    pub fn failing_anyhow(&self, status: i32, command: &mut Command) -> String {
        let Output {
            status: ended,
            stdout,
            stderr,
        } = output(command);
        let said = self.named(&stderr);
        assert_eq!(ended.code(), Some(status), "{}{said}", text(&stdout));
        assert!(stdout.is_empty(), "{}", text(&stdout));
        assert!(!said.contains("panicked"), "{said}");
        assert!(!said.contains("stack backtrace"), "{said}");
        let errors = said.lines().filter(|line| line.starts_with("error"));
        assert_eq!(errors.count(), 1, "{said}");
        said
    }

    /// Standard error, with the scene's folder named so.
    pub fn named(&self, stderr: &[u8]) -> String {
        let folder = self.folder.path().to_str().unwrap();
        let named = text(stderr).replace(folder, "[SCENE]");
        // Where mounts are not allowed, as in many containers, this is said too.
        let chroot = "warning: package scripts run in a bare chroot";
        let lines = named.lines().filter(|line| !line.starts_with(chroot));
        lines.map(|line| format!("{line}\n")).collect()
    }

    /// Nothing is in the store that an unfinished command would leave.
    pub fn assert_nothing_under_way(&self) {
        for folder in ["scratch", "partial", "blobs"] {
            let folder = self.path("store").join(folder);
            let Ok(entries) = fs::read_dir(&folder) else {
                continue;
            };
            let left: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
            let fine = left.iter().all(|name| name == "sha256");
            assert!(fine, "{} holds {left:?}", folder.display());
        }
    }

    /// Every file outside of the store: path to what it is and holds.
    fn files(&self) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path == self.path("store") {
                    continue;
                }
                let metadata = fs::symlink_metadata(&path).unwrap();
                let mut bytes = Vec::new();
                if metadata.is_dir() {
                    folders.push(path.clone());
                } else if metadata.is_file() {
                    bytes = fs::read(&path).unwrap();
                }
                files.insert(path, (metadata.mode(), bytes));
            }
        }
        files
    }
}

/// A store with the minimal root, made from real packages by two builds at once,
/// which have the same store, lock and output.
fn store_with_root() -> &'static Path {
    static STORE: OnceLock<PathBuf> = OnceLock::new();
    STORE.get_or_init(|| {
        let mirror = Mirror::new(minimal_packages());
        let scene = Scene::new(MINIMAL);
        let start = || {
            let mut build = scene.build(&mirror);
            build.stdout(Stdio::piped()).stderr(Stdio::piped());
            build.spawn().unwrap()
        };
        let digests = [start(), start()].map(|build| {
            let done = build.wait_with_output().unwrap();
            assert!(done.status.success(), "{}", text(&done.stderr));
            let told = text(&done.stdout);
            told.lines().last().unwrap().to_owned()
        });
        assert_eq!(digests, [scene.image(), scene.image()]);
        scene.assert_nothing_under_way();
        let kept = scratch().join("store-with-root");
        let _ = fs::remove_dir_all(&kept);
        fs::rename(scene.path("store"), &kept).unwrap();
        kept
    })
}

/// What is another each time.
fn filters() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    for (pattern, stands_for) in [
        (r"(file://)?[^ `]*/mirror-\w+", "[MIRROR]"),
        (r"sha256:[0-9a-f]{64}", "sha256:[DIGEST]"),
        (r"blobs/sha256/[0-9a-f]{64}", "blobs/sha256/[DIGEST]"),
        (r"partial/[0-9a-f]{64}", "partial/[DIGEST]"),
        (r"\b[0-9A-F]{40}\b", "[KEY]"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[TIME]"),
        (r"in \d+\.\d s(, [0-9.]+ \w+/s)?", "in [SECONDS]"),
        (r"`base-files [^`]+`", "`base-files [VERSION]`"),
        (r"\d{3,} bytes", "[MANY] bytes"),
        (r"\d+ too few", "[MANY] too few"),
        (r"fetching \d+ packages", "fetching [MANY] packages"),
        (r"subgids \d+-\d+", "subgids [RANGE]"),
        (r"subuids \d+-\d+", "subuids [RANGE]"),
    ] {
        settings.add_filter(pattern, stands_for);
    }
    settings
}

/// Bytes as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Puts other bytes in a file's place. (It may share its bytes with others by hard link.)
pub fn replace(path: &Path, bytes: &[u8]) {
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}
