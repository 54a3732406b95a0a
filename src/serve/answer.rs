//! Answers requests.

use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine};
use futures_util::stream;
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use tokio::io::{AsyncReadExt, AsyncSeekExt, SeekFrom};

use super::bundle::Bundle;
use super::log::{Entry, Log};
use super::nodes::Node;
use super::range::{Part, part};
use super::script;
use crate::bundle::export::{DESCRIPTION, SUMS, pxe};
use crate::digest::Digest;
use crate::error::{Context, Result};
use crate::report::Report;

/// Files are sent this many bytes at a time.
const PIECE: usize = 1 << 18;

/// What answers.
pub struct Answerer {
    pub folder: PathBuf,
    pub nodes: Option<PathBuf>,
    pub log: Log,
    pub report: Report,
}

/// The content of an answer, as hyper wants it.
type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, std::io::Error>;

/// What is answered, before it becomes bytes.
struct Answer {
    status: StatusCode,
    kind: &'static str,
    content: Content,
    tag: Option<String>,
    /// `Repr-Digest` (RFC 9530).
    digest: Option<String>,
    /// `Content-Range`.
    range: Option<String>,
}

enum Content {
    Text(Vec<u8>),
    /// So many bytes of a file, from a place on.
    File(File, u64, u64),
    /// What there would be, without it.
    Length(u64),
}

impl Answerer {
    /// Answers a request.
    pub async fn answer(
        self: Arc<Self>,
        request: &Request<Incoming>,
        client: SocketAddr,
    ) -> Response<Body> {
        let target = request
            .uri()
            .path_and_query()
            .map_or("", |target| target.as_str());
        let entry = Entry::new(client, request.method().as_str(), target);
        let head = *request.method() == Method::HEAD;
        let mut answer = match *request.method() {
            Method::GET | Method::HEAD => self.find(request).unwrap_or_else(|error| {
                self.report.warning(&error.message());
                Answer::said(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "the server's log says why",
                )
            }),
            _ => Answer::said(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD"),
        };
        if head {
            answer.content = Content::Length(answer.length());
        }
        self.respond(answer, entry)
    }

    fn find(&self, request: &Request<Incoming>) -> Result<Answer> {
        let bundle = Bundle::read(&self.folder)?;
        let Some(name) = request.uri().path().strip_prefix('/') else {
            return Ok(Answer::said(StatusCode::BAD_REQUEST, "no path"));
        };
        if name.is_empty() {
            let names: String = bundle
                .files
                .keys()
                .map(|name| format!("{name}\n"))
                .collect();
            return Ok(Answer::text(names));
        }
        let query = request.uri().query();
        if name == pxe::IPXE && (query.is_some() || self.nodes.is_some()) {
            return self.script(&bundle, request, query);
        }
        let Some((file, entry)) = bundle.open(&self.folder, name)? else {
            return Ok(Answer::said(StatusCode::NOT_FOUND, "not here"));
        };
        Ok(Answer::file(request, name, file, entry.size, &entry.digest))
    }

    /// boot.ipxe for whoever asks.
    fn script(
        &self,
        bundle: &Bundle,
        request: &Request<Incoming>,
        query: Option<&str>,
    ) -> Result<Answer> {
        let node = match Node::read(query.unwrap_or_default()) {
            Ok(node) => node,
            Err(why) => return Ok(Answer::said(StatusCode::BAD_REQUEST, &why)),
        };
        let unknown = !query.is_some_and(|query| query.contains("mac=") || query.contains("uuid="));
        if self.nodes.is_some() && unknown {
            return Ok(Answer::text(script::ask(node.way)));
        }
        let words = match &self.nodes {
            Some(folder) => node.words(folder)?,
            None => String::new(),
        };
        let Some((file, _)) = bundle.open(&self.folder, pxe::IPXE)? else {
            return Ok(Answer::said(StatusCode::NOT_FOUND, "not here"));
        };
        let text = std::io::read_to_string(file).io("reading", pxe::IPXE)?;
        let host = request.headers().get(header::HOST);
        let host = host.and_then(|host| host.to_str().ok());
        Ok(Answer::text(script::personal(
            &text, host, node.way, &words,
        )))
    }

    fn respond(self: Arc<Self>, answer: Answer, mut entry: Entry) -> Response<Body> {
        let length = answer.length();
        entry.status = answer.status.as_u16();
        let mut response = Response::builder()
            .status(answer.status)
            .header(header::CONTENT_TYPE, answer.kind)
            .header(header::ACCEPT_RANGES, "bytes");
        if answer.status != StatusCode::NOT_MODIFIED {
            response = response.header(header::CONTENT_LENGTH, length);
        }
        if answer.status == StatusCode::METHOD_NOT_ALLOWED {
            response = response.header(header::ALLOW, "GET, HEAD");
        }
        for (name, value) in [
            (header::ETAG, &answer.tag),
            (HeaderName::from_static("repr-digest"), &answer.digest),
            (header::CONTENT_RANGE, &answer.range),
        ] {
            if let Some(value) = value {
                response = response.header(name, value);
            }
        }
        let body = match answer.content {
            Content::File(file, from, length) => {
                entry.length = length;
                let sending = Sending {
                    file: tokio::fs::File::from_std(file),
                    from: Some(from),
                    entry,
                    answerer: self,
                };
                Either::Left(StreamBody::new(stream::try_unfold(sending, Sending::next)))
            }
            Content::Text(bytes) => {
                entry.length = length;
                entry.sent = length;
                self.log.write(&entry);
                Either::Right(Full::new(Bytes::from(bytes)))
            }
            Content::Length(_) => {
                self.log.write(&entry);
                Either::Right(Full::default())
            }
        };
        let body = body.map_err(std::io::Error::other).boxed_unsync();
        // All of it was made here, or is a name or a number.
        response.body(body).unwrap_or_default()
    }
}

impl Answer {
    /// Words for people and logs.
    fn said(status: StatusCode, words: &str) -> Self {
        Self {
            status,
            ..Self::text(format!("{words}\n"))
        }
    }

