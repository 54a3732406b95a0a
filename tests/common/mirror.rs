//! A small Debian archive of the tests' own, made with Debian's own tools:
//! `apt-ftparchive` writes the indices, `gpg` signs them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::run;

/// An archive in a folder, its signing key, and the keyring that knows it.
pub struct Mirror {
    folder: tempfile::TempDir,
    home: tempfile::TempDir,
}

impl Mirror {
    /// An archive of one suite, `trixie`, that holds these packages.
    pub fn new<P: AsRef<Path>>(packages: &[P]) -> Self {
        Self::with_key(packages, "0", None)
    }

    /// The same, whose key was made at `made` (in gpg's words) and expires after `expiry`.
    pub fn with_key<P: AsRef<Path>>(packages: &[P], expiry: &str, made: Option<&str>) -> Self {
        let mirror = Self {
            folder: tempfile::tempdir().unwrap(),
            // gpg's agent listens on a socket in it, whose path must be short.
            home: tempfile::Builder::new()
                .prefix("gpg")
                .tempdir_in("/tmp")
                .unwrap(),
        };
        let user = "Test archive <archive@example.org>";
        let mut key = mirror.gpg();
        if let Some(made) = made {
            key.args(["--faked-system-time", made]);
        }
        run(key.args(["--quick-generate-key", user, "rsa3072", "sign", expiry]));
        let exported = run(mirror.gpg().args(["--export"]));
        fs::write(mirror.keyring(), exported).unwrap();
        let pool = mirror.path().join("pool/main");
        fs::create_dir_all(&pool).unwrap();
        for package in packages {
            let package = package.as_ref();
            fs::copy(package, pool.join(package.file_name().unwrap())).unwrap();
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

    /// The one package file whose name begins with `name_`.
    pub fn package(&self, name: &str) -> PathBuf {
        let pool = self.path().join("pool/main");
        let mut files = fs::read_dir(pool)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let prefix = format!("{name}_");
        files
            .find(|path| {
                path.file_name()
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .starts_with(&prefix)
            })
            .unwrap_or_else(|| panic!("no package {name}"))
    }

    /// Writes and signs the indices anew.
    pub fn publish(&self, at: Option<&str>) {
        let root = self.path();
        let suite = root.join("dists/trixie");
        let index = suite.join("main/binary-amd64");
        fs::create_dir_all(&index).unwrap();
        let ftparchive = || {
            let mut command = Command::new("apt-ftparchive");
            command.current_dir(root);
            command
        };
        let packages = run(ftparchive().args(["packages", "pool"]));
        fs::write(index.join("Packages"), packages).unwrap();
        run(Command::new("xz").arg("-kf").arg(index.join("Packages")));
        let release = run(ftparchive()
            .args(["-o", "APT::FTPArchive::Release::Suite=stable"])
            .args(["-o", "APT::FTPArchive::Release::Codename=trixie"])
            .args(["-o", "APT::FTPArchive::Release::Architectures=amd64"])
            .args(["-o", "APT::FTPArchive::Release::Components=main"])
            .args(["release", "dists/trixie"]));
        let text = root.join("Release");
        fs::write(&text, release).unwrap();
        let mut sign = self.gpg();
        if let Some(at) = at {
            sign.args(["--faked-system-time", at]);
        }
        run(sign
            .arg("-o")
            .arg(suite.join("InRelease"))
            .arg("--clearsign")
            .arg(&text));
    }

    fn gpg(&self) -> Command {
        let mut command = Command::new("gpg");
        command.arg("--homedir").arg(self.home.path()).args([
            "--batch",
            "--yes",
            "--quiet",
            "--pinentry-mode",
            "loopback",
            "--passphrase",
            "",
        ]);
        command
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        let mut stop = Command::new("gpgconf");
        stop.arg("--homedir")
            .arg(self.home.path())
            .args(["--kill", "all"]);
        let _ = stop.status();
    }
}
