//! Arguments of the verbs that look at nodes and images.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Registry;

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
    /// What `docker images` or `crictl images` printed, as a table or JSON
    #[arg(long, value_name = "FILE", help_heading = "Single files")]
    pub images: Option<PathBuf>,
    /// What `kubectl get node NAME -o json` or `-o yaml` printed
    #[arg(long, value_name = "FILE", help_heading = "Single files")]
    pub node_object: Option<PathBuf>,
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
