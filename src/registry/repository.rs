//! One request to one repository: authorised, its answer sorted into what is an
//! answer, what may pass, and what is a refusal told in words.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use reqwest::header::{CONTENT_LENGTH, HeaderName, LOCATION};
use reqwest::{Body, Method, Response, StatusCode, Url};
use serde::Deserialize;

use super::Inner;
use super::host::{Authorization, Host, joined};
use super::token::Scope;
use crate::error::{Error, Kind, Result};
use crate::http::{self, Retries, passing_status, redact, speaks_no_tls};

/// The greatest refusal that is read, in bytes.
const MOST_BYTES: u64 = 64 << 10;
/// The longest text of a registry that is shown.
const LONGEST_TEXT: usize = 300;

/// Why something was not done.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It may work later; the server may have said when.
    Passing {
        /// What happened.
        why: String,
        /// The pause that the server asked for.
        pause: Option<Duration>,
    },
    /// There is no use in trying again.
    Fatal(Error),
}

impl Trouble {
    pub(super) fn passing(why: &str) -> Self {
        Self::Passing {
            why: why.to_owned(),
            pause: None,
        }
    }

    /// A transfer's trouble, with whose it is.
    fn of(trouble: http::Trouble, whose: &str) -> Self {
        match trouble.into() {
            Self::Passing { why, pause } => Self::Passing {
                why: format!("{whose} {why}"),
                pause,
            },
            Self::Fatal(error) => {
                let why = error.message();
                let told = Error::new(error.kind(), format!("{whose} {why}"));
                Self::Fatal(match why.as_str() {
                    why if speaks_no_tls(why) => told.hint(
                        "it does not speak HTTPS: if it shall be plain HTTP, say `--plain-http`",
                    ),
                    why if why.contains("certificate") => {
                        told.hint("name the authority that signed its certificate with `--ca-file`")
                    }
                    _ => told,
                })
            }
        }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Fatal(error)
    }
}

impl From<http::Trouble> for Trouble {
    fn from(trouble: http::Trouble) -> Self {
        match trouble {
            http::Trouble::Passing { why, pause } => Self::Passing { why, pause },
            http::Trouble::Missing(why) | http::Trouble::Refused(why) => {
                Self::Fatal(Error::new(Kind::Network, why))
            }
            http::Trouble::Range => Self::passing("an answer to another question"),
        }
    }
}

/// The tries that one piece of work has.
pub(super) struct Tries<'a> {
    retries: Retries,
    inner: &'a Inner,
    what: String,
}

impl<'a> Tries<'a> {
    /// For what messages call `what`.
    pub(super) fn new(inner: &'a Inner, what: impl Into<String>) -> Self {
        Self {
            retries: Retries::new(&inner.options.http),
            inner,
            what: what.into(),
        }
    }

    /// Waits until it is time to try again. What has `moved` on has all its tries again.
    ///
    /// # Errors
    /// The trouble, if it will not pass or has not passed in all that time.
    pub(super) async fn again(&mut self, trouble: Trouble, moved: bool) -> Result<()> {
        let what = &self.what;
        let (why, pause) = match trouble {
            Trouble::Fatal(error) => return Err(error),
            Trouble::Passing { why, pause } => (why, pause),
        };
        let Some(pause) = self.retries.next(moved, pause) else {
            return Err(Error::new(Kind::Network, why).hint(
                "check the network and the proxy settings, or try later: what was moved so far is kept",
            ));
        };
        self.inner.report.note(&format!(
            "trying {what} again in {:.1} s: {why}",
            pause.as_secs_f64()
        ));
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

/// A repository of a registry.
#[derive(Debug, Clone)]
pub(super) struct Repository {
    pub inner: Arc<Inner>,
    pub host: Arc<Host>,
    /// Its name in the registry.
    pub name: String,
    /// The registry that the host is a mirror of.
    mirrored: Option<String>,
}

/// A request.
pub(super) struct Ask<'a> {
    pub method: Method,
    pub url: Url,
    pub scope: Scope,
    pub headers: &'a [(HeaderName, String)],
    /// Makes the body, for each time that it is sent, with its length.
    pub body: Option<&'a (dyn Fn() -> Result<(Body, u64)> + Send + Sync)>,
    /// How far the body is on its way.
    pub sent: Option<&'a AtomicU64>,
    /// How much longer than usual the server may take to answer.
    pub grace: Duration,
}

impl Ask<'_> {
    /// A request without a body.
    pub(super) fn new(method: Method, url: Url, scope: Scope) -> Self {
        Self {
            method,
            url,
            scope,
            headers: &[],
            body: None,
            sent: None,
            grace: Duration::ZERO,
        }
    }
}

