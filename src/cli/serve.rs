//! `nodelith serve`: the files of an export by HTTP.

use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::args::{Serve, ServeLog};
use super::{Context, Outcome};
use crate::error::{Error, Kind, Result};
use crate::http::runtime;
use crate::serve::{LogFormat, Options, Server};

pub(super) fn run(context: &Context, arguments: &Serve) -> Result<Outcome> {
    let log = match arguments.log {
        Some(ServeLog::Text) => LogFormat::Text,
        Some(ServeLog::Common) => LogFormat::Common,
        Some(ServeLog::Json) => LogFormat::Json,
        None if context.global.json => LogFormat::Json,
        None => LogFormat::Text,
    };
    let options = Options {
        bundle: arguments.bundle.clone(),
        listen: arguments.listen,
        nodes: arguments.nodes.clone(),
        log: (!context.global.quiet).then_some(log),
    };
    let server = Server::bind(options, context.report.clone())?;
    let url = format!("http://{}/", server.address());
    let stop = asked_to_end()?;
    context.print(
        &json!({"schema": "nodelith.serve", "version": 1, "url": url}),
        &url,
    )?;
    server.run(stop)?;
    Ok(Outcome::Done)
}

/// Comes to its end when SIGTERM or SIGINT comes. Both are taken note of from now on, so
/// that whoever has read the address can end us.
fn asked_to_end() -> Result<impl Future<Output = ()>> {
    let _context = runtime()?.enter();
    let listen = |kind| {
        let failed = |error| Error::new(Kind::Io, format!("listening to signals: {error}"));
        signal(kind).map_err(failed)
    };
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
