//! Resolves a profile: archives → verified releases → packages, all by digest.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use jiff::Timestamp;
use serde_json::json;

use super::{LOCAL, Lock, Package, Pinned, Release, components, files, images, nix, pin_base};
use crate::digest::Digest;
use crate::error::{Context, Error, Kind, Result};
use crate::profile::value::LocalFile;
use crate::profile::{DebianSettings, Profile};
use crate::report::{Report, Unit, counted};
use crate::source::debian::archive::mirror::{MAIN, Mirrors, SECURITY};
use crate::source::debian::archive::signature::Keyring;
use crate::source::debian::archive::{self, Suite, SuiteSpec, TimePolicy};
use crate::source::debian::choice::index::Universe;
use crate::source::debian::choice::package::Package as Candidate;
use crate::source::debian::choice::solve::{self, Request};
use crate::source::debian::root::deb::Deb;
use crate::source::fetch::{Download, Fetcher};
use crate::source::nix::StoreRoot;
use crate::source::oci::Images;
use crate::source::release::Provider;
use crate::store::Store;

/// Which locked versions stay as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keep {
    /// None: the newest of everything.
    Nothing,
    /// All that can stay.
    Everything,
    /// All that can stay, but these packages and those of the same sources.
    AllBut(Vec<String>),
}

/// Releases, and when each was made.
type Releases = Vec<(Release, Timestamp)>;

/// Resolves profiles against archives.
pub struct Resolver<'a> {
    /// The store, for indices and packages.
    pub store: &'a Store,
    /// Where progress goes.
    pub report: &'a Report,
    /// Downloads what is not in the store.
    pub fetcher: &'a Fetcher,
    /// Where the archives are.
    pub mirrors: &'a Mirrors,
    /// Where releases are.
    pub releases: &'a Provider<'a>,
    /// Where the Nix store is.
    pub nix_root: &'a StoreRoot,
    /// Where images are.
    pub images: &'a Images<'a>,
    /// Keyring files that replace the host's.
    pub keyring: &'a [PathBuf],
    /// Whether releases past their `Valid-Until` are accepted.
    pub ignore_valid_until: bool,
    /// The time against which signatures and releases are checked.
    pub now: Timestamp,
}

impl Resolver<'_> {
    /// Resolves `profile` for `architecture`, keeping of `before` what `keep` says.
    ///
    /// # Errors
    /// What reading archives or choosing packages fails with.
    pub fn resolve(
        &self,
        profile: &Profile,
        architecture: &str,
        before: Option<&Pinned>,
        keep: &Keep,
    ) -> Result<Pinned> {
        let locked = before.map_or(&[][..], |before| &before.component);
        let component = components::components(self.releases, profile, architecture, locked, keep)?;
        let locked = before.map_or(&[][..], |before| &before.image);
        let image = images::pin_images(self.images, profile, architecture, locked, keep)?;
        let base = pin_base(self.images, profile, architecture, before, keep)?;
        // Where another image or closures are the root, no archive is asked.
        let (package, release) = match &profile.debian {
            None if base.is_some() || !profile.nix.is_empty() => {
                known(before, keep)?;
                (Vec::new(), Vec::new())
            }
            _ => self.packages(profile, architecture, before, keep)?,
        };
        let created = base.as_ref().map(|(_, created)| *created);
        Ok(Pinned {
            selection: selection(profile, architecture),
            source_date_epoch: created.unwrap_or_else(|| epoch(&release)),
            release: release.into_iter().map(|(release, _)| release).collect(),
            base: base.map(|(base, _)| base),
            package,
            component,
            image,
            nix: nix::closures(self.nix_root, profile, architecture)?,
            file: files::local_files(&profile.local_files())?,
        })
    }

    /// Chooses the packages of `profile`, from these releases.
    fn packages(
        &self,
        profile: &Profile,
        architecture: &str,
        before: Option<&Pinned>,
        keep: &Keep,
    ) -> Result<(Vec<Package>, Releases)> {
        let debian = debian(profile)?;
        let (mut universe, release) = self.universe(profile, architecture)?;
        let locals = self.add_local_packages(&mut universe, debian)?;
        if let Some(before) = before {
            self.hold(&mut universe, before, keep)?;
        }
        let request = Request {
            architecture: architecture.to_owned(),
            install: profile.packages(architecture),
            exclude: Vec::new(),
        };
        let chosen = solve::choose(&universe, &request)?;
        let mut package = chosen
            .into_iter()
            .map(|candidate| pin(candidate, &locals))
            .collect::<Result<Vec<_>>>()?;
        package.sort_by(|a, b| (&a.name, &a.architecture).cmp(&(&b.name, &b.architecture)));
        Ok((package, release))
    }

    /// Everything that the profile's archives hold for `architecture`, and their releases.
    ///
    /// # Errors
    /// What fetching and verifying releases and indices fails with.
    pub fn universe(&self, profile: &Profile, architecture: &str) -> Result<(Universe, Releases)> {
        let debian = debian(profile)?;
        let mut universe = Universe::new(architecture);
        let mut releases = Vec::new();
        let task = self.report.task("resolving", None, Unit::Count("suites"));
        let time = TimePolicy {
            now: self.now,
            ignore_valid_until: self.ignore_valid_until,
        };
        for (spec, keyring) in self.suites(debian, architecture)? {
            let suite = archive::open(self.fetcher, self.mirrors, &keyring, &spec, time)?;
            releases.push(release(&suite)?);
            for (architecture, component) in suite.lists() {
                let text = suite.packages(&architecture, &component)?;
                let priority = priority(&suite);
                universe.add_with_priority(&spec.archive, &spec.suite, priority, text)?;
            }
            task.advance(1);
        }
        task.finish(&format!(
            "{} in {}",
            counted(universe.packages().len(), "package"),
            counted(releases.len(), "suite")
        ));
        Ok((universe, releases))
    }
}

