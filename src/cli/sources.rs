//! What verbs that read archives share: mirrors, downloads, settling the lock.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::Context;
use super::args::{Sources, Subject};
use crate::digest::Digest;
use crate::error::{Context as _, Error, Kind, Result};
use crate::http;
use crate::lock::{self, Keep, Lock, Pinned, Resolver};
use crate::profile::Profile;
use crate::profile::explain::nearest;
use crate::registry::Registries;
use crate::report::{Report, Unit};
use crate::source::debian::archive::mirror::{MAIN, MirrorOptions, Mirrors, Named, SECURITY};
use crate::source::fetch::{Download, FetchOptions, Fetcher};
use crate::source::nix::StoreRoot;
use crate::source::oci::{self, Images};
use crate::source::release::{self, Builtin, LocalReleases, Provider, Releases};
use crate::store::Store;

/// Where a verb's inputs come from.
pub(super) struct Setting<'a> {
    pub store: &'a Store,
    pub report: &'a Report,
    pub profile: &'a Profile,
    pub fetcher: Fetcher,
    pub releases: Releases,
    pub builtin: Builtin,
    pub nix_root: StoreRoot,
    local: LocalReleases,
    registries: Registries,
    sources: &'a Sources,
}

impl<'a> Setting<'a> {
    pub fn new(
        context: &'a Context,
        store: &'a Store,
        profile: &'a Profile,
        sources: &'a Sources,
        architectures: &[&str],
    ) -> Result<Self> {
        if let Some(vendor) = &sources.vendor
            && !vendor.is_dir()
        {
            let message = format!("there is no vendor folder `{}`", vendor.display());
            return Err(Error::new(Kind::Usage, message).hint("`nodelith vendor` makes one"));
        }
        let local = LocalReleases::parse(&sources.component)?;
        check_local(&local, profile, architectures)?;
        let releases = match &sources.releases {
            Some(file) => Releases::with_file(file)?,
            None => Releases::built_in()?,
        };
        let options = FetchOptions {
            http: http::Options {
                ca_files: sources.access.ca_file.clone(),
                ..http::Options::default()
            },
            offline: sources.offline || sources.vendor.is_some(),
        };
        let registries = super::registry::options(&sources.access);
        Ok(Self {
            registries: Registries::new(store.clone(), context.report.clone(), registries),
            store,
            report: &context.report,
            profile,
            fetcher: Fetcher::new(store.clone(), context.report.clone(), options),
            releases,
            builtin: Builtin::installed(),
            nix_root: nix_root(sources)?,
            local,
            sources,
        })
    }

