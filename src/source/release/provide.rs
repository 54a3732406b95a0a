//! Pins a release, and brings the bytes of a pinned one into the store.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::builtin::Builtin;
use super::local::{self, LocalReleases};
use super::table::{Releases, Row};
use super::{CRICTL, checksum};
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::http;
use crate::report::{Report, Unit, counted};
use crate::source::fetch::{self, Download, Fetcher};
use crate::store::Store;

/// The folder of a vendor folder that has components, each by its digest.
pub const VENDORED: &str = "components";

/// A release as the lock pins it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Component {
    /// Its name in the table of releases: `kubelet`.
    pub name: String,
    /// Its version; of a built-in one, Nodelith's.
    pub version: String,
    /// Where it comes from.
    pub source: Origin,
    /// Digest of the published file.
    pub digest: Digest,
    /// Size of that file in bytes, where it was known when it was pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

/// Where a component comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Its publisher has it, with this digest.
    Release,
    /// A local file that was pinned as it was.
    Local,
    /// It is part of Nodelith.
    Builtin,
}

/// Brings releases.
pub struct Provider<'a> {
    /// The store.
    pub store: &'a Store,
    /// Where progress goes.
    pub report: &'a Report,
    /// Downloads what is not in the store.
    pub fetcher: &'a Fetcher,
    /// What is known of releases.
    pub releases: &'a Releases,
    /// Local files that take the publishers' place.
    pub local: &'a LocalReleases,
    /// The built-in crictl.
    pub builtin: &'a Builtin,
    /// The vendor folder, where it is the only source.
    pub vendor: Option<PathBuf>,
}

impl Component {
    /// What messages call it.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{} {}", self.name, self.version)
    }
}