impl Resolver<'_> {
    /// The suites that the profile draws on, each with the keys that sign it.
    fn suites(
        &self,
        debian: &DebianSettings,
        architecture: &str,
    ) -> Result<Vec<(SuiteSpec, Keyring)>> {
        let keyring = match (self.keyring, &debian.keyring) {
            ([], None) => Keyring::of_host(Path::new("/"))?,
            ([], Some(file)) => Keyring::from_files(&[file.absolute().to_owned()])?,
            (files, _) => Keyring::from_files(files)?,
        };
        let spec = |archive: &str, suite: String, components: Vec<String>| SuiteSpec {
            archive: archive.to_owned(),
            suite,
            components,
            architectures: vec![architecture.to_owned()],
        };
        let suite = &debian.suite;
        let mut suites = vec![(MAIN, suite.clone())];
        if debian.updates {
            suites.push((MAIN, format!("{suite}-updates")));
        }
        if debian.security {
            suites.push((SECURITY, format!("{suite}-security")));
        }
        let mut suites: Vec<_> = suites
            .into_iter()
            .map(|(archive, suite)| {
                let components = debian.components.clone();
                (spec(archive, suite, components), keyring.clone())
            })
            .collect();
        for repository in &debian.repositories {
            let here = repository
                .architectures
                .iter()
                .any(|one| one.name() == architecture);
            if !here && !repository.architectures.is_empty() {
                continue;
            }
            let keys = match (&repository.key, &repository.key_text) {
                (Some(file), _) => Keyring::from_files(&[file.absolute().to_owned()])?,
                (None, Some(text)) => Keyring::from_armored(text, &repository.name)?,
                (None, None) => keyring.clone(),
            };
            let components = repository
                .components
                .iter()
                .map(ToString::to_string)
                .collect();
            let suite = spec(&repository.name, repository.suite.to_string(), components);
            suites.push((suite, keys));
        }
        Ok(suites)
    }

    /// Adds the `.deb` files that the profile names; gives their digests by path.
    fn add_local_packages(
        &self,
        universe: &mut Universe,
        debian: &DebianSettings,
    ) -> Result<BTreeMap<String, (Digest, u64)>> {
        let mut locals = BTreeMap::new();
        for file in &debian.debs {
            let (digest, size) = self.keep_local(file)?;
            let control = control(&self.store.blob_path(&digest))
                .map_err(|error| error.context(format!("reading `{}`", file.path())))?;
            universe.add_local(file.path(), &control, size, digest)?;
            locals.insert(file.path().to_owned(), (digest, size));
        }
        Ok(locals)
    }

    fn keep_local(&self, file: &LocalFile) -> Result<(Digest, u64)> {
        let pinned = files::local_files(&[file])?;
        let [pinned] = &pinned[..] else {
            return Err(Error::new(Kind::Io, format!("`{}` is gone", file.path())));
        };
        if !self.store.has_whole(&pinned.digest, Some(pinned.size))? {
            let mut source = std::fs::File::open(file.absolute()).io("reading", file.absolute())?;
            let mut blob = self.store.writer()?;
            std::io::copy(&mut source, &mut blob).io("copying", file.absolute())?;
            return blob.commit();
        }
        Ok((pinned.digest, pinned.size))
    }

    /// Makes locked versions the candidates of their names. One that the
    /// archives have dropped is read from its `.deb`, if that is to be had.
    fn hold(&self, universe: &mut Universe, before: &Pinned, keep: &Keep) -> Result<()> {
        let released = match keep {
            Keep::Nothing => return Ok(()),
            Keep::Everything => BTreeSet::new(),
            Keep::AllBut(names) => released(universe, before, names)?,
        };
        for package in &before.package {
            if package.archive == LOCAL || released.contains(package.name.as_str()) {
                continue;
            }
            if universe.hold(&package.name, &package.version) {
                continue;
            }
            match self.stanza(package) {
                Ok(text) => {
                    universe.add_with_priority(&package.archive, "lock", 990, text)?;
                    universe.hold(&package.name, &package.version);
                }
                Err(error) => self.report.warning(&format!(
                    "`{} {}` is in no archive any more and gets its newest version: {error}",
                    package.name, package.version
                )),
            }
        }
        Ok(())
    }

    /// The index stanza of a locked package, from its `.deb`.
    fn stanza(&self, package: &Package) -> Result<String> {
        let task = self
            .report
            .task("fetching", Some(package.size), Unit::Bytes);
        let item = Download {
            urls: self.mirrors.urls(&package.archive, &package.path),
            digest: package.digest,
            size: Some(package.size),
            name: format!("{} {}", package.name, package.version),
        };
        self.fetcher.download(&[item], &task)?;
        let control = control(&self.store.blob_path(&package.digest))?;
        Ok(format!(
            "{}\nFilename: {}\nSize: {}\nSHA256: {}\n",
            control.trim_end(),
            package.path,
            package.size,
            package.digest.hex()
        ))
    }
}

