//! `nodelith fleet status`.

use std::time::{Duration, Instant};

use super::super::args::FleetStatus;
use super::super::{Context, Outcome, print};
use super::input;
use crate::error::{Error, Kind, Result};
use crate::fleet::status::{Status, html, json, table};
use crate::fleet::{Cluster, Rules};
use crate::store::write_atomic;

pub(super) fn run(context: &Context, arguments: &FleetStatus) -> Result<Outcome> {
    let rules = arguments.rules.as_deref().map(Rules::read).transpose()?;
    if arguments.watch {
        return watch(context, arguments, rules.as_ref());
    }
    let cluster = read(arguments)?;
    let status = Status::of(&cluster, rules.as_ref(), arguments.ignore_cordon);
    write_page(arguments, &status)?;
    context.print(&json(&status), &table(&status))?;
    Ok(outcome(&status))
}

/// Looks again and again until all is done or the time is up; prints what is new.
fn watch(context: &Context, arguments: &FleetStatus, rules: Option<&Rules>) -> Result<Outcome> {
    if arguments
        .files
        .iter()
        .any(|path| input::is_standard_input(path))
    {
        return Err(Error::new(Kind::Usage, "standard input cannot be watched")
            .hint("give `--command 'kubectl get nodes -o json'`, or files"));
    }
    let begun = Instant::now();
    let mut last = String::new();
    loop {
        match read(arguments) {
            Ok(cluster) => {
                let status = Status::of(&cluster, rules, arguments.ignore_cordon);
                let text = match context.global.json {
                    true => json(&status).to_string(),
                    false => table(&status),
                };
                if text != last {
                    write_page(arguments, &status)?;
                    let between = match last.is_empty() || context.global.json {
                        true => "",
                        false => "\n",
                    };
                    print(&format!("{between}{text}"))?;
                    last = text;
                }
                if status.is_done() {
                    return Ok(Outcome::Done);
                }
            }
            // Then it will not be better the next time.
            Err(error) if last.is_empty() => return Err(error),
            // A file may be half written, an API server may be restarting.
            Err(error) => context.report.warning(&error.to_string()),
        }
        let left = (arguments.timeout).map(|timeout| timeout.saturating_sub(begun.elapsed()));
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(Outcome::Findings);
        }
        std::thread::sleep(left.map_or(arguments.interval, |left| left.min(arguments.interval)));
    }
}

fn read(arguments: &FleetStatus) -> Result<Cluster> {
    let cluster = match &arguments.command {
        Some(line) => input::command(line)?,
        None => input::files(&arguments.files)?,
    };
    match cluster.nodes.is_empty() {
        true => Err(Error::new(Kind::Usage, "there are no nodes in the input")
            .hint("give what `kubectl get nodes -o json` prints")),
        false => Ok(cluster),
    }
}

fn write_page(arguments: &FleetStatus, status: &Status<'_>) -> Result<()> {
    let Some(path) = &arguments.html else {
        return Ok(());
    };
    let seconds = |interval: Duration| interval.as_secs().max(1);
    let refresh = (arguments.watch && !status.is_done()).then(|| seconds(arguments.interval));
    write_atomic(path, html(status, refresh).as_bytes())
}

fn outcome(status: &Status<'_>) -> Outcome {
    match status.is_done() {
        true => Outcome::Done,
        false => Outcome::Findings,
    }
}
