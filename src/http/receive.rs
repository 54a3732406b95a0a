//! An answer's body: into a partial file, verified, or into memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use reqwest::Response;

use super::{Client, Partial, Trouble, begins, passing};
use crate::error::Result;
use crate::store::Store;

/// How one try to get a blob ended.
#[derive(Debug)]
pub enum Outcome {
    /// It is in the store.
    Done,
    /// Not the bytes that were asked for; says what came instead.
    Wrong(String),
    /// Nothing, or not all of it.
    Trouble(Trouble),
}

/// Counts the furthest position reached, so that bytes moved twice count once.
#[derive(Debug, Clone)]
pub struct Progress(Arc<(Arc<AtomicU64>, AtomicU64)>);

impl Progress {
    /// From the beginning, added to `moved`.
    #[must_use]
    pub fn new(moved: &Arc<AtomicU64>) -> Self {
        Self(Arc::new((Arc::clone(moved), AtomicU64::new(0))))
    }

    /// Says that all bytes before `position` have been moved.
    pub fn reach(&self, position: u64) {
        let (moved, furthest) = &*self.0;
        let before = furthest.fetch_max(position, Ordering::Relaxed);
        moved.fetch_add(position.saturating_sub(before), Ordering::Relaxed);
    }
}

/// Takes an answer's body into `partial`, from where that stands, and the whole
/// into `store`.
///
/// # Errors
/// When the store cannot be written.
pub async fn into_partial(
    client: &Client,
    mut response: Response,
    store: &Store,
    partial: &mut Partial,
    progress: &Progress,
) -> Result<Outcome> {
    match begins(&response) {
        Some(start) if start == partial.position() => {}
        Some(0) => partial.restart()?,
        _ => return Ok(Outcome::Trouble(Trouble::Range)),
    }
    if let (Some(length), Some(missing)) = (response.content_length(), partial.missing())
        && length != missing
    {
        return Ok(Outcome::Wrong(format!(
            "{} bytes",
            length.saturating_add(partial.position())
        )));
    }
    loop {
        match client.chunk(&mut response).await {
            Ok(Some(chunk)) => {
                if !partial.append(&chunk)? {
                    return Ok(Outcome::Wrong(partial.too_long()));
                }
                progress.reach(partial.position());
            }
            Ok(None) => break,
            Err(trouble) => return Ok(Outcome::Trouble(trouble)),
        }
    }
    // The body came to its end: by itself, or because the connection did.
    match partial.missing() {
        Some(missing) if missing > 0 => Ok(Outcome::Trouble(passing(&format!(
            "the transfer ended {missing} bytes too early"
        )))),
        _ => finish(store, partial),
    }
}

/// Puts what was gathered into the store, if it is what was asked for.
///
/// # Errors
/// When the store cannot be written.
pub fn finish(store: &Store, partial: &mut Partial) -> Result<Outcome> {
    Ok(match partial.finish(store)? {
        None => Outcome::Done,
        Some(digest) => Outcome::Wrong(digest.to_string()),
    })
}

/// A body of at most `limit` bytes.
///
/// # Errors
/// [`Trouble::Refused`] when it is longer, else what receiving it ended with.
pub async fn bytes(
    client: &Client,
    response: &mut Response,
    limit: u64,
) -> Result<Vec<u8>, Trouble> {
    let mut bytes = Vec::new();
    while let Some(chunk) = client.chunk(response).await? {
        if (bytes.len() + chunk.len()) as u64 > limit {
            return Err(Trouble::Refused(format!("longer than {limit} bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
