//! The Debian source: from a signed archive to a configured root.

pub mod assemble;
pub mod index;
pub mod ownership;
pub mod package;
pub mod relation;
