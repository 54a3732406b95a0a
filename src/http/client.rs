//! HTTP: one request, and what its answer means for the transfer.

use std::error::Error as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use reqwest::header::{ACCEPT_ENCODING, CONTENT_RANGE, HeaderMap, RANGE, RETRY_AFTER};
use reqwest::{Certificate, Method, RequestBuilder, Response, StatusCode, Url, redirect};

use crate::error::{Context, Error, Kind, Result};

/// How transfers are made.
#[derive(Debug, Clone)]
pub struct Options {
    /// Transfers under way at once.
    pub connections: usize,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long a transfer may stand still before it counts as broken.
    pub read_timeout: Duration,
    /// How many times a failed transfer is tried again at one address.
    pub retries: u32,
    /// The pause before the first retry; each further one is twice as long.
    pub retry_pause: Duration,
    /// Fixes the random part of pauses, for tests.
    pub seed: Option<u64>,
    /// PEM files of certificate authorities that are trusted besides the system's.
    pub ca_files: Vec<PathBuf>,
    /// Follow no redirect that leads from HTTPS to plain HTTP.
    pub stay_secure: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connections: 8,
            connect_timeout: Duration::from_secs(20),
            read_timeout: Duration::from_secs(30),
            retries: 4,
            retry_pause: Duration::from_millis(500),
            seed: None,
            ca_files: Vec::new(),
            stay_secure: false,
        }
    }
}