impl Provider<'_> {
    /// Pins the release `version` of `name` for `architecture`: by the table's
    /// digest, else by that of the local file, else by the publisher's.
    ///
    /// # Errors
    /// [`Kind::Verify`] when the local file is another than the table says,
    /// [`Kind::Resolve`] when the publisher has no such release,
    /// [`Kind::Network`] when the publisher cannot be asked.
    pub fn pin(&self, name: &str, version: &str, architecture: &str) -> Result<Component> {
        let known = self.releases.row(name)?.digest(version, architecture);
        let component = |source, digest, size| Component {
            name: name.to_owned(),
            version: version.to_owned(),
            source,
            digest,
            size,
        };
        if let Some(file) = self.local.find(name, architecture) {
            let (digest, size) = local::keep(self.store, file)?;
            return match known {
                Some(known) if known == digest => Ok(component(Origin::Release, digest, Some(size))),
                Some(known) => Err(Error::new(
                    Kind::Verify,
                    format!(
                        "`{}` is not `{name} {version}` for {architecture}: it has digest {digest}, and the table of releases says {known}",
                        file.display()
                    ),
                )
                .hint("a build of your own needs a version of its own, which the table does not have: set `version`, like \"1.36.4-site.1\"")),
                None => {
                    self.report.note(&format!(
                        "`{}` is pinned as `{name} {version}` for {architecture} as it is: no digest of that release is known",
                        file.display()
                    ));
                    Ok(component(Origin::Local, digest, Some(size)))
                }
            };
        }
        let digest = match known {
            Some(digest) => digest,
            None => self.published(name, version, architecture)?,
        };
        Ok(component(Origin::Release, digest, None))
    }

    /// The digest that the publisher gives of a release.
    fn published(&self, name: &str, version: &str, architecture: &str) -> Result<Digest> {
        let url = self.releases.checksum_url(name, version, architecture)?;
        let advise = |error: Error| {
            let error = error.context(format!(
                "asking for the digest of `{name} {version}` for {architecture}, which the table of releases does not have"
            ));
            match error.kind() {
                Kind::Resolve => error.hint(format!(
                    "check the version: the publisher has no `{name} {version}` for {architecture}"
                )),
                _ => error,
            }
            .hint(ELSEWHERE.replace("NAME", name))
        };
        let fetcher = self.fetcher.of(fetch::Origin::Release);
        let text = fetcher
            .small(std::slice::from_ref(&url), checksum::LIMIT)
            .map_err(advise)?;
        let published = self.releases.url(name, version, architecture)?;
        let file = published.rsplit('/').next().unwrap_or_default();
        checksum::find(&String::from_utf8_lossy(&text), file).ok_or_else(|| {
            let message = format!("`{}` gives no digest of `{file}`", http::redact(&url));
            advise(Error::new(Kind::Verify, message))
        })
    }

    /// Pins the built-in crictl for `architecture`.
    ///
    /// # Errors
    /// [`Kind::Resolve`] when there is none for that architecture.
    pub fn pin_builtin(&self, architecture: &str) -> Result<Component> {
        let path = match self.local.find(CRICTL, architecture) {
            Some(file) => {
                self.report.note(&format!(
                    "`{}` is pinned as the built-in crictl for {architecture} as it is",
                    file.display()
                ));
                file
            }
            None => {
                self.builtin_for(architecture)?;
                &self.builtin.path
            }
        };
        let (digest, size) = local::keep(self.store, path)?;
        Ok(Component {
            name: CRICTL.to_owned(),
            version: self.builtin.version.to_owned(),
            source: Origin::Builtin,
            digest,
            size: Some(size),
        })
    }

    fn builtin_for(&self, architecture: &str) -> Result<()> {
        if self.builtin.architecture != architecture {
            let message = format!(
                "the built-in crictl at hand is for {}, and the image for {architecture}",
                self.builtin.architecture
            );
            return Err(Error::new(Kind::Resolve, message).hint(format!(
                "name one with `--component crictl:{architecture}=FILE`, or set `source = \"release\"` in `[crictl]`"
            )));
        }
        if !self.builtin.exists() {
            let message = format!(
                "there is no built-in crictl at `{}`",
                self.builtin.path.display()
            );
            return Err(Error::new(Kind::Resolve, message)
                .hint("install all of Nodelith's programs in one folder: `cargo install --locked --path .`")
                .hint("or name the file with `--component crictl=FILE`"));
        }
        Ok(())
    }

    /// Puts the local files that take a component's place into the store: each must
    /// be what the lock says.
    ///
    /// # Errors
    /// [`Kind::Verify`] when one is not.
    pub fn take_local(&self, components: &[Component], architecture: &str) -> Result<()> {
        for component in components {
            if let Some(file) = self.local.find(&component.name, architecture) {
                let (digest, _) = local::keep(self.store, file)?;
                if digest != component.digest {
                    let message = format!(
                        "`{}` has digest {digest}, and the lock says {} of `{}` for {architecture}",
                        file.display(),
                        component.digest,
                        component.title()
                    );
                    return Err(Error::new(Kind::Verify, message).hint(format!(
                        "if the change is meant, renew the lock with `nodelith lock --update {}`",
                        component.name
                    )));
                }
            }
        }
        Ok(())
    }

    /// Puts every component into the store, each held against its digest.
    ///
    /// # Errors
    /// [`Kind::Verify`] when one is not what the lock says; [`Kind::Resolve`] when it
    /// is nowhere, [`Kind::Network`] when it cannot be had.
    pub fn fetch(&self, components: &[Component], architecture: &str) -> Result<()> {
        self.take_local(components, architecture)?;
        let mut missing = Vec::new();
        for component in components {
            let there = self.store.has(&component.digest, component.size);
            if !there {
                missing.push(component);
            } else if !self.store.has_whole(&component.digest, component.size)? {
                self.report.warning(&format!(
                    "the store's copy of `{}` was damaged, and is removed",
                    component.title()
                ));
                missing.push(component);
            }
        }
        let mut items = Vec::new();
        for component in missing {
            if self.vendor.is_some() || component.source == Origin::Release {
                items.push(self.download(component, architecture)?);
            } else {
                self.at_hand(component, architecture)?;
            }
        }
        if items.is_empty() {
            return Ok(());
        }
        let task = self.report.task("fetching", None, Unit::Bytes);
        let fetcher = self.fetcher.of(fetch::Origin::Release);
        fetcher
            .download(&items, &task)
            .map_err(|error| self.advise(error))?;
        task.finish(&counted(items.len(), "release"));
        Ok(())
    }

    fn download(&self, component: &Component, architecture: &str) -> Result<Download> {
        let (name, version) = (&component.name, &component.version);
        let url = match &self.vendor {
            Some(vendor) => {
                let place = vendor.join(VENDORED).join(component.digest.hex());
                place.display().to_string()
            }
            None => self.releases.url(name, version, architecture)?,
        };
        Ok(Download {
            urls: vec![url],
            digest: component.digest,
            size: component.size,
            name: component.title(),
        })
    }

    /// Tells what to do when a download failed.
    fn advise(&self, error: Error) -> Error {
        if self.vendor.is_some() {
            return error;
        }
        let error = match error.kind() {
            Kind::Resolve => error.hint("check the version, and that the publisher has it for this architecture"),
            Kind::Verify => error.hint("if the publisher replaced it, find out why before you take the new one with `nodelith lock --update NAME`"),
            Kind::Network => error,
            _ => return error,
        };
        error.hint(ELSEWHERE)
    }

    /// Takes the built-in crictl that the lock names from beside the program.
    fn at_hand(&self, component: &Component, architecture: &str) -> Result<()> {
        let title = component.title();
        let digest = component.digest;
        if component.source == Origin::Local {
            let message = format!(
                "the lock has a local file ({digest}) as `{title}` for {architecture}, and the store does not have it"
            );
            return Err(Error::new(Kind::Resolve, message).hint(format!(
                "name the file with `--component {}=FILE`",
                component.name
            )));
        }
        if self.builtin.exists() && self.builtin.architecture == architecture {
            let (found, _) = local::keep(self.store, &self.builtin.path)?;
            if found == digest {
                return Ok(());
            }
        }
        let message = format!(
            "the lock has the crictl that was built into nodelith {} for {architecture} ({digest}), and it is neither in the store nor beside this nodelith {}",
            component.version, self.builtin.version
        );
        Err(Error::new(Kind::Resolve, message)
            .hint("take the one at hand: renew the lock with `nodelith lock --update crictl`")
            .hint("or name the file with `--component crictl=FILE`"))
    }

    /// What is known of the releases of a component.
    ///
    /// # Errors
    /// When there is nothing.
    pub fn row(&self, component: &Component) -> Result<&Row> {
        self.releases.row(&component.name)
    }
}

/// What else there is than the publisher.
const ELSEWHERE: &str = "`--component NAME=FILE` takes a local file in its place; `--releases FILE` names an internal mirror";
