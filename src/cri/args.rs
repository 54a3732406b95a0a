//! The command line: crictl's verbs and flags, as far as they are answered here.

mod lists;
mod made;

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

pub use lists::*;
pub use made::*;

/// A small client for container runtimes that speak CRI v1, with crictl's command line.
#[derive(Debug, Parser)]
#[command(
    name = "crictl",
    version,
    disable_version_flag = true,
    max_term_width = 100,
    after_help = "crictl's other verbs (attach, port-forward, stats and more) are not answered here."
)]
pub struct Arguments {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub verb: Verb,
}

/// What stands before the verb.
#[derive(Debug, Args)]
pub struct Global {
    /// Configuration file [default: /etc/crictl.yaml, then crictl.yaml beside the program]
    #[arg(long, short, env = "CRI_CONFIG_FILE", hide_env_values = true)]
    pub config: Option<PathBuf>,
    /// Socket of the runtime, as in `unix:///run/containerd/containerd.sock`
    #[arg(
        long,
        short,
        env = "CONTAINER_RUNTIME_ENDPOINT",
        hide_env_values = true
    )]
    pub runtime_endpoint: Option<String>,
    /// Socket of the image service [default: the runtime's]
    #[arg(long, short, env = "IMAGE_SERVICE_ENDPOINT", hide_env_values = true)]
    pub image_endpoint: Option<String>,
    /// How long to wait for an answer, as in 2s or 1m30s [default: 2s]
    #[arg(long, short, value_parser = duration, allow_hyphen_values = true)]
    pub timeout: Option<Duration>,
    /// Say what is asked and what comes back
    #[arg(long, short = 'D')]
    pub debug: bool,
    /// How often to try again when the runtime does not listen yet; below 0 is without end [default: 0]
    #[arg(long, allow_hyphen_values = true)]
    pub max_retries: Option<i64>,
    /// Print the version
    #[arg(long, short = 'v', action = ArgAction::Version)]
    pub version: Option<bool>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Print the settings of the configuration file
    Config(Config),
    /// Create a container in a pod
    Create(Create),
    /// Run a command in a running container
    Exec(Exec),
    /// List images
    #[command(aliases = ["image", "img"])]
    Images(Images),
    /// Print a runtime's status and configuration
    Info(Info),
    /// Print the status of containers
    Inspect(Inspect),
    /// Print the status of images
    Inspecti(Inspecti),
    /// Print the status of pods
    Inspectp(Inspectp),
    /// Print a container's log
    Logs(Logs),
    /// List pods
    Pods(Pods),
    /// List containers
    Ps(Ps),
    /// Pull an image
    Pull(Pull),
    /// Remove containers
    Rm(Rm),
    /// Remove images, each with all its names
    Rmi(Rmi),
    /// Remove pods
    Rmp(Rmp),
    /// Run a pod with one container
    Run(Run),
    /// Run a pod
    Runp(Runp),
    /// Print what the runtime tells a kubelet about itself
    RuntimeConfig,
    /// Start containers that were created
    Start(Start),
    /// Stop running containers
    Stop(Stop),
    /// Stop running pods
    Stopp(Stopp),
    /// Print the runtime's version
    Version,
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Json,
    Yaml,
    Table,
    #[value(hide = true)]
    GoTemplate,
}

