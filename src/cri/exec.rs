//! `exec`: runs a command in containers.
//!
//! Without `-i` the runtime is asked for the whole result at once (`ExecSync`),
//! with it the command is joined through the runtime's streaming server.

mod stream;

use std::io::IsTerminal;
use std::time::Duration;

use super::args::{ContainerFilter, Exec};
use super::client::Session;
use super::proto::{ExecRequest, ExecSyncRequest};
use super::{containers, say};
use crate::error::{Error, Kind, Result};

/// Runs the command and returns its exit status: the first that is not 0.
pub async fn exec(session: &mut Session, mut arguments: Exec) -> Result<u8> {
    let filtered = filter(&arguments);
    let ids = match &filtered {
        None => vec![arguments.words.remove(0)],
        Some(filter) => {
            let found = containers::found(session, "", filter).await?;
            found.into_iter().map(|container| container.id).collect()
        }
    };
    let refuse = |message: &str| Err(Error::new(Kind::Usage, message));
    if ids.is_empty() {
        return refuse("No containers found per filter flags");
    }
    if arguments.words.is_empty() {
        return refuse("there is no command to run");
    }
    if arguments.tty && !arguments.interactive {
        return refuse("--tty goes with --interactive");
    }
    if arguments.tty && !std::io::stdin().is_terminal() {
        return refuse("input is not a terminal");
    }
    if arguments.interactive && arguments.sync {
        return refuse("--sync does not go with --interactive");
    }
    let mut status = 0;
    for id in ids {
        if filtered.is_some() && !arguments.quiet {
            say::print(&format!("{id}:\n"))?;
        }
        let done = match arguments.interactive {
            true => interactive(session, &id, &arguments).await,
            false => sync(session, &id, &arguments).await,
        };
        match done {
            Ok(0) => {}
            Ok(_) | Err(_) if arguments.ignore_errors => {}
            Ok(failed) if status == 0 => status = failed,
            Ok(_) => {}
            Err(error) => {
                let doing = format!("execing command in container {id}");
                return Err(error.context(doing));
            }
        }
    }
    Ok(status)
}

/// The containers that flags name, if any do.
fn filter(arguments: &Exec) -> Option<ContainerFilter> {
    let filter = ContainerFilter {
        name: arguments.name.clone(),
        pod: arguments.pod.clone(),
        image: arguments.image.clone(),
        state: arguments.state.clone(),
        label: arguments.label.clone(),
        latest: arguments.latest,
        last: arguments.last,
        ..ContainerFilter::default()
    };
    let named = filter.name.is_some()
        || filter.pod.is_some()
        || filter.image.is_some()
        || filter.state.is_some()
        || !filter.label.is_empty()
        || filter.latest
        || filter.last > 0;
    named.then_some(filter)
}

async fn sync(session: &mut Session, id: &str, arguments: &Exec) -> Result<u8> {
    let request = ExecSyncRequest {
        container_id: id.to_owned(),
        cmd: arguments.words.clone(),
        timeout: arguments.timeout.into(),
    };
    let within = match arguments.timeout {
        0 => None,
        seconds => {
            let seconds = Duration::from_secs(seconds.into());
            Some(session.settings.timeout.saturating_add(seconds))
        }
    };
    let mut runtime = session.runtime().await?;
    let answer = runtime.call_within(request, within).await?;
    say::bytes(&mut std::io::stdout().lock(), &answer.stdout)?;
    say::bytes(&mut std::io::stderr().lock(), &answer.stderr)?;
    // A status is a byte; what a runtime reports beyond that is a failure all the same.
    Ok(u8::try_from(answer.exit_code).unwrap_or(u8::MAX))
}

async fn interactive(session: &mut Session, id: &str, arguments: &Exec) -> Result<u8> {
    let request = ExecRequest {
        container_id: id.to_owned(),
        cmd: arguments.words.clone(),
        tty: arguments.tty,
        stdin: true,
        stdout: true,
        stderr: !arguments.tty,
    };
    let answer = session.runtime().await?.call(request).await?;
    stream::join(&answer.url, arguments.tty).await
}
