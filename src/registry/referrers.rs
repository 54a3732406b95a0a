//! What refers to a manifest (OCI distribution specification, "Listing Referrers",
//! "Referrers Tag Schema"): asked of the registry, and read from the tag
//! `sha256-HEX` that stands in for it; both, since a registry may have learnt it late.

use std::collections::BTreeMap;
use std::sync::Arc;

use reqwest::header::{ACCEPT, LINK};
use reqwest::{Method, StatusCode, Url};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::manifest::{Put, Version};
use super::repository::{Ask, Repository, Tries, Trouble};
use super::{Reference, Registries};
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::http::runtime;
use crate::image::config::canonical;
use crate::image::contents::Contents;
use crate::image::manifest::Descriptor;
use crate::image::{INDEX, MANIFEST};
use crate::report::Unit;
use crate::store::Store;

/// A configuration that says nothing (OCI image specification, "Guidance for an Empty Descriptor").
const EMPTY: (&str, &[u8]) = ("application/vnd.oci.empty.v1+json", b"{}");
/// Pages of referrers that are read.
const MOST_PAGES: usize = 64;
/// Referrers of one manifest.
const MOST_REFERRERS: usize = 4096;
/// How often adding to the tag is tried when others do the same.
const MOST_TURNS: usize = 8;

/// A manifest that refers to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Referrer {
    /// The manifest.
    #[serde(flatten)]
    pub descriptor: Descriptor,
    /// What kind of thing it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
}

/// Something to be attached to an image. Its blobs are in the store.
#[derive(Debug, Clone)]
pub struct Artifact {
    /// What kind of thing it is (a media type).
    pub artifact_type: String,
    /// Its blobs.
    pub blobs: Vec<Descriptor>,
    /// What else is said of it.
    pub annotations: BTreeMap<String, String>,
}

impl Artifact {
    /// Puts its manifest into the store, as one that refers to `subject`; with the
    /// blobs that it names.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn store(&self, store: &Store, subject: &Descriptor) -> Result<Stored> {
        let blob = |media_type: &str, digest, size: usize| Descriptor {
            media_type: media_type.into(),
            digest,
            size: size as u64,
            annotations: BTreeMap::new(),
            platform: None,
        };
        let empty = blob(EMPTY.0, store.put(EMPTY.1)?, EMPTY.1.len());
        // A manifest has at least one layer.
        let layers = match self.blobs.is_empty() {
            true => vec![empty.clone()],
            false => self.blobs.clone(),
        };
        let bytes = canonical(&json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": self.artifact_type,
            "config": empty,
            "layers": layers,
            "subject": {
                "mediaType": subject.media_type, "digest": subject.digest, "size": subject.size,
            },
            "annotations": self.annotations,
        }))?;
        let manifest = blob(MANIFEST, store.put(&bytes)?, bytes.len());
        Ok(Stored {
            manifest,
            bytes,
            blobs: [vec![empty], layers].concat(),
        })
    }
}

/// An artifact whose manifest is in the store too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The manifest.
    pub manifest: Descriptor,
    /// The manifest's bytes.
    pub bytes: Vec<u8>,
    /// What it names, which is in the store.
    pub blobs: Vec<Descriptor>,
}

/// What came of attaching.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// The artifact's manifest.
    pub manifest: Descriptor,
    /// Where it is listed.
    pub listed: Listed,
}

/// Where referrers of a manifest are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listed {
    /// By the registry itself.
    Registry,
    /// In an index by this tag.
    Tag(String),
}

#[derive(Deserialize)]
struct Index {
    #[serde(default)]
    manifests: Vec<Referrer>,
}

