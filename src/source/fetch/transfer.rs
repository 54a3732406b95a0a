//! One item from one address after the other, until its bytes are right.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use reqwest::Url;

use super::address::Address;
use super::{Download, Inner, Origin};
use crate::error::{Error, Kind, Result, plain};
use crate::http::{self, Outcome, Partial, Progress, Retries, Trouble};

/// A transfer that moved this far before it broke gets its retries anew.
const PROGRESS: u64 = 1 << 20;

/// Why an address was given up.
pub(super) struct Failure {
    pub address: String,
    pub why: String,
    pub sort: Sort,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Missing,
    Wrong,
    Other,
}

/// Gets `item` into the store, counting bytes into `received`.
pub(super) async fn fetch(
    inner: &Inner,
    item: &Download,
    origin: Origin,
    received: &Arc<AtomicU64>,
) -> Result<()> {
    let _slot =
        inner.slots.acquire().await.map_err(|error| {
            Error::new(Kind::Network, format!("fetching `{}`: {error}", item.name))
        })?;
    let progress = Progress::new(received);
    let Some(mut partial) = Partial::open(&inner.store, item.digest, item.size).await? else {
        progress.reach(item.size.unwrap_or(0));
        return Ok(());
    };
    progress.reach(partial.position());
    let mut failures = Vec::new();
    for url in &item.urls {
        let address = Address::parse(url)?;
        match from_address(inner, item, &address, &mut partial, &progress).await? {
            None => return Ok(()),
            Some(failure) => failures.push(failure),
        }
    }
    if partial.position() == 0 {
        partial.discard();
    }
    Err(given_up(item, &failures, origin, inner.options.offline))
}

/// Tries one address as often as it makes sense; nothing when the item is in the store.
async fn from_address(
    inner: &Inner,
    item: &Download,
    address: &Address,
    partial: &mut Partial,
    progress: &Progress,
) -> Result<Option<Failure>> {
    let failure = |why: String, sort| {
        Ok(Some(Failure {
            address: address.shown(),
            why,
            sort,
        }))
    };
    let mut retries = Retries::new(&inner.options.http);
    let mut wrong_before = false;
    loop {
        let before = partial.position();
        let outcome = match address {
            // All bytes may be here already, from an interrupted run.
            _ if partial.missing() == Some(0) => http::finish(&inner.store, partial)?,
            Address::Http(_) if inner.options.offline => {
                return failure("the network is not to be used".into(), Sort::Other);
            }
            Address::Http(url) => over_http(inner, url, partial, progress).await?,
            Address::Local(path) => {
                tokio::task::block_in_place(|| from_file(inner, path, partial, progress))?
            }
        };
        let (why, pause) = match outcome {
            Outcome::Done => return Ok(None),
            Outcome::Wrong(got) => {
                partial.restart()?;
                if wrong_before {
                    return failure(format!("got {got}"), Sort::Wrong);
                }
                wrong_before = true;
                continue;
            }
            Outcome::Trouble(Trouble::Missing(why)) => return failure(why, Sort::Missing),
            Outcome::Trouble(Trouble::Refused(why)) => return failure(why, Sort::Other),
            Outcome::Trouble(Trouble::Range) => {
                partial.restart()?;
                ("it cannot go on where it stopped".to_owned(), None)
            }
            Outcome::Trouble(Trouble::Passing { why, pause }) => (why, pause),
        };
        let moved = partial.position().saturating_sub(before) >= PROGRESS;
        let Some(pause) = retries.next(moved, pause) else {
            return failure(why, Sort::Other);
        };
        inner.report.note(&format!(
            "trying `{}` again in {:.1} s: {why}",
            item.name,
            pause.as_secs_f64()
        ));
        tokio::time::sleep(pause).await;
    }
}

async fn over_http(
    inner: &Inner,
    url: &Url,
    partial: &mut Partial,
    progress: &Progress,
) -> Result<Outcome> {
    let client = inner.client()?;
    match client.get(url, partial.position()).await {
        Ok(response) => http::into_partial(client, response, &inner.store, partial, progress).await,
        // What is here may already be all, where the size is not known.
        Err(Trouble::Range) if partial.missing().is_none() => http::finish(&inner.store, partial),
        Err(trouble) => Ok(Outcome::Trouble(trouble)),
    }
}

fn from_file(
    inner: &Inner,
    path: &Path,
    partial: &mut Partial,
    progress: &Progress,
) -> Result<Outcome> {
    let open = || -> io::Result<File> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(partial.position()))?;
        Ok(file)
    };
    let refused = |error: &io::Error| {
        Ok(Outcome::Trouble(match error.kind() {
            io::ErrorKind::NotFound => Trouble::Missing("no such file".into()),
            _ => Trouble::Refused(error.to_string()),
        }))
    };
    let mut file = match open() {
        Ok(file) => file,
        Err(error) => return refused(&error),
    };
    let mut buffer = vec![0; 1 << 17];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                if !partial.append(&buffer[..read])? {
                    return Ok(Outcome::Wrong(partial.too_long()));
                }
                progress.reach(partial.position());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return refused(&error),
        }
    }
    if let Some(missing) = partial.missing().filter(|&missing| missing > 0) {
        let got = partial.position();
        return Ok(Outcome::Wrong(format!("{got} bytes, {missing} too few")));
    }
    http::finish(&inner.store, partial)
}

/// Says why an item could not be had anywhere.
fn given_up(item: &Download, failures: &[Failure], origin: Origin, offline: bool) -> Error {
    let name = &item.name;
    if failures.is_empty() {
        return Error::new(Kind::Network, format!("no address is known for `{name}`"))
            .hint("name a mirror with `--mirror`");
    }
    let tried = told(failures);
    if failures.iter().any(|failure| failure.sort == Sort::Wrong) {
        let size = match item.size {
            Some(size) => format!(" ({size} bytes)"),
            None => String::new(),
        };
        let error = Error::new(
            Kind::Verify,
            format!(
                "`{name}` is not what was asked for: expected {}{size}; {tried}",
                item.digest
            ),
        );
        if origin == Origin::Release {
            return error;
        }
        return error.hint("the mirror may be broken or in the middle of an update: try again later, or another `--mirror`")
        .hint("if the file was replaced at its source, `nodelith lock --update` takes the new one");
    }
    let error = Error::new(Kind::Network, format!("`{name}` cannot be had: {tried}"));
    if offline {
        return error
            .hint("fill the folder again with `nodelith vendor`, where there is a network");
    }
    let missing = failures.iter().all(|failure| failure.sort == Sort::Missing);
    if origin == Origin::Release {
        return match missing {
            true => error.with_kind(Kind::Resolve),
            false => error,
        };
    }
    if missing {
        return error
            .hint("a newer version may have replaced it: `nodelith lock --update` takes what the archive has now")
            .hint("to keep the locked version, name a snapshot of the archive as fallback mirror; `nodelith vendor` keeps a copy of all inputs for the next time");
    }
    error.hint(
        "check the network, the proxy settings and the mirror; what was downloaded so far is kept",
    )
}

pub(super) fn told(failures: &[Failure]) -> String {
    let told: Vec<_> = failures
        .iter()
        .map(|failure| format!("{}: {}", failure.address, plain(&failure.why)))
        .collect();
    told.join("; ")
}
