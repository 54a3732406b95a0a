//! The one download client: many files at once, each known by its digest.
//!
//! A [`Download`] becomes a blob of the store, or an error; never half of one.
//! Bytes gather in the store's `partial/HEX`, which the downloading process
//! holds by `flock`: a second build that wants the same file waits for it, and
//! a build that comes after an interrupted one goes on where that one stopped.
//! What was resumed needs no `If-Range`, since the digest decides in the end.
//!
//! A broken connection, a stalled transfer and a busy server (408, 425, 429,
//! 5xx, with its `Retry-After`) are tried again with growing pauses. Wrong
//! bytes are thrown away and fetched once more from the beginning. Only then
//! is the next address tried, and only when all have failed is it an error.
//!
//! Addresses are `http:`, `https:`, `file:` and `copy:` URLs and absolute paths. Names
//! and passwords in URLs are used, and never shown.

mod address;
mod small;
#[cfg(test)]
mod tests;
mod transfer;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::http::{self, drive, runtime};
use crate::report::{Report, Task};
use crate::store::Store;

use address::Address;

/// How to download.
#[derive(Debug, Clone, Default)]
pub struct FetchOptions {
    /// How transfers are made.
    pub http: http::Options,
    /// Use no network: what is neither in the store nor in a local folder is an error.
    pub offline: bool,
}

/// A file to be had, known by its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Download {
    /// Where it may be, tried in this order.
    pub urls: Vec<String>,
    /// Its SHA-256.
    pub digest: Digest,
    /// Its length in bytes, where it is known.
    pub size: Option<u64>,
    /// What messages call it: a package's or a file's name.
    pub name: String,
}

/// What sort of server the files come from: decides what a person is told to do
/// when one cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// An archive of packages and its mirrors, which drop what they have newer.
    Archive,
    /// Where a project publishes its releases, which stay. One that is not there
    /// is [`Kind::Resolve`].
    Release,
}

/// Downloads files into a store. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub struct Fetcher {
    inner: Arc<Inner>,
    origin: Origin,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    report: Report,
    options: FetchOptions,
    /// Made at the first transfer, since reading the system's certificates takes time.
    client: OnceLock<http::Client>,
    slots: Semaphore,
}

impl Fetcher {
    /// A fetcher into `store`.
    #[must_use]
    pub fn new(store: Store, report: Report, options: FetchOptions) -> Self {
        let slots = Semaphore::new(options.http.connections.clamp(1, 256));
        Self {
            inner: Arc::new(Inner {
                store,
                report,
                options,
                client: OnceLock::new(),
                slots,
            }),
            origin: Origin::Archive,
        }
    }

    /// The same, for files that come from there.
    #[must_use]
    pub fn of(&self, origin: Origin) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            origin,
        }
    }

    /// The store that it fills.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// Where it reports to.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.inner.report
    }

    /// Puts every item into the store, several at once, each digest once;
    /// `task` advances by bytes, to the sum of the distinct items' sizes.
    ///
    /// What is in the store already is not fetched. After the first failure
    /// the other transfers stop; what they have is kept for the next run.
    ///
    /// # Errors
    /// [`Kind::Verify`] when bytes differ from the digest or size at every
    /// address, [`Kind::Network`] when an item cannot be had, [`Kind::Io`]
    /// when the store cannot be written.
    pub fn download(&self, items: &[Download], task: &Task) -> Result<()> {
        let inner = &self.inner;
        let mut wanted: BTreeMap<Digest, &Download> = BTreeMap::new();
        for item in items {
            wanted.entry(item.digest).or_insert(item);
        }
        wanted.retain(|digest, item| {
            let there = inner.store.has(digest, item.size);
            if there {
                task.advance(item.size.unwrap_or(0));
            }
            !there
        });
        if wanted.is_empty() {
            return Ok(());
        }
        inner.check_offline(&wanted)?;

        let received = Arc::new(AtomicU64::new(0));
        let mut transfers = JoinSet::new();
        let runtime = runtime()?;
        let origin = self.origin;
        for item in wanted.into_values() {
            let item = item.clone();
            let inner = Arc::clone(inner);
            let received = Arc::clone(&received);
            transfers.spawn_on(
                async move { transfer::fetch(&inner, &item, origin, &received).await },
                runtime.handle(),
            );
        }
        drive(transfers, &received, task).map(drop)
    }

    /// The bytes at the first of `urls` that answers: for small files whose
    /// digest nobody knows beforehand, as `InRelease`.
    ///
    /// # Errors
    /// [`Kind::Network`] when no address gives it, or it is longer than `limit` bytes.
    pub fn small(&self, urls: &[String], limit: u64) -> Result<Vec<u8>> {
        let inner = &self.inner;
        runtime()?.block_on(async { small::get(inner, urls, self.origin, limit).await })
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

    fn check_offline(&self, wanted: &BTreeMap<Digest, &Download>) -> Result<()> {
        if !self.options.offline {
            return Ok(());
        }
        let mut missing = wanted.values().filter(|item| {
            !item
                .urls
                .iter()
                .any(|url| matches!(Address::parse(url), Ok(Address::Local(_))))
        });
        let Some(first) = missing.next() else {
            return Ok(());
        };
        let more = match missing.count() {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        Err(Error::new(
            Kind::Network,
            format!(
                "`{}` is not in the store{more}, and the network is not to be used",
                first.name
            ),
        )
        .hint("run once without `--offline`, or `nodelith vendor` where there is a network"))
    }
}
