//! `nodelith render`: every template that comes with the program, judged by the programs
//! that its files are for; what it refuses; and users' own templates.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../common/mod.rs"]
mod common;

mod command;
mod fixture;
mod hostile;
mod judges;
mod own;
mod schemas;
mod shipped;
