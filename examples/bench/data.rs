//! What is measured on: one profile's packages, for us and for mmdebstrap.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nodelith::build::excludes;
use nodelith::lock::{Lock, Package};
use nodelith::profile::Profile;
use nodelith::store::Store;
use serde_json::Value;
use tempfile::TempDir;

use crate::{Arguments, Result, run};

pub struct Data {
    pub nodelith: PathBuf,
    pub profile: PathBuf,
    /// The store with all packages, and in the end with all that was built.
    pub downloads: PathBuf,
    pub packages: Vec<Package>,
    excludes: Vec<String>,
    work: TempDir,
}

impl Data {
    /// Locks the profile, downloads what it names, and makes an archive of it for apt.
    pub fn prepare(nodelith: &Path, arguments: &Arguments) -> Result<Self> {
        let profile = &arguments.profile;
        let work = tempfile::Builder::new()
            .prefix("bench-")
            .tempdir_in("target")?;
        fs::set_permissions(work.path(), Permissions::from_mode(0o755))?;
        let loaded = Profile::load(profile)?;
        let debian = loaded.debian.as_ref().ok_or("a profile with `[debian]`")?;
        let mut data = Self {
            nodelith: nodelith.to_owned(),
            profile: std::path::absolute(profile)?,
            downloads: std::path::absolute(&arguments.store)?,
            packages: Vec::new(),
            excludes: excludes::patterns(&debian.exclude),
            work,
        };
        if let Some(lock) = &arguments.lock {
            fs::copy(lock, data.lock())?;
        }
        eprintln!("getting the packages");
        // Makes one where there is none, and leaves one that fits as it is.
        run::done(&mut data.verb("lock", &data.downloads, &data.profile))?;
        let mirror = data.mirror();
        run::done(
            data.verb("vendor", &data.downloads, &data.profile)
                .arg("--output")
                .arg(&mirror),
        )?;
        let lock = Lock::read(&data.lock())?.ok_or("there is no lock")?;
        let pinned = lock.architecture.into_values().next();
        data.packages = pinned.ok_or("the lock is empty")?.package;
        let mut scan = Command::new("dpkg-scanpackages");
        scan.current_dir(&mirror).args(["--multiversion", "pool"]);
        fs::write(mirror.join("Packages"), run::done(&mut scan)?)?;
        Ok(data)
    }

    pub fn download_bytes(&self) -> u64 {
        self.packages.iter().map(|package| package.size).sum()
    }

    /// An empty folder to work in.
    pub fn folder(&self) -> Result<TempDir> {
        Ok(TempDir::new_in(self.work.path())?)
    }

    /// A store that has the packages and nothing else: no records, no layers.
    pub fn store_of_downloads(&self) -> Result<TempDir> {
        let folder = self.folder()?;
        let (from, to) = (Store::open(&self.downloads)?, Store::open(folder.path())?);
        for package in &self.packages {
            let (from, to) = (
                from.blob_path(&package.digest),
                to.blob_path(&package.digest),
            );
            fs::hard_link(&from, &to).or_else(|_| fs::copy(&from, &to).map(|_| ()))?;
        }
        Ok(folder)
    }

    /// `nodelith build`, into a layout of that store's own.
    pub fn build(&self, store: &Path, profile: &Path) -> Command {
        let mut command = self.verb("build", store, profile);
        command.arg("--output").arg(self.layout(store));
        command.args(["--locked", "--offline", "--json"]);
        command
    }

    /// The layout of what is built with that store.
    pub fn layout(&self, store: &Path) -> PathBuf {
        let name = store.file_name().unwrap_or_default();
        self.work.path().join("out").join(name)
    }

    /// The same, run: how long it took, and what it says it did.
    pub fn built(&self, store: &Path, profile: &Path) -> Result<(f64, Value)> {
        let (seconds, said) = run::timed_output(&mut self.build(store, profile))?;
        Ok((seconds, serde_json::from_slice(&said)?))
    }

