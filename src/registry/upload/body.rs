//! The bodies of uploads, and the ranges that registries tell of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::stream;
use reqwest::header::RANGE;
use reqwest::{Body, Response};

use crate::error::Result;
use crate::http::Progress;

/// So much is read at once.
const BUFFER: usize = 128 << 10;

/// The body of a request that has none, but says so.
pub(super) fn nothing() -> Result<(Body, u64)> {
    Ok((Body::from(Vec::new()), 0))
}

/// A reader's bytes as a body. `sent` moves with every part that is taken.
pub(super) fn stream_of(
    reader: impl std::io::Read + Send + 'static,
    from: u64,
    sent: Arc<AtomicU64>,
    progress: Progress,
) -> Body {
    let parts = stream::unfold(Some((reader, from)), move |state| {
        let (sent, progress) = (Arc::clone(&sent), progress.clone());
        async move {
            let (mut reader, position) = state?;
            // What was handed out before has been taken.
            progress.reach(position);
            let mut buffer = vec![0; BUFFER];
            match tokio::task::block_in_place(|| reader.read(&mut buffer)) {
                Ok(0) => None,
                Ok(read) => {
                    sent.fetch_add(read as u64, Ordering::Relaxed);
                    buffer.truncate(read);
                    Some((Ok(buffer), Some((reader, position + read as u64))))
                }
                Err(error) => Some((Err(error), None)),
            }
        }
    });
    Body::wrap_stream(parts)
}

/// The last byte that a registry has, of `[bytes=]0-LAST`.
pub(super) fn range_end(response: &Response) -> Option<u64> {
    range_last(response.headers().get(RANGE)?.to_str().ok()?)
}

fn range_last(text: &str) -> Option<u64> {
    let text = text.trim();
    let text = text.strip_prefix("bytes=").unwrap_or(text);
    let (first, last) = text.split_once('-')?;
    first
        .trim()
        .parse::<u64>()
        .ok()
        .filter(|&first| first == 0)?;
    last.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_uploads() {
        for (text, last) in [
            ("0-99", Some(99)),
            ("bytes=0-99", Some(99)),
            (" 0-0 ", Some(0)),
            ("5-9", None),
            ("0-", None),
            ("99", None),
            ("0-x", None),
        ] {
            assert_eq!(range_last(text), last, "{text}");
        }
    }
}
