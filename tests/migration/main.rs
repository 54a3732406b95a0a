//! From nodes with Docker to nodes of an image: the guide's own commands, and the whole way
//! with an image that boots.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../common/mod.rs"]
mod common;
mod journey;
mod page;
mod scene;
