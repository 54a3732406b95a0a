//! Arguments of `nodelith fleet`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::registry::duration;

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
    /// Stop watching after that time, with exit status 1; a look under way is waited for
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "watch")]
    pub timeout: Option<Duration>,
}
