//! `nodelith build`: a node image from a profile.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};

use super::args::{Build, SandboxMode};
use super::sources::{Setting, architectures};
use super::{Context, Outcome, print};
use crate::build::cache::Cache;
use crate::build::{self, Builder};
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::http;
use crate::image::{layout, manifest::Built};
use crate::layer::Compression;
use crate::profile::Profile;
use crate::profile::file;
use crate::registry::{Options, Registries};
use crate::report::{Table, human_bytes};
use crate::sandbox::{self, Mode};
use crate::store::Store;
use crate::tree::TreePath;

pub(super) fn run(context: &Context, arguments: &Build) -> Result<Outcome> {
    build(context, arguments)?;
    Ok(Outcome::Done)
}

/// Builds, prints what came of it, and gives the digest of the image, or of the index
/// of several.
pub(super) fn build(context: &Context, arguments: &Build) -> Result<Digest> {
    let profile = Profile::load(&arguments.subject.profile)?;
    let architectures = architectures(&profile, &arguments.subject.arch)?;
    let compression = compression(&profile, arguments.compression.as_deref())?;
    let output = match &arguments.output {
        Some(output) => output.clone(),
        None => PathBuf::from("out").join(&profile.name),
    };
    layout::check(&output)?;
    let store = context.store()?;
    let _use = store.in_use()?;
    let setting = Setting::new(
        context,
        &store,
        &profile,
        &arguments.sources,
        &architectures,
    )?;
    let lock = setting.settle_lock(&arguments.subject, &architectures, arguments.locked)?;
    let mirrors = || setting.mirrors();
    let releases = setting.provider()?;
    let images = setting.images()?;
    let registries = cache_registries(context, &store, arguments)?;
    let places = (
        &arguments.cache.cache_from[..],
        &arguments.cache.cache_to[..],
    );
    let cache = registries
        .as_ref()
        .map(|registries| Cache::new(&store, &context.report, registries, places));
    let builder = Builder {
        store: &store,
        report: &context.report,
        fetcher: &setting.fetcher,
        mirrors: &mirrors,
        releases: &releases,
        nix_root: &setting.nix_root,
        images: &images,
        sandbox: mode(arguments.sandbox),
        threads: context.threads(),
        cache: cache.as_ref(),
        accept_findings: arguments.accept_findings.as_deref(),
    };
    let mut outcomes = Vec::new();
    for architecture in &architectures {
        let pinned = &lock.architecture[*architecture];
        setting.adopt_vendored(pinned)?;
        let outcome = builder.build(&profile, architecture, pinned, compression)?;
        outcomes.push((*architecture, outcome));
    }
    let images: Vec<Built> = outcomes.iter().map(|(_, one)| one.image.clone()).collect();
    let written = layout::write(&store, &output, Some(&profile.version), &images)?;
    let unchanged = written.unchanged && outcomes.iter().all(|(_, one)| one.unchanged);
    let summary = Summary {
        output: &output,
        digest: written.digest.to_string(),
        unchanged,
        outcomes: &outcomes,
    };
    if context.global.json {
        print(&format!("{:#}", summary.json()))?;
    } else if context.global.quiet {
        print(&summary.digest)?;
    } else {
        print(&summary.text())?;
    }
    Ok(written.digest)
}

/// How often a cache is asked again before the build goes on without it.
const CACHE_RETRIES: u32 = 2;

/// The registries of the caches, if there are any.
fn cache_registries(
    context: &Context,
    store: &Store,
    arguments: &Build,
) -> Result<Option<Registries>> {
    let (cache, sources) = (&arguments.cache, &arguments.sources);
    if cache.cache_from.is_empty() && cache.cache_to.is_empty() {
        return Ok(None);
    }
    if sources.offline {
        let message = "`--offline` forbids the network, which `--cache-from` and `--cache-to` need";
        return Err(Error::new(Kind::Usage, message).hint("leave one of them out"));
    }
    let access = super::registry::options(&sources.access);
    let options = Options {
        http: http::Options {
            retries: CACHE_RETRIES,
            ..access.http
        },
        // A mirror may not have what was given a moment ago.
        mirrors: Vec::new(),
        ..access
    };
    let report = context.report.clone();
    Ok(Some(Registries::new(store.clone(), report, options)))
}

