//! A blob into the store, from the first place that gives it.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT_ENCODING, HeaderName, RANGE};
use reqwest::{Method, StatusCode};

use super::repository::{Ask, Repository, Tries, Trouble};
use crate::error::{Error, Kind, Result};
use crate::http::{self, Outcome, Partial, Progress};
use crate::image::manifest::Descriptor;

/// A transfer that moved this far before it broke gets its retries anew.
const PROGRESS: u64 = 1 << 20;

/// Gets a blob into the store; says whether it came over the network.
///
/// # Errors
/// [`Kind::Verify`] when no place gives the right bytes, [`Kind::Network`] when none gives any.
pub(super) async fn fetch(
    places: &[Repository],
    blob: &Descriptor,
    progress: &Progress,
) -> Result<bool> {
    let Some(first) = places.first() else {
        return Err(Error::new(Kind::Network, "there is no place to ask"));
    };
    let inner = Arc::clone(&first.inner);
    let _slot = inner.slot().await?;
    let Some(mut partial) = Partial::open(&inner.store, blob.digest, Some(blob.size)).await? else {
        progress.reach(blob.size);
        return Ok(false);
    };
    progress.reach(partial.position());
    let mut failure = None;
    for place in places {
        match from_place(place, blob, &mut partial, progress).await {
            Ok(()) => return Ok(true),
            Err(error) => failure = worse(failure, error),
        }
    }
    if partial.position() == 0 {
        partial.discard();
    }
    let error = failure.unwrap_or_else(|| Error::new(Kind::Network, "nobody gives it"));
    Err(error.context(format!("blob {}", blob.digest)))
}

/// Of the failures at several places the one to tell: wrong bytes before anything else.
fn worse(known: Option<Error>, new: Error) -> Option<Error> {
    match known {
        Some(known) if known.kind() == Kind::Verify => Some(known),
        _ => Some(new),
    }
}

async fn from_place(
    place: &Repository,
    blob: &Descriptor,
    partial: &mut Partial,
    progress: &Progress,
) -> Result<()> {
    let mut tries = Tries::new(&place.inner, format!("{}", blob.digest));
    let mut wrong_before = false;
    loop {
        let before = partial.position();
        let trouble = match once(place, blob, partial, progress).await {
            Ok(Outcome::Done) => return Ok(()),
            Ok(Outcome::Wrong(got)) => {
                partial.restart()?;
                if wrong_before {
                    let message = format!(
                        "`{}` gives something else, not {} bytes of that digest: {got}",
                        place.shown(),
                        blob.size
                    );
                    return Err(Error::new(Kind::Verify, message));
                }
                wrong_before = true;
                continue;
            }
            Ok(Outcome::Trouble(http::Trouble::Range)) => {
                partial.restart()?;
                Trouble::passing("it cannot go on where it stopped")
            }
            Ok(Outcome::Trouble(trouble)) => trouble.into(),
            Err(trouble) => trouble,
        };
        let moved = partial.position().saturating_sub(before) >= PROGRESS;
        tries.again(trouble, moved).await?;
    }
}

async fn once(
    place: &Repository,
    blob: &Descriptor,
    partial: &mut Partial,
    progress: &Progress,
) -> Result<Outcome, Trouble> {
    // All bytes may be here already, from an interrupted run.
    if partial.missing() == Some(0) {
        return Ok(http::finish(&place.inner.store, partial)?);
    }
    let url = place.url(&format!("blobs/{}", blob.digest)).await?;
    let mut headers: Vec<(HeaderName, String)> = vec![(ACCEPT_ENCODING, "identity".into())];
    if partial.position() > 0 {
        headers.push((RANGE, format!("bytes={}-", partial.position())));
    }
    let ask = Ask {
        headers: &headers,
        grace: Duration::ZERO,
        ..Ask::new(Method::GET, url, place.pull())
    };
    let response = place.send(&ask).await?;
    match response.status() {
        StatusCode::OK => {}
        StatusCode::PARTIAL_CONTENT if partial.position() > 0 => {}
        StatusCode::RANGE_NOT_SATISFIABLE if partial.position() > 0 => {
            return Ok(Outcome::Trouble(http::Trouble::Range));
        }
        _ => return Err(place.refused(response).await),
    }
    let client = place.inner.client()?;
    let store = &place.inner.store;
    Ok(http::into_partial(client, response, store, partial, progress).await?)
}
