//! Has a root made in the sandbox, unless the store has it.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;

use rayon::prelude::*;
use serde_json::{Value, json};

use super::Builder;
use super::excludes::patterns;
use crate::check::subject::look;
use crate::digest::Digest;
use crate::error::{Context, Error, Kind, Result};
use crate::lock::{LOCAL, Package, Pinned};
use crate::node;
use crate::profile::Profile;
use crate::report::{Task, Unit, counted};
use crate::sandbox::{self, Chosen, Chroot};
use crate::source::debian::root::assemble::{Progress, Runner};
use crate::source::debian::root::{self, Job, Root};
use crate::source::fetch::Download;
use crate::store::Store;

impl Builder<'_> {
    /// The configured root of the pinned packages, and the layers of it that
    /// were not in the store before. `reserved` layers are left for other things.
    pub(super) fn root(
        &self,
        profile: &Profile,
        architecture: &str,
        pinned: &Pinned,
        reserved: usize,
    ) -> Result<(Root, BTreeSet<Digest>)> {
        if profile.debian.is_none() && profile.base_image.is_none() && !profile.nix.is_empty() {
            return Ok((Root::default(), BTreeSet::new()));
        }
        let mut job = job(
            self.store,
            profile,
            architecture,
            pinned,
            reserved,
            self.threads,
        )?;
        let known = job.recorded(self.store);
        let known = known.or_else(|| self.cache?.root(&job, wanted));
        if let Some(root) = known {
            return Ok((self.used(&job, root), BTreeSet::new()));
        }
        // Nothing is fetched for a machine that cannot go on from there.
        let chosen = sandbox::choose(self.sandbox, architecture, &sandbox::Facts::gather())?;
        self.fetch(pinned)?;
        // Of several builds that want this root, one makes it.
        let _turn = self.store.lock(&format!("root-{}", job.key(false).hex()))?;
        if let Some(root) = job.recorded(self.store) {
            return Ok((self.used(&job, root), BTreeSet::new()));
        }
        let before = self.store.blobs()?;
        self.make_root(&mut job, &chosen)?;
        let root = job
            .recorded(self.store)
            .ok_or_else(|| Error::new(Kind::Io, "the root that was made is not in the store"))?;
        let layers = root.layers.iter().map(|layer| layer.blob.digest);
        let new = layers.filter(|digest| !before.contains(digest)).collect();
        Ok((self.used(&job, root), new))
    }

    fn used(&self, job: &Job, root: Root) -> Root {
        if let Some(cache) = self.cache {
            cache.used_root(job, &root);
        }
        root
    }

    /// Puts every pinned package into the store. Those that are there already are
    /// read through, since nothing that comes after looks at their digests.
    pub fn fetch(&self, pinned: &Pinned) -> Result<()> {
        let state = |package: &Package| -> Result<bool> {
            let whole = self
                .store
                .has(&package.digest, Some(package.size))
                .then(|| self.store.has_whole(&package.digest, Some(package.size)))
                .transpose()?;
            if whole == Some(false) {
                self.report.warning(&format!(
                    "the store's copy of `{} {}` was damaged, and is removed",
                    package.name, package.version
                ));
            }
            Ok(whole == Some(true))
        };
        let whole: Vec<bool> = pinned
            .package
            .par_iter()
            .map(state)
            .collect::<Result<_>>()?;
        let (local, missing): (Vec<_>, Vec<_>) = pinned
            .package
            .iter()
            .zip(whole)
            .filter_map(|(package, whole)| (!whole).then_some(package))
            .partition(|package| package.archive == LOCAL);
        if let Some(package) = local.first() {
            let message = format!("the store has no whole copy of `{}`", package.path);
            return Err(Error::new(Kind::Verify, message)
                .hint("build again: it is then read anew from where the profile names it"));
        }
        if missing.is_empty() {
            return Ok(());
        }
        let mirrors = (self.mirrors)()?;
        let items: Vec<Download> = missing
            .iter()
            .map(|package| Download {
                urls: mirrors.urls(&package.archive, &package.path),
                digest: package.digest,
                size: Some(package.size),
                name: format!("{} {}", package.name, package.version),
            })
            .collect();
        let total = missing.iter().map(|package| package.size).sum();
        let task = self.report.task("fetching", Some(total), Unit::Bytes);
        self.fetcher.download(&items, &task)?;
        task.finish(&counted(items.len(), "package"));
        Ok(())
    }

    /// Removes what killed builds left. Failing at it does not stop this build.
    pub(super) fn clear_abandoned(&self, architecture: &str) -> Result<()> {
        if self.store.abandoned()?.is_empty() {
            return Ok(());
        }
        let cleared = sandbox::choose(self.sandbox, architecture, &sandbox::Facts::gather())
            .and_then(|chosen| sandbox::clear_abandoned(self.store, &chosen));
        if let Err(error) = cleared {
            let message = format!("what a killed build left in the store stays there: {error}");
            self.report.warning(&message);
        }
        Ok(())
    }

    fn make_root(&self, job: &mut Job, chosen: &Chosen) -> Result<()> {
        for warning in chosen.warnings() {
            self.report.warning(warning);
        }
        let scratch = self.store.scratch()?;
        job.scratch = scratch.path();
        job.log = scratch.path().join("scripts.log");
        let mut stage: Option<(String, Task)> = None;
        let mut on_event = |event: Value| {
            if let Some(name) = event["stage"].as_str() {
                if let Some((name, task)) = stage.take() {
                    task.finish(&name);
                }
                let task = self.report.task("root", None, Unit::Count("packages"));
                stage = Some((name.to_owned(), task));
            } else if let (Some(_), Some((_, task))) = (event["unpacked"].as_str(), &stage) {
                task.advance(1);
            }
        };
        let done: Result<Value> = sandbox::run(chosen, job, &mut on_event);
        if let Some((name, task)) = stage.take() {
            task.finish(&name);
        }
        // What the worker made may belong to ids that only the worker can handle.
        let kept = done.as_ref().is_err().then(|| self.keep_log(job)).flatten();
        sandbox::remove_tree(chosen, &job.scratch)?;
        match (done, kept) {
            (Ok(_), _) => Ok(()),
            (Err(error), Some(log)) => Err(error.hint(format!("the whole output is in `{log}`"))),
            (Err(error), None) => Err(error),
        }
    }

    /// Keeps the output of package scripts where a person finds it.
    fn keep_log(&self, job: &Job) -> Option<String> {
        let text = fs::read(&job.log).ok().filter(|text| !text.is_empty())?;
        let kept = self.store.root().join("scripts.log");
        crate::store::write_atomic(&kept, &text).ok()?;
        Some(kept.display().to_string())
    }
}

