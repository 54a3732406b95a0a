//! Registries: pushing images and pulling them, by the OCI distribution
//! specification 1.1, with what docker's registry (API version 2) does besides.
//!
//! Terms: a *registry* is a host; a *repository* is a name in it that holds
//! manifests and blobs; a *tag* is a name for a manifest in a repository; a blob
//! is *mounted* when a registry that has it in one repository is asked to have it in
//! another one too, without a transfer; a *referrer* is a manifest that names
//! another as its subject.
//!
//! ```text
//! reference    HOST/NAME:TAG@DIGEST, as docker reads it
//! credentials  docker's and podman's files and helpers
//! challenge    what a registry wants to see (WWW-Authenticate)
//! host         one registry: its address, and who we are to it
//! token        tokens: for what, and how they are got
//! repository   one request to one repository, authorised; what refusals say
//! manifest     indexes and manifests
//! upload       a blob into a repository: is it there, can it be mounted, else send it
//! download     a blob into the store, from the first place that gives it
//! push, pull   an image whole
//! referrers    what refers to a manifest, and adding to it
//! artifact     things of ours that are no images, by tags
//! ```
//!
//! Everything that arrives is verified against its digest and size before it is
//! used. Credentials go to the registry that they are for and to the token server
//! that it names, and nowhere else: not to where it redirects, into no message, no
//! file.

mod artifact;
mod challenge;
mod credentials;
mod download;
mod host;
mod manifest;
mod pull;
mod push;
pub mod reference;
mod referrers;
mod repository;
mod token;
mod upload;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use reqwest::Url;
use tokio::sync::Semaphore;

use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::http;
use crate::report::Report;
use crate::store::Store;

pub use artifact::Tagged;
use host::Host;
pub use manifest::media_type_of;
pub use pull::{Pulled, Wanted};
pub use push::{BlobState, Pushed, PushedBlob};
pub use reference::Reference;
pub use referrers::{Artifact, Attached, Listed, Referrer};
use repository::Repository;

/// How to deal with registries.
#[derive(Debug, Clone)]
pub struct Options {
    /// How transfers are made.
    pub http: http::Options,
    /// Speak plain HTTP to the registries that are named. One of this machine's own
    /// that has no TLS is spoken to in plain HTTP anyway.
    pub plain_http: bool,
    /// The only file of credentials that is looked into.
    pub auth_file: Option<PathBuf>,
    /// What to ask before a registry itself when something is pulled from it.
    pub mirrors: Vec<Mirror>,
    /// A blob that is longer than so many bytes is sent in parts of this length.
    pub chunk: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            http: http::Options {
                retries: 5,
                stay_secure: true,
                ..http::Options::default()
            },
            plain_http: false,
            auth_file: None,
            mirrors: Vec::new(),
            // Widespread proxies take no more than 100 MB in one request.
            chunk: 64 << 20,
        }
    }
}

/// Another place that has what a registry has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// The registry.
    pub registry: String,
    /// The mirror's address; a path in it comes before the repository's name.
    pub url: Url,
}

impl std::str::FromStr for Mirror {
    type Err = String;

    /// Takes `REGISTRY=URL`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (registry, url) = text
            .split_once('=')
            .ok_or("a mirror is given as REGISTRY=URL")?;
        let url = Url::parse(url).map_err(|error| format!("its address is unusable: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err("its address begins with neither https:// nor http://".into());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("credentials belong into a file of credentials".into());
        }
        Ok(Self {
            registry: registry.to_owned(),
            url,
        })
    }
}

/// The registries, as one deals with them. Cheap to clone; clones share
/// connections and tokens.
#[derive(Debug, Clone)]
pub struct Registries(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    report: Report,
    options: Options,
    /// Made at the first request, since reading the system's certificates takes time.
    client: OnceLock<http::Client>,
    /// By their addresses, as references and mirrors name them.
    hosts: Mutex<BTreeMap<String, Arc<Host>>>,
    slots: Semaphore,
}

impl Registries {
    /// Registries whose blobs are kept in `store`.
    #[must_use]
    pub fn new(store: Store, report: Report, options: Options) -> Self {
        let slots = Semaphore::new(options.http.connections.clamp(1, 256));
        Self(Arc::new(Inner {
            store,
            report,
            options,
            client: OnceLock::new(),
            hosts: Mutex::default(),
            slots,
        }))
    }

    /// The repository that a reference names.
    fn repository(&self, reference: &Reference) -> Result<Repository> {
        let host = self.0.host(&reference.registry, || {
            Host::new(&reference.registry, self.0.options.plain_http)
        })?;
        Ok(Repository::new(&self.0, host, &reference.repository))
    }

    /// Where what a reference names can be had: mirrors first, the registry last.
    fn places(&self, reference: &Reference) -> Result<Vec<Repository>> {
        let mut places = Vec::new();
        for mirror in &self.0.options.mirrors {
            if mirror.registry == reference.registry {
                let origin = mirror.url.origin().ascii_serialization();
                let host = self.0.host(&origin, || Ok(Host::mirror(&mirror.url)))?;
                let name = match mirror.url.path().trim_matches('/') {
                    "" => reference.repository.clone(),
                    path => format!("{path}/{}", reference.repository),
                };
                let place = Repository::new(&self.0, host, &name);
                places.push(place.of(&reference.registry));
            }
        }
        places.push(self.repository(reference)?);
        Ok(places)
    }
}

impl Inner {
    fn client(&self) -> Result<&http::Client> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = http::Client::new(&self.options.http)?;
        Ok(self.client.get_or_init(|| client))
    }

    fn host(&self, name: &str, new: impl FnOnce() -> Result<Host>) -> Result<Arc<Host>> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = hosts.get(name) {
            return Ok(Arc::clone(host));
        }
        let host = Arc::new(new()?);
        hosts.insert(name.to_owned(), Arc::clone(&host));
        Ok(host)
    }

    async fn slot(&self) -> Result<tokio::sync::SemaphorePermit<'_>> {
        let slot = self.slots.acquire().await;
        slot.map_err(|error| Error::new(Kind::Network, format!("waiting for a turn: {error}")))
    }

    /// Repositories of a registry in which a blob was seen, the newest first.
    fn seen(&self, registry: &str, blob: &Digest) -> Vec<String> {
        self.store
            .record(SEEN, &seen_key(registry, blob))
            .unwrap_or_default()
    }

    /// Remembers that a repository has a blob, so that others can mount it. Nothing
    /// depends on it.
    fn remember(&self, registry: &str, repository: &str, blob: &Digest) {
        let mut seen = self.seen(registry, blob);
        if seen.first().is_some_and(|first| first == repository) {
            return;
        }
        seen.retain(|other| other != repository);
        seen.insert(0, repository.to_owned());
        seen.truncate(MOST_SEEN);
        let _ = self
            .store
            .put_record(SEEN, &seen_key(registry, blob), &seen);
    }
}

/// The kind of records that say in which repositories a blob was seen.
const SEEN: &str = "repositories";
/// So many of them are kept for each blob.
const MOST_SEEN: usize = 4;

fn seen_key(registry: &str, blob: &Digest) -> Digest {
    Digest::of(format!("{registry}\n{blob}").as_bytes())
}
