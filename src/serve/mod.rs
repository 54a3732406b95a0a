//! A small HTTP server for what machines boot over a network: for labs and tests
//! (RFC 9110, 9112). It serves the files of one export, and nothing else.
//!
//! ```text
//! bundle   which files there are, by the export's description
//! range    which part of a file is asked for (pure)
//! nodes    words for one node's command line, from a folder
//! script   boot.ipxe for one node (pure)
//! answer   a request's answer
//! log      the access log
//! ```
//!
//! The description is read for each request: an export may be renewed while it is served.

mod answer;
mod bundle;
mod log;
mod nodes;
mod range;
mod script;

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;

use crate::error::{Context, Error, Kind, Result};
use crate::http::runtime;
use crate::report::Report;
use answer::Answerer;
use bundle::Bundle;
pub use log::Format as LogFormat;
use log::Log;

/// How long a client may take for a request's head, also between two of them.
const HEAD: Duration = Duration::from_secs(30);
/// How long answers may go on when the server is to end.
const LAST: Duration = Duration::from_secs(10);
/// The pause when no connection can be taken.
const FULL: Duration = Duration::from_millis(100);

/// What is served, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder of an export.
    pub bundle: PathBuf,
    /// Where to listen; port 0 for any that is free.
    pub listen: SocketAddr,
    /// A folder with words for the command lines of nodes.
    pub nodes: Option<PathBuf>,
    /// How requests are logged on standard error, if at all.
    pub log: Option<LogFormat>,
}

/// A server that listens, and answers once it runs.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    answerer: Arc<Answerer>,
}

impl Server {
    /// Looks at what is to be served and begins to listen.
    ///
    /// # Errors
    /// When the folder is no export with files for a network, the folder of nodes is none,
    /// or the address is taken.
    pub fn bind(options: Options, report: Report) -> Result<Self> {
        let bundle = Bundle::read(&options.bundle)?;
        bundle.is_for_a_network(&options.bundle)?;
        if let Some(nodes) = options.nodes.as_ref().filter(|nodes| !nodes.is_dir()) {
            let message = format!("`{}` is not a folder", nodes.display());
            return Err(Error::new(Kind::Usage, message)
                .hint("it has a file for each node, named by its MAC address or UUID"));
        }
        let failed = |error: std::io::Error| {
            let message = format!(
                "listening on {}: {}",
                options.listen,
                crate::error::plain(&error)
            );
            Error::new(Kind::Network, message).hint("choose another address with `--listen`")
        };
        let listener = TcpListener::bind(options.listen).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let answerer = Arc::new(Answerer {
            folder: options.bundle,
            nodes: options.nodes,
            log: Log::new(options.log),
            report,
        });
        Ok(Self {
            listener,
            address,
            answerer,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop` comes to its end, and then no longer than what was begun takes.
    ///
    /// # Errors
    /// When the system has no threads left.
    pub fn run(self, stop: impl Future<Output = ()>) -> Result<()> {
        let runtime = runtime()?;
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(self.listener);
            let listener = listener.io("listening on", self.address.to_string())?;
            accept(listener, &self.answerer, stop).await;
            Ok(())
        })
    }
}

async fn accept(
    listener: tokio::net::TcpListener,
    answerer: &Arc<Answerer>,
    stop: impl Future<Output = ()>,
) {
    let graceful = GracefulShutdown::new();
    tokio::pin!(stop);
    loop {
        let (stream, client) = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                // As when there are no more numbers for open files.
                Err(_) => {
                    tokio::time::sleep(FULL).await;
                    continue;
                }
            },
        };
        let answerer = Arc::clone(answerer);
        let service = service_fn(move |request| {
            let answerer = Arc::clone(&answerer);
            async move { Ok::<_, std::convert::Infallible>(answerer.answer(&request, client).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .serve_connection(TokioIo::new(stream), service);
        // What becomes of a connection is in the log.
        tokio::spawn(graceful.watch(connection));
    }
    drop(listener);
    let _ = tokio::time::timeout(LAST, graceful.shutdown()).await;
}
