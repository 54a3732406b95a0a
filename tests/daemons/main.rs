//! Containerd of three Debian suites, running, as the judge of what is generated and of
//! what is checked.
//!
//! - `traps`: each trap that these daemons can show. The bad files fail or are passed
//!   over there, `nodelith check` tells of them, and the fixed ones pass both.
//! - `hosts`: what containerd needs of the root beside its own files.
//! - `profiles`: profiles that between them set every setting. The daemon takes each
//!   value, and has nothing to say against any.
//!
//! Needs root. The first suite of each trap, and the profiles on containerd 2.1, are
//! tried always, the rest with `NODELITH_TEST_ALL=1`.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../common/mod.rs"]
mod common;

mod hosts;
mod node;
mod profiles;
mod traps;
