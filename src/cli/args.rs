//! Every argument of every verb. The order here is the order of the help text.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::registry::{Mirror, Reference};

mod ci;

pub use ci::{Cache, Matrix, MatrixFormat};

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
    /// File with further certificate authorities for downloads (repeatable)
    #[arg(
        long,
        value_name = "FILE",
        env = "NODELITH_CA_FILE",
        hide_env_values = true,
        value_delimiter = ':'
    )]
    pub ca_file: Vec<PathBuf>,
    /// Speak plain HTTP to registries; one on this machine without TLS is spoken to so anyway
    #[arg(long, env = "NODELITH_PLAIN_HTTP", hide_env_values = true, value_parser = clap::builder::FalseyValueParser::new())]
    pub plain_http: bool,
    /// File with credentials for registries [default: podman's and docker's own]
    #[arg(
        long,
        value_name = "FILE",
        env = "NODELITH_AUTH_FILE",
        hide_env_values = true
    )]
    pub auth_file: Option<PathBuf>,
    /// What to ask for images before a registry (repeatable)
    #[arg(
        long,
        value_name = "REGISTRY=URL",
        env = "NODELITH_REGISTRY_MIRROR",
        hide_env_values = true,
        value_delimiter = ' '
    )]
    pub registry_mirror: Vec<Mirror>,
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

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct Check {
    /// A profile, an image (named as for `show`), a root directory, or a tar archive of one
    #[arg(value_name = "TARGET")]
    pub target: Option<String>,
    /// Architecture, where the target has several
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<String>,
    /// The lock of a profile [default: PROFILE with the ending `.lock.toml`]
    #[arg(long, value_name = "FILE")]
    pub lock: Option<PathBuf>,
    /// Day for which support is judged [default: today]
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub date: Option<jiff::civil::Date>,
    /// File of findings that are accepted
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// The least finding for which the exit status is 1
    #[arg(long, value_enum, value_name = "SEVERITY", default_value_t)]
    pub fail_on: FailOn,
    /// How findings are printed
    #[arg(long, value_enum, default_value_t)]
    pub format: CheckFormat,
    /// Say what a rule is about
    #[arg(long, value_name = "ID", conflicts_with_all = ["target", "list", "baseline", "date"])]
    pub explain: Option<String>,
    /// List all rules
    #[arg(long, conflicts_with = "target")]
    pub list: bool,
    #[command(flatten)]
    pub(crate) files: CheckFiles,
    #[command(flatten)]
    pub(crate) registry: Registry,
}

/// Loose files to look at, and versions that are known.
#[derive(Debug, Args)]
#[command(next_help_heading = "Files and versions")]
pub struct CheckFiles {
    /// containerd's config.toml
    #[arg(long, value_name = "FILE")]
    pub containerd_config: Option<PathBuf>,
    /// kubelet's flags: a file that holds them, or the flags themselves
    #[arg(long, value_name = "FILE|FLAGS", allow_hyphen_values = true)]
    pub kubelet_flags: Option<String>,
    /// kubelet's configuration
    #[arg(long, value_name = "FILE")]
    pub kubelet_config: Option<PathBuf>,
    /// crictl's configuration
    #[arg(long, value_name = "FILE")]
    pub crictl_config: Option<PathBuf>,
    /// containerd's version, where the target does not say or is wrong
    #[arg(long, value_name = "VERSION")]
    pub containerd_version: Option<crate::compat::Version>,
    /// Kubernetes' version, where the target does not say or is wrong
    #[arg(long, value_name = "VERSION")]
    pub kubernetes_version: Option<crate::compat::Version>,
    /// crictl's version, where the target does not say or is wrong
    #[arg(long, value_name = "VERSION")]
    pub crictl_version: Option<crate::compat::Version>,
}

