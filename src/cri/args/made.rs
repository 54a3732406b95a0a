//! Verbs that make something from configuration files, or pull.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::duration;

/// How to pull.
#[derive(Debug, Default, Args)]
pub struct Credentials {
    /// What the registry is told
    #[arg(
        long,
        value_name = "USER[:PASSWORD]",
        env = "CRICTL_CREDS",
        hide_env_values = true
    )]
    pub creds: Option<String>,
    /// The same in base64
    #[arg(long, value_name = "TEXT", env = "CRICTL_AUTH", hide_env_values = true)]
    pub auth: Option<String>,
    /// A user whose password is asked for
    #[arg(long, short, value_name = "USER")]
    pub username: Option<String>,
    /// How long a pull may take; 0s is without end
    #[arg(long, value_parser = duration, env = "CRICTL_PULL_TIMEOUT", hide_env_values = true)]
    pub pull_timeout: Option<Duration>,
}

#[derive(Debug, Args)]
pub struct Pull {
    #[arg(value_name = "NAME[:TAG|@DIGEST]")]
    pub image: String,
    /// The pod that it is pulled for
    #[arg(long, value_name = "FILE")]
    pub pod_config: Option<PathBuf>,
    /// Annotation of the image
    #[arg(long, short, value_name = "KEY=VALUE")]
    pub annotation: Vec<String>,
    #[command(flatten)]
    pub credentials: Credentials,
}

/// Whether to pull first.
#[derive(Debug, Args)]
pub struct PullFirst {
    /// Do not pull the image first
    #[arg(long, conflicts_with = "with_pull")]
    pub no_pull: bool,
    /// Pull the image first
    #[arg(long)]
    pub with_pull: bool,
    #[command(flatten)]
    pub credentials: Credentials,
    /// How long to wait for the answer, as in 20s
    #[arg(long, short = 'T', value_parser = duration)]
    pub cancel_timeout: Option<Duration>,
}

#[derive(Debug, Args)]
pub struct Create {
    pub pod: String,
    #[arg(value_name = "CONTAINER-CONFIG")]
    pub container_config: PathBuf,
    #[arg(value_name = "POD-CONFIG")]
    pub pod_config: PathBuf,
    #[command(flatten)]
    pub pull: PullFirst,
}

#[derive(Debug, Args)]
pub struct Run {
    #[arg(value_name = "CONTAINER-CONFIG")]
    pub container_config: PathBuf,
    #[arg(value_name = "POD-CONFIG")]
    pub pod_config: PathBuf,
    #[command(flatten)]
    pub pull: PullFirst,
    /// Runtime handler
    #[arg(long, short, default_value = "")]
    pub runtime: String,
}

#[derive(Debug, Args)]
pub struct Runp {
    #[arg(value_name = "POD-CONFIG")]
    pub pod_config: PathBuf,
    /// Runtime handler
    #[arg(long, short, default_value = "")]
    pub runtime: String,
    /// How long to wait for the answer, as in 20s
    #[arg(long, short = 'T', value_parser = duration)]
    pub cancel_timeout: Option<Duration>,
}
