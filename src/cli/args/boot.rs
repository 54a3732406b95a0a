//! Arguments of the boot proof.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Registry;
use crate::registry::Reference;

/// Arguments of `boot`.
#[derive(Debug, Args)]
pub struct Boot {
    /// Images: `docker://HOST/NAME:TAG`, `oci:DIR[:TAG]`, `oci-archive:FILE`, or paths; or
    /// folders that `export` made
    #[arg(value_name = "IMAGE|BUNDLE", required = true)]
    pub targets: Vec<String>,
    /// How the machine starts (several with commas) [default: kernel; disk for a bundle]
    #[arg(long, value_enum, value_delimiter = ',')]
    pub way: Vec<BootWay>,
    /// Who runs the guest's instructions
    #[arg(long, value_enum, default_value_t)]
    pub accel: BootAccelerator,
    /// Boots by each way, with the same `/var`
    #[arg(long, value_name = "NUMBER", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=2))]
    pub boots: u8,
    /// Seconds that one boot may take until it has powered off
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub deadline: u64,
    /// Change one byte of the exported root first: it must not boot then
    #[arg(long)]
    pub damage: bool,
    /// A systemd credential that the machine is given by its firmware: `NAME=VALUE`, or `NAME=@FILE`
    #[arg(long = "credential", value_name = "NAME=VALUE")]
    pub credentials: Vec<String>,
    /// How results are printed
    #[arg(long, value_enum, default_value_t)]
    pub format: BootFormat,
    /// File for the results as JSON [default: beside a layout, an archive or a bundle: NAME.boot.json]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Attach the proof to the image, if it passed: in its layout or registry, or as `--attach=REF`
    #[arg(
        long,
        value_name = "REF",
        num_args = 0..=1,
        require_equals = true
    )]
    pub attach: Option<Option<Reference>>,
    /// The image that a bundle was made from, to make sure that its disk has that root
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,
    /// Keep root images, disks and consoles in this folder, readable by the user alone
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// The initrd's program, `nodelith-init` of the image's architecture [default: beside this program]
    #[arg(long, value_name = "FILE")]
    pub init: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) registry: Registry,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum BootFormat {
    /// For people
    #[default]
    Table,
    /// As `--json`
    Json,
    /// JUnit, for build servers
    Junit,
}

/// Who runs the guest's instructions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum BootAccelerator {
    /// KVM where it works, else TCG
    #[default]
    Auto,
    /// The processor
    Kvm,
    /// QEMU itself, which works everywhere and takes longer
    Tcg,
}

/// How a machine starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BootWay {
    /// Kernel and initrd from QEMU, the root on a disk of its own
    Kernel,
    /// UEFI from the exported disk, the root checked by dm-verity; for systemd 256 and later
    Disk,
    /// The network card's iPXE from a server of ours, the root by HTTP; for systemd 256 and later
    Ipxe,
    /// The same, the root as a second initrd
    IpxeInitrd,
}
