//! `nodelith boot` with a QEMU that is a script: what is told of wrong arguments and missing
//! tools, a KVM that dies, deadlines, signals, the forms of results, and where a proof
//! goes. That images really boot is shown by `tests/boot.rs`.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../registry/docker.rs"]
#[expect(dead_code, reason = "each test program uses its own part of this")]
mod docker;
#[path = "../bundle/images.rs"]
#[expect(dead_code, reason = "each test program uses its own part of this")]
mod images;

mod attach;
mod bundles;
mod endings;
mod given;
mod refused;
mod scene;
