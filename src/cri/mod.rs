//! `nodelith-crictl`: a small client for container runtimes that speak CRI v1.
//!
//! **CRI** is the gRPC interface through which a kubelet drives a runtime such
//! as containerd. A **pod** (or pod sandbox) is what containers share: network,
//! cgroup, log folder. The client has crictl's command line, prints what crictl
//! prints (`docs/crictl.md` says where it differs), and stands in where
//! upstream's crictl cannot be had: in the boot proof, and in images whose
//! profile says `crictl.source = "builtin"`.
//!
//! [`main`] is all of it, but for the two readers that `tests/fuzz` tries. Nothing
//! else of the crate uses this module, and it uses nothing of the crate but the
//! error type, so that the program stays small.

mod args;
mod client;
mod containers;
mod document;
mod exec;
mod filter;
mod images;
mod inspect;
mod logs;
mod output;
mod pods;
mod proto;
mod run;
mod runtime;
mod say;
mod settings;
mod table;

use std::process::ExitCode;

use clap::Parser as _;

use crate::error::{Error, Kind, Result};
use args::{Arguments, Verb};
use client::Session;
use settings::Settings;

/// Reads a crictl.yaml.
///
/// # Errors
/// [`Kind::Usage`] with crictl's words.
pub fn read_settings(text: &str) -> Result<()> {
    settings::parse(text).map(drop)
}

/// Reads a pod's configuration and a container's, whatever the text is.
///
/// # Errors
/// [`Kind::Usage`] when it is neither.
pub fn read_document(text: &str) -> Result<()> {
    let pod = document::parse::<proto::PodSandboxConfig>(text);
    let container = document::parse::<proto::ContainerConfig>(text);
    pod.map(drop).or(container.map(drop))
}

/// crictl has one exit status for whatever goes wrong.
const FAILED: u8 = 1;

/// Does what the command line says. The exit status is 1 after any failure,
/// and that of the command after `exec`.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // A closed standard error must not turn into another failure.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { FAILED } else { 0 });
        }
    };
    let done = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::new(Kind::Io, format!("starting: {error}")))
        .and_then(|runtime| runtime.block_on(run(arguments)));
    match done {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            say::failure(&error);
            ExitCode::from(FAILED)
        }
    }
}

async fn run(arguments: Arguments) -> Result<u8> {
    let Arguments { global, verb } = arguments;
    if let Verb::Config(arguments) = verb {
        return settings::show(&global, &arguments).map(|()| 0);
    }
    let settings = Settings::new(&global)?;
    if settings.debug {
        say::debugging();
    }
    let session = &mut Session::new(settings);
    match verb {
        Verb::Exec(arguments) => return exec::exec(session, arguments).await,
        Verb::Config(_) => {}
        Verb::Version => runtime::version(session).await?,
        Verb::Info(arguments) => runtime::info(session, &arguments).await?,
        Verb::RuntimeConfig => runtime::config(session).await?,
        Verb::Pods(arguments) => pods::list(session, &arguments).await?,
        Verb::Runp(arguments) => run::runp(session, arguments).await?,
        Verb::Stopp(arguments) => pods::stop(session, arguments.ids).await?,
        Verb::Rmp(arguments) => pods::remove(session, arguments).await?,
        Verb::Inspectp(arguments) => inspect::pods(session, arguments).await?,
        Verb::Ps(arguments) => containers::list(session, &arguments).await?,
        Verb::Create(arguments) => run::create(session, arguments).await?,
        Verb::Start(arguments) => containers::start(session, arguments.ids).await?,
        Verb::Run(arguments) => run::run(session, arguments).await?,
        Verb::Stop(arguments) => containers::stop(session, arguments).await?,
        Verb::Rm(arguments) => containers::remove(session, arguments).await?,
        Verb::Inspect(arguments) => inspect::containers(session, arguments).await?,
        Verb::Logs(arguments) => logs::logs(session, &arguments).await?,
        Verb::Images(arguments) => images::list(session, &arguments).await?,
        Verb::Pull(arguments) => run::pull(session, arguments).await?,
        Verb::Rmi(arguments) => images::remove(session, arguments).await?,
        Verb::Inspecti(arguments) => inspect::images(session, arguments).await?,
    }
    Ok(0)
}
