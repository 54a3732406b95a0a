//! A connection to a runtime: gRPC over a unix socket.

use std::error::Error as _;
use std::time::Duration;

use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use super::proto::Call;
use super::say;
use super::settings::Settings;
use crate::error::{Error, Kind, Result, plain};

/// Where runtimes listen, tried in order where nothing says which there is.
const ENDPOINTS: [&str; 3] = [
    "unix:///run/containerd/containerd.sock",
    "unix:///run/crio/crio.sock",
    "unix:///var/run/cri-dockerd.sock",
];

/// A runtime caps what a command prints at 16 MiB; there are two streams and a frame.
const LARGEST: usize = 40 << 20;

/// Waits between tries to connect: doubled each time, up to the second.
const WAITS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// The runtime and its image service, connected to when first asked.
pub struct Session {
    pub settings: Settings,
    runtime: Option<Client>,
    images: Option<Client>,
}

impl Session {
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            runtime: None,
            images: None,
        }
    }

    /// The runtime service.
    pub async fn runtime(&mut self) -> Result<Client> {
        if let Some(client) = &self.runtime {
            return Ok(client.clone());
        }
        let endpoint = &self.settings.runtime_endpoint;
        let client = self.connect("runtime", endpoint).await?;
        self.runtime = Some(client.clone());
        Ok(client)
    }

    /// The image service.
    pub async fn images(&mut self) -> Result<Client> {
        let endpoint = &self.settings.image_endpoint;
        if endpoint.is_empty() || *endpoint == self.settings.runtime_endpoint {
            return self.runtime().await;
        }
        if let Some(client) = &self.images {
            return Ok(client.clone());
        }
        let client = self.connect("image", endpoint).await?;
        self.images = Some(client.clone());
        Ok(client)
    }

    async fn connect(&self, what: &str, endpoint: &str) -> Result<Client> {
        let timeout = self.settings.timeout;
        if !endpoint.is_empty() {
            return retried(endpoint, timeout, self.settings.max_retries).await;
        }
        say::warning(&format!(
            "no {what} endpoint is set: trying [{}]; set one with --{what}-endpoint or in /etc/crictl.yaml",
            ENDPOINTS.join(" ")
        ));
        let mut failures = Vec::new();
        for endpoint in ENDPOINTS {
            match Client::connect(endpoint, timeout).await {
                Ok(client) => return Ok(client),
                Err(error) => failures.push(error),
            }
        }
        let error = failures.swap_remove(0);
        for other in failures {
            say::debug(|| other.message());
        }
        Err(error)
    }
}

async fn retried(endpoint: &str, timeout: Duration, retries: i64) -> Result<Client> {
    let (mut wait, longest) = WAITS;
    let mut tried = 0;
    loop {
        match Client::connect(endpoint, timeout).await {
            Err(error) if error.kind() == Kind::Network && (retries < 0 || tried < retries) => {
                tried += 1;
                say::debug(|| format!("{}; trying again in {wait:?}", error.message()));
                tokio::time::sleep(wait).await;
                wait = longest.min(wait * 2);
            }
            done => return done,
        }
    }
}

/// One service of a runtime. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    grpc: Grpc<Channel>,
    endpoint: String,
    timeout: Duration,
}

impl Client {
    async fn connect(endpoint: &str, timeout: Duration) -> Result<Self> {
        let path = path(endpoint)?;
        say::debug(|| format!("connecting to {path} within {timeout:?}"));
        let context = |error: Error| {
            let doing = format!(
                "validate service connection: validate CRI v1 API for endpoint {endpoint:?}"
            );
            error.context(doing)
        };
        let connecting = Endpoint::from_shared(format!("unix://{path}"))
            .map_err(|error| context(Error::new(Kind::Usage, error.to_string())))?;
        let channel = match tokio::time::timeout(timeout, connecting.connect()).await {
            Ok(Ok(channel)) => channel,
            Ok(Err(error)) => return Err(context(unavailable(path, &error))),
            Err(_) => return Err(context(late())),
        };
        Ok(Self {
            grpc: Grpc::new(channel).max_decoding_message_size(LARGEST),
            endpoint: endpoint.to_owned(),
            timeout,
        })
    }

