//! Layers and images: the same bytes always, and other tools take them.
//!
//! Some of these need root (devices, owners, file capabilities) and the tools
//! that judge: skopeo, umoci, buildah, GNU tar, Python, zstd, gzip. A missing
//! tool is a failure, not a silent pass.

#![expect(clippy::unwrap_used, reason = "a test that fails may panic")]

mod golden;
mod hostile;
mod judges;
mod layout;
mod pause;
mod sample;
