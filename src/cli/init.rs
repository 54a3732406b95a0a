//! `nodelith init` and `nodelith schema`: how profiles begin, and what they may hold.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};

use super::args::Init;
use super::{Context, Outcome, print};
use crate::error::{Context as _, Error, Kind, Result};
use crate::profile::file::Architecture;
use crate::profile::init::starter;
use crate::profile::schema;
use crate::profile::value::{Name, Refusal};

pub(super) fn run(context: &Context, arguments: &Init) -> Result<Outcome> {
    let path = &arguments.profile;
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    let name = arguments.name.as_deref().or(stem).unwrap_or("node");
    let name: Name = name.to_owned().try_into().map_err(|why: Refusal| {
        Error::new(
            Kind::Usage,
            format!("`{name}` cannot be an image's name: {}", why.message),
        )
        .hint("give one with `--name`")
    })?;
    let text = starter(&name, host());
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = file.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            Error::new(Kind::Usage, format!("`{}` exists already", path.display()))
                .hint("give another name, or remove the file first")
        }
        _ => Error::io("writing", path, error),
    })?;
    file.write_all(text.as_bytes()).io("writing", path)?;
    let next = format!("wrote `{0}`; next: nodelith build {0}", path.display());
    context.report.note(&next);
    Ok(Outcome::Done)
}

pub(super) fn print_schema() -> Result<Outcome> {
    print(schema::text().trim_end())?;
    Ok(Outcome::Done)
}

fn host() -> Architecture {
    if cfg!(target_arch = "aarch64") {
        Architecture::Arm64
    } else {
        Architecture::Amd64
    }
}