/// The control stanza of a `.deb`.
fn control(path: &Path) -> Result<String> {
    let stanza = Deb::open(path)?.control()?.stanza;
    let fields = stanza.fields();
    Ok(fields
        .map(|(name, value)| format!("{name}: {value}\n"))
        .collect())
}

fn release(suite: &Suite) -> Result<(Release, Timestamp)> {
    let date = suite.release.date.ok_or_else(|| {
        let name = &suite.spec.suite;
        Error::new(
            Kind::Verify,
            format!("the release file of `{name}` has no date"),
        )
    })?;
    let release = Release {
        archive: suite.spec.archive.clone(),
        suite: suite.spec.suite.clone(),
        date: date.to_string(),
        digest: suite.in_release,
        valid_until_ignored: suite.past_valid_until,
    };
    Ok((release, date))
}

/// apt's default priority of a suite's versions (`apt_preferences(5)`).
fn priority(suite: &Suite) -> i16 {
    match (
        suite.release.not_automatic,
        suite.release.but_automatic_upgrades,
    ) {
        (true, false) => 1,
        (true, true) => 100,
        (false, _) => 500,
    }
}

/// The packages that `names` set free: themselves and the others of their sources.
fn released<'a>(
    universe: &Universe,
    before: &'a Pinned,
    names: &[String],
) -> Result<BTreeSet<&'a str>> {
    let source = |name: &str| {
        let candidate = universe.candidate(name);
        candidate.map_or_else(
            || name.to_owned(),
            |candidate| candidate.source().to_owned(),
        )
    };
    let locked: BTreeSet<&str> = before.package.iter().map(|one| one.name.as_str()).collect();
    let other = |name: &str| {
        let component = before.component.iter().any(|one| one.name == name);
        component || before.image.iter().any(|one| one.reference == name)
    };
    let names = names.iter().filter(|name| !other(name));
    if let Some(unknown) = names.clone().find(|name| !locked.contains(name.as_str())) {
        return Err(not_in_lock(unknown));
    }
    let sources: BTreeSet<String> = names.map(|name| source(name)).collect();
    Ok(locked
        .into_iter()
        .filter(|name| sources.contains(&source(name)))
        .collect())
}

