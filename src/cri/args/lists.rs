//! Verbs that list and look: which ones, and how they are printed.

use clap::Args;

use super::Output;

/// Which pods.
#[derive(Debug, Default, Args)]
pub struct PodFilter {
    /// Only pods whose name this regular expression matches
    #[arg(long)]
    pub name: Option<String>,
    /// Only pods whose namespace this regular expression matches
    #[arg(long)]
    pub namespace: Option<String>,
    /// Only pods that are ready or notready
    #[arg(long, short)]
    pub state: Option<String>,
    /// Only pods with this label
    #[arg(long, value_name = "KEY=VALUE")]
    pub label: Vec<String>,
    /// Only the pod that was made last
    #[arg(long, short)]
    pub latest: bool,
    /// Only the pods that were made last, so many; 0 is all
    #[arg(long, short = 'n', value_name = "NUMBER", default_value_t = 0)]
    pub last: usize,
}

#[derive(Debug, Args)]
pub struct Pods {
    /// Only the pod whose id begins so
    #[arg(long)]
    pub id: Option<String>,
    #[command(flatten)]
    pub filter: PodFilter,
    #[command(flatten)]
    pub list: List,
}

/// How to list.
#[derive(Debug, Args)]
pub struct List {
    /// json, yaml or table
    #[arg(long, short, value_enum, default_value = "table")]
    pub output: Output,
    /// Only ids
    #[arg(long, short)]
    pub quiet: bool,
    /// A paragraph for each
    #[arg(long, short)]
    pub verbose: bool,
    /// Do not shorten ids
    #[arg(long)]
    pub no_trunc: bool,
}

/// Which containers.
#[derive(Debug, Default, Args)]
pub struct ContainerFilter {
    /// Only containers whose name this regular expression matches
    #[arg(long)]
    pub name: Option<String>,
    /// Only containers whose pod's namespace this regular expression matches
    #[arg(long)]
    pub namespace: Option<String>,
    /// Only containers of the pod whose id begins so
    #[arg(long, short)]
    pub pod: Option<String>,
    /// Only containers of this image
    #[arg(long)]
    pub image: Option<String>,
    /// Only containers that are created, running, exited or unknown
    #[arg(long, short)]
    pub state: Option<String>,
    /// Only containers with this label
    #[arg(long, value_name = "KEY=VALUE")]
    pub label: Vec<String>,
    /// Only the container that was made last, in whatever state
    #[arg(long, short)]
    pub latest: bool,
    /// Only the containers that were made last, so many, in whatever state; 0 is all
    #[arg(long, short = 'n', value_name = "NUMBER", default_value_t = 0)]
    pub last: usize,
    /// Not only running containers
    #[arg(long, short)]
    pub all: bool,
}

#[derive(Debug, Args)]
pub struct Ps {
    /// Only the container whose id begins so
    #[arg(long)]
    pub id: Option<String>,
    #[command(flatten)]
    pub filter: ContainerFilter,
    #[command(flatten)]
    pub list: List,
    /// Print an image's name instead of its id
    #[arg(long, short)]
    pub resolve_image_path: bool,
}

/// Which images.
#[derive(Debug, Default, Args)]
pub struct ImageFilter {
    /// dangling=true, dangling=false, reference=EXPRESSION, before=IMAGE or since=IMAGE
    #[arg(long, short, value_name = "CONDITION")]
    pub filter: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Images {
    /// Only the image of this name
    pub name: Option<String>,
    #[command(flatten)]
    pub filter: ImageFilter,
    #[command(flatten)]
    pub list: List,
    /// Print digests
    #[arg(long)]
    pub digests: bool,
    /// Print whether an image is kept from garbage collection
    #[arg(long)]
    pub pinned: bool,
}

/// How to print a status.
#[derive(Debug, Args)]
pub struct Shown {
    /// json, yaml or table
    #[arg(long, short, value_enum, default_value = "json")]
    pub output: Output,
    /// Without what the runtime adds
    #[arg(long, short)]
    pub quiet: bool,
}

#[derive(Debug, Args)]
pub struct Inspect {
    #[arg(value_name = "CONTAINER")]
    pub ids: Vec<String>,
    #[command(flatten)]
    pub filter: ContainerFilter,
    #[command(flatten)]
    pub shown: Shown,
}

#[derive(Debug, Args)]
pub struct Inspecti {
    #[arg(value_name = "IMAGE")]
    pub ids: Vec<String>,
    /// Only the image of this name
    #[arg(long)]
    pub name: Option<String>,
    #[command(flatten)]
    pub filter: ImageFilter,
    #[command(flatten)]
    pub shown: Shown,
}

#[derive(Debug, Args)]
pub struct Inspectp {
    #[arg(value_name = "POD")]
    pub ids: Vec<String>,
    #[command(flatten)]
    pub filter: PodFilter,
    #[command(flatten)]
    pub shown: Shown,
}
