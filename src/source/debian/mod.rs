//! The Debian source: from a signed archive to a configured root.

pub mod archive;
pub mod mirror;
pub mod release;
pub mod signature;