/// Refuses names to be renewed that a lock without packages does not have.
fn known(before: Option<&Pinned>, keep: &Keep) -> Result<()> {
    let Keep::AllBut(names) = keep else {
        return Ok(());
    };
    let has = |name: &String| {
        before.is_some_and(|before| {
            let mut images = before.image.iter();
            before.component.iter().any(|one| one.name == *name)
                || images.any(|one| one.reference == *name)
                || before
                    .base
                    .as_ref()
                    .is_some_and(|base| base.image.reference == *name)
        })
    };
    match names.iter().find(|name| !has(name)) {
        None => Ok(()),
        Some(unknown) => Err(not_in_lock(unknown)),
    }
}

fn not_in_lock(name: &str) -> Error {
    Error::new(Kind::Usage, format!("`{name}` is not in the lock"))
        .hint("`nodelith lock --update` without names renews everything")
}

/// Digest of the fields that choose a profile's inputs.
#[must_use]
pub fn selection(profile: &Profile, architecture: &str) -> Digest {
    let fields = json!([architecture, profile.selection(architecture)]);
    Digest::of(fields.to_string().as_bytes())
}

impl Lock {
    /// Whether the lock has what `profile` chooses for `architecture`.
    #[must_use]
    pub fn fits(&self, profile: &Profile, architecture: &str) -> bool {
        let pinned = self.architecture.get(architecture);
        pinned.is_some_and(|pinned| pinned.selection == selection(profile, architecture))
    }
}

fn debian(profile: &Profile) -> Result<&DebianSettings> {
    profile.debian.as_ref().ok_or_else(|| {
        let error = Error::new(
            Kind::Usage,
            "the profile has no `[debian]`, which packages would come from",
        );
        error.hint("say which suite: [debian] suite = \"trixie\"")
    })
}

fn pin(candidate: &Candidate, locals: &BTreeMap<String, (Digest, u64)>) -> Result<Package> {
    let path = candidate.filename().to_owned();
    let (archive, digest, size) = match locals.get(&path) {
        Some((digest, size)) if candidate.origin().archive.is_empty() => {
            (LOCAL.to_owned(), *digest, *size)
        }
        _ => {
            let digest = candidate.sha256().ok_or_else(|| {
                let name = candidate.name();
                Error::new(
                    Kind::Verify,
                    format!("the archive gives no SHA-256 of `{name}`"),
                )
            })?;
            check_path(candidate.name(), &path)?;
            (candidate.origin().archive.clone(), digest, candidate.size())
        }
    };
    Ok(Package {
        name: candidate.name().to_owned(),
        version: candidate.version().to_owned(),
        architecture: candidate.architecture().to_owned(),
        archive,
        path,
        size,
        digest,
    })
}

/// The path is joined to folders (a vendor folder, a mirror's), and must not lead out of them.
fn check_path(name: &str, path: &str) -> Result<()> {
    let below = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    if !path.is_empty() && Path::new(path).components().all(below) {
        return Ok(());
    }
    let message = format!("the archive's path of `{name}`, `{path}`, is not one below the archive");
    Err(Error::new(Kind::Verify, message))
}

/// The newest date among the releases: `SOURCE_DATE_EPOCH`.
fn epoch(releases: &[(Release, Timestamp)]) -> i64 {
    let dates = releases.iter().map(|(_, date)| date.as_second());
    dates.max().unwrap_or(crate::tree::FIXED_TIME)
}
