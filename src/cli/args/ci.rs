//! Arguments for pipelines: the cache of a build, and the matrix.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::build::cache::Place;
use crate::cli::matrix::Runner;

/// Work shared through registries.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Cache")]
pub struct Cache {
    /// Repository from which roots and layers that others made are taken (repeatable)
    #[arg(
        long,
        value_name = "REF",
        env = "NODELITH_CACHE_FROM",
        hide_env_values = true,
        value_delimiter = ' '
    )]
    pub cache_from: Vec<Place>,
    /// Repository to which those that this build used are given (repeatable)
    #[arg(
        long,
        value_name = "REF",
        env = "NODELITH_CACHE_TO",
        hide_env_values = true,
        value_delimiter = ' '
    )]
    pub cache_to: Vec<Place>,
}

/// Arguments of `matrix`.
#[derive(Debug, Args)]
pub struct Matrix {
    /// The profiles; locks among them are passed over, so that `*.toml` will do
    #[arg(value_name = "PROFILE", required = true)]
    pub profiles: Vec<PathBuf>,
    /// Only these architectures [default: each profile's]
    #[arg(long, value_name = "ARCH", value_delimiter = ',')]
    pub arch: Vec<String>,
    /// One row for each profile, its architectures with commas between
    #[arg(long)]
    pub per_profile: bool,
    /// What the machine for an architecture is called (repeatable) [default: GitHub's own for
    /// `github`, else the architecture]
    #[arg(long, value_name = "ARCH=LABEL")]
    pub runner: Vec<Runner>,
    /// How it is printed
    #[arg(long, value_enum, default_value_t)]
    pub format: MatrixFormat,
}

/// How a matrix is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum MatrixFormat {
    /// For people
    #[default]
    Table,
    /// As `--json`
    Json,
    /// For GitHub's `strategy: matrix: ${{ fromJSON(…) }}`
    Github,
    /// For GitLab's `parallel: matrix:`
    Gitlab,
    /// For Argo Workflows' `withParam:`
    Argo,
    /// For shells: profile, name, tag and architecture on a line, with tabs between
    Lines,
}
