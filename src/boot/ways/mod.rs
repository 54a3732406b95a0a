//! How a machine starts. Each way makes what its machine has of an image, and says
//! what QEMU must be told of it.

mod disk;
mod kernel;

use std::path::Path;

use super::Options;
use super::guest::Test;
use super::qemu::Start;
use super::subject::Subject;
use crate::error::Result;

/// A way in which a machine starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// Kernel and initrd from QEMU, the root on a disk of its own.
    #[default]
    Kernel,
    /// UEFI from the exported disk, the root checked by dm-verity.
    Disk,
}

/// Makes what the machine has, in `folder`.
///
/// # Errors
/// When the image lacks what the way needs, a program that is needed is not there, or
/// writing fails.
pub(super) fn start(
    subject: &Subject<'_>,
    test: &Test,
    options: &Options<'_>,
    folder: &Path,
) -> Result<Start> {
    match options.way {
        Way::Kernel => kernel::start(subject, test, options, folder),
        Way::Disk => disk::start(subject, test, options, folder),
    }
}
