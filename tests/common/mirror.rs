//! A small Debian archive of the tests' own, made with Debian's own tools:
//! `dpkg-deb` makes packages, `apt-ftparchive` writes the indices, `gpg` signs them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::{nodelith, profile, run, scratch};

/// An archive in a folder, its signing key, and the keyring that knows it.
pub struct Mirror {
    folder: tempfile::TempDir,
    home: tempfile::TempDir,
}

/// A profile of Debian's essential packages alone, all from the suite `trixie` itself.
pub const MINIMAL: &str = r#"
name = "minimal"
version = "1"
architecture = "amd64"

[debian]
suite = "trixie"
updates = false
security = false
"#;

/// The real packages of [`MINIMAL`], fetched from the machine's own mirror once.
pub fn minimal_packages() -> &'static [PathBuf] {
    static PACKAGES: OnceLock<Vec<PathBuf>> = OnceLock::new();
    PACKAGES.get_or_init(|| {
        let folder = scratch().join("minimal");
        fs::create_dir_all(&folder).unwrap();
        let profile = profile(&folder, MINIMAL);
        let pool = folder.join("vendor");
        run(nodelith().arg("lock").arg(&profile));
        run(nodelith().arg("vendor").arg(&profile).arg("-o").arg(&pool));
        let mut packages = Vec::new();
        let mut folders = vec![pool];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    packages.push(path);
                }
            }
        }
        packages.sort();
        assert!(packages.len() > 40, "{packages:?}");
        packages
    })
}

/// What a package made on the spot is made of.
#[derive(Default)]
pub struct Recipe<'a> {
    /// Its name; its version is `1.0` and its architecture `all`, unless `fields` say other.
    pub name: &'a str,
    /// Further lines of its control file.
    pub fields: &'a [&'a str],
    /// Maintainer scripts by name.
    pub scripts: &'a [(&'a str, &'a str)],
    /// Files by path below the root.
    pub files: &'a [(&'a str, &'a [u8])],
}

impl Recipe<'_> {
    /// Makes the package in `folder`.
    pub fn make(&self, folder: &Path) -> PathBuf {
        let name = self.name;
        let tree = tempfile::tempdir().unwrap();
        // What the package has as its root must not be for its maker alone.
        fs::set_permissions(tree.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let debian = tree.path().join("DEBIAN");
        fs::create_dir(&debian).unwrap();
        let said = |field: &str| {
            let values = self.fields.iter().filter_map(|line| line.split_once(": "));
            values
                .clone()
                .find(|(name, _)| *name == field)
                .map(|(_, value)| value)
        };
        let version = said("Version").unwrap_or("1.0");
        let architecture = said("Architecture").unwrap_or("all");
        let mut control = format!("Package: {name}\n");
        for (field, value) in [
            ("Version", version),
            ("Architecture", architecture),
            ("Maintainer", "Tests <tests@example.org>"),
            ("Description", "made by a test"),
        ] {
            if said(field).is_none() {
                control.push_str(&format!("{field}: {value}\n"));
            }
        }
        for line in self.fields {
            control.push_str(&format!("{line}\n"));
        }
        fs::write(debian.join("control"), control).unwrap();
        for (script, text) in self.scripts {
            let path = debian.join(script);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        }
        for (path, bytes) in self.files {
            let path = tree.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let package = folder.join(format!("{name}_{version}_{architecture}.deb"));
        run(Command::new("dpkg-deb")
            .args(["--root-owner-group", "-Znone", "--build"])
            .arg(tree.path())
            .arg(&package));
        package
    }
}

/// How an archive is published.
#[derive(Default)]
pub struct Publish<'a> {
    /// The time at which gpg believes it signs.
    pub at: Option<&'a str>,
    /// `Valid-Until`, in the words of a release file.
    pub valid_until: Option<&'a str>,
}

impl Mirror {
    /// An archive of one suite, `trixie`, that holds these packages.
    pub fn new<P: AsRef<Path>>(packages: &[P]) -> Self {
        Self::with_key(packages, "0", None)
    }

