//! The Debian source: from a signed archive to a configured root.

pub mod clean;
