//! The profile that `nodelith init` writes.

use super::file::Architecture;
use super::value::Name;

/// A small commented profile that builds as it is.
#[must_use]
pub fn starter(name: &Name, architecture: Architecture) -> String {
    let template = include_str!("starter.toml");
    template
        .replace("@NAME@", name)
        .replace("@ARCHITECTURE@", architecture.name())
}
