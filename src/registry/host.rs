//! One registry: its address, and who we are to it (name and password, or tokens
//! by scope).

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use reqwest::{Method, RequestBuilder, Url};
use tokio::sync::{Mutex, OnceCell};

use super::Inner;
use super::challenge::Challenge;
use super::credentials::{self, Credential, Login};
use super::reference::DOCKER_HUB;
use super::repository::Trouble;
use super::token::{Scope, Token, covered, fetch};
use crate::error::{Error, Kind, Result};
use crate::http::{self, redact, speaks_no_tls};

/// How long a registry of this machine may take to show that it has TLS.
const PROBE: Duration = Duration::from_secs(3);

/// A registry's host.
pub(super) struct Host {
    /// As references name it.
    pub name: String,
    address: Address,
    base: OnceCell<Url>,
    state: Mutex<State>,
}

enum Address {
    /// This one.
    Known(Url),
    /// A registry of this machine, which may or may not have TLS.
    Local(Url),
}

#[derive(Default)]
struct State {
    challenge: Option<Challenge>,
    /// By scope.
    tokens: BTreeMap<Scope, Token>,
    /// By repository, since files may name one.
    logins: BTreeMap<String, Option<Login>>,
}

/// What a request shows.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Authorization {
    Nothing,
    Basic(String, String),
    Bearer(String),
}

impl Authorization {
    pub(super) fn on(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::Nothing => request,
            Self::Basic(name, password) => request.basic_auth(name, Some(password)),
            Self::Bearer(token) => request.bearer_auth(token),
        }
    }

    /// What must not be shown.
    pub(super) fn secret(&self) -> Option<&str> {
        match self {
            Self::Nothing => None,
            Self::Basic(_, secret) | Self::Bearer(secret) => Some(secret),
        }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Host({})", self.name)
    }
}

impl Host {
    /// The registry of this name.
    ///
    /// # Errors
    /// When no address can be made of the name.
    pub(super) fn new(name: &str, plain: bool) -> Result<Self> {
        let host = match name {
            DOCKER_HUB => "registry-1.docker.io",
            other => other,
        };
        let scheme = if plain { "http" } else { "https" };
        let url = Url::parse(&format!("{scheme}://{host}/")).map_err(|error| {
            Error::new(Kind::Usage, format!("`{name}` is no registry: {error}"))
        })?;
        let local = !plain && is_local(&url);
        Ok(Self {
            name: name.to_owned(),
            address: if local {
                Address::Local(url)
            } else {
                Address::Known(url)
            },
            base: OnceCell::new(),
            state: Mutex::default(),
        })
    }

    /// The mirror at this address, whatever path it has there.
    pub(super) fn mirror(url: &Url) -> Self {
        let mut base = url.clone();
        base.set_path("/");
        base.set_query(None);
        let port = base.port().map_or(String::new(), |port| format!(":{port}"));
        Self {
            name: format!("{}{port}", base.host_str().unwrap_or_default()),
            address: Address::Known(base),
            base: OnceCell::new(),
            state: Mutex::default(),
        }
    }

    /// The registry's address.
    pub(super) async fn base(&self, inner: &Inner) -> Result<&Url, Trouble> {
        self.base
            .get_or_try_init(|| async {
                match &self.address {
                    Address::Known(url) => Ok(url.clone()),
                    Address::Local(url) => self.probe(inner, url).await,
                }
            })
            .await
    }

    /// Finds out whether a registry of this machine has TLS.
    async fn probe(&self, inner: &Inner, secure: &Url) -> Result<Url, Trouble> {
        let client = inner.client()?;
        let request = client
            .request(Method::GET, &joined(secure, "v2/")?)
            .map(|request| client.send(request, None, Duration::ZERO));
        let has_tls = match request {
            Ok(answer) => match tokio::time::timeout(PROBE, answer).await {
                Ok(Ok(_)) => true,
                // A certificate that is not trusted is a certificate.
                Ok(Err(http::Trouble::Refused(why))) => !speaks_no_tls(&why),
                Ok(Err(_)) | Err(_) => false,
            },
            Err(_) => false,
        };
        if has_tls {
            return Ok(secure.clone());
        }
        let mut plain = secure.clone();
        if plain.set_scheme("http").is_err() {
            return Ok(secure.clone());
        }
        inner.report.note(&format!(
            "plain HTTP to `{}`, which is on this machine and has no TLS",
            self.name
        ));
        Ok(plain)
    }

    /// Whether an address is the registry's own.
    pub(super) fn owns(&self, url: &Url) -> bool {
        self.base
            .get()
            .is_some_and(|base| base.origin() == url.origin())
    }