    /// The same, of packages made on the spot.
    pub fn of(recipes: &[Recipe<'_>]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let packages: Vec<_> = recipes.iter().map(|one| one.make(folder.path())).collect();
        Self::new(&packages)
    }

    /// The same as [`Mirror::new`], whose key was made at `made` and expires after
    /// `expiry` (both in gpg's words).
    pub fn with_key<P: AsRef<Path>>(packages: &[P], expiry: &str, made: Option<&str>) -> Self {
        let mirror = Self {
            folder: tempfile::Builder::new()
                .prefix("mirror-")
                .tempdir_in(scratch())
                .unwrap(),
            // gpg's agent listens on a socket in it, whose path must be short.
            home: tempfile::Builder::new()
                .prefix("gpg")
                .tempdir_in("/tmp")
                .unwrap(),
        };
        // Tests read it as other users too.
        fs::set_permissions(mirror.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let user = "Test archive <archive@example.org>";
        let mut key = mirror.gpg();
        if let Some(made) = made {
            key.args(["--faked-system-time", made]);
        }
        run(key.args(["--quick-generate-key", user, "ed25519", "sign", expiry]));
        let exported = run(mirror.gpg().args(["--export"]));
        fs::write(mirror.keyring(), exported).unwrap();
        fs::create_dir_all(mirror.pool()).unwrap();
        for package in packages {
            mirror.add(package.as_ref());
        }
        mirror.publish(made);
        mirror
    }

    /// The archive's folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The archive's address.
    pub fn url(&self) -> String {
        format!("file://{}", self.path().display())
    }

    /// The keyring file.
    pub fn keyring(&self) -> PathBuf {
        self.path().join("keyring.gpg")
    }

    /// The signed release file.
    pub fn in_release(&self) -> PathBuf {
        self.path().join("dists/trixie/InRelease")
    }

    /// The one package file whose name begins with `name_`.
    pub fn package(&self, name: &str) -> PathBuf {
        let mut files = fs::read_dir(self.pool())
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let prefix = format!("{name}_");
        files
            .find(|path| {
                let name = path.file_name().unwrap().to_str().unwrap();
                name.starts_with(&prefix)
            })
            .unwrap_or_else(|| panic!("no package {name}"))
    }

    /// Puts a package into the pool; the indices know it after [`Mirror::publish`].
    pub fn add(&self, package: &Path) {
        let target = self.pool().join(package.file_name().unwrap());
        fs::copy(package, &target).unwrap();
        fs::set_permissions(&target, PermissionsExt::from_mode(0o644)).unwrap();
    }

    /// Writes and signs the indices anew; `at` is when gpg believes to do it.
    pub fn publish(&self, at: Option<&str>) {
        self.publish_as(&Publish {
            at,
            ..Publish::default()
        });
    }

    /// Writes and signs the indices anew.
    pub fn publish_as(&self, how: &Publish<'_>) {
        let root = self.path();
        let suite = root.join("dists/trixie");
        let ftparchive = || {
            let mut command = Command::new("apt-ftparchive");
            command.current_dir(root);
            command
        };
        for architecture in ["amd64", "arm64"] {
            let index = suite.join(format!("main/binary-{architecture}"));
            fs::create_dir_all(&index).unwrap();
            let packages = run(ftparchive().args(["--arch", architecture, "packages", "pool"]));
            fs::write(index.join("Packages"), packages).unwrap();
            run(Command::new("xz").arg("-kf").arg(index.join("Packages")));
        }
        let mut release = ftparchive();
        let mut says = |field: &str, value: &str| {
            release.arg("-o");
            release.arg(format!("APT::FTPArchive::Release::{field}={value}"));
        };
        says("Suite", "stable");
        says("Codename", "trixie");
        says("Architectures", "amd64 arm64");
        says("Components", "main");
        let mut text = run(release.args(["release", "dists/trixie"]));
        // Not every apt-ftparchive knows this field.
        if let Some(end) = how.valid_until {
            text.splice(..0, format!("Valid-Until: {end}\n").into_bytes());
        }
        let unsigned = root.join("Release");
        fs::write(&unsigned, text).unwrap();
        let mut sign = self.gpg();
        if let Some(at) = how.at {
            sign.args(["--faked-system-time", at]);
        }
        sign.arg("-o").arg(self.in_release());
        run(sign.arg("--clearsign").arg(&unsigned));
    }

    fn pool(&self) -> PathBuf {
        self.path().join("pool/main")
    }

    fn gpg(&self) -> Command {
        let mut command = Command::new("gpg");
        command.arg("--homedir").arg(self.home.path());
        command.args(["--batch", "--yes", "--quiet"]);
        command.args(["--pinentry-mode", "loopback", "--passphrase", ""]);
        command
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        let mut stop = Command::new("gpgconf");
        stop.arg("--homedir").arg(self.home.path());
        let _ = stop.args(["--kill", "all"]).status();
    }
}
