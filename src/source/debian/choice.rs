//! Which packages: what the archives hold, and what of it belongs together.
//!
//! apt chooses greedily, and users know its choices, so it is imitated rather
//! than improved on; the host's own apt is the judge (`tests/solver_against_apt.rs`).

mod explain;
pub mod index;
pub mod package;
pub mod relation;
pub mod solve;
