//! What happens when things go wrong: one clear message, the right exit status,
//! and nothing left behind.
//!
//! Archives are the tests' own. Some tests need root (another user's rights, a
//! full or read-only file system) and say so where they have to be skipped.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../common/mod.rs"]
mod common;

mod archives;
mod locks;
mod outputs;
mod packages;
mod profiles;
mod sandboxes;
mod scene;
mod secrets;
mod stores;
