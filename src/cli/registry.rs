//! What verbs that deal with registries share.

use super::Context;
use super::args;
use crate::error::{Error, Kind, Result};
use crate::http;
use crate::image::Image;
use crate::registry::{Options, Reference, Registries, Wanted};

/// The registries as the arguments want them dealt with.
pub(super) fn registries(
    context: &Context,
    arguments: &args::Registry,
    chunk: Option<u64>,
) -> Result<Registries> {
    let default = Options::default();
    let options = Options {
        http: http::Options {
            ca_files: arguments.ca_file.clone(),
            retries: arguments.retries,
            retry_pause: arguments.retry_delay,
            read_timeout: arguments.timeout,
            ..default.http
        },
        plain_http: arguments.plain_http,
        auth_file: arguments.auth_file.clone(),
        mirrors: arguments.registry_mirror.clone(),
        chunk: chunk.unwrap_or(default.chunk),
    };
    Ok(Registries::new(
        context.store()?,
        context.report.clone(),
        options,
    ))
}

/// What is wanted of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    /// Its manifest and configuration.
    Metadata,
    /// Its layers too.
    All,
}

/// Opens an image of which one architecture is wanted. One of a registry comes into
/// the store first.
pub(super) fn open(
    context: &Context,
    name: &str,
    architecture: Option<&str>,
    arguments: &args::Registry,
    needs: Needs,
) -> Result<Image> {
    if !name.starts_with("docker://") {
        return Image::open(name, architecture);
    }
    let reference: Reference = name.parse()?;
    let registries = registries(context, arguments, None)?;
    let here = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    // What there is in one architecture only is meant whatever machine this is.
    let mut wanted = Wanted {
        architectures: architecture.map(str::to_owned).into_iter().collect(),
        without_layers: needs == Needs::Metadata,
    };
    if architecture.is_none() && registries.has_several(&reference)? {
        wanted.architectures.push(here.to_owned());
    }
    let pulled = registries.pull(&reference, &wanted)?;
    let Some(image) = pulled.images.into_iter().next() else {
        let message = format!("there is no image `{reference}`");
        return Err(Error::new(Kind::Resolve, message));
    };
    Image::in_store(name, &context.store()?, image, architecture)
}