#[derive(Debug, Args)]
pub struct Config {
    /// Print one setting
    #[arg(long, value_name = "KEY", conflicts_with = "list")]
    pub get: Option<String>,
    /// Print all settings
    #[arg(long)]
    pub list: bool,
    #[arg(long, hide = true, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    #[arg(hide = true)]
    pub pair: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Info {
    /// json or yaml
    #[arg(long, short, value_enum, default_value = "json")]
    pub output: Output,
    /// Without the runtime's configuration
    #[arg(long, short)]
    pub quiet: bool,
}

#[derive(Debug, Args)]
pub struct Start {
    #[arg(value_name = "CONTAINER", required = true)]
    pub ids: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Stop {
    #[arg(
        value_name = "CONTAINER",
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    pub ids: Vec<String>,
    /// Seconds that a container has to end by itself
    #[arg(long, short, default_value_t = 0)]
    pub timeout: u32,
    /// All running containers
    #[arg(long, short)]
    pub all: bool,
}

#[derive(Debug, Args)]
pub struct Rm {
    #[arg(value_name = "CONTAINER", required_unless_present = "all")]
    pub ids: Vec<String>,
    /// Stop them first
    #[arg(long, short)]
    pub force: bool,
    /// Keep their log files
    #[arg(long, short)]
    pub keep_logs: bool,
    /// All containers
    #[arg(long, short)]
    pub all: bool,
}

#[derive(Debug, Args)]
pub struct Rmi {
    #[arg(value_name = "IMAGE", required_unless_present_any = ["all", "prune"])]
    pub ids: Vec<String>,
    /// All images
    #[arg(long, short)]
    pub all: bool,
    /// All images that nothing uses, save pinned ones
    #[arg(long, short = 'q')]
    pub prune: bool,
}

#[derive(Debug, Args)]
pub struct Stopp {
    #[arg(value_name = "POD", required = true)]
    pub ids: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Rmp {
    #[arg(value_name = "POD", required_unless_present = "all")]
    pub ids: Vec<String>,
    /// Stop them first
    #[arg(long, short)]
    pub force: bool,
    /// All pods
    #[arg(long, short)]
    pub all: bool,
}

#[derive(Debug, Args)]
pub struct Logs {
    pub container: String,
    /// Go on while the container runs
    #[arg(long, short)]
    pub follow: bool,
    /// The log of the container before it
    #[arg(long, short)]
    pub previous: bool,
    /// Let the runtime open the file anew first
    #[arg(long, short)]
    pub reopen: bool,
    /// So many lines of the end
    #[arg(
        long,
        value_name = "LINES",
        allow_hyphen_values = true,
        conflicts_with = "stream"
    )]
    pub tail: Option<i64>,
    /// At most so many bytes
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    pub limit_bytes: Option<i64>,
    /// Since a time (2026-01-02T13:23:37Z, seconds since 1970) or for a while (42m)
    #[arg(long)]
    pub since: Option<String>,
    /// Print times
    #[arg(long, short)]
    pub timestamps: bool,
    /// Only stdout or stderr
    #[arg(long, short)]
    pub stream: Option<Stream>,
}

/// One of a container's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Stream {
    Stdout,
    Stderr,
}

#[derive(Debug, Args)]
pub struct Exec {
    /// A container, unless a filter names some, and the command
    #[arg(value_name = "CONTAINER COMMAND", required = true, num_args = 1.., trailing_var_arg = true, allow_hyphen_values = true)]
    pub words: Vec<String>,
    /// Ask for the whole result at once (this is what is done without -i)
    #[arg(long, short)]
    pub sync: bool,
    /// Seconds that the command has
    #[arg(long, default_value_t = 0)]
    pub timeout: u32,
    /// Give the command a terminal
    #[arg(long, short)]
    pub tty: bool,
    /// Pass standard input on
    #[arg(long, short)]
    pub interactive: bool,
    /// In all containers whose name this regular expression matches
    #[arg(long)]
    pub name: Option<String>,
    /// In all containers of this pod
    #[arg(long, short)]
    pub pod: Option<String>,
    /// In all containers of this image
    #[arg(long)]
    pub image: Option<String>,
    /// In all containers in this state
    #[arg(long)]
    pub state: Option<String>,
    /// In all containers with this label
    #[arg(long, value_name = "KEY=VALUE")]
    pub label: Vec<String>,
    /// In the container that was made last
    #[arg(long, short)]
    pub latest: bool,
    /// In the containers that were made last, so many
    #[arg(long, short = 'n', value_name = "NUMBER", default_value_t = 0)]
    pub last: usize,
    /// Do not print which container, where there are several
    #[arg(long, short)]
    pub quiet: bool,
    /// Go on when the command fails
    #[arg(long, short = 'e')]
    pub ignore_errors: bool,
    #[arg(long, short = 'r', hide = true)]
    pub transport: Option<String>,
}

/// A duration as Go writes it (`1m30s`), or whole seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse::<i64>() {
        return Ok(Duration::from_secs(seconds.max(0).unsigned_abs()));
    }
    let parsed: jiff::SignedDuration = text.parse().map_err(|_| {
        format!("`{text}` is not a duration; they are written as `500ms`, `20s` or `1m30s`")
    })?;
    Ok(parsed.try_into().unwrap_or(Duration::ZERO))
}
