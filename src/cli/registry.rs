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
    let access = options(&arguments.access);
    let options = Options {
        http: http::Options {
            retries: arguments.retries,
            retry_pause: arguments.retry_delay,
            read_timeout: arguments.timeout,
            ..access.http
        },
        chunk: chunk.unwrap_or(access.chunk),
        ..access
    };
    Ok(Registries::new(
        context.store()?,
        context.report.clone(),
        options,
    ))
}

/// What the arguments say of every registry.
pub(super) fn options(access: &args::Access) -> Options {
    let default = Options::default();
    Options {
        http: http::Options {
            ca_files: access.ca_file.clone(),
            ..default.http
        },
        plain_http: access.plain_http,
        auth_file: access.auth_file.clone(),
        mirrors: access.registry_mirror.clone(),
        ..default
    }
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
