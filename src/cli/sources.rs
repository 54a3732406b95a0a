//! What verbs that read archives share: mirrors, downloads, settling the lock.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::Context;
use super::args::{Sources, Subject};
use crate::error::{Error, Kind, Result};
use crate::lock::{self, Keep, Lock, Pinned, Resolver};
use crate::profile::Profile;
use crate::report::Report;
use crate::source::debian::mirror::{MirrorOptions, Mirrors};
use crate::source::fetch::{FetchOptions, Fetcher};
use crate::store::Store;

/// Where a verb's inputs come from.
pub(super) struct Setting<'a> {
    pub store: &'a Store,
    pub report: &'a Report,
    pub profile: &'a Profile,
    pub fetcher: Fetcher,
    sources: &'a Sources,
}

impl<'a> Setting<'a> {
    pub fn new(
        context: &'a Context,
        store: &'a Store,
        profile: &'a Profile,
        sources: &'a Sources,
    ) -> Result<Self> {
        if let Some(vendor) = &sources.vendor
            && !vendor.is_dir()
        {
            let message = format!("there is no vendor folder `{}`", vendor.display());
            return Err(Error::new(Kind::Usage, message).hint("`nodelith vendor` makes one"));
        }
        let options = FetchOptions {
            ca_files: sources.ca.clone(),
            offline: sources.offline || sources.vendor.is_some(),
            ..FetchOptions::default()
        };
        Ok(Self {
            store,
            report: &context.report,
            profile,
            fetcher: Fetcher::new(store.clone(), context.report.clone(), options),
            sources,
        })
    }

    /// Where the archives are.
    pub fn mirrors(&self) -> Result<Mirrors> {
        if let Some(vendor) = &self.sources.vendor {
            return Ok(Mirrors::vendor(vendor));
        }
        let debian = self.profile.debian.as_ref();
        let from_profile = |value: Option<&Option<String>>| value.cloned().flatten();
        let mut fallback = self.sources.fallback_mirror.clone();
        fallback.extend(debian.iter().flat_map(|debian| debian.fallback_mirrors.clone()));
        let repositories = debian.map(|debian| {
            debian
                .repositories
                .iter()
                .map(|repository| (repository.name.to_string(), repository.url.to_string()))
                .collect()
        });
        Mirrors::discover(&MirrorOptions {
            mirror: self.sources.mirror.clone(),
            security_mirror: self.sources.security_mirror.clone(),
            profile_mirror: from_profile(debian.map(|debian| &debian.mirror)),
            profile_security_mirror: from_profile(debian.map(|debian| &debian.security_mirror)),
            fallback,
            repositories: repositories.unwrap_or_default(),
            apt: PathBuf::from("/etc/apt"),
        })
    }

    /// The lock of these architectures: read, made where there is none, renewed
    /// where the profile chooses other inputs now.
    pub fn settle_lock(
        &self,
        subject: &Subject,
        architectures: &[&str],
        locked: bool,
    ) -> Result<Lock> {
        let path = lock_path(subject);
        let found = Lock::read(&path)?;
        let mut lock = found.clone().unwrap_or_else(|| Lock::new(&self.profile.name));
        lock.profile.clone_from(&self.profile.name);
        lock.format = crate::layer::FORMAT;
        for architecture in architectures {
            if !lock.fits(self.profile, architecture) {
                if locked {
                    return Err(not_locked(&path, found.is_some()));
                }
                let keep = Keep::Everything;
                let pinned = self.resolve(architecture, lock.architecture.get(*architecture), &keep)?;
                lock.architecture.insert((*architecture).to_owned(), pinned);
            } else if let Some(pinned) = lock.architecture.get_mut(*architecture) {
                self.renew_files(pinned, &path, locked)?;
            }
        }
        if found.as_ref() != Some(&lock) {
            lock.write(&path)?;
            self.report.note(&format!("wrote the lock `{}`", path.display()));
        }
        Ok(lock)
    }

    /// Resolves the profile for one architecture.
    pub fn resolve(
        &self,
        architecture: &str,
        before: Option<&Pinned>,
        keep: &Keep,
    ) -> Result<Pinned> {
        let mirrors = self.mirrors()?;
        self.resolver(&mirrors).resolve(self.profile, architecture, before, keep)
    }

    /// What resolves profiles.
    pub fn resolver<'b>(&'b self, mirrors: &'b Mirrors) -> Resolver<'b> {
        Resolver {
            store: self.store,
            report: self.report,
            fetcher: &self.fetcher,
            mirrors,
            keyring: &self.sources.keyring,
            ignore_valid_until: self.sources.ignore_valid_until,
            now: Timestamp::now(),
        }
    }

    /// Pins local files anew that changed since the lock was made.
    fn renew_files(&self, pinned: &mut Pinned, path: &Path, locked: bool) -> Result<()> {
        let named = self.profile.local_files();
        // A file that is not there may still be in the store; the build will tell.
        if named.iter().any(|file| !file.absolute().exists()) {
            return Ok(());
        }
        let files = lock::local_files(&named)?;
        if files == pinned.file {
            return Ok(());
        }
        if locked {
            return Err(not_locked(path, true));
        }
        pinned.file = files;
        Ok(())
    }
}

/// The architectures that were asked for, or the profile's.
pub(super) fn architectures<'a>(profile: &'a Profile, asked: &[String]) -> Result<Vec<&'a str>> {
    let known: Vec<&str> = profile.architectures.iter().map(|one| one.name()).collect();
    if asked.is_empty() {
        return Ok(known);
    }
    asked
        .iter()
        .map(|name| {
            known.iter().copied().find(|one| one == name).ok_or_else(|| {
                let message = format!("the profile is not made for `{name}`");
                let hint = format!("it is for {}; see `architecture` in it", known.join(", "));
                Error::new(Kind::Usage, message).hint(hint)
            })
        })
        .collect()
}

/// Where the lock is.
pub(super) fn lock_path(subject: &Subject) -> PathBuf {
    let default = || lock::default_path(&subject.profile);
    subject.lock.clone().unwrap_or_else(default)
}

fn not_locked(path: &Path, exists: bool) -> Error {
    let path = path.display();
    let message = if exists {
        format!("the lock `{path}` is not what the profile asks for, and `--locked` forbids to change it")
    } else {
        format!("there is no lock `{path}`, and `--locked` forbids to make one")
    };
    Error::new(Kind::Resolve, message).hint("run `nodelith lock` and keep the lock with the profile")
}
