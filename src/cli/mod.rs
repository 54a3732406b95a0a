//! The command line: reads input, calls one stage, prints.
//!
//! Results go to standard output, messages to standard error.

pub mod args;
mod boot;
mod build;
mod check;
mod diff;
mod export;
mod failure;
mod fleet;
mod import;
mod init;
mod lock;
mod manual;
mod matrix;
mod nix_builder;
mod pull;
mod push;
mod registry;
mod render;
mod same_root;
mod serve;
mod show;
mod sources;
mod store;
mod vendor;
mod versions;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::Value;

use crate::error::{Error, Kind, Result};
use crate::report::{Mode, Report};
use crate::store::Store;
use args::{Arguments, Global, Verb};

/// Exit status when the work is done and found something to act on.
const FINDINGS: u8 = 1;

/// What a verb came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Done,
    Findings,
}

/// Does what the arguments say and returns the process's exit status.
#[must_use]
pub fn main(arguments: Arguments) -> ExitCode {
    let Arguments { global, verb } = arguments;
    let mode = match (global.json, global.quiet) {
        (true, _) => Mode::Json,
        (_, true) => Mode::Quiet,
        _ => Mode::Auto,
    };
    let context = Context {
        report: Report::new(mode),
        global,
    };
    match run(&context, verb) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Findings) => ExitCode::from(FINDINGS),
        Err(error) => {
            failure::tell(&error, &context.report);
            ExitCode::from(error.kind().exit_status())
        }
    }
}

/// Tells what is wrong with the arguments, or what `--help` and `--version` ask for.
#[must_use]
pub fn misused(error: &clap::Error) -> ExitCode {
    if error.use_stderr() && std::env::args_os().any(|argument| argument == "--json") {
        let error = failure::of_arguments(&error.render().to_string());
        failure::tell(&error, &Report::new(Mode::Json));
        return ExitCode::from(error.kind().exit_status());
    }
    error.exit()
}

fn run(context: &Context, verb: Verb) -> Result<Outcome> {
    context.start_threads()?;
    match verb {
        Verb::Build(arguments) => build::run(context, &arguments),
        Verb::Lock(arguments) => lock::run(context, &arguments),
        Verb::Vendor(arguments) => vendor::run(context, &arguments),
        Verb::Check(arguments) => check::run(context, &arguments),
        Verb::Show(arguments) => show::run(context, &arguments),
        Verb::Diff(arguments) => diff::run(context, &arguments),
        Verb::Export(arguments) => export::run(context, &arguments),
        Verb::SameRoot(arguments) => same_root::run(context, &arguments),
        Verb::Serve(arguments) => serve::run(context, &arguments),
        Verb::Boot(arguments) => boot::run(context, &arguments),
        Verb::Render(arguments) => render::run(context, &arguments),
        Verb::Push(arguments) => push::run(context, &arguments),
        Verb::Pull(arguments) => pull::run(context, &arguments),
        Verb::Fleet(arguments) => fleet::run(context, &arguments),
        Verb::Versions(arguments) => versions::run(context, &arguments),
        Verb::Matrix(arguments) => matrix::run(context, &arguments),
        Verb::Init(arguments) => init::run(context, &arguments),
        Verb::Import(arguments) => import::run(context, &arguments),
        Verb::Schema => init::print_schema(),
        Verb::Store(arguments) => store::run(context, &arguments),
        Verb::Completions(arguments) => manual::completions(&arguments),
        Verb::Man(arguments) => manual::pages(&arguments),
        Verb::NixBuilder => nix_builder::run(context),
    }
}

/// Runs the sandbox's worker if that is what this process was started for.
#[must_use]
pub fn sandbox_worker() -> Option<ExitCode> {
    build::sandbox_worker()
}

/// What every verb is given.
struct Context {
    global: Global,
    report: Report,
}

impl Context {
    /// The store that was asked for, or the user's.
    fn store(&self) -> Result<Store> {
        Store::open(match &self.global.store {
            Some(folder) => folder.clone(),
            None => default_store()?,
        })
    }

    fn threads(&self) -> usize {
        let all = std::thread::available_parallelism().map_or(1, usize::from);
        self.global.threads.map_or(all, usize::from)
    }

    fn start_threads(&self) -> Result<()> {
        rayon::ThreadPoolBuilder::new()
            .num_threads(self.threads())
            .build_global()
            .map_err(|error| Error::new(Kind::Io, format!("starting threads: {error}")))
    }

    /// Prints a result: as JSON where that was asked for, else as text.
    fn print(&self, json: &Value, text: &str) -> Result<()> {
        if self.global.json {
            print(&format!("{json:#}"))
        } else {
            print(text)
        }
    }
}

/// Prints a result on standard output, with a line end.
fn print(text: &str) -> Result<()> {
    let mut output = std::io::stdout().lock();
    match writeln!(output, "{text}").and_then(|()| output.flush()) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(|error| Error::new(Kind::Io, format!("writing output: {error}"))),
    }
}

/// `nodelith` in the user's cache folder (XDG Base Directory Specification).
fn default_store() -> Result<PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .map(|cache| cache.join("nodelith"))
        .ok_or_else(|| {
            Error::new(Kind::Usage, "there is no home folder to keep the store in")
                .hint("name a folder with `--store DIR` or NODELITH_STORE")
        })
}