    /// What brings images.
    pub fn images(&self) -> Result<Images<'_>> {
        Ok(Images {
            store: self.store,
            report: self.report,
            fetcher: &self.fetcher,
            registries: &self.registries,
            offline: self.sources.offline || self.sources.vendor.is_some(),
            vendor: self.vendor()?,
        })
    }

    /// The vendor folder, absolute.
    fn vendor(&self) -> Result<Option<PathBuf>> {
        let vendor = self.sources.vendor.as_ref();
        let vendor = vendor.map(|vendor| std::path::absolute(vendor).io("finding", vendor));
        vendor.transpose()
    }

    /// What brings releases.
    pub fn provider(&self) -> Result<Provider<'_>> {
        Ok(Provider {
            store: self.store,
            report: self.report,
            fetcher: &self.fetcher,
            releases: &self.releases,
            local: &self.local,
            builtin: &self.builtin,
            vendor: self.vendor()?,
        })
    }

    /// Where the archives are: nowhere, for a root that is of none.
    pub fn mirrors(&self) -> Result<Mirrors> {
        if self.profile.debian.is_none() {
            return Ok(Mirrors::default());
        }
        let debian = self.profile.debian.as_ref();
        let repositories = debian.iter().flat_map(|debian| &debian.repositories);
        let mut options = MirrorOptions {
            command_line: Named {
                mirror: self.sources.mirror.clone(),
                security: self.sources.security_mirror.clone(),
            },
            profile: Named {
                mirror: debian.and_then(|debian| debian.mirror.clone()),
                security: debian.and_then(|debian| debian.security_mirror.clone()),
            },
            fallbacks: self.sources.fallback_mirror.clone(),
            further: repositories
                .map(|repository| (repository.name.to_string(), repository.url.to_string()))
                .collect(),
            ..MirrorOptions::default()
        };
        options.fallbacks.extend(
            debian
                .iter()
                .flat_map(|debian| debian.fallback_mirrors.clone()),
        );
        if let Some(vendor) = &self.sources.vendor {
            let vendor = std::path::absolute(vendor).io("finding", vendor)?;
            let place = |archive: &str| vendor.join(vendored(archive, "")).display().to_string();
            options.command_line.mirror = Some(place(MAIN));
            options.command_line.security = Some(place(SECURITY));
            options.fallbacks.clear();
            for (name, url) in &mut options.further {
                *url = place(name);
            }
        }
        Mirrors::discover(&options, Path::new("/"))
    }

    /// Puts into the store what the vendor folder has of the pinned local files.
    pub fn adopt_vendored(&self, pinned: &Pinned) -> Result<()> {
        let Some(vendor) = &self.sources.vendor else {
            return Ok(());
        };
        let vendor = std::path::absolute(vendor).io("finding", vendor)?;
        let items: Vec<Download> = pinned
            .file
            .iter()
            .map(|file| Download {
                urls: vec![
                    vendor
                        .join(vendored_file(&file.digest))
                        .display()
                        .to_string(),
                ],
                digest: file.digest,
                size: Some(file.size),
                name: file.path.clone(),
            })
            .collect();
        let task = self.report.task("vendored", None, Unit::Bytes);
        self.fetcher.download(&items, &task)
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
        let mut lock = found
            .clone()
            .unwrap_or_else(|| Lock::new(&self.profile.name));
        lock.profile.clone_from(&self.profile.name);
        lock.format = crate::layer::FORMAT;
        for architecture in architectures {
            if !lock.fits(self.profile, architecture) {
                if locked {
                    return Err(not_locked(&path, found.is_some()));
                }
                let keep = Keep::Everything;
                let pinned =
                    self.resolve(architecture, lock.architecture.get(*architecture), &keep)?;
                lock.architecture.insert((*architecture).to_owned(), pinned);
            } else if let Some(pinned) = lock.architecture.get_mut(*architecture) {
                self.renew_files(pinned, &path, locked)?;
                self.renew_closures(architecture, pinned, &path, locked)?;
                self.renew_images(pinned, architecture, &path, locked)?;
                let provider = self.provider()?;
                provider.take_local(&pinned.component, architecture)?;
            }
        }
        if found.as_ref() != Some(&lock) {
            lock.write(&path)?;
            self.report
                .note(&format!("wrote the lock `{}`", path.display()));
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
        let (mirrors, provider) = (self.mirrors()?, self.provider()?);
        let images = self.images()?;
        self.resolver(&mirrors, &provider, &images).resolve(
            self.profile,
            architecture,
            before,
            keep,
        )
    }

    /// What resolves profiles.
    pub fn resolver<'b>(
        &'b self,
        mirrors: &'b Mirrors,
        releases: &'b Provider<'b>,
        images: &'b Images<'b>,
    ) -> Resolver<'b> {
        Resolver {
            store: self.store,
            report: self.report,
            fetcher: &self.fetcher,
            mirrors,
            releases,
            nix_root: &self.nix_root,
            images,
            keyring: &self.sources.keyring,
            ignore_valid_until: self.sources.ignore_valid_until,
            now: Timestamp::now(),
        }
    }

    /// Pins closures anew that are others since the lock was made.
    fn renew_closures(
        &self,
        architecture: &str,
        pinned: &mut Pinned,
        path: &Path,
        locked: bool,
    ) -> Result<()> {
        let closures = lock::renewed(&self.nix_root, self.profile, architecture, &pinned.nix)?;
        if closures == pinned.nix {
            return Ok(());
        }
        if locked {
            return Err(not_locked(path, true));
        }
        pinned.nix = closures;
        Ok(())
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

    /// Pins images of layouts and archives, the base included, anew that changed since the lock was made.
    fn renew_images(
        &self,
        pinned: &mut Pinned,
        architecture: &str,
        path: &Path,
        locked: bool,
    ) -> Result<()> {
        let (provider, keep) = (self.images()?, Keep::Everything);
        let images = lock::pin_images(&provider, self.profile, architecture, &pinned.image, &keep)?;
        let before = Some(&*pinned);
        let base = lock::pin_base(&provider, self.profile, architecture, before, &keep)?;
        let same_base = base.as_ref().map(|(base, _)| base) == pinned.base.as_ref();
        if (images != pinned.image || !same_base) && locked {
            return Err(not_locked(path, true));
        }
        pinned.image = images;
        if let Some((base, created)) = base {
            pinned.base = Some(base);
            pinned.source_date_epoch = created;
        }
        Ok(())
    }
}

