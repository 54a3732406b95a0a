//! Manifests and indexes of a repository (OCI distribution specification, "Pulling
//! Manifests", "Pushing Manifests").

use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName};
use reqwest::{Method, Response, StatusCode};
use serde::Deserialize;

use super::repository::{Ask, Repository, Tries, Trouble};
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::http;
use crate::image::contents::{Document, MOST_BYTES};
use crate::image::manifest::Descriptor;
use crate::image::{DOCKER_INDEX, DOCKER_MANIFEST, INDEX, MANIFEST};

/// What a registry says that a manifest's digest is.
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// What a registry says that a manifest's subject is, if it keeps referrers itself.
const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// Which of its versions is wanted of a document that changes (RFC 9110, 13.1.1).
#[derive(Debug, Clone, Default)]
pub(super) struct Version(pub Option<String>);

/// What came of putting a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Put {
    /// It is there.
    Done {
        /// The registry itself lists it as a referrer.
        referrer: bool,
    },
    /// Somebody changed it meanwhile.
    Changed,
}

impl Repository {
    /// The digest of the manifest by this tag or digest; nothing if it is not
    /// there, or the registry does not say.
    pub(super) async fn manifest_digest(&self, name: &str) -> Result<Option<Digest>> {
        let mut tries = Tries::new(&self.inner, format!("`{}`", self.named(name)));
        loop {
            let asked = async {
                let url = self.url(&format!("manifests/{name}")).await?;
                let headers = accept();
                let ask = Ask {
                    headers: &headers,
                    ..Ask::new(Method::HEAD, url, self.push())
                };
                let response = self.send(&ask).await?;
                match response.status() {
                    status if status.is_success() => Ok(content_digest(&response)),
                    StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Ok(None),
                    _ => Err(self.refused(response).await),
                }
            };
            match asked.await {
                Ok(digest) => return Ok(digest),
                Err(trouble) => tries.again(trouble, false).await?,
            }
        }
    }

    /// The manifest by this tag or digest, with its version; nothing if it is not there.
    ///
    /// # Errors
    /// [`Kind::Verify`] when it is not what its digest says, or larger than a
    /// manifest may be; [`Kind::Network`] when the registry does not give it.
    pub(super) async fn manifest(
        &self,
        name: &str,
        expected: Option<Digest>,
    ) -> Result<Option<(Document, Version)>> {
        let mut tries = Tries::new(&self.inner, format!("`{}`", self.named(name)));
        loop {
            match self.manifest_once(name, expected).await {
                Ok(found) => return Ok(found),
                Err(trouble) => tries.again(trouble, false).await?,
            }
        }
    }

    async fn manifest_once(
        &self,
        name: &str,
        expected: Option<Digest>,
    ) -> Result<Option<(Document, Version)>, Trouble> {
        let url = self.url(&format!("manifests/{name}")).await?;
        let headers = accept();
        let ask = Ask {
            headers: &headers,
            ..Ask::new(Method::GET, url, self.pull())
        };
        let mut response = self.send(&ask).await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            _ => return Err(self.refused(response).await),
        }
        let header = |name: &HeaderName| {
            let value = response.headers().get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        let media_type = header(&CONTENT_TYPE);
        let version = Version(header(&reqwest::header::ETAG));
        let said = content_digest(&response);
        let bytes = self.document(&mut response).await?;
        let digest = Digest::of(&bytes);
        if let Some(expected) = expected.or(said).filter(|expected| *expected != digest) {
            let message = format!(
                "`{}` gives manifest {digest} instead of {expected}",
                self.shown()
            );
            return Err(Error::new(Kind::Verify, message).into());
        }
        let media_type = media_type_of(media_type.as_deref(), &bytes)?;
        let descriptor = Descriptor {
            media_type,
            digest,
            size: bytes.len() as u64,
            annotations: std::collections::BTreeMap::new(),
            platform: None,
        };
        Ok(Some((Document { descriptor, bytes }, version)))
    }

    /// A document's bytes, if it is no larger than a manifest may be.
    pub(super) async fn document(&self, response: &mut Response) -> Result<Vec<u8>, Trouble> {
        let client = self.inner.client()?;
        let too_large = || {
            let message = format!(
                "`{}` sends a manifest that is larger than 4 MiB",
                self.shown()
            );
            Trouble::Fatal(Error::new(Kind::Verify, message))
        };
        if response
            .content_length()
            .is_some_and(|length| length > MOST_BYTES)
        {
            return Err(too_large());
        }
        match http::bytes(client, response, MOST_BYTES).await {
            Err(http::Trouble::Refused(_)) => Err(too_large()),
            other => Ok(other?),
        }
    }

