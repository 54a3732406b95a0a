//! Small signed archives of suites whose packages have the versions that a test needs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nodelith::digest::Digest;

use crate::common::run;

/// Name, version, source.
pub type Package<'a> = (&'a str, &'a str, &'a str);

/// An archive of some suites, and the key that signs them.
pub struct Archive {
    folder: tempfile::TempDir,
    home: tempfile::TempDir,
}

impl Archive {
    /// An archive without suites.
    pub fn new() -> Self {
        let archive = Self {
            folder: tempfile::tempdir().unwrap(),
            // gpg's agent listens on a socket in it, whose path must be short.
            home: tempfile::Builder::new()
                .prefix("gpg")
                .tempdir_in("/tmp")
                .unwrap(),
        };
        let name = "Archive of the tests <archive@example.org>";
        run(archive
            .gpg()
            .args(["--quick-generate-key", name, "ed25519", "sign", "0"]));
        let key = run(archive.gpg().arg("--export"));
        fs::write(archive.keyring(), key).unwrap();
        archive
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("file://{}", self.folder.path().display())
    }

    /// The key, as a keyring.
    pub fn keyring(&self) -> PathBuf {
        self.folder.path().join("keyring.gpg")
    }

    /// Publishes a suite of these packages and no others; older files stay in the pool.
    pub fn publish(&self, suite: &str, packages: &[Package<'_>]) {
        self.publish_at(suite, packages, "");
    }

    /// The same, with something before each path.
    pub fn publish_at(&self, suite: &str, packages: &[Package<'_>], before: &str) {
        let root = self.folder.path();
        let dists = root.join("dists").join(suite);
        let index = dists.join("main/binary-amd64");
        fs::create_dir_all(&index).unwrap();
        let mut list = String::new();
        for package in packages {
            let path = self.make(suite, *package);
            let full = root.join(&path);
            let control = run(Command::new("dpkg-deb").arg("--field").arg(&full));
            let bytes = fs::read(&full).unwrap();
            list.push_str(String::from_utf8(control).unwrap().trim_end());
            list.push_str(&format!(
                "\nFilename: {before}{}\nSize: {}\nSHA256: {}\n\n",
                path.display(),
                bytes.len(),
                Digest::of(&bytes).hex()
            ));
        }
        fs::write(index.join("Packages"), &list).unwrap();
        let date = String::from_utf8(run(Command::new("date").args(["-Ru"]))).unwrap();
        let digest = Digest::of(list.as_bytes()).hex();
        let release = format!(
            "Origin: Tests\nSuite: {suite}\nCodename: {suite}\nDate: {}\nArchitectures: all amd64\n\
             Components: main\nSHA256:\n {digest} {} main/binary-amd64/Packages\n",
            date.trim().replace("+0000", "UTC"),
            list.len()
        );
        let text = root.join("Release");
        fs::write(&text, release).unwrap();
        run(self
            .gpg()
            .arg("-o")
            .arg(dists.join("InRelease"))
            .arg("--clearsign")
            .arg(&text));
    }

    /// Makes a package unless it is there; its path in the archive.
    fn make(&self, suite: &str, (name, version, source): Package<'_>) -> PathBuf {
        let place = Path::new("pool")
            .join(suite)
            .join(format!("{name}_{version}_all.deb"));
        let full = self.folder.path().join(&place);
        if full.exists() {
            return place;
        }
        fs::create_dir_all(full.parent().unwrap()).unwrap();
        let tree = tempfile::tempdir().unwrap();
        fs::create_dir(tree.path().join("DEBIAN")).unwrap();
        let control = format!(
            "Package: {name}\nSource: {source}\nVersion: {version}\nArchitecture: all\n\
             Maintainer: Tests <tests@example.org>\nDescription: made by a test\n"
        );
        fs::write(tree.path().join("DEBIAN/control"), control).unwrap();
        run(Command::new("dpkg-deb")
            .args(["--root-owner-group", "-Znone", "--build"])
            .arg(tree.path())
            .arg(&full));
        place
    }

    fn gpg(&self) -> Command {
        let mut command = Command::new("gpg");
        command
            .arg("--homedir")
            .arg(self.home.path())
            .args(["--batch", "--yes", "--quiet"]);
        command.args(["--pinentry-mode", "loopback", "--passphrase", ""]);
        command
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        let mut stop = Command::new("gpgconf");
        let _ = stop
            .arg("--homedir")
            .arg(self.home.path())
            .args(["--kill", "all"])
            .status();
    }
}