/// Where the Nix store is. It need not be there: what was read of it may do.
fn nix_root(sources: &Sources) -> Result<StoreRoot> {
    match &sources.nix_root {
        Some(folder) => Ok(StoreRoot(
            std::path::absolute(folder).io("finding", folder)?,
        )),
        None => Ok(StoreRoot::default()),
    }
}

/// Local files must be for releases that the profile takes, and for one architecture.
fn check_local(local: &LocalReleases, profile: &Profile, architectures: &[&str]) -> Result<()> {
    let wanted: Vec<_> = profile.releases().iter().map(|one| one.name).collect();
    for (name, architecture) in local.names() {
        if !wanted.contains(&name) {
            let message =
                format!("`--component {name}`: the profile takes no release of that name");
            let error = Error::new(Kind::Usage, message);
            return Err(match nearest(name, wanted.iter().copied()) {
                Some(nearest) => error.hint(format!("did you mean `{nearest}`?")),
                None if wanted.is_empty() => error
                    .hint("it takes none: see `source` in `[kubelet]`, `[containerd]` and others"),
                None => error.hint(format!("it takes {}", wanted.join(", "))),
            });
        }
        if architecture.is_none() && architectures.len() > 1 {
            let message = format!(
                "`--component {name}`: a file is for one architecture, and this is for {}",
                architectures.join(" and ")
            );
            return Err(Error::new(Kind::Usage, message).hint(format!(
                "write it like `--component {name}:{}=FILE`",
                architectures[0]
            )));
        }
    }
    Ok(())
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
            known
                .iter()
                .copied()
                .find(|one| one == name)
                .ok_or_else(|| {
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

/// The lock at `path`, for verbs that do not make one.
pub(super) fn existing_lock(path: &Path) -> Result<Lock> {
    Lock::read(path)?.ok_or_else(|| {
        let message = format!("there is no lock `{}`", path.display());
        Error::new(Kind::Resolve, message).hint("make one with `nodelith lock`")
    })
}

fn not_locked(path: &Path, exists: bool) -> Error {
    let path = path.display();
    let message = if exists {
        format!(
            "the lock `{path}` is not what the profile asks for, and `--locked` forbids to change it"
        )
    } else {
        format!("there is no lock `{path}`, and `--locked` forbids to make one")
    };
    Error::new(Kind::Resolve, message)
        .hint("run `nodelith lock` and keep the lock with the profile")
}

/// Where a package stands in a vendor folder.
pub(super) fn vendored(archive: &str, path: &str) -> PathBuf {
    Path::new("pool").join(archive).join(path)
}

/// Where a component stands in a vendor folder.
pub(super) fn vendored_component(digest: &Digest) -> PathBuf {
    Path::new(release::VENDORED).join(digest.hex())
}

/// Where a blob of an image stands in a vendor folder.
pub(super) fn vendored_image(digest: &Digest) -> PathBuf {
    Path::new(oci::VENDORED).join(digest.hex())
}

/// Where a local file stands in a vendor folder.
pub(super) fn vendored_file(digest: &Digest) -> PathBuf {
    Path::new("files").join(digest.hex())
}