    /// Puts a manifest by a tag or by its digest. With a version, only where that is
    /// still the one there.
    pub(super) async fn put_manifest(
        &self,
        name: &str,
        media_type: &str,
        bytes: &[u8],
        version: &Version,
    ) -> Result<Put> {
        if bytes.len() as u64 > MOST_BYTES {
            let message = "the manifest is larger than 4 MiB, which registries do not take";
            return Err(Error::new(Kind::Usage, message).hint("give the image fewer layers"));
        }
        let mut tries = Tries::new(&self.inner, format!("`{}`", self.named(name)));
        loop {
            let put = self.put_once(name, media_type, bytes, version);
            match put.await {
                Ok(put) => return Ok(put),
                Err(trouble) => tries.again(trouble, false).await?,
            }
        }
    }

    async fn put_once(
        &self,
        name: &str,
        media_type: &str,
        bytes: &[u8],
        version: &Version,
    ) -> Result<Put, Trouble> {
        let url = self.url(&format!("manifests/{name}")).await?;
        let mut headers = vec![(CONTENT_TYPE, media_type.to_owned())];
        if let Some(version) = &version.0 {
            headers.push((reqwest::header::IF_MATCH, version.clone()));
        }
        let body = || Ok((reqwest::Body::from(bytes.to_vec()), bytes.len() as u64));
        let ask = Ask {
            headers: &headers,
            body: Some(&body),
            grace: Duration::from_secs(30),
            ..Ask::new(Method::PUT, url, self.push())
        };
        let response = self.send(&ask).await?;
        match response.status() {
            status if status.is_success() => {}
            StatusCode::PRECONDITION_FAILED => return Ok(Put::Changed),
            _ => return Err(self.refused(response).await),
        }
        let digest = Digest::of(bytes);
        if let Some(other) = content_digest(&response).filter(|other| *other != digest) {
            let message = format!("the registry took `{name}` as {other}, which is not {digest}");
            return Err(Error::new(Kind::Verify, message).into());
        }
        Ok(Put::Done {
            referrer: response.headers().contains_key(SUBJECT),
        })
    }

    /// A tag or digest of the repository, for messages.
    pub(super) fn named(&self, name: &str) -> String {
        let separator = if name.contains(':') { '@' } else { ':' };
        format!("{}{separator}{name}", self.shown())
    }
}

fn accept() -> [(HeaderName, String); 1] {
    let kinds = [INDEX, MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST];
    [(ACCEPT, kinds.join(", "))]
}

fn content_digest(response: &Response) -> Option<Digest> {
    let value = response.headers().get(CONTENT_DIGEST)?;
    value.to_str().ok()?.trim().parse().ok()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    media_type: Option<String>,
    config: Option<serde::de::IgnoredAny>,
    layers: Option<serde::de::IgnoredAny>,
    manifests: Option<serde::de::IgnoredAny>,
}

/// A document's media type. What the server says and what the document says must be
/// one, and it must not be image and index at once: else one client would see the
/// one and another the other (CVE-2021-41190).
///
/// # Errors
/// [`Kind::Verify`] when it is no such document.
pub fn media_type_of(said: Option<&str>, bytes: &[u8]) -> Result<String> {
    let invalid = |why: &str| Error::new(Kind::Verify, format!("not a valid manifest: {why}"));
    let shape: Shape =
        serde_json::from_slice(bytes).map_err(|error| invalid(&error.to_string()))?;
    let said = said
        .map(|said| said.split(';').next().unwrap_or(said).trim())
        .filter(|said| {
            !said.is_empty()
                && !["application/json", "application/octet-stream", "text/plain"].contains(said)
        });
    if shape.manifests.is_some() && (shape.config.is_some() || shape.layers.is_some()) {
        return Err(invalid("it is an image and an index at once"));
    }
    let media_type = match (said, shape.media_type) {
        (Some(said), Some(own)) if said != own => {
            return Err(invalid(&format!(
                "the registry calls it `{}`, and it calls itself `{}`",
                said.escape_debug(),
                own.escape_debug()
            )));
        }
        (Some(said), _) => said.to_owned(),
        (None, Some(own)) => own,
        (None, None) if shape.manifests.is_some() => INDEX.to_owned(),
        (None, None) => MANIFEST.to_owned(),
    };
    Ok(media_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_must_agree() {
        let own = |kind: &str| format!(r#"{{"mediaType":"{kind}"}}"#);
        for (said, document, kind) in [
            (Some(MANIFEST), own(MANIFEST), Some(MANIFEST)),
            (Some("text/plain; charset=utf-8"), own(INDEX), Some(INDEX)),
            (None, own(DOCKER_INDEX), Some(DOCKER_INDEX)),
            (Some(INDEX), "{}".into(), Some(INDEX)),
            (None, r#"{"manifests":[]}"#.into(), Some(INDEX)),
            (None, r#"{"config":{}}"#.into(), Some(MANIFEST)),
            (Some(MANIFEST), own(INDEX), None),
            (None, r#"{"config":{},"manifests":[]}"#.into(), None),
            (None, r#"{"layers":[],"manifests":[]}"#.into(), None),
            (None, "[]".into(), None),
            (None, "<html>".into(), None),
        ] {
            let found = media_type_of(said, document.as_bytes()).ok();
            assert_eq!(found.as_deref(), kind, "{said:?} {document}");
        }
    }
}