/// What the root of the pinned packages depends on.
///
/// # Errors
/// When the profile's root does not come from packages.
pub(super) fn job(
    store: &Store,
    profile: &Profile,
    architecture: &str,
    pinned: &Pinned,
    reserved: usize,
    threads: usize,
) -> Result<Job> {
    let debian = profile.debian.as_ref().ok_or_else(|| {
        let message = "the lock names no base, and the profile no archive";
        Error::new(Kind::Resolve, message).hint("renew the lock with `nodelith lock`")
    })?;
    Ok(Job {
        store: store.root().to_owned(),
        scratch: Default::default(),
        log: Default::default(),
        architecture: architecture.to_owned(),
        packages: pinned
            .package
            .iter()
            .map(|package| package.digest)
            .collect(),
        excludes: patterns(&debian.exclude),
        source_date_epoch: pinned.source_date_epoch,
        layer_limit: usize::from(profile.image.layers).saturating_sub(reserved),
        threads,
    })
}

/// The sandbox's worker: makes the root that the job on standard input names.
#[must_use]
pub fn worker(mode: &str) -> ExitCode {
    sandbox::worker_main(mode, |job, emitter| {
        let job: Job = serde_json::from_slice(job)
            .map_err(|error| Error::new(Kind::Sandbox, format!("reading the job: {error}")))?;
        let folder = job.root();
        // The sandbox takes away again what it had to make for its own use.
        for name in ["", "dev", "proc", "sys"] {
            make_folder(&folder.join(name))?;
        }
        let inside = emitter.inside();
        let emitter = &*emitter;
        let progress = |progress: Progress<'_>| {
            let event = match progress {
                Progress::Stage(name) => json!({"stage": name}),
                Progress::Unpacked { package, .. } => json!({"unpacked": package}),
            };
            // When the parent is gone, the monitor ends this process.
            let _ = emitter.event(&event);
        };
        let mut runner = Scripts(Chroot::new(&folder, inside, &job.log)?);
        let assembled = root::unpack(&job, &mut runner, &progress);
        // Whatever came of it, its mounts must be gone before the root is looked at.
        runner.0.close()?;
        root::keep(&job, &assembled?, wanted, &progress)?;
        Ok(Value::Null)
    })
}

/// Texts that node configuration or the check read.
pub(super) fn wanted(path: &[u8]) -> bool {
    node::facts::wanted(path) || look::wanted(path)
}

/// Makes a folder, but none above it: when this worker's parent was killed, another
/// build may have taken the scratch folder away.
fn make_folder(path: &Path) -> Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(error).io("making", path);
        }
        _ => {}
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).io("making", path)
}

struct Scripts(Chroot);

impl Runner for Scripts {
    fn run(&mut self, argv: &[&str], env: &[(&str, &str)], stdin: Option<&[u8]>) -> Result<()> {
        self.0.run(argv, env, stdin)
    }
}
