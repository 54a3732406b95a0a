//! What no single value shows: things that contradict one another.

mod alone;
mod whole;

pub(super) use alone::{alone, removals};
pub(super) use whole::whole;