    /// The same packages as a root folder, by mmdebstrap, from a local archive
    /// that apt reads in place. It is spared what we do not do: syncing files,
    /// unpacking what the profile leaves out, and building an initrd.
    pub fn mmdebstrap(&self) -> Command {
        let mut command = Command::new("mmdebstrap");
        command.env("INITRD", "No");
        command.args([
            "--quiet",
            "--mode=root",
            "--format=directory",
            "--variant=essential",
        ]);
        command.arg("--hook-dir=/usr/share/mmdebstrap/hooks/file-mirror-automount");
        command.arg("--dpkgopt=force-unsafe-io");
        for pattern in &self.excludes {
            command.arg(match pattern.strip_prefix('!') {
                Some(kept) => format!("--dpkgopt=path-include={kept}"),
                None => format!("--dpkgopt=path-exclude={pattern}"),
            });
        }
        command.arg("--dpkgopt=path-include=/usr/share/doc/*/copyright");
        let names: Vec<&str> = self.packages.iter().map(|one| &*one.name).collect();
        command.arg(format!("--include={}", names.join(",")));
        command.arg("").arg(self.root());
        command.arg(format!(
            "deb [trusted=yes] file://{} ./",
            self.mirror().display()
        ));
        command
    }

    /// The root that mmdebstrap makes.
    pub fn root(&self) -> PathBuf {
        self.work.path().join("root")
    }

    pub fn forget_root(&self) -> Result<()> {
        let root = self.root();
        if root.exists() {
            fs::remove_dir_all(root)?;
        }
        Ok(())
    }

    /// Makes sure that mmdebstrap did the same work: all packages, and no initrd.
    pub fn check_root(&self) -> Result<()> {
        let root = self.root();
        let status = fs::read_to_string(root.join("var/lib/dpkg/status"))?;
        let installed = nodelith::source::debian::root::status::installed(&status).len();
        if installed != self.packages.len() {
            let ours = self.packages.len();
            return Err(format!("mmdebstrap installed {installed} packages, we {ours}").into());
        }
        for entry in fs::read_dir(root.join("boot"))? {
            let name = entry?.file_name();
            if name.to_string_lossy().starts_with("initrd") {
                return Err("mmdebstrap built an initrd, which we do not".into());
            }
        }
        Ok(())
    }

    /// A profile over the measured one, with a file that differs by `number`.
    pub fn profile_with_file(&self, number: usize) -> Result<PathBuf> {
        let path = self.work.path().join("one-file.toml");
        let base = Value::from(self.profile.display().to_string());
        let text = format!(
            "extends = {base}\n[[files]]\npath = \"/etc/nodelith-bench\"\ntext = \"{number} {}\\n\"\n",
            std::process::id()
        );
        fs::write(&path, text)?;
        Ok(path)
    }

    /// Where profiles over the measured one are.
    pub fn profile_folder(&self) -> &Path {
        self.work.path()
    }

    /// A profile over the measured one, with a file of that folder; its lock, beside
    /// it, has the measured packages.
    pub fn profile_filled(&self, file: &str) -> Result<PathBuf> {
        let path = self.work.path().join("filled.toml");
        let base = Value::from(self.profile.display().to_string());
        let text =
            format!("extends = {base}\n[[files]]\npath = \"/opt/filling\"\nsource = \"{file}\"\n");
        fs::write(&path, text)?;
        fs::copy(self.lock(), path.with_extension("lock.toml"))?;
        Ok(path)
    }

    fn verb(&self, verb: &str, store: &Path, profile: &Path) -> Command {
        let mut command = Command::new(&self.nodelith);
        command.arg(verb).arg(profile);
        command
            .arg("--lock")
            .arg(self.lock())
            .arg("--store")
            .arg(store);
        command
    }

    fn lock(&self) -> PathBuf {
        self.work.path().join("bench.lock.toml")
    }

    fn mirror(&self) -> PathBuf {
        self.work.path().join("archive")
    }
}
