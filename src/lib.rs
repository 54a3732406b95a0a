//! Nodelith turns a short profile into an immutable Kubernetes node image and proves that it works.
//!
//! The folders are the stages of the work, in the order in which data flows:
//! profile → lock → source → tree → node → layer → image → bundle → boot. See `docs/` and
//! CONTRIBUTING.md for the plan of the house; imports run downwards only.

pub mod boot;
pub mod build;
pub mod bundle;
pub mod check;
pub mod cli;
pub mod compat;
pub mod cri;
mod der;
pub mod digest;
pub mod error;
pub mod fleet;
pub mod http;
pub mod image;
pub mod import;
pub mod layer;
pub mod lock;
pub mod node;
mod pem;
pub mod profile;
pub mod registry;
pub mod render;
pub mod report;
pub mod sandbox;
pub mod serve;
pub mod source;
pub mod store;
pub mod tree;