/// Arguments of `nodelith import`.
#[derive(Debug, Args)]
pub struct Import {
    /// The node: its root directory, or an archive of it
    pub node: Option<PathBuf>,
    /// Where the profile goes; its name is the image's
    #[arg(long, short, value_name = "FILE", default_value = "imported.toml")]
    pub output: PathBuf,
    /// Replace a profile that is there
    #[arg(long)]
    pub force: bool,
    /// Print the script that gathers a node's files into an archive, without secrets
    #[arg(long, conflicts_with = "node")]
    pub collect: bool,
    /// Architecture of the new node [default: amd64]
    #[arg(long, value_name = "ARCHITECTURE")]
    pub arch: Option<String>,
    /// Debian's suite [default: one whose containerd goes with the Kubernetes]
    #[arg(long)]
    pub suite: Option<String>,
    /// Kubernetes' version of the new node [default: the old one's]
    #[arg(long, value_name = "VERSION")]
    pub kubernetes: Option<crate::compat::Version>,
    /// Docker's daemon.json
    #[arg(long, value_name = "FILE", help_heading = "Single files")]
    pub docker_config: Option<PathBuf>,
    /// containerd's config.toml
    #[arg(long, value_name = "FILE", help_heading = "Single files")]
    pub containerd_config: Option<PathBuf>,
    /// kubelet's flags: a file that holds them, or the flags themselves
    #[arg(
        long,
        value_name = "FILE|FLAGS",
        allow_hyphen_values = true,
        help_heading = "Single files"
    )]
    pub kubelet_flags: Option<String>,
    /// kubelet's configuration
    #[arg(long, value_name = "FILE", help_heading = "Single files")]
    pub kubelet_config: Option<PathBuf>,
    /// crictl's configuration
    #[arg(long, value_name = "FILE", help_heading = "Single files")]
    pub crictl_config: Option<PathBuf>,
}

/// The least finding that fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// What keeps the node from working
    #[default]
    Error,
    /// What works now and fails later, too
    Warning,
    /// What is worth knowing, too
    Note,
    /// Nothing
    Never,
}

/// How findings are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    /// For people
    #[default]
    Table,
    /// As `--json`
    Json,
    /// SARIF 2.1.0, for code hosts
    Sarif,
    /// JUnit, for build servers
    Junit,
    /// The catalogue as a page
    #[value(hide = true)]
    Markdown,
}

/// Arguments of `show`.
#[derive(Debug, Args)]
pub struct Show {
    /// An image: `oci:DIR[:TAG]`, `oci-archive:FILE`, `docker://REF`, or a path
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// Architecture, where the image has several
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<String>,
    /// List the packages too
    #[arg(long)]
    pub packages: bool,
    /// List every file too
    #[arg(long)]
    pub files: bool,
    #[command(flatten)]
    pub(crate) registry: Registry,
}

/// Arguments of `diff`.
#[derive(Debug, Args)]
pub struct Diff {
    /// The image that a node has, named as for `show`
    #[arg(value_name = "A")]
    pub before: String,
    /// The image that it shall have
    #[arg(value_name = "B")]
    pub after: String,
    /// Architecture, where the images have several
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<String>,
    /// Exit with status 1 if anything differs
    #[arg(long)]
    pub exit_code: bool,
    #[command(flatten)]
    pub(crate) registry: Registry,
}

/// How to deal with registries.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Registry")]
pub struct Registry {
    /// Speak plain HTTP to registries; one on this machine without TLS is spoken to so anyway
    #[arg(long, env = "NODELITH_PLAIN_HTTP", hide_env_values = true, value_parser = clap::builder::FalseyValueParser::new())]
    pub plain_http: bool,
    /// File with credentials [default: podman's and docker's own]
    #[arg(
        long,
        value_name = "FILE",
        env = "NODELITH_AUTH_FILE",
        hide_env_values = true
    )]
    pub auth_file: Option<PathBuf>,
    /// File with further certificate authorities (repeatable)
    #[arg(
        long,
        value_name = "FILE",
        env = "NODELITH_CA_FILE",
        hide_env_values = true,
        value_delimiter = ':'
    )]
    pub ca_file: Vec<PathBuf>,
    /// What to ask before a registry when pulling (repeatable)
    #[arg(
        long,
        value_name = "REGISTRY=URL",
        env = "NODELITH_REGISTRY_MIRROR",
        hide_env_values = true,
        value_delimiter = ' '
    )]
    pub registry_mirror: Vec<Mirror>,
    /// How often a request that fails is tried again
    #[arg(long, value_name = "NUMBER", default_value_t = 5)]
    pub retries: u32,
    /// The pause before the first retry; each further one is twice as long
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = duration)]
    pub retry_delay: Duration,
    /// How long a transfer may stand still
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub timeout: Duration,
}