    /// What to show for `scope` in a repository; nothing while nothing was asked for.
    pub(super) async fn authorization(
        &self,
        inner: &Inner,
        repository: &str,
        scope: &Scope,
    ) -> Result<Authorization, Trouble> {
        let mut state = self.state.lock().await;
        let Some(challenge) = state.challenge.clone() else {
            return Ok(Authorization::Nothing);
        };
        let login = self.login(inner, &mut state, repository)?;
        let (realm, service, asked) = match challenge {
            Challenge::Basic => {
                return match login.map(|login| login.credential) {
                    Some(Credential::Password(name, password)) => {
                        Ok(Authorization::Basic(name, password))
                    }
                    _ => Ok(Authorization::Nothing),
                };
            }
            Challenge::Bearer {
                realm,
                service,
                scope,
            } => (realm, service, scope),
        };
        if let Some(token) = state.tokens.get(scope)
            && token.until > Instant::now()
        {
            return Ok(Authorization::Bearer(token.secret.clone()));
        }
        let realm = self.realm(&realm)?;
        let mut scopes = scope.0.clone();
        // Some registries have names of their own for what we ask.
        if let Some(asked) = asked.filter(|asked| covered(asked, &scopes) == Some(false)) {
            scopes.extend(asked.split_whitespace().map(str::to_owned));
        }
        let credential = login.map(|login| login.credential);
        let token = fetch(inner, &realm, service.as_deref(), &scopes, credential).await?;
        let secret = token.secret.clone();
        state.tokens.insert(scope.clone(), token);
        Ok(Authorization::Bearer(secret))
    }

    /// Learns from a refusal what the registry wants to see; false when it says
    /// nothing that one could act on.
    pub(super) async fn learn(
        &self,
        headers: &HeaderMap,
        scope: &Scope,
        shown: &Authorization,
    ) -> bool {
        let offered = headers.get_all(WWW_AUTHENTICATE).iter();
        let Some(challenge) = Challenge::choose(offered.filter_map(|value| value.to_str().ok()))
        else {
            return false;
        };
        let mut state = self.state.lock().await;
        // Another request may have got a better one meanwhile.
        if let Some(secret) = shown.secret()
            && state
                .tokens
                .get(scope)
                .is_some_and(|token| token.secret == secret)
        {
            state.tokens.remove(scope);
        }
        state.challenge = Some(challenge);
        true
    }

    /// Where the credentials came from that were shown for a repository.
    pub(super) async fn login_file(&self, repository: &str) -> Option<String> {
        let state = self.state.lock().await;
        let login = state.logins.get(repository)?.as_ref()?;
        Some(login.file.display().to_string())
    }

    /// A text of the server's, unless it shows what must not be shown.
    pub(super) async fn without_secrets(&self, text: String) -> String {
        let state = self.state.lock().await;
        let tokens = state.tokens.values().map(|token| token.secret.as_str());
        let logins = state.logins.values().flatten();
        let mut secrets = tokens.chain(logins.map(|login| login.credential.secret()));
        match secrets.any(|secret| !secret.is_empty() && text.contains(secret)) {
            true => "(a message that repeats a secret)".into(),
            false => text,
        }
    }

    fn login(&self, inner: &Inner, state: &mut State, repository: &str) -> Result<Option<Login>> {
        if let Some(login) = state.logins.get(repository) {
            return Ok(login.clone());
        }
        let file = inner.options.auth_file.as_deref();
        let environment = |name: &str| std::env::var_os(name);
        // Helpers may take their time.
        let found = tokio::task::block_in_place(|| {
            credentials::find(file, &environment, &self.name, repository)
        })?;
        for warning in &found.warnings {
            inner.report.warning(warning);
        }
        if found.login.is_some()
            && let Some(base) = self.base.get()
            && base.scheme() == "http"
            && !is_local(base)
            && state.logins.values().all(Option::is_none)
        {
            inner.report.warning(&format!(
                "name and password go to `{}` in plain HTTP, for all to read",
                self.name
            ));
        }
        state
            .logins
            .insert(repository.to_owned(), found.login.clone());
        Ok(found.login)
    }

    /// The token server's address, to which a password may go.
    fn realm(&self, realm: &str) -> Result<Url, Trouble> {
        let refused = |why: &str| {
            let message = format!(
                "`{}` names a token server that cannot be used: {why}",
                self.name
            );
            Trouble::Fatal(Error::new(Kind::Network, message))
        };
        let url = match self.base.get() {
            Some(base) => base.join(realm),
            None => Url::parse(realm),
        };
        let url = url.map_err(|error| refused(&error.to_string()))?;
        let plain_is_fine = self.base.get().is_some_and(|base| base.scheme() == "http");
        match url.scheme() {
            "https" => Ok(url),
            "http" if plain_is_fine => Ok(url),
            _ => Err(refused(&format!(
                "{} is not HTTPS",
                redact(url.as_str()).escape_debug()
            ))),
        }
    }
}

/// Whether an address is this machine's own.
pub(super) fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// An address below a base.
pub(super) fn joined(base: &Url, path: &str) -> Result<Url, Trouble> {
    base.join(path).map_err(|error| {
        let message = format!("`{}`: {error}", redact(base.as_str()));
        Trouble::Fatal(Error::new(Kind::Network, message))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_this_machine() {
        for (url, local) in [
            ("https://localhost:5000/", true),
            ("https://127.3.2.1/", true),
            ("https://[::1]:5000/", true),
            ("https://localhost.example/", false),
            ("https://10.0.0.1/", false),
        ] {
            assert_eq!(is_local(&Url::parse(url).unwrap()), local, "{url}");
        }
    }
}
