//! A blob into a repository (OCI distribution specification, "Pushing Blobs"): it may
//! be there, it may be mounted from another repository, else it is sent.
//!
//! A blob of up to [`Options::chunk`](super::Options::chunk) bytes is sent with one
//! `PUT`, which every registry takes; a longer one in parts with `PATCH`, so that
//! no more than a part is lost with a connection, where the registry can say how
//! far it came (docker's own, before version 3, loses track within a part, and the
//! blob begins anew). A registry that refuses parts gets the whole at once.

mod body;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderName};
use reqwest::{Method, Response, StatusCode, Url};

use self::body::{nothing, range_end, stream_of};
use super::repository::{Ask, Repository, Tries, Trouble};
use crate::error::{Error, Kind, Result};
use crate::http::Progress;
use crate::image::contents::Contents;
use crate::image::manifest::Descriptor;

/// Repositories that are asked for a blob to mount.
const MOST_MOUNTS: usize = 3;
/// How many times an upload that the registry has lost track of begins anew.
const MOST_RESTARTS: u32 = 3;
/// A registry digests what it got before it answers: at least so many bytes a second.
const DIGESTING: u64 = 20 << 20;
/// The smallest part that a registry takes, bytes ("Pushing a blob in chunks").
const CHUNK_MIN: HeaderName = HeaderName::from_static("oci-chunk-min-length");

/// How a blob came to be in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlobState {
    /// It was there.
    Existing,
    /// Mounted from this repository of the same registry.
    Mounted(String),
    /// Sent.
    Uploaded,
}

/// A blob that is to be sent, and where it comes from.
pub(super) struct Upload<'a> {
    pub repository: &'a Repository,
    pub contents: &'a Arc<Contents>,
    pub blob: &'a Descriptor,
}

/// An upload that a registry has begun to take.
struct Session {
    url: Url,
    /// Bytes that the registry has.
    position: u64,
    /// The smallest part that it takes.
    least: u64,
}

/// What a registry made of a wish to mount.
enum Mount {
    Done,
    /// It wants the bytes.
    Session(Session),
    No,
}

