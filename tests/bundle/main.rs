//! What is made from images, judged by other people's tools: `fsck.erofs`,
//! `dump.erofs` and the kernel's own mount for root images, `veritysetup` for the
//! hashes over them, GNU tar and `unsquashfs` for the rest.
//!
//! The kernel judges where this process may mount and the kernel has EROFS; where
//! not, the tests say what they leave out.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../layers/sample.rs"]
#[expect(dead_code, reason = "each test program uses its own part of this")]
mod sample;

mod disk;
#[path = "../registry/docker.rs"]
#[expect(dead_code, reason = "each test program uses its own part of this")]
mod docker;
mod erofs;
mod export;
mod failures;
mod generated;
mod images;
mod judge;
mod large;
mod memory;
mod pxe;
mod reproducible;
mod same_root;
mod second;
mod signing;
mod sysupdate;
mod uki;
mod verity;
