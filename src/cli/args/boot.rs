//! Arguments of the boot proof.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Registry;

/// Arguments of `boot`.
#[derive(Debug, Args)]
pub struct Boot {
    /// Images: `docker://HOST/NAME:TAG`, `oci:DIR[:TAG]`, `oci-archive:FILE`, or paths
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<String>,
    /// How the machine starts
    #[arg(long, value_enum, default_value_t)]
    pub way: BootWay,
    /// Boots of each image, with the same `/var`
    #[arg(long, value_name = "NUMBER", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=2))]
    pub boots: u8,
    /// Seconds that one boot may take until it has powered off
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub deadline: u64,
    /// Change one byte of the root on the disk first: it must not boot then
    #[arg(long)]
    pub damage: bool,
    /// File for the results as JSON
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Keep root images, disks and consoles in this folder
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// The initrd's program, `nodelith-init` of the image's architecture [default: beside this program]
    #[arg(long, value_name = "FILE")]
    pub init: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) registry: Registry,
}

/// How a machine starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum BootWay {
    /// Kernel and initrd from QEMU, the root on a disk of its own
    #[default]
    Kernel,
    /// UEFI from the exported disk, the root checked by dm-verity; for systemd 256 and later
    Disk,
}
