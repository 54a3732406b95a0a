//! Fetches a root image over HTTP (RFC 9110, 9112) into memory, and says no to one that
//! is not what was asked for. HTTP itself is hyper's affair.

mod url;

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::source::Digest;
use crate::{Result, memory, names};
pub use url::locate;
use url::{Url, place};

/// How long a server may take to say something.
const SILENCE: Duration = Duration::from_secs(30);
/// How long until it is given up, if no byte comes at all; and however much comes.
const NOTHING: Duration = Duration::from_secs(300);
const WHOLE: Duration = Duration::from_secs(3600);
/// The pause before another try.
const PAUSE: Duration = Duration::from_secs(2);
/// After how many bytes memory is looked at, where nobody said how many there will be: less
/// than is [kept free](memory::RESERVE).
const LOOK: u64 = 16 << 20;
/// How often it says how far it is.
const REPORT: Duration = Duration::from_secs(5);

/// Fetches what is at a URL and returns it as a file in memory.
pub fn fetch(text: &str, servers: &[Ipv4Addr], wanted: &Digest) -> Result<File> {
    let url = Url::read(text)?;
    eprintln!("nodelith: fetching the root from `{text}`");
    let memory = rustix::fs::memfd_create("root", rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut download = Download::new(url, servers, File::from(memory));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let begun = Instant::now();
    runtime
        .block_on(download.run(begun))
        .map_err(|error| format!("fetching `{text}`: {error}"))?;
    let seconds = begun.elapsed().as_secs();
    eprintln!("nodelith: {} MB in {seconds} s", download.received >> 20);
    memory::compare(&download.hash.finalize().into(), text, wanted)?;
    Ok(download.file)
}

/// Why a try came to nothing.
#[derive(Debug)]
enum Trouble {
    /// It may go better another time.
    Again(String),
    /// It will not.
    Never(String),
}

impl<E: std::fmt::Display> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self::Again(error.to_string())
    }
}

/// A download and how far it is.
struct Download<'a> {
    url: Url,
    servers: &'a [Ipv4Addr],
    file: File,
    hash: Sha256,
    received: u64,
    /// How many bytes there were when memory was last looked at.
    looked: u64,
    /// How many bytes there are, if the server says it.
    total: Option<u64>,
    /// What names the version that was begun with (RFC 9110, section 8.8.3).
    validator: Option<HeaderValue>,
    redirected: bool,
    /// When the last byte came, and when that was told.
    heard: Instant,
    told: Instant,
}

impl<'a> Download<'a> {
    fn new(url: Url, servers: &'a [Ipv4Addr], file: File) -> Self {
        Self {
            url,
            servers,
            file,
            hash: Sha256::new(),
            received: 0,
            looked: 0,
            total: None,
            validator: None,
            redirected: false,
            heard: Instant::now(),
            told: Instant::now(),
        }
    }