impl Repository {
    pub(super) fn new(inner: &Arc<Inner>, host: Arc<Host>, name: &str) -> Self {
        Self {
            inner: Arc::clone(inner),
            host,
            name: name.to_owned(),
            mirrored: None,
        }
    }

    /// The same, as a mirror of a registry (`ns`, as containerd tells its mirrors).
    pub(super) fn of(mut self, registry: &str) -> Self {
        self.mirrored = Some(registry.to_owned());
        self
    }

    /// Whether it is a mirror's.
    pub(super) fn is_mirror(&self) -> bool {
        self.mirrored.is_some()
    }

    /// Registry and name, for messages.
    pub(super) fn shown(&self) -> String {
        format!("{}/{}", self.host.name, self.name)
    }

    /// Reading.
    pub(super) fn pull(&self) -> Scope {
        Scope::pull(&self.name)
    }

    /// Writing.
    pub(super) fn push(&self) -> Scope {
        Scope::push(&self.name)
    }

    /// The address of something in it.
    pub(super) async fn url(&self, path: &str) -> Result<Url, Trouble> {
        let base = self.host.base(&self.inner).await?;
        let mut url = joined(base, &format!("/v2/{}/{path}", self.name))?;
        if let Some(registry) = &self.mirrored {
            url.query_pairs_mut().append_pair("ns", registry);
        }
        Ok(url)
    }

    /// Sends a request. What comes is an answer, though it may be a no: everything
    /// but troubles that may pass, and refusals of who we are.
    pub(super) async fn send(&self, ask: &Ask<'_>) -> Result<Response, Trouble> {
        // Unknown, then known, then known anew when it has expired.
        const MOST_ASKED: u32 = 3;
        let client = self.inner.client()?;
        // Where an upload goes on is the registry's to say; who we are is not for others.
        let ours = self.host.owns(&ask.url);
        for asked in 1..=MOST_ASKED {
            let shown = match ours {
                true => {
                    self.host
                        .authorization(&self.inner, &self.name, &ask.scope)
                        .await?
                }
                false => Authorization::Nothing,
            };
            let mut request = client.request(ask.method.clone(), &ask.url)?;
            for (name, value) in ask.headers {
                request = request.header(name, value);
            }
            if let Some(body) = ask.body {
                let (body, length) = body()?;
                request = request.header(CONTENT_LENGTH, length).body(body);
            }
            let request = shown.on(request);
            let response = client
                .send(request, ask.sent, ask.grace)
                .await
                .map_err(|trouble| Trouble::of(trouble, &format!("`{}`:", self.host.name)))?;
            let status = response.status();
            if let Some(trouble) = passing_status(status, response.headers()) {
                return Err(Trouble::of(trouble, &format!("`{}` says", self.host.name)));
            }
            if status != StatusCode::UNAUTHORIZED {
                return Ok(response);
            }
            // Whoever it redirects to is to learn nothing.
            let is_answer = ours && self.host.owns(response.url());
            let learned = is_answer
                && self
                    .host
                    .learn(response.headers(), &ask.scope, &shown)
                    .await;
            let spent = match &shown {
                Authorization::Nothing => asked > 1,
                Authorization::Basic(..) => true,
                Authorization::Bearer(_) => asked >= MOST_ASKED,
            };
            if !learned || spent {
                return Err(self.refused(response).await);
            }
        }
        Err(Trouble::passing("no answer"))
    }

