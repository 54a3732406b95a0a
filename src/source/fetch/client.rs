//! HTTP: one request, and what its answer means for the transfer.

use std::error::Error as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use reqwest::header::{ACCEPT_ENCODING, CONTENT_RANGE, HeaderMap, RANGE, RETRY_AFTER};
use reqwest::{Certificate, Response, StatusCode, Url};

use super::FetchOptions;
use crate::error::{Context, Error, Kind, Result};

/// Why a request gave nothing.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It may work later; the server may have said when.
    Passing {
        /// What happened.
        why: String,
        /// The pause that the server asked for.
        pause: Option<Duration>,
    },
    /// The server does not have the file.
    Missing(String),
    /// The server does not want to give it, or cannot be trusted.
    Refused(String),
    /// What was gathered so far is no beginning of the server's file.
    Range,
}

/// An HTTP client that trusts the system's certificate authorities and those named besides.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    /// The system has no certificate authorities, so HTTPS cannot work.
    without_authorities: bool,
}

impl Client {
    pub(super) fn new(options: &FetchOptions) -> Result<Self> {
        let mut extra = Vec::new();
        for path in &options.ca_files {
            let pem = std::fs::read(path).io("reading", path)?;
            match Certificate::from_pem_bundle(&pem) {
                Ok(found) if !found.is_empty() => extra.extend(found),
                _ => return Err(no_certificates(path, "nothing in it is one, in PEM form")),
            }
        }
        let builder = || {
            reqwest::Client::builder()
                .user_agent(concat!("nodelith/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(options.connect_timeout)
                .read_timeout(options.read_timeout)
                .pool_max_idle_per_host(options.connections)
        };
        match (builder().tls_certs_merge(extra).build(), &*options.ca_files) {
            (Ok(http), _) => {
                return Ok(Self {
                    http,
                    without_authorities: false,
                });
            }
            (Err(error), [first, ..]) => return Err(no_certificates(first, &innermost(&error))),
            (Err(_), []) => {}
        }
        // A minimal container has no certificate authorities; plain HTTP to a
        // mirror, verified by the archive's signature, must work there all the same.
        let http = builder().tls_certs_only([]).build().map_err(|error| {
            Error::new(
                Kind::Network,
                format!("setting up HTTP: {}", innermost(&error)),
            )
        })?;
        Ok(Self {
            http,
            without_authorities: true,
        })
    }

    /// Asks for `url` from byte `from` on; the answer begins there, or at 0 (see [`begins`]).
    pub(super) async fn get(&self, url: &Url, from: u64) -> Result<Response, Trouble> {
        if self.without_authorities && url.scheme() == "https" {
            return Err(Trouble::Refused(
                "no certificate authorities on this machine (install `ca-certificates`, or name some with `--ca-file`)".into(),
            ));
        }
        // Packed once more on the way, lengths and ranges would not be those of the file.
        let mut request = self
            .http
            .get(url.clone())
            .header(ACCEPT_ENCODING, "identity");
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        let response = request.send().await.map_err(|error| trouble_of(&error))?;
        match trouble_of_status(response.status(), response.headers(), from) {
            Some(trouble) => Err(trouble),
            None => Ok(response),
        }
    }
}

fn no_certificates(path: &Path, why: &str) -> Error {
    Error::new(
        Kind::Usage,
        format!(
            "`{}` gives no certificate authorities: {why}",
            path.display()
        ),
    )
}

/// The byte that an answer's body begins with.
pub(super) fn begins(response: &Response) -> Option<u64> {
    if response.status() != StatusCode::PARTIAL_CONTENT {
        return Some(0);
    }
    range_start(response.headers().get(CONTENT_RANGE)?.to_str().ok()?)
}

/// The first byte of `bytes FIRST-LAST/LENGTH` (RFC 9110, 14.4).
fn range_start(text: &str) -> Option<u64> {
    let range = text.trim().strip_prefix("bytes")?.trim_start();
    range.split_once('-')?.0.parse().ok()
}

fn trouble_of_status(status: StatusCode, headers: &HeaderMap, from: u64) -> Option<Trouble> {
    let why = status.to_string();
    match status.as_u16() {
        200 => None,
        206 if from > 0 => None,
        416 if from > 0 => Some(Trouble::Range),
        404 | 410 => Some(Trouble::Missing(why)),
        408 | 425 | 429 | 500..=599 => Some(Trouble::Passing {
            why,
            pause: headers
                .get(RETRY_AFTER)
                .and_then(|value| retry_after(value.to_str().ok()?, SystemTime::now())),
        }),
        _ => Some(Trouble::Refused(why)),
    }
}

/// The pause that a `Retry-After` asks for: seconds or a date (RFC 9110, 10.2.3).
fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text.trim()).ok()?;
    let date = SystemTime::from(date.timestamp());
    Some(date.duration_since(now).unwrap_or_default())
}

/// What a failed request or a broken body means.
pub(super) fn trouble_of(error: &reqwest::Error) -> Trouble {
    if error.is_timeout() {
        return passing("timed out");
    }
    let why = innermost(error);
    // The resolver's message is about record types and query classes.
    if error.is_connect() && why.starts_with("no records found") {
        return passing("its host name is not known");
    }
    if error.is_builder() || error.is_redirect() || why.contains("certificate") {
        return Trouble::Refused(why);
    }
    passing(&why)
}

/// A trouble that may pass by itself.
pub(super) fn passing(why: &str) -> Trouble {
    Trouble::Passing {
        why: why.to_owned(),
        pause: None,
    }
}

/// The innermost cause: the outer ones repeat the URL, with its secrets.
fn innermost(error: &reqwest::Error) -> String {
    let Some(mut cause) = error.source() else {
        return match error.status() {
            Some(status) => status.to_string(),
            None => "request failed".into(),
        };
    };
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_that_servers_ask_for() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_445_412_470);
        for (text, seconds) in [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("Wed, 21 Oct 2015 07:28:00 GMT", Some(10)),
            ("Wed, 21 Oct 2015 07:27:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ] {
            assert_eq!(
                retry_after(text, now),
                seconds.map(Duration::from_secs),
                "{text}"
            );
        }
    }

    #[test]
    fn range_starts() {
        for (text, start) in [
            ("bytes 5-9/10", Some(5)),
            ("bytes 0-9/*", Some(0)),
            ("bytes */10", None),
            ("pages 5-9/10", None),
            ("", None),
        ] {
            assert_eq!(range_start(text), start, "{text}");
        }
    }

    #[test]
    fn what_statuses_mean() {
        let meaning = |status: u16, from| {
            let status = StatusCode::from_u16(status).unwrap();
            match trouble_of_status(status, &HeaderMap::new(), from) {
                None => "fine",
                Some(Trouble::Passing { .. }) => "passing",
                Some(Trouble::Missing(_)) => "missing",
                Some(Trouble::Refused(_)) => "refused",
                Some(Trouble::Range) => "range",
            }
        };
        for (status, from, expected) in [
            (200, 0, "fine"),
            (200, 5, "fine"),
            (206, 5, "fine"),
            (206, 0, "refused"),
            (204, 0, "refused"),
            (304, 0, "refused"),
            (401, 0, "refused"),
            (403, 0, "refused"),
            (404, 0, "missing"),
            (410, 0, "missing"),
            (408, 0, "passing"),
            (416, 0, "refused"),
            (416, 5, "range"),
            (425, 0, "passing"),
            (429, 0, "passing"),
            (500, 0, "passing"),
            (503, 0, "passing"),
        ] {
            assert_eq!(meaning(status, from), expected, "{status} from {from}");
        }
    }
}
