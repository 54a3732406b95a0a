//! `nodelith fleet` on objects as kubectl prints them.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod hostile;
mod objects;
mod page;
mod plan;
mod promises;
mod scene;
mod status;