impl Registries {
    /// What refers to the manifest that `reference` names, of one kind or of all.
    ///
    /// # Errors
    /// When the registry cannot be asked, or answers with what is no list.
    pub fn referrers(
        &self,
        reference: &Reference,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Referrer>> {
        let subject = match reference.digest {
            Some(digest) => digest,
            None => self.resolve(reference)?.digest,
        };
        let repository = self.repository(reference)?;
        let context = |error: Error| error.context(format!("listing referrers of `{reference}`"));
        let (listed, tagged) = runtime()?
            .block_on(async {
                let listed = listed(&repository, &subject, artifact_type).await?;
                let tagged = tagged(&repository, &subject).await?;
                Ok((listed.unwrap_or_default(), tagged.0))
            })
            .map_err(context)?;
        let mut found: Vec<Referrer> = Vec::new();
        for referrer in listed.into_iter().chain(tagged) {
            let fits = artifact_type
                .is_none_or(|wanted| referrer.artifact_type.as_deref() == Some(wanted));
            let known = |one: &Referrer| one.descriptor.digest == referrer.descriptor.digest;
            if fits && !found.iter().any(known) {
                found.push(referrer);
            }
        }
        Ok(found)
    }

    /// Attaches an artifact to the manifest that `reference` names, which need not
    /// be there yet if it is named by digest.
    ///
    /// # Errors
    /// When a blob is not in the store, or the registry refuses.
    pub fn attach(
        &self,
        reference: &Reference,
        subject: &Descriptor,
        artifact: &Artifact,
    ) -> Result<Attached> {
        self.attach_to(reference, subject, artifact)
            .map_err(|error| error.context(format!("attaching to `{reference}`")))
    }

    fn attach_to(
        &self,
        reference: &Reference,
        subject: &Descriptor,
        artifact: &Artifact,
    ) -> Result<Attached> {
        let store = &self.0.store;
        let Stored {
            manifest, bytes, ..
        } = artifact.store(store, subject)?;
        let name = reference.to_string();
        let contents = Arc::new(Contents::in_store(&name, store, manifest.clone())?);
        let repository = self.repository(reference)?;
        let task = self.0.report.task("attaching", None, Unit::Bytes);
        self.blobs(&repository, &contents, &[], &task)?;
        let listed = runtime()?.block_on(async {
            let name = manifest.digest.to_string();
            let version = Version::default();
            let put = repository
                .put_manifest(&name, MANIFEST, &bytes, &version)
                .await?;
            if put == (Put::Done { referrer: true }) {
                return Ok(Listed::Registry);
            }
            let referrer = Referrer {
                descriptor: Descriptor {
                    annotations: artifact.annotations.clone(),
                    ..manifest.clone()
                },
                artifact_type: Some(artifact.artifact_type.clone()),
            };
            add(&repository, &subject.digest, referrer).await
        })?;
        task.finish(&artifact.artifact_type);
        Ok(Attached { manifest, listed })
    }
}

/// What the registry itself lists; nothing if it keeps no such lists.
async fn listed(
    repository: &Repository,
    subject: &Digest,
    artifact_type: Option<&str>,
) -> Result<Option<Vec<Referrer>>> {
    let mut found = Vec::new();
    let mut tries = Tries::new(&repository.inner, format!("referrers of {subject}"));
    let mut page: Option<Url> = None;
    let mut pages = 0;
    loop {
        let asked = async {
            let url = match &page {
                Some(url) => url.clone(),
                None => {
                    let mut url = repository.url(&format!("referrers/{subject}")).await?;
                    if let Some(wanted) = artifact_type {
                        url.query_pairs_mut().append_pair("artifactType", wanted);
                    }
                    url
                }
            };
            one_page(repository, url).await
        };
        match asked.await {
            Ok(None) => return Ok(None),
            Ok(Some((referrers, next))) => {
                found.extend(referrers);
                pages += 1;
                if found.len() > MOST_REFERRERS || pages > MOST_PAGES {
                    let message = format!("there are more than {MOST_REFERRERS} referrers");
                    return Err(Error::new(Kind::Verify, message));
                }
                match next {
                    Some(next) => page = Some(next),
                    None => return Ok(Some(found)),
                }
            }
            Err(trouble) => tries.again(trouble, false).await?,
        }
    }
}

type Page = (Vec<Referrer>, Option<Url>);

async fn one_page(repository: &Repository, url: Url) -> Result<Option<Page>, Trouble> {
    let headers = [(ACCEPT, INDEX.to_owned())];
    let ask = Ask {
        headers: &headers,
        ..Ask::new(Method::GET, url, repository.pull())
    };
    let mut response = repository.send(&ask).await?;
    match response.status() {
        StatusCode::OK => {}
        // Those that know no such address say so in different ways.
        StatusCode::NOT_FOUND
        | StatusCode::BAD_REQUEST
        | StatusCode::METHOD_NOT_ALLOWED
        | StatusCode::NOT_ACCEPTABLE => return Ok(None),
        _ => return Err(repository.refused(response).await),
    }
    let next = response
        .headers()
        .get(LINK)
        .and_then(|value| next_page(value.to_str().ok()?))
        .and_then(|next| response.url().join(next).ok())
        .filter(|next| repository.host.owns(next));
    let bytes = repository.document(&mut response).await?;
    let Ok(index) = serde_json::from_slice::<Index>(&bytes) else {
        // A page for people, at an address that the registry does not know.
        return Ok(None);
    };
    Ok(Some((index.manifests, next)))
}

/// The address of `<ADDRESS>; rel="next"` (RFC 8288).
fn next_page(link: &str) -> Option<&str> {
    let (address, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    let is_next = |parameter: &str| {
        parameter
            .trim()
            .split_once('=')
            .is_some_and(|(name, value)| {
                name.trim().eq_ignore_ascii_case("rel") && value.trim().trim_matches('"') == "next"
            })
    };
    parameters.split(';').any(is_next).then_some(address)
}

fn tag_of(subject: &Digest) -> String {
    format!("sha256-{}", subject.hex())
}

/// What the tag lists, and its version.
async fn tagged(repository: &Repository, subject: &Digest) -> Result<(Vec<Referrer>, Version)> {
    let tag = tag_of(subject);
    let Some((document, version)) = repository.manifest(&tag, None).await? else {
        return Ok((Vec::new(), Version::default()));
    };
    if document.descriptor.media_type != INDEX {
        // Cosign and others have tags of this form for other things.
        return Ok((Vec::new(), version));
    }
    let index: Index = serde_json::from_slice(&document.bytes).map_err(|error| {
        Error::new(
            Kind::Verify,
            format!("`{tag}` is no list of referrers: {error}"),
        )
    })?;
    Ok((index.manifests, version))
}

/// Adds to the tag's list, as often as others overwrite it.
async fn add(repository: &Repository, subject: &Digest, referrer: Referrer) -> Result<Listed> {
    let tag = tag_of(subject);
    let known = |list: &[Referrer]| {
        list.iter()
            .any(|one| one.descriptor.digest == referrer.descriptor.digest)
    };
    for _ in 0..MOST_TURNS {
        let (mut list, version) = tagged(repository, subject).await?;
        if known(&list) {
            return Ok(Listed::Tag(tag));
        }
        list.push(referrer.clone());
        let bytes = canonical(&json!({
            "schemaVersion": 2, "mediaType": INDEX, "manifests": list,
        }))?;
        repository
            .put_manifest(&tag, INDEX, &bytes, &version)
            .await?;
    }
    let message = format!("`{tag}` is being overwritten by others all the time");
    Err(Error::new(Kind::Network, message).hint("run the same again: the artifact itself is there"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_the_next_page() {
        for (link, next) in [
            (
                "</v2/a/referrers/x?n=2>; rel=\"next\"",
                Some("/v2/a/referrers/x?n=2"),
            ),
            ("<x>; foo=bar; REL=next", Some("x")),
            ("<x>; rel=\"prev\"", None),
            ("<x>", None),
            ("x; rel=next", None),
        ] {
            assert_eq!(next_page(link), next, "{link}");
        }
    }
}