/// Why a request gave nothing.
#[derive(Debug)]
pub enum Trouble {
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
pub struct Client {
    http: reqwest::Client,
    read_timeout: Duration,
    /// The system has no certificate authorities, so HTTPS cannot work.
    without_authorities: bool,
}

impl Client {
    /// A client; no connection is made yet.
    ///
    /// # Errors
    /// When a file of certificate authorities cannot be read or holds none.
    pub fn new(options: &Options) -> Result<Self> {
        let mut extra = Vec::new();
        for path in &options.ca_files {
            let pem = std::fs::read(path).io("reading", path)?;
            match Certificate::from_pem_bundle(&pem) {
                Ok(found) if !found.is_empty() => extra.extend(found),
                _ => return Err(no_certificates(path, "nothing in it is one, in PEM form")),
            }
        }
        let stay_secure = options.stay_secure;
        let builder = || {
            let builder = reqwest::Client::builder()
                .user_agent(concat!("nodelith/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(options.connect_timeout)
                .pool_max_idle_per_host(options.connections);
            match stay_secure {
                true => builder.referer(false).redirect(secure_redirects()),
                false => builder,
            }
        };
        let client = |http, without_authorities| Self {
            http,
            read_timeout: options.read_timeout,
            without_authorities,
        };
        match (builder().tls_certs_merge(extra).build(), &*options.ca_files) {
            (Ok(http), _) => return Ok(client(http, false)),
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
        Ok(client(http, true))
    }

    /// Asks for `url` from byte `from` on; the answer begins there, or at 0 (see [`begins`]).
    ///
    /// # Errors
    /// Whatever is no answer with the bytes asked for.
    pub async fn get(&self, url: &Url, from: u64) -> Result<Response, Trouble> {
        // Packed once more on the way, lengths and ranges would not be those of the file.
        let mut request = self
            .request(Method::GET, url)?
            .header(ACCEPT_ENCODING, "identity");
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        let response = self.send(request, None, Duration::ZERO).await?;
        match trouble_of_status(response.status(), response.headers(), from) {
            Some(trouble) => Err(trouble),
            None => Ok(response),
        }
    }

    /// Begins a request to `url`.
    ///
    /// # Errors
    /// [`Trouble::Refused`] when nobody could be trusted to answer it.
    pub fn request(&self, method: Method, url: &Url) -> Result<RequestBuilder, Trouble> {
        if self.without_authorities && url.scheme() == "https" {
            return Err(Trouble::Refused(
                "no certificate authorities on this machine (install `ca-certificates`, or name some with `--ca-file`)".into(),
            ));
        }
        Ok(self.http.request(method, url.clone()))
    }

    /// Sends a request and waits for the head of its answer, whatever its status.
    ///
    /// Nothing may stand still for longer than the read timeout: neither the body
    /// being `sent`, whose position that counts, nor the server, which may take
    /// `grace` longer to answer.
    ///
    /// # Errors
    /// [`Trouble::Passing`] when the connection cannot be made, breaks or stalls,
    /// [`Trouble::Refused`] when the server cannot be trusted.
    pub async fn send(
        &self,
        request: RequestBuilder,
        sent: Option<&AtomicU64>,
        grace: Duration,
    ) -> Result<Response, Trouble> {
        let position = || sent.map_or(0, |sent| sent.load(Ordering::Relaxed));
        let answer = request.send();
        tokio::pin!(answer);
        let mut before = position();
        loop {
            let limit = self.read_timeout.saturating_add(grace);
            match tokio::time::timeout(limit, &mut answer).await {
                Ok(answer) => return answer.map_err(|error| trouble_of(&error)),
                Err(_) if position() != before => before = position(),
                Err(_) => return Err(passing("timed out")),
            }
        }
    }

    /// The next part of an answer's body, nothing at its end.
    ///
    /// # Errors
    /// What broke the transfer.
    pub async fn chunk(
        &self,
        response: &mut Response,
    ) -> Result<Option<impl std::ops::Deref<Target = [u8]> + use<>>, Trouble> {
        match tokio::time::timeout(self.read_timeout, response.chunk()).await {
            Ok(chunk) => chunk.map_err(|error| trouble_of(&error)),
            Err(_) => Err(passing("timed out")),
        }
    }
}

/// Follows redirects as usual (credentials do not go to another host), but none
/// that would show to all what HTTPS kept.
fn secure_redirects() -> redirect::Policy {
    const MOST: usize = 10;
    redirect::Policy::custom(|attempt| {
        let was_secure = |url: &Url| url.scheme() == "https";
        if attempt.previous().len() > MOST {
            attempt.error("too many redirects")
        } else if attempt.url().scheme() != "https" && attempt.previous().iter().any(was_secure) {
            attempt.error("it redirects from HTTPS to plain HTTP")
        } else {
            attempt.follow()
        }
    })
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
pub(crate) fn begins(response: &Response) -> Option<u64> {
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
        _ => Some(passing_status(status, headers).unwrap_or(Trouble::Refused(why))),
    }
}

/// The trouble that a status says of a server that is busy or broken for now.
#[must_use]
pub fn passing_status(status: StatusCode, headers: &HeaderMap) -> Option<Trouble> {
    matches!(status.as_u16(), 408 | 425 | 429 | 500..=599).then(|| Trouble::Passing {
        why: status.to_string(),
        pause: headers
            .get(RETRY_AFTER)
            .and_then(|value| retry_after(value.to_str().ok()?, SystemTime::now())),
    })
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
fn trouble_of(error: &reqwest::Error) -> Trouble {
    if error.is_timeout() {
        return passing("timed out");
    }
    let why = innermost(error);
    // The resolver's message is about record types and query classes.
    if error.is_connect() && why.starts_with("no records found") {
        return passing("its host name is not known");
    }
    let is_final = error.is_builder() || error.is_redirect();
    if is_final || speaks_no_tls(&why) || why.contains("certificate") {
        return Trouble::Refused(why);
    }
    passing(&why)
}

/// Whether a refusal says that the server does not speak TLS (in rustls' words).
#[must_use]
pub fn speaks_no_tls(why: &str) -> bool {
    why.contains("corrupt message")
}

/// A trouble that may pass by itself.
#[must_use]
pub fn passing(why: &str) -> Trouble {
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

/// The address without name, password and query, which may be secrets.
#[must_use]
pub fn redact(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or(url);
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = match rest.find('/') {
                Some(at) => rest.split_at(at),
                None => (rest, ""),
            };
            let host = authority.rsplit('@').next().unwrap_or(authority);
            format!("{scheme}://{host}{path}")
        }
        None => url.to_owned(),
    }
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
