//! Every argument of every verb. The order here is the order of the help text.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

mod boot;
mod ci;
mod export;
mod fleet;
mod look;
mod registry;
mod render;
mod serve;

pub use boot::{Boot, BootAccelerator, BootFormat, BootWay};
pub use ci::{Cache, Matrix, MatrixFormat};
pub use export::{Export, ExportFormat, Machine, SameRoot};
pub use fleet::{Fleet, FleetPlan, FleetStatus};
pub use look::{Check, CheckFiles, CheckFormat, Diff, FailOn, Import, Show};
pub use registry::{Access, Format, Pull, Push, Registry};
pub use render::Render;
pub use serve::{Serve, ServeLog};

/// Turns a short profile into an immutable Kubernetes node image.
#[derive(Debug, Parser)]
#[command(name = "nodelith", version, max_term_width = 100)]
#[command(
    after_help = "Exit status: 0 done, 1 findings, 2 usage or profile, 3 cannot resolve, \
    4 verification failed, 5 network, 6 sandbox, 7 input or output."
)]
pub struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What every verb takes.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Print results as JSON on standard output and events as JSON lines on standard error
    #[arg(long, global = true, display_order = 900)]
    pub json: bool,
    /// Print nothing but results, warnings and errors
    #[arg(
        long,
        short,
        global = true,
        display_order = 901,
        conflicts_with = "json"
    )]
    pub quiet: bool,
    /// Folder of the store [default: nodelith in the user's cache folder]
    #[arg(
        long,
        global = true,
        display_order = 902,
        value_name = "DIR",
        env = "NODELITH_STORE",
        hide_env_values = true
    )]
    pub store: Option<PathBuf>,
    /// Threads to use [default: one for each core]
    #[arg(long, global = true, display_order = 903, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Build a node image from a profile
    Build(Build),
    /// Make or renew a profile's lock
    Lock(Lock),
    /// Keep all that a lock names in a folder that builds can use as their only source
    Vendor(Vendor),
    /// Find what is wrong with a node image, anybody's
    Check(Check),
    /// Show what an image is made of
    Show(Show),
    /// Show what differs between two images, and what a node must download
    Diff(Diff),
    /// Make root images and archives from an image, for machines to boot
    Export(Export),
    /// Say whether images and root images have the same root
    SameRoot(SameRoot),
    /// Serve what machines boot over a network, in labs and tests
    Serve(Serve),
    /// Boot images in QEMU, and say whether they are nodes that run pods
    Boot(Boot),
    /// Render what provisions machines with an image, from templates
    Render(Render),
    /// Push an image to registries
    Push(Push),
    /// Pull an image from a registry into an OCI image layout
    Pull(Pull),
    /// Plan the replacement of a cluster's nodes, and see how far it is
    #[command(subcommand)]
    Fleet(Fleet),
    /// Say which containerd, pause and crictl go with which Kubernetes, and why
    Versions(Versions),
    /// List what profiles and architectures there are to build, for CI systems
    Matrix(Matrix),
    /// Write a small commented profile
    Init(Init),
    /// Make a profile of a node as it is: Docker's, kubelet's and containerd's settings
    Import(Import),
    /// Print the JSON schema of profiles
    Schema,
    /// Look into the store, or make room in it
    #[command(subcommand)]
    Store(Store),
    /// Print a completion script for a shell
    Completions(Completions),
    /// Write the manual pages into a folder
    Man(Man),
    /// Build what a derivation of `nix/` asks for; run by Nix alone
    #[command(hide = true)]
    NixBuilder,
}

/// Where packages, releases and images come from.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Sources")]
pub struct Sources {
    /// Base address of the Debian archive [default: the profile's, else the host's apt sources]
    #[arg(
        long,
        value_name = "URL",
        env = "NODELITH_MIRROR",
        hide_env_values = true
    )]
    pub mirror: Option<String>,
    /// Base address of the security archive [default: as for the mirror]
    #[arg(
        long,
        value_name = "URL",
        env = "NODELITH_SECURITY_MIRROR",
        hide_env_values = true
    )]
    pub security_mirror: Option<String>,
    /// Mirror that still has superseded packages, asked when the first one does not (repeatable)
    #[arg(
        long,
        value_name = "URL",
        env = "NODELITH_FALLBACK_MIRROR",
        hide_env_values = true,
        value_delimiter = ' '
    )]
    pub fallback_mirror: Vec<String>,
    /// File with the archive's signing keys (repeatable) [default: the host's Debian archive keyring]
    #[arg(
        long,
        value_name = "FILE",
        env = "NODELITH_KEYRING",
        hide_env_values = true,
        value_delimiter = ':'
    )]
    pub keyring: Vec<PathBuf>,
    /// Accept releases past their Valid-Until date; the lock records it
    #[arg(long)]
    pub ignore_valid_until: bool,
    /// Table of releases over the built-in one: mirrors, addresses, digests
    #[arg(
        long,
        value_name = "FILE",
        env = "NODELITH_RELEASES",
        hide_env_values = true
    )]
    pub releases: Option<PathBuf>,
    /// Local file in place of a release, `NAME:ARCH=FILE` for one architecture of several (repeatable)
    #[arg(long, value_name = "NAME=FILE")]
    pub component: Vec<String>,
    /// Root folder of the Nix store, as with Nix's own `--store` [default: /]
    #[arg(
        long,
        value_name = "DIR",
        env = "NODELITH_NIX_ROOT",
        hide_env_values = true
    )]
    pub nix_root: Option<PathBuf>,
    /// Folder made by `nodelith vendor`, used as the only source
    #[arg(
        long,
        value_name = "DIR",
        env = "NODELITH_VENDOR",
        hide_env_values = true
    )]
    pub vendor: Option<PathBuf>,
    /// Use no network: everything must be in the store or the vendor folder
    #[arg(long, env = "NODELITH_OFFLINE", hide_env_values = true, value_parser = clap::builder::FalseyValueParser::new())]
    pub offline: bool,
    #[command(flatten)]
    pub(crate) access: Access,
}