impl Upload<'_> {
    /// Brings the blob into the repository; `sources` are repositories of the same
    /// registry that may have it.
    pub(super) async fn run(&self, sources: &[String], progress: &Progress) -> Result<BlobState> {
        let size = self.blob.size;
        let mut tries = Tries::new(&self.repository.inner, format!("{}", self.blob.digest));
        let mut session = None;
        loop {
            let settled = async {
                if self.exists().await? {
                    return Ok(Some(BlobState::Existing));
                }
                for source in sources.iter().take(MOST_MOUNTS) {
                    match self.mount(source).await? {
                        Mount::Done => return Ok(Some(BlobState::Mounted(source.clone()))),
                        Mount::Session(new) => {
                            if let Some(unused) = session.replace(new) {
                                self.cancel(unused).await;
                            }
                        }
                        Mount::No => {}
                    }
                }
                Ok(None)
            };
            match settled.await {
                Ok(Some(state)) => {
                    progress.reach(size);
                    return Ok(state);
                }
                Ok(None) => break,
                Err(trouble) => tries.again(trouble, false).await?,
            }
        }
        // A damaged file is better found here than by the registry.
        tokio::task::block_in_place(|| self.contents.verify(self.blob))?;
        self.send(session, progress).await?;
        Ok(BlobState::Uploaded)
    }

    async fn exists(&self) -> Result<bool, Trouble> {
        let repository = self.repository;
        let url = repository
            .url(&format!("blobs/{}", self.blob.digest))
            .await?;
        let ask = Ask::new(Method::HEAD, url, repository.push());
        let response = repository.send(&ask).await?;
        match response.status() {
            status if status.is_success() => Ok(true),
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Ok(false),
            _ => Err(repository.refused(response).await),
        }
    }

    /// Asks for the blob to be mounted ("Mounting a blob from another repository").
    async fn mount(&self, source: &str) -> Result<Mount, Trouble> {
        let repository = self.repository;
        let mut url = repository.url("blobs/uploads/").await?;
        url.query_pairs_mut()
            .append_pair("mount", &self.blob.digest.to_string())
            .append_pair("from", source);
        let scope = repository.push().and(super::token::Scope::pull(source));
        let ask = Ask {
            body: Some(&nothing),
            ..Ask::new(Method::POST, url, scope)
        };
        let response = match repository.send(&ask).await {
            Ok(response) => response,
            // Who may not read there may still write here.
            Err(Trouble::Fatal(_)) => return Ok(Mount::No),
            Err(passing) => return Err(passing),
        };
        Ok(match response.status() {
            StatusCode::CREATED => Mount::Done,
            StatusCode::ACCEPTED => Mount::Session(self.session(&response)?),
            _ => Mount::No,
        })
    }

    /// Says that an upload will not be gone on with. Nothing depends on it.
    async fn cancel(&self, session: Session) {
        let scope = self.repository.push();
        let ask = Ask::new(Method::DELETE, session.url, scope);
        let _ = self.repository.send(&ask).await;
    }

    fn session(&self, response: &Response) -> Result<Session, Trouble> {
        let least = response.headers().get(CHUNK_MIN);
        let least = least.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        Ok(Session {
            url: self.repository.location(response)?,
            position: 0,
            least: least.unwrap_or(0),
        })
    }

    /// Sends the blob, whatever breaks on the way.
    async fn send(&self, mut session: Option<Session>, progress: &Progress) -> Result<()> {
        let size = self.blob.size;
        let mut tries = Tries::new(&self.repository.inner, format!("{}", self.blob.digest));
        let mut state = Sending {
            in_parts: size > self.repository.inner.options.chunk,
            restarts: 0,
        };
        loop {
            let before = session.as_ref().map_or(0, |session| session.position);
            let trouble = match self.once(&mut session, &mut state, progress).await {
                Ok(()) => {
                    progress.reach(size);
                    return Ok(());
                }
                Err(trouble) => trouble,
            };
            let after = session.as_ref().map_or(0, |session| session.position);
            tries.again(trouble, after > before).await?;
            // The answer may have been lost, and not what it was to.
            let there = async {
                if self.exists().await? {
                    return Ok(true);
                }
                if let Some(lost) = session.take_if(|_| state.in_parts) {
                    session = self.status(lost).await?;
                } else {
                    session = None;
                }
                Ok(false)
            };
            match there.await {
                Ok(true) => {
                    progress.reach(size);
                    return Ok(());
                }
                Ok(false) => {}
                Err(trouble) => {
                    tries.again(trouble, false).await?;
                    session = None;
                }
            }
        }
    }

    /// One try, from where the session stands to the end.
    async fn once(
        &self,
        session: &mut Option<Session>,
        state: &mut Sending,
        progress: &Progress,
    ) -> Result<(), Trouble> {
        let size = self.blob.size;
        let chunk = self.repository.inner.options.chunk.max(1);
        let mut upload = match session.take() {
            Some(session) => session,
            None => self.begin().await?,
        };
        let chunk = chunk.max(upload.least);
        while state.in_parts && upload.position < size {
            let length = chunk.min(size - upload.position);
            let (url, position) = (upload.url.clone(), upload.position);
            let headers = [
                (CONTENT_TYPE, "application/octet-stream".to_owned()),
                (
                    CONTENT_RANGE,
                    format!("{position}-{}", position + length - 1),
                ),
            ];
            let sent = self.transfer(Method::PATCH, url, position, length, &headers, progress);
            let response = match sent.await {
                Ok(response) => response,
                Err(trouble) => {
                    *session = Some(upload);
                    return Err(trouble);
                }
            };
            match response.status() {
                // 202 by the specification; others say 201 (ECR) or 204.
                StatusCode::ACCEPTED | StatusCode::CREATED | StatusCode::NO_CONTENT => {
                    let taken = range_end(&response).map_or(position + length, |end| end + 1);
                    if let Ok(url) = self.repository.location(&response) {
                        upload.url = url;
                    }
                    if taken <= position || taken > position + length {
                        return Err(state.lost("the registry lost count of the bytes"));
                    }
                    upload.position = taken;
                    progress.reach(taken);
                }
                StatusCode::RANGE_NOT_SATISFIABLE => {
                    *session = Some(upload);
                    return Err(state.lost("the registry has another part of it"));
                }
                StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST if position > 0 => {
                    return Err(self.forgotten(state, response).await);
                }
                StatusCode::NOT_FOUND
                | StatusCode::BAD_REQUEST
                | StatusCode::METHOD_NOT_ALLOWED
                | StatusCode::LENGTH_REQUIRED
                | StatusCode::NOT_IMPLEMENTED
                    if position == 0 =>
                {
                    // It knows no parts.
                    state.in_parts = false;
                    self.cancel(upload).await;
                    upload = self.begin().await?;
                }
                _ => return Err(self.repository.refused(response).await),
            }
        }
        let from = if state.in_parts { size } else { 0 };
        let mut url = upload.url.clone();
        url.query_pairs_mut()
            .append_pair("digest", &self.blob.digest.to_string());
        let headers = [(CONTENT_TYPE, "application/octet-stream".to_owned())];
        let sent = self.transfer(Method::PUT, url, from, size - from, &headers, progress);
        let response = match sent.await {
            Ok(response) => response,
            Err(trouble) => {
                *session = Some(upload);
                return Err(trouble);
            }
        };
        match response.status() {
            StatusCode::CREATED | StatusCode::NO_CONTENT | StatusCode::OK => Ok(()),
            StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST | StatusCode::RANGE_NOT_SATISFIABLE => {
                Err(self.forgotten(state, response).await)
            }
            _ => Err(self.repository.refused(response).await),
        }
    }

    /// A session that the registry does not know, or has other bytes in.
    async fn forgotten(&self, state: &mut Sending, mut response: Response) -> Trouble {
        let words = self.repository.words(&mut response).await;
        state.lost(&format!("`{}` says {words}", self.repository.host.name))
    }

    async fn begin(&self) -> Result<Session, Trouble> {
        let repository = self.repository;
        let url = repository.url("blobs/uploads/").await?;
        let ask = Ask {
            body: Some(&nothing),
            ..Ask::new(Method::POST, url, repository.push())
        };
        let response = repository.send(&ask).await?;
        match response.status() {
            StatusCode::ACCEPTED => self.session(&response),
            _ => Err(repository.refused(response).await),
        }
    }

    /// Asks how far an upload came; nothing when it has to begin anew.
    async fn status(&self, lost: Session) -> Result<Option<Session>, Trouble> {
        let repository = self.repository;
        let ask = Ask::new(Method::GET, lost.url.clone(), repository.push());
        let response = repository.send(&ask).await?;
        if !response.status().is_success() {
            return Ok(None);
        }
        // `0-0` says one byte or none.
        let Some(end) = range_end(&response).filter(|&end| end > 0 && end < self.blob.size) else {
            return Ok(None);
        };
        Ok(Some(Session {
            url: repository.location(&response).unwrap_or(lost.url),
            position: end + 1,
            least: lost.least,
        }))
    }

    /// Sends a part of the blob.
    async fn transfer(
        &self,
        method: Method,
        url: Url,
        from: u64,
        length: u64,
        headers: &[(HeaderName, String)],
        progress: &Progress,
    ) -> Result<Response, Trouble> {
        let sent = Arc::new(AtomicU64::new(0));
        let body = || {
            if length == 0 {
                return nothing();
            }
            let reader = self.contents.blob(self.blob)?.range(from, length);
            let body = stream_of(reader, from, Arc::clone(&sent), progress.clone());
            Ok((body, length))
        };
        let closing = method == Method::PUT;
        let ask = Ask {
            headers,
            body: Some(&body),
            sent: Some(&sent),
            grace: Duration::from_secs(if closing {
                self.blob.size / DIGESTING
            } else {
                0
            }),
            ..Ask::new(method, url, self.repository.push())
        };
        self.repository.send(&ask).await
    }
}

/// How the sending goes.
struct Sending {
    in_parts: bool,
    restarts: u32,
}

impl Sending {
    /// The registry lost track: it may begin anew, but not for ever.
    fn lost(&mut self, why: &str) -> Trouble {
        self.restarts += 1;
        if self.restarts > MOST_RESTARTS {
            return Trouble::Fatal(Error::new(Kind::Network, why));
        }
        Trouble::passing(why)
    }
}