    fn text(text: String) -> Self {
        Self {
            status: StatusCode::OK,
            kind: "text/plain; charset=utf-8",
            content: Content::Text(text.into_bytes()),
            tag: None,
            digest: None,
            range: None,
        }
    }

    /// A file or the part of it that is asked for.
    fn file(
        request: &Request<Incoming>,
        name: &str,
        file: File,
        size: u64,
        digest: &Digest,
    ) -> Self {
        let tag = format!("\"{digest}\"");
        let asked = |name| request.headers().get(name).and_then(text);
        let mut answer = Self {
            status: StatusCode::OK,
            kind: kind(name),
            content: Content::Length(0),
            tag: Some(tag.clone()),
            digest: Some(format!(
                "sha-256=:{}:",
                BASE64_STANDARD.encode(digest.bytes())
            )),
            range: None,
        };
        if asked(header::IF_NONE_MATCH).is_some_and(|tags| has_tag(tags, &tag)) {
            answer.status = StatusCode::NOT_MODIFIED;
            return answer;
        }
        // A part of another version is of no use (RFC 9110, section 13.1.5).
        let same = asked(header::IF_RANGE).is_none_or(|known| known == tag);
        let range = asked(header::RANGE).filter(|_| same && *request.method() == Method::GET);
        let wanted = range.map_or(Part::Whole, |range| part(range, size));
        (answer.status, answer.range, answer.content) = match wanted {
            Part::Whole => (StatusCode::OK, None, Content::File(file, 0, size)),
            Part::Bytes(first, last) => (
                StatusCode::PARTIAL_CONTENT,
                Some(format!("bytes {first}-{last}/{size}")),
                Content::File(file, first, last - first + 1),
            ),
            Part::None => (
                StatusCode::RANGE_NOT_SATISFIABLE,
                Some(format!("bytes */{size}")),
                Content::Length(0),
            ),
        };
        answer
    }

    fn length(&self) -> u64 {
        match &self.content {
            Content::Text(bytes) => bytes.len() as u64,
            Content::File(_, _, length) | Content::Length(length) => *length,
        }
    }
}

fn text(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok()
}

/// Whether a list of tags has one (RFC 9110, section 13.1.2).
fn has_tag(tags: &str, tag: &str) -> bool {
    let mut tags = tags
        .split(',')
        .map(|one| one.trim().trim_start_matches("W/"));
    tags.any(|one| one == tag || one == "*")
}

fn kind(name: &str) -> &'static str {
    match name {
        pxe::IPXE | pxe::GRUB | SUMS => "text/plain; charset=utf-8",
        DESCRIPTION => "application/json",
        _ => "application/octet-stream",
    }
}

/// A file that is being sent; what came of it goes to the log.
struct Sending {
    file: tokio::fs::File,
    /// Where to begin, until that was done.
    from: Option<u64>,
    entry: Entry,
    answerer: Arc<Answerer>,
}

impl Sending {
    async fn next(mut self) -> std::io::Result<Option<(Frame<Bytes>, Self)>> {
        if let Some(from) = self.from.take() {
            self.file.seek(SeekFrom::Start(from)).await?;
        }
        let left = self.entry.length - self.entry.sent;
        if left == 0 {
            return Ok(None);
        }
        let most = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
        let mut buffer = vec![0; most];
        let size = self.file.read(&mut buffer).await?;
        if size == 0 {
            // It became shorter under our hands.
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        buffer.truncate(size);
        self.entry.sent += size as u64;
        Ok(Some((Frame::data(buffer.into()), self)))
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.answerer.log.write(&self.entry);
    }
}
