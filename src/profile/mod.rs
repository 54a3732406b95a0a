//! What is wanted: profiles.
//!
//! A profile is a short TOML file. Each file is read on its own into a
//! [`file::ProfileFile`] in which every key may be left out; values are checked
//! as they are read ([`value`]). The files that it `extends` are laid under it
//! (`merge`), the result is checked as a whole (`check`), and what is left out
//! gets its default: that is a [`Profile`]. Every refusal is one
//! [`Error`](crate::error::Error) with its place in the file and what to do.

mod check;
mod document;
pub(crate) mod explain;
pub mod file;
pub mod init;
mod load;
mod merge;
mod model;
mod releases;
pub mod schema;
pub mod value;

#[cfg(test)]
mod tests;

pub use releases::ReleaseChoice;

pub use model::{
    BaseImageSettings, DebianSettings, ExcludeSettings, ImageSettings, KubernetesSettings, Profile,
};
