//! Tokens: for what, and how they are got ("Token Authentication" and "`OAuth2` Token
//! Authentication" of docker's distribution).

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;

use super::Inner;
use super::credentials::Credential;
use super::repository::{Trouble, said};
use crate::error::{Error, Kind};
use crate::http::{self, passing_status, redact};

/// The greatest answer of a token server, in bytes.
const MOST_BYTES: u64 = 1 << 20;
/// How long a token lives of which nothing is said.
const LIFE: u64 = 60;
/// A token that lives shorter than this is not begun anything with.
const MARGIN: Duration = Duration::from_secs(10);

/// What one wants to do, and where ("Token Scope Documentation" of docker's distribution).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scope(pub BTreeSet<String>);

impl Scope {
    /// Reading from a repository.
    pub(super) fn pull(repository: &str) -> Self {
        Self(BTreeSet::from([format!("repository:{repository}:pull")]))
    }

    /// Writing to a repository.
    pub(super) fn push(repository: &str) -> Self {
        Self(BTreeSet::from([format!(
            "repository:{repository}:pull,push"
        )]))
    }

    /// All of both.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }
}

/// A token, and until when it is good.
pub(super) struct Token {
    pub secret: String,
    pub until: Instant,
}

/// Whether all that a registry asked for is among what we ask for; nothing when it
/// asked for nothing that has the usual form.
pub(super) fn covered(asked: &str, ours: &BTreeSet<String>) -> Option<bool> {
    let parts = |text: &str| {
        let (name, actions) = text.rsplit_once(':')?;
        let actions: BTreeSet<String> = actions.split(',').map(str::to_owned).collect();
        Some((name.to_owned(), actions))
    };
    let ours: Vec<_> = ours.iter().filter_map(|scope| parts(scope)).collect();
    let mut any = None;
    for one in asked.split_whitespace() {
        let (name, actions) = parts(one)?;
        let fits = ours
            .iter()
            .any(|(other, allowed)| *other == name && actions.is_subset(allowed));
        any = Some(any.unwrap_or(true) && fits);
    }
    any
}

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

/// Asks a token server, with a password, an identity token, or as nobody.
pub(super) async fn fetch(
    inner: &Inner,
    realm: &Url,
    service: Option<&str>,
    scopes: &BTreeSet<String>,
    credential: Option<Credential>,
) -> Result<Token, Trouble> {
    let client = inner.client()?;
    let shown = redact(realm.as_str());
    let request = match &credential {
        Some(Credential::Identity(token)) => {
            let scope: Vec<&str> = scopes.iter().map(String::as_str).collect();
            let mut form = realm.clone();
            form.set_query(None);
            form.query_pairs_mut()
                .append_pair("grant_type", "refresh_token")
                .append_pair("service", service.unwrap_or_default())
                .append_pair("client_id", "nodelith")
                .append_pair("scope", &scope.join(" "))
                .append_pair("refresh_token", token);
            client
                .request(Method::POST, realm)?
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form.query().unwrap_or_default().to_owned())
        }
        _ => {
            let mut url = realm.clone();
            {
                let mut pairs = url.query_pairs_mut();
                if let Some(service) = service {
                    pairs.append_pair("service", service);
                }
                for scope in scopes {
                    pairs.append_pair("scope", scope);
                }
                if let Some(Credential::Password(name, _)) = &credential {
                    pairs.append_pair("account", name);
                }
            }
            let request = client.request(Method::GET, &url)?;
            match &credential {
                Some(Credential::Password(name, password)) => {
                    request.basic_auth(name, Some(password))
                }
                _ => request,
            }
        }
    };
    let request = request.header(ACCEPT, "application/json");
    let about = |why: &str| format!("asking `{shown}` for a token: {why}");
    let passing = |trouble: http::Trouble| match trouble {
        http::Trouble::Passing { why, pause } => Trouble::Passing {
            why: about(&why),
            pause,
        },
        http::Trouble::Missing(why) | http::Trouble::Refused(why) => {
            Trouble::Fatal(Error::new(Kind::Network, about(&why)))
        }
        http::Trouble::Range => Trouble::passing(&about("an answer to another question")),
    };
    let mut response = client
        .send(request, None, Duration::ZERO)
        .await
        .map_err(passing)?;
    let status = response.status();
    if let Some(trouble) = passing_status(status, response.headers()) {
        return Err(passing(trouble));
    }
    let bytes = http::bytes(client, &mut response, MOST_BYTES)
        .await
        .map_err(passing)?;
    if !status.is_success() {
        let secret = credential.as_ref().map(Credential::secret);
        let text = said(status, &bytes);
        let text = match secret {
            Some(secret) if !secret.is_empty() && text.contains(secret) => status.to_string(),
            _ => text,
        };
        let error = Error::new(Kind::Network, about(&text));
        let denied = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status);
        return Err(Trouble::Fatal(if denied {
            error
                .hint("log in again (`docker login`, `podman login`): the credentials were refused")
        } else {
            error
        }));
    }
    let answer: Answer = serde_json::from_slice(&bytes)
        .map_err(|_| Trouble::Fatal(Error::new(Kind::Network, about("no token in its answer"))))?;
    let secret = answer.token.or(answer.access_token);
    let secret = secret
        .filter(|secret| !secret.is_empty() && secret.bytes().all(|byte| byte.is_ascii_graphic()))
        .ok_or_else(|| {
            Trouble::Fatal(Error::new(Kind::Network, about("no token in its answer")))
        })?;
    let life = Duration::from_secs(answer.expires_in.unwrap_or(LIFE).min(24 * 3600));
    // One that is to die at once is good for one request.
    Ok(Token {
        secret,
        until: Instant::now() + life.saturating_sub(MARGIN),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_that_registries_ask_for() {
        let ours = Scope::push("a/b").and(Scope::pull("base")).0;
        for (asked, fits) in [
            ("repository:a/b:pull", Some(true)),
            ("repository:a/b:pull,push repository:base:pull", Some(true)),
            ("repository:base:push", Some(false)),
            ("repository:prefix/a/b:pull", Some(false)),
            ("aws", None),
            ("", None),
        ] {
            assert_eq!(covered(asked, &ours), fits, "{asked}");
        }
    }
}