/// Which profile, lock and architectures.
#[derive(Debug, Clone, Args)]
pub struct Subject {
    /// The profile
    #[arg(value_name = "PROFILE")]
    pub profile: PathBuf,
    /// The lock [default: PROFILE with the ending `.lock.toml`]
    #[arg(long, value_name = "FILE")]
    pub lock: Option<PathBuf>,
    /// Architectures [default: the profile's]
    #[arg(long, value_name = "ARCH", value_delimiter = ',')]
    pub arch: Vec<String>,
}

/// Arguments of `build`.
#[derive(Debug, Args)]
pub struct Build {
    #[command(flatten)]
    pub(crate) subject: Subject,
    /// Folder of the OCI image layout [default: out/NAME]
    #[arg(long, short, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Refuse to make or change the lock
    #[arg(long)]
    pub locked: bool,
    /// Compression of the layers [default: the profile's, else zstd]
    #[arg(long, value_name = "NAME[:LEVEL]")]
    pub compression: Option<String>,
    /// How package scripts are run
    #[arg(
        long,
        value_enum,
        default_value_t,
        env = "NODELITH_SANDBOX",
        hide_env_values = true
    )]
    pub sandbox: SandboxMode,
    /// Build in spite of errors that the check finds; the image carries the reason
    #[arg(long, value_name = "REASON", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub accept_findings: Option<String>,
    #[command(flatten)]
    pub(crate) sources: Sources,
    #[command(flatten)]
    pub(crate) cache: Cache,
}

/// How package scripts are run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum SandboxMode {
    /// The best of those that work here
    #[default]
    Auto,
    /// In a user namespace with subordinate ids
    Userns,
    /// As root, in a mount namespace
    Mountns,
    /// As root, in a bare chroot with a system-call filter
    Chroot,
}

/// Arguments of `lock`.
#[derive(Debug, Args)]
pub struct Lock {
    #[command(flatten)]
    pub(crate) subject: Subject,
    /// Renew the lock: all packages and releases, or only those named
    #[arg(long, value_name = "NAME", num_args = 0.., conflicts_with = "outdated")]
    pub update: Option<Vec<String>>,
    /// Name what is newer in the archives and among releases than in the lock; exit status 1 if anything is
    #[arg(long)]
    pub outdated: bool,
    #[command(flatten)]
    pub(crate) sources: Sources,
}

/// Arguments of `vendor`.
#[derive(Debug, Args)]
pub struct Vendor {
    #[command(flatten)]
    pub(crate) subject: Subject,
    /// The folder
    #[arg(long, short, value_name = "DIR", default_value = "vendor")]
    pub output: PathBuf,
    #[command(flatten)]
    pub(crate) sources: Sources,
}

/// Arguments of `versions`.
#[derive(Debug, Args)]
pub struct Versions {
    /// A Kubernetes version, like `1.34` [default: all that are known]
    #[arg(value_name = "KUBERNETES")]
    pub kubernetes: Option<String>,
    /// A containerd version or line, with what to know of it
    #[arg(long, value_name = "VERSION")]
    pub containerd: Option<String>,
    /// Say what is supported on that day, like `2026-11-25`
    #[arg(long, value_name = "DATE")]
    pub date: Option<String>,
}

/// Arguments of `init`.
#[derive(Debug, Args)]
pub struct Init {
    /// The file to write
    #[arg(value_name = "PROFILE", default_value = "node.toml")]
    pub profile: PathBuf,
    /// Name of the image [default: the file's name]
    #[arg(long)]
    pub name: Option<String>,
}

/// Arguments of `store`.
#[derive(Debug, Subcommand)]
pub enum Store {
    /// Show what is in the store
    Show,
    /// Remove what no build has used for a while
    Prune(Prune),
}

/// Arguments of `store prune`.
#[derive(Debug, Args)]
pub struct Prune {
    /// Remove what was not used for this many days
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    pub older_than: u32,
    /// Only say what would be removed
    #[arg(long)]
    pub dry_run: bool,
}

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// Arguments of `man`.
#[derive(Debug, Args)]
pub struct Man {
    /// The folder
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}
