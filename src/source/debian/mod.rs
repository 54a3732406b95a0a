//! The Debian source: from a signed archive to a configured root.

pub mod assemble;
pub mod control;
pub mod deb;
mod exclude;
pub mod ownership;
mod rootdir;
mod tarball;
