//! Registries: Debian's docker-registry with skopeo and buildah as judges, a proxy
//! that breaks things, and a registry of the tests' own that can be made to do
//! what no good one does.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../common/mod.rs"]
mod common;

mod chaos;
mod docker;
mod judged;
mod layouts;
mod logins;
mod mirrors;
mod referrers;
mod refused;
mod scene;
mod server;
mod uploads;
