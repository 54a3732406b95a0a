//! Arguments of `render`.

use std::path::PathBuf;

use clap::Args;

use super::Registry;

/// Arguments of `render`.
#[derive(Debug, Args)]
pub struct Render {
    /// The template (several with commas)
    #[arg(value_name = "TEMPLATE", required_unless_present = "list")]
    pub template: Option<String>,
    /// An image (as for `show`), or the folder of an export of it, which has more defaults
    #[arg(
        value_name = "IMAGE|BUNDLE",
        required_unless_present_any = ["list", "schema", "eject"]
    )]
    pub image: Option<String>,
    /// A value, an entry of a map by `NAME.KEY=VALUE`; a list's items have commas between (repeatable)
    #[arg(long, value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    /// A value that a file has: secrets, texts (repeatable)
    #[arg(long, value_name = "NAME=FILE")]
    pub set_file: Vec<String>,
    /// File of values in TOML, YAML or JSON; `--set` goes before it (repeatable)
    #[arg(long, short = 'f', value_name = "FILE")]
    pub values: Vec<PathBuf>,
    /// Folder with further templates, each in a folder of its own (repeatable)
    #[arg(
        long,
        value_name = "DIR",
        env = "NODELITH_TEMPLATES",
        hide_env_values = true,
        value_delimiter = ':'
    )]
    pub templates: Vec<PathBuf>,
    /// Folder of the files [default: standard output, for a single one]
    #[arg(long, short, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Architecture, where the image has several
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<String>,
    /// List the templates; with TEMPLATE its values
    #[arg(long, conflicts_with_all = ["schema", "eject"])]
    pub list: bool,
    /// Print the JSON schema of the template's values
    #[arg(long, conflicts_with = "eject")]
    pub schema: bool,
    /// Copy the template into a folder, to be edited and used with `--templates`
    #[arg(long, value_name = "DIR")]
    pub eject: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) registry: Registry,
}
