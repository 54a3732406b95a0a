//! Arguments of the verbs that speak with registries.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::registry::{Mirror, Reference};

/// How registries are reached, and whom to trust.
#[derive(Debug, Clone, Args)]
pub struct Access {
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
}

/// How to deal with registries.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Registry")]
pub struct Registry {
    #[command(flatten)]
    pub(crate) access: Access,
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
pub(super) fn duration(text: &str) -> Result<Duration, String> {
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