/// A time as `30s`, `500ms` or `2m`.
fn duration(text: &str) -> Result<Duration, String> {
    let time: jiff::SignedDuration = text
        .parse()
        .map_err(|_| "give it as in `30s`, `500ms` or `2m`".to_owned())?;
    Duration::try_from(time).map_err(|_| "it is less than nothing".to_owned())
}

/// Arguments of `push`.
#[derive(Debug, Args)]
pub struct Push {
    /// An image: `oci:DIR[:TAG]`, `oci-archive:FILE`, or a path
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// What it is to be called: `HOST[:PORT]/NAME[:TAG]`
    #[arg(value_name = "REF", required = true)]
    pub references: Vec<Reference>,
    /// Push only the image for this architecture
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<String>,
    /// Repository of the same registry that may have layers of it (repeatable)
    #[arg(long, value_name = "NAME")]
    pub mount_from: Vec<String>,
    /// Send blobs that are longer than so many MiB in parts of this length
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    pub chunk_size: u64,
    /// What is printed of what moved
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    #[command(flatten)]
    pub(crate) registry: Registry,
}

/// What is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table, and the digest last
    #[default]
    Table,
    /// The same as with `--json`, but events stay plain
    Json,
    /// The digest alone
    Digest,
}

/// Arguments of `pull`.
#[derive(Debug, Args)]
pub struct Pull {
    /// The image: `HOST[:PORT]/NAME[:TAG][@DIGEST]`
    #[arg(value_name = "REF")]
    pub reference: Reference,
    /// Folder of the OCI image layout [default: out/NAME]
    #[arg(long, short, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Pull only the images for these architectures [default: all that there are]
    #[arg(long, value_name = "ARCH", value_delimiter = ',')]
    pub arch: Vec<String>,
    #[command(flatten)]
    pub(crate) registry: Registry,
}

/// Arguments of `export`.
#[derive(Debug, Args)]
pub struct Export {
    /// An image: `docker://HOST/NAME:TAG`, `oci:DIR[:TAG]`, `oci-archive:FILE`, or a path
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// What to make of it (several with commas)
    #[arg(
        long,
        value_enum,
        value_name = "FORMAT",
        required = true,
        value_delimiter = ','
    )]
    pub to: Vec<ExportFormat>,
    /// Folder of the files
    #[arg(long, short, value_name = "DIR")]
    pub output: PathBuf,
    /// Architecture, where the image has several
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<String>,
    #[command(flatten)]
    pub(crate) machine: Machine,
    #[command(flatten)]
    pub(crate) registry: Registry,
}

/// How disks and the unified kernel image are made.
#[derive(Debug, Clone, Args)]
pub struct Machine {
    /// Size of the disk, like `8G` [default: as large as it has to be, in whole GiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub disk_size: Option<u64>,
    /// Size of the EFI system partition [default: 256M]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub esp_size: Option<u64>,
    /// Size of a root's partition [default: the root's and a quarter]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub slot_size: Option<u64>,
    /// Words for the kernel's command line, beside the image's own
    #[arg(long, value_name = "WORDS")]
    pub command_line: Option<String>,
    /// The initrd's program, `nodelith-init` of the image's architecture [default: beside this program]
    #[arg(long, value_name = "FILE")]
    pub init: Option<PathBuf>,
    /// Private key for Secure Boot, in PEM (needs `sbsign`)
    #[arg(long, value_name = "FILE", requires = "sign_certificate")]
    pub sign_key: Option<PathBuf>,
    /// Its certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "sign_key")]
    pub sign_certificate: Option<PathBuf>,
    /// Shell command that signs the program `$1` and writes it to `$2`
    #[arg(long, value_name = "COMMAND", conflicts_with = "sign_key")]
    pub sign_command: Option<String>,
}

