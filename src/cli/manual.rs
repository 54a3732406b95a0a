//! Completions and manual pages, made from the arguments themselves.

use std::fs;

use clap::CommandFactory as _;

use super::args::{Arguments, Completions, Man};
use super::{Outcome, print};
use crate::error::{Context as _, Error, Kind, Result};
use crate::store::write_atomic;

pub(super) fn completions(arguments: &Completions) -> Result<Outcome> {
    let mut script = Vec::new();
    let mut command = Arguments::command();
    clap_complete::generate(arguments.shell, &mut command, "nodelith", &mut script);
    let script = String::from_utf8(script)
        .map_err(|error| Error::new(Kind::Io, format!("making completions: {error}")))?;
    print(script.trim_end())?;
    Ok(Outcome::Done)
}

pub(super) fn pages(arguments: &Man) -> Result<Outcome> {
    fs::create_dir_all(&arguments.folder).io("making", &arguments.folder)?;
    let mut command = Arguments::command().disable_help_subcommand(true);
    command.build();
    let mut waiting = vec![("nodelith".to_owned(), command)];
    while let Some((name, command)) = waiting.pop() {
        for verb in command.get_subcommands() {
            waiting.push((format!("{name}-{}", verb.get_name()), verb.clone()));
        }
        let path = arguments.folder.join(format!("{name}.1"));
        let mut page = Vec::new();
        clap_mangen::Man::new(command.name(name))
            .date("")
            .render(&mut page)
            .io("making", &path)?;
        write_atomic(&path, &page)?;
    }
    Ok(Outcome::Done)
}
