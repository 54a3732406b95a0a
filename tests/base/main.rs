//! Roots that are somebody else's image, through the real command line: what stays of
//! the base as it is, what comes over it, what is known of it, and what is refused.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod bootc;
#[path = "../common/mod.rs"]
mod common;
mod distributions;
#[path = "../registry/docker.rs"]
#[expect(dead_code, reason = "only a part of it is used here")]
mod docker;
mod fixture;
mod layers;
mod refused;
mod registry;
mod releases;
#[path = "../releases/upstream.rs"]
#[expect(dead_code, reason = "only a part of it is used here")]
mod upstream;
