//! The Debian source: from a signed archive to a configured root.

mod explain;
pub mod index;
pub mod package;
pub mod relation;
pub mod solve;
