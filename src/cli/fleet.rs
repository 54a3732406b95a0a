//! `nodelith fleet`: the order in which nodes are replaced, and how far that is.

mod input;
mod plan;
mod status;

use super::args::Fleet as Arguments;
use super::{Context, Outcome};
use crate::error::Result;

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<Outcome> {
    match arguments {
        Arguments::Plan(arguments) => plan::run(context, arguments),
        Arguments::Status(arguments) => status::run(context, arguments),
    }
}
