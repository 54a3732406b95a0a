//! The Debian source: from a signed archive to a configured root.

pub mod assemble;
mod claims;
mod configure;
pub mod control;
mod database;
pub mod deb;
mod diversion;
mod exclude;
mod explain;
mod guard;
mod incoming;
pub mod index;
pub mod ownership;
pub mod package;
pub mod relation;
pub mod root;
mod rootdir;
pub mod solve;
pub mod status;
mod tarball;
mod triggers;
mod unpack;
mod usrmerge;