/// A number of bytes, with `K`, `M`, `G` or `T` for powers of 1024.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let power = match &*text[digits.len()..].to_ascii_uppercase() {
        "" | "B" => 0,
        "K" | "KIB" => 1,
        "M" | "MIB" => 2,
        "G" | "GIB" => 3,
        "T" | "TIB" => 4,
        _ => return Err("write it like `512M` or `8G`".into()),
    };
    let number: u64 = digits
        .parse()
        .map_err(|_| "write it like `512M` or `8G`".to_owned())?;
    let size = number.checked_mul(1 << (10 * power));
    // No disk that partition tables of MS-DOS cannot say, so that all readers agree.
    size.filter(|size| (1..=2 << 40).contains(size))
        .ok_or_else(|| "it goes from one byte to `2T`".into())
}

/// What an image can be made into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// The whole root as one tar: root.tar
    Tar,
    /// A read-only root file system: root.erofs
    Erofs,
    /// dm-verity's hashes over it: root.verity, with root.erofs
    Verity,
    /// The root as squashfs: root.squashfs (needs `mksquashfs`)
    Squashfs,
    /// Kernel, initrd and command line in one program for firmware: node.efi
    Uki,
    /// A disk that boots by UEFI, its root by dm-verity: disk.raw
    Disk,
    /// The same for QEMU, compressed: disk.qcow2
    Qcow2,
    /// The same for Azure: disk.vhd
    Vhd,
    /// The same for Google Cloud: disk.tar.gz
    Gce,
}

/// Arguments of `same-root`.
#[derive(Debug, Args)]
pub struct SameRoot {
    /// Images (as for `show`) and files with a root image
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<String>,
    /// Architecture, where images have several
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<String>,
    #[command(flatten)]
    pub(crate) registry: Registry,
}

/// Arguments of `fleet`.
#[derive(Debug, Subcommand)]
pub enum Fleet {
    /// Say which nodes are reimaged in which order, and which cannot be; exit status 1 if any
    Plan(FleetPlan),
    /// Show all nodes and what is wrong with them; exit status 1 until nothing is
    Status(FleetStatus),
}

/// Arguments of `fleet plan`.
#[derive(Debug, Args)]
pub struct FleetPlan {
    /// What `kubectl get nodes,pods,pdb,pv -A -o json` prints, `-` for standard input
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// The rules of the rollout
    #[arg(long, value_name = "FILE")]
    pub rules: PathBuf,
    /// Write a run book with the commands for each node (Markdown)
    #[arg(long, value_name = "FILE")]
    pub runbook: Option<PathBuf>,
    /// Write a picture of the waves (SVG)
    #[arg(long, value_name = "FILE")]
    pub picture: Option<PathBuf>,
}

/// Arguments of `fleet status`.
#[derive(Debug, Args)]
pub struct FleetStatus {
    /// What `kubectl get nodes -o json` prints, `-` for standard input
    #[arg(
        value_name = "FILE",
        required_unless_present = "command",
        conflicts_with = "command"
    )]
    pub files: Vec<PathBuf>,
    /// Command that prints the nodes, run by `sh`
    #[arg(long, value_name = "COMMAND")]
    pub command: Option<String>,
    /// The rules of the rollout; without them nodes must be Ready and free of Docker
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,
    /// Let cordoned nodes pass
    #[arg(long)]
    pub ignore_cordon: bool,
    /// Write a page, too
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Look again and again until all is done
    #[arg(long)]
    pub watch: bool,
    /// How long to wait before looking again
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration, requires = "watch")]
    pub interval: Duration,
    /// Stop watching after that time, with exit status 1
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "watch")]
    pub timeout: Option<Duration>,
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
