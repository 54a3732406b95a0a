//! What CI pipelines are made of: the matrix, work shared through a registry, and the ready
//! pieces in `ci/`, whose steps are run here as a CI system would run them.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../registry/docker.rs"]
#[expect(dead_code, reason = "registries with HTTPS are for other tests")]
mod docker;

mod argo;
mod cache;
mod document;
mod github;
mod gitlab;
mod matrix;
mod refused;
mod shape;
mod shell;
mod team;
