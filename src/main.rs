//! The command line: one match from the parsed command to the function that does it.

use std::process::ExitCode;

use clap::Parser as _;
use nodelith::cli::{self, args::Arguments};

fn main() -> ExitCode {
    // The sandbox's worker must be entered before anything starts a thread.
    if let Some(code) = cli::sandbox_worker() {
        return code;
    }
    match Arguments::try_parse() {
        Ok(arguments) => cli::main(arguments),
        Err(error) => cli::misused(&error),
    }
}
