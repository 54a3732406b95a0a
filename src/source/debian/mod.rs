//! The Debian source: from a signed archive to a configured root.

pub mod assemble;
mod assembly;
mod claims;
mod configure;
pub mod control;
mod database;
pub mod deb;
mod diversion;
mod exclude;
mod guard;
pub mod ownership;
mod package;
mod place;
mod rootdir;
mod tarball;
mod triggers;
mod unpack;
mod usrmerge;
