//! HTTP as all our transfers need it, whether they ask a mirror or a registry.
//!
//! ```text
//! client    one request, whom to trust, and what an answer means
//! retries   how often and how soon to try again
//! partial   a download under way: the locked file that gathers its bytes
//! receive   an answer's body, into a partial file or into memory
//! runtime   the one async runtime, and many transfers at once
//! ```
//!
//! A broken connection, a stalled transfer and a busy server (408, 425, 429,
//! 5xx, with its `Retry-After`) are troubles that may pass, and are tried again
//! with growing pauses. What came before the trouble is kept and gone on from.

mod client;
mod partial;
mod receive;
mod retries;
mod runtime;

pub(crate) use client::begins;
pub use client::{Client, Options, Trouble, passing, passing_status, redact, speaks_no_tls};
pub use partial::Partial;
pub use receive::{Outcome, Progress, bytes, finish, into_partial};
pub use retries::Retries;
pub use runtime::{drive, runtime};