    async fn run(&mut self, begun: Instant) -> Result<()> {
        loop {
            let why = match timeout(WHOLE.saturating_sub(begun.elapsed()), self.attempt()).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(Trouble::Never(why))) => return Err(why.into()),
                Ok(Err(Trouble::Again(why))) => why,
                Err(_) => return Err(format!("given up after {} s", WHOLE.as_secs()).into()),
            };
            if self.heard.elapsed() > NOTHING {
                let seconds = NOTHING.as_secs();
                return Err(format!("no byte for {seconds} s; the last try: {why}").into());
            }
            eprintln!(
                "nodelith: {why}; trying again at {} MB",
                self.received >> 20
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Asks for what is missing, and takes what comes.
    async fn attempt(&mut self) -> Result<(), Trouble> {
        let mut response = self.ask().await?;
        if response.status().is_redirection()
            && let Some(location) = response.headers().get(header::LOCATION)
        {
            self.redirect(location)?;
            response = self.ask().await?;
        }
        self.begin(response.status(), response.headers())?;
        let mut body = response.into_body();
        while let Some(frame) = timeout(SILENCE, body.frame()).await.map_err(|_| silent())? {
            if let Some(bytes) = frame?.data_ref() {
                self.take(bytes)?;
            }
        }
        match self.total {
            Some(total) if self.received < total => {
                Err(Trouble::Again("the connection broke".into()))
            }
            _ => Ok(()),
        }
    }

    async fn ask(&self) -> Result<Response<Incoming>, Trouble> {
        let host = self.url.host.clone();
        let address = names::resolve(&host, self.servers)?;
        let socket = SocketAddr::from((address, self.url.port));
        let connected = timeout(SILENCE, TcpStream::connect(socket)).await;
        let stream = connected
            .map_err(|_| silent())?
            .map_err(|error| format!("connecting to {socket}: {error}"))?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let mut request = Request::get(&self.url.path)
            .header(header::HOST, self.url.authority())
            .header(
                header::USER_AGENT,
                concat!("nodelith-init/", env!("CARGO_PKG_VERSION")),
            );
        if self.received > 0 {
            request = request.header(header::RANGE, format!("bytes={}-", self.received));
            if let Some(validator) = &self.validator {
                request = request.header(header::IF_RANGE, validator);
            }
        }
        let sent = sender.send_request(request.body(Empty::<Bytes>::new())?);
        Ok(timeout(SILENCE, sent).await.map_err(|_| silent())??)
    }

    /// Goes elsewhere, once.
    fn redirect(&mut self, location: &HeaderValue) -> Result<(), Trouble> {
        let never = |why: String| Trouble::Never(why);
        let to = location.to_str().unwrap_or_default();
        if self.redirected {
            return Err(never(format!("redirected once more, to `{to}`")));
        }
        eprintln!("nodelith: redirected to `{to}`");
        let whole = place(&self.url.text(), to).map_err(|error| never(error.to_string()))?;
        self.url = Url::read(&whole).map_err(|error| never(error.to_string()))?;
        self.redirected = true;
        Ok(())
    }

    /// What an answer's head means.
    fn begin(&mut self, status: StatusCode, headers: &HeaderMap) -> Result<(), Trouble> {
        match status {
            StatusCode::OK => {
                self.restart()?;
                self.total = length(headers);
                self.validator = strong(headers);
            }
            StatusCode::PARTIAL_CONTENT => {
                let range = headers.get(header::CONTENT_RANGE);
                let range = range.and_then(|range| content_range(range.to_str().ok()?));
                match range {
                    Some((from, total))
                        if from == self.received
                            && self.total.is_none_or(|known| known == total) =>
                    {
                        self.total = Some(total);
                    }
                    _ => {
                        self.restart()?;
                        return Err(Trouble::Again("the server sends another part".into()));
                    }
                }
            }
            // What was begun with is not there any more.
            StatusCode::RANGE_NOT_SATISFIABLE => {
                self.restart()?;
                return Err(Trouble::Again("the file is another now".into()));
            }
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                return Err(Trouble::Again(format!("the server says {status}")));
            }
            _ if status.is_server_error() => {
                return Err(Trouble::Again(format!("the server says {status}")));
            }
            _ => return Err(Trouble::Never(format!("the server says {status}"))),
        }
        let missing = self
            .total
            .map_or(0, |total| total.saturating_sub(self.received));
        memory::fits(missing).map_err(|error| Trouble::Never(error.to_string()))
    }

    /// Forgets what came.
    fn restart(&mut self) -> Result<(), Trouble> {
        self.file.set_len(0)?;
        self.hash = Sha256::new();
        self.received = 0;
        self.looked = 0;
        self.total = None;
        Ok(())
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        let after = self.received + bytes.len() as u64;
        if self.total.is_some_and(|total| after > total) {
            return Err(Trouble::Never("the server sends more than it said".into()));
        }
        let full = |error: std::io::Error| Trouble::Never(format!("keeping it in memory: {error}"));
        self.file.write_all_at(bytes, self.received).map_err(full)?;
        self.hash.update(bytes);
        self.received = after;
        self.heard = Instant::now();
        if self.total.is_none() && after - self.looked >= LOOK {
            self.looked = after;
            memory::fits(0).map_err(|error| Trouble::Never(error.to_string()))?;
        }
        if self.told.elapsed() > REPORT {
            self.told = Instant::now();
            let have = self.received >> 20;
            match self.total {
                Some(total) => eprintln!("nodelith: {have} of {} MB", total >> 20),
                None => eprintln!("nodelith: {have} MB"),
            }
        }
        Ok(())
    }
}

fn silent() -> String {
    format!("the server says nothing for {} s", SILENCE.as_secs())
}

fn length(headers: &HeaderMap) -> Option<u64> {
    let value = headers.get(header::CONTENT_LENGTH)?;
    value.to_str().ok()?.parse().ok()
}

/// An entity tag that names bytes, not only their meaning.
fn strong(headers: &HeaderMap) -> Option<HeaderValue> {
    let tag = headers.get(header::ETAG)?;
    tag.as_bytes().starts_with(b"\"").then(|| tag.clone())
}

/// Where a part begins and how much the whole has (RFC 9110, section 14.4).
fn content_range(text: &str) -> Option<(u64, u64)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (from, to) = range.split_once('-')?;
    let (from, to, total) = (from.parse().ok()?, to.parse().ok()?, total.parse().ok()?);
    (from <= to && to < total).then_some((from, total))
}

#[cfg(test)]
mod tests;