    /// What an answer that is a no says.
    pub(super) async fn refused(&self, mut response: Response) -> Trouble {
        let status = response.status();
        let text = self.words(&mut response).await;
        let error = Error::new(Kind::Network, format!("`{}` says {text}", self.host.name));
        Trouble::Fatal(match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                match self.host.login_file(&self.name).await {
                    Some(file) => error.hint(format!(
                        "the credentials of `{file}` do not allow this: log in again, or as someone else"
                    )),
                    None => error.hint(format!(
                        "log in with `docker login {0}` or `podman login {0}`: no credentials were found for it",
                        self.host.name
                    )),
                }
            }
            StatusCode::PAYLOAD_TOO_LARGE => error.hint(
                "something on the way takes no body so large: choose a smaller `--chunk-size`",
            ),
            _ => error,
        })
    }

    /// Status and message of a refusal, on one line and without secrets.
    pub(super) async fn words(&self, response: &mut Response) -> String {
        let status = response.status();
        let bytes = match self.inner.client() {
            Ok(client) => http::bytes(client, response, MOST_BYTES).await,
            Err(_) => Ok(Vec::new()),
        };
        let text = said(status, &bytes.unwrap_or_default());
        self.host.without_secrets(text).await
    }

    /// Where a registry says that something goes on (`Location`), which may be another
    /// host, but not one in plain HTTP after HTTPS.
    pub(super) fn location(&self, response: &Response) -> Result<Url, Trouble> {
        let refused = |why: &str| {
            let message = format!("`{}` leads nowhere: {why}", self.host.name);
            Trouble::Fatal(Error::new(Kind::Network, message))
        };
        let location = response.headers().get(LOCATION);
        let location = location.and_then(|value| value.to_str().ok());
        let location = location.ok_or_else(|| refused("it gives no location"))?;
        let asked = response.url();
        let mut url = asked
            .join(location)
            .map_err(|error| refused(&error.to_string()))?;
        if asked.scheme() == "https" && url.scheme() == "http" {
            // Registries behind a proxy often do not know that they have HTTPS.
            let same = url.host_str() == asked.host_str();
            let port = asked.port();
            let secured = same && url.set_scheme("https").is_ok() && url.set_port(port).is_ok();
            if !secured {
                return Err(refused(&format!("{} is not HTTPS", redact(url.as_str()))));
            }
        }
        match url.scheme() {
            "http" | "https" if url.has_host() => Ok(url),
            _ => Err(refused("its location is no address")),
        }
    }
}

#[derive(Deserialize)]
struct Refusal {
    errors: Vec<Reason>,
}

#[derive(Deserialize)]
struct Reason {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// Status and, where the body has the form of the specification ("Error Codes"),
/// its first code and message, on one line.
pub(super) fn said(status: StatusCode, body: &[u8]) -> String {
    let refusal: Option<Refusal> = serde_json::from_slice(body).ok();
    let reason = refusal.and_then(|refusal| refusal.errors.into_iter().next());
    let Some(Reason { code, message }) = reason else {
        return status.to_string();
    };
    let text = [code, message].join(": ");
    let text: String = text
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .take(LONGEST_TEXT)
        .collect();
    match text.trim_matches([':', ' ']) {
        "" => status.to_string(),
        text => format!("{status}: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_in_words() {
        let status = StatusCode::NOT_FOUND;
        for (body, words) in [
            (
                r#"{"errors":[{"code":"NAME_UNKNOWN","message":"not\nknown","detail":{}}]}"#,
                "404 Not Found: NAME_UNKNOWN: not known",
            ),
            (r#"{"errors":[{"code":"DENIED"}]}"#, "404 Not Found: DENIED"),
            (r#"{"errors":[]}"#, "404 Not Found"),
            ("<html>", "404 Not Found"),
            ("", "404 Not Found"),
        ] {
            assert_eq!(said(status, body.as_bytes()), words, "{body}");
        }
        let long = format!(r#"{{"errors":[{{"code":"{}"}}]}}"#, "x".repeat(5000));
        assert!(said(status, long.as_bytes()).len() < 400);
    }
}