/// Runs the sandbox's worker if this process was started as one.
pub(super) fn sandbox_worker() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != sandbox::VERB {
        return None;
    }
    let mode = arguments.next()?;
    Some(build::worker(&mode.to_string_lossy()))
}

fn mode(mode: SandboxMode) -> Mode {
    match mode {
        SandboxMode::Auto => Mode::Auto,
        SandboxMode::Userns => Mode::Userns,
        SandboxMode::Mountns => Mode::Mountns,
        SandboxMode::Chroot => Mode::Chroot,
    }
}

fn compression(profile: &Profile, asked: Option<&str>) -> Result<Compression> {
    if let Some(asked) = asked {
        return asked.parse().map_err(|error| {
            Error::new(Kind::Usage, format!("`--compression {asked}`: {error}"))
                .hint("for example: --compression gzip, --compression zstd:9, --compression none")
        });
    }
    let level = u8::try_from(profile.image.level).unwrap_or_default();
    Ok(match profile.image.compression {
        file::Compression::Zstd => Compression::Zstd { level },
        file::Compression::Gzip => Compression::Gzip { level },
        file::Compression::None => Compression::None,
    })
}

/// What is told at the end.
struct Summary<'a> {
    output: &'a Path,
    digest: String,
    unchanged: bool,
    outcomes: &'a [(&'a str, build::Outcome)],
}

/// Paths named in a message; there may be more.
const MOST_NAMED: usize = 10;

/// What became of paths of the base.
fn told(what: &str, paths: &[TreePath]) -> String {
    if paths.is_empty() {
        return String::new();
    }
    let named: Vec<_> = paths.iter().take(MOST_NAMED).collect();
    let named: Vec<_> = named.iter().map(|path| format!("/{path}")).collect();
    let more = match paths.len().saturating_sub(MOST_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{what} of the base: {}{more}\n", named.join(", "))
}

impl Summary<'_> {
    fn text(&self) -> String {
        let output = self.output.display();
        if self.unchanged {
            return format!("{output} is up to date\n{}", self.digest);
        }
        let mut text = String::new();
        for (architecture, outcome) in self.outcomes {
            let mut table = Table::new(&["LAYER", ">FILES", ">SIZE", ">COMPRESSED", ""]);
            let (mut files, mut size, mut compressed) = (0, 0, 0);
            for layer in &outcome.layers {
                files += layer.blob.files;
                size += layer.blob.uncompressed_size;
                compressed += layer.blob.size;
                table.row([
                    layer.blob.id.clone(),
                    layer.blob.files.to_string(),
                    human_bytes(layer.blob.uncompressed_size),
                    human_bytes(layer.blob.size),
                    if layer.reused { "reused" } else { "made" }.to_owned(),
                ]);
            }
            table.row([
                format!("{architecture}: {} layers", outcome.layers.len()),
                files.to_string(),
                human_bytes(size),
                human_bytes(compressed),
                String::new(),
            ]);
            text.push_str(&table.render());
            text.push('\n');
            if let Some(over) = &outcome.over {
                text.push_str(&told("replaced", &over.replaced));
                text.push_str(&told("removed", &over.removed));
            }
        }
        format!("{text}\n{output}\n{}", self.digest)
    }

    fn json(&self) -> Value {
        let images: Vec<_> = self
            .outcomes
            .iter()
            .map(|(architecture, outcome)| {
                let layers: Vec<_> = outcome
                    .layers
                    .iter()
                    .map(|layer| {
                        json!({
                            "id": layer.blob.id, "digest": layer.blob.digest,
                            "diff-id": layer.blob.diff_id, "files": layer.blob.files,
                            "size": layer.blob.uncompressed_size,
                            "compressed-size": layer.blob.size, "reused": layer.reused,
                        })
                    })
                    .collect();
                let mut image = json!({
                    "architecture": architecture, "digest": outcome.image.manifest.digest,
                    "unchanged": outcome.unchanged, "layers": layers,
                });
                if let Some(over) = &outcome.over {
                    image["base"] = json!({"replaced": over.replaced, "removed": over.removed});
                }
                image
            })
            .collect();
        json!({
            "schema": "nodelith.build", "version": 1, "output": self.output,
            "digest": self.digest, "unchanged": self.unchanged, "images": images,
        })
    }
}