    /// Asks, with the time that was set for answers.
    pub async fn call<Q: Call>(&mut self, request: Q) -> Result<Q::Answer> {
        self.call_within(request, Some(self.timeout)).await
    }

    /// Asks, with that and some more.
    pub async fn call_longer<Q: Call>(&mut self, request: Q, more: Duration) -> Result<Q::Answer> {
        let within = self.timeout.saturating_add(more);
        self.call_within(request, Some(within)).await
    }

    /// Asks, with a time of its own or without end.
    pub async fn call_within<Q: Call>(
        &mut self,
        request: Q,
        within: Option<Duration>,
    ) -> Result<Q::Answer> {
        say::debug(|| format!("{} {request:?}", Q::PATH));
        let asking = self.ask(request);
        let answer = match within {
            None => asking.await,
            Some(within) => match tokio::time::timeout(within, asking).await {
                Ok(answer) => answer,
                Err(_) => return Err(late()),
            },
        };
        let answer = answer.map_err(|status| self.failure(&status))?;
        say::debug(|| format!("{} answered {answer:?}", Q::PATH));
        Ok(answer)
    }

    async fn ask<Q: Call>(&mut self, request: Q) -> Result<Q::Answer, Status> {
        self.grpc
            .ready()
            .await
            .map_err(|error| Status::unavailable(error.to_string()))?;
        let answer = self
            .grpc
            .unary(
                Request::new(request),
                PathAndQuery::from_static(Q::PATH),
                ProstCodec::default(),
            )
            .await?;
        Ok(answer.into_inner())
    }

    fn failure(&self, status: &Status) -> Error {
        let error = rpc(status.code(), status.message());
        match status.code() {
            Code::Unimplemented => error.hint(format!(
                "{} does not serve CRI v1: its CRI plugin is off or failed to load, or it is one that speaks only v1alpha2 (containerd before 1.6)",
                self.endpoint
            )),
            _ => error,
        }
    }
}

/// The path of an endpoint: `unix:///path`, or the bare path.
fn path(endpoint: &str) -> Result<&str> {
    let path = match endpoint.split_once("://") {
        Some(("unix", path)) => path,
        None => endpoint.strip_prefix("unix:").unwrap_or(endpoint),
        Some(_) => "",
    };
    match path.starts_with('/') {
        true => Ok(path),
        false => {
            let message =
                format!("endpoint {endpoint:?}: only unix socket endpoints are supported");
            Err(Error::new(Kind::Usage, message)
                .hint("they are written as `unix:///run/containerd/containerd.sock`"))
        }
    }
}

fn unavailable(path: &str, error: &tonic::transport::Error) -> Error {
    let mut why = error.to_string();
    let mut source = error.source();
    let mut refused = None;
    while let Some(inner) = source {
        why = plain(&inner);
        refused = inner.downcast_ref::<std::io::Error>().or(refused);
        source = inner.source();
    }
    let desc = format!("connection error: dial unix {path}: connect: {why}");
    let error = rpc(Code::Unavailable, &desc);
    match refused.map(std::io::Error::kind) {
        Some(std::io::ErrorKind::PermissionDenied) => error.hint("only root may use this socket"),
        Some(std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused) => {
            error.hint("is the runtime running, and does it listen there?")
        }
        _ => error,
    }
}

fn late() -> Error {
    rpc(Code::DeadlineExceeded, "context deadline exceeded").hint("wait longer with `--timeout`")
}

/// A failure as gRPC's Go library words it.
fn rpc(code: Code, desc: &str) -> Error {
    let code = match code {
        // The others have Go's names.
        Code::Cancelled => "Canceled".to_owned(),
        code => format!("{code:?}"),
    };
    Error::new(
        Kind::Network,
        format!("rpc error: code = {code} desc = {desc}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_sockets() {
        for endpoint in ["unix:///a/b", "unix:/a/b", "/a/b"] {
            assert_eq!(path(endpoint).unwrap(), "/a/b");
        }
        for endpoint in ["tcp://1.2.3.4:5", "unix://a", "npipe:////x", "a", ""] {
            assert!(path(endpoint).is_err(), "{endpoint}");
        }
    }
}
