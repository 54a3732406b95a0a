//! How a machine starts. Each way makes what its machine has of an image, and says
//! what QEMU must be told of it.

mod disk;
mod ipxe;
mod kernel;

use std::path::Path;

use super::Options;
use super::bundle::Bundle;
use super::guest::Test;
use super::qemu::Start;
use super::subject::Subject;
use super::tools::Tool;
use crate::error::{Error, Kind, Result};
pub(super) use ipxe::Serving;

/// A way in which a machine starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// Kernel and initrd from QEMU, the root on a disk of its own.
    #[default]
    Kernel,
    /// UEFI from the exported disk, the root checked by dm-verity.
    Disk,
    /// The network card's own iPXE, the root by HTTP.
    Ipxe,
    /// The same, the root as a second initrd.
    IpxeInitrd,
}

impl Way {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Disk => "disk",
            Self::Ipxe => "ipxe",
            Self::IpxeInitrd => "ipxe-initrd",
        }
    }

    /// What it needs of this machine, beside QEMU.
    pub(super) fn tools(self) -> &'static [Tool] {
        match self {
            Self::Kernel => &[Tool::MkfsExt4],
            Self::Disk => &[Tool::Firmware],
            Self::Ipxe | Self::IpxeInitrd => &[Tool::MkfsExt4, Tool::Ipxe],
        }
    }
}

/// Makes what the machine has of an image, in `folder`.
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
        Way::Ipxe => ipxe::start(subject, test, options, folder, "http"),
        Way::IpxeInitrd => ipxe::start(subject, test, options, folder, "initrd"),
    }
}

/// The same of a bundle, whose files stay as they are.
///
/// # Errors
/// When the bundle has not what the way needs, or writing fails.
pub(super) fn start_bundle(
    bundle: &Bundle,
    test: &Test,
    options: &Options<'_>,
    folder: &Path,
) -> Result<Start> {
    match options.way {
        Way::Disk => disk::of_bundle(bundle, test, options, folder),
        Way::Kernel | Way::Ipxe | Way::IpxeInitrd => {
            let way = options.way.name();
            let message =
                format!("a bundle's disk boots by `--way disk`, and not by `--way {way}`");
            Err(Error::new(Kind::Usage, message))
        }
    }
}
