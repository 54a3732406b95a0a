//! `nodelith check`: every trap is found and its fix is not, the configurations
//! that the traps came from, every kind of target and of output, hostile targets.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod bootc;
mod builds;
#[path = "../common/mod.rs"]
mod common;
mod fixtures;
mod hostile;
mod judges;
mod preloaded;
mod scene;
mod targets;
mod traps;
