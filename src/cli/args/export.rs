//! Arguments of what is made from an image.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Registry;
use crate::bundle::disk::layout::LARGEST;

/// Arguments of `export`.
#[derive(Debug, Args)]
pub struct Export {
    /// An image: `docker://HOST/NAME:TAG`, `oci:DIR[:TAG]`, `oci-archive:FILE`, or a path
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// What to make of it (several with commas)
    #[arg(
        long,
        value_enum,
        value_name = "FORMAT",
        required = true,
        value_delimiter = ','
    )]
    pub to: Vec<ExportFormat>,
    /// Folder of the files
    #[arg(long, short, value_name = "DIR")]
    pub output: PathBuf,
    /// Architecture, where the image has several
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<String>,
    #[command(flatten)]
    pub(crate) machine: Machine,
    #[command(flatten)]
    pub(crate) registry: Registry,
}

/// How disks and the unified kernel image are made.
#[derive(Debug, Clone, Args)]
pub struct Machine {
    /// Size of the disk, like `8G`, in whole MiB [default: as large as it has to be, in whole GiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub disk_size: Option<u64>,
    /// Size of the EFI system partition [default: 256M]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub esp_size: Option<u64>,
    /// Size of a root's partition [default: the root's and a quarter]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub slot_size: Option<u64>,
    /// Words for the kernel's command line, beside the image's own
    #[arg(long, value_name = "WORDS")]
    pub command_line: Option<String>,
    /// The initrd's program, `nodelith-init` of the image's architecture [default: beside this program]
    #[arg(long, value_name = "FILE")]
    pub init: Option<PathBuf>,
    /// A second image, for the kernel and what starts it where the first lacks them
    #[arg(long, value_name = "IMAGE")]
    pub initrd_from: Option<String>,
    /// RSA key for Secure Boot, in PEM, not encrypted
    #[arg(long, value_name = "FILE", requires = "sign_certificate")]
    pub sign_key: Option<PathBuf>,
    /// Its certificate, in PEM, before those it is signed by
    #[arg(long, value_name = "FILE", requires = "sign_key")]
    pub sign_certificate: Option<PathBuf>,
    /// Shell command that signs the program `$1` and writes it to `$2`
    #[arg(long, value_name = "COMMAND", conflicts_with = "sign_key")]
    pub sign_command: Option<String>,
}

/// A number of bytes, with `K`, `M`, `G` or `T` for powers of 1024.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let power = match &*text[digits.len()..].to_ascii_uppercase() {
        "" | "B" => 0,
        "K" | "KIB" => 1,
        "M" | "MIB" => 2,
        "G" | "GIB" => 3,
        "T" | "TIB" => 4,
        _ => return Err("write it like `512M` or `8G`".into()),
    };
    let number: u64 = digits
        .parse()
        .map_err(|_| "write it like `512M` or `8G`".to_owned())?;
    let size = number.checked_mul(1 << (10 * power));
    size.filter(|size| (1..=LARGEST).contains(size))
        .ok_or_else(|| "it goes from one byte to `2T`".into())
}

/// What an image can be made into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// The whole root as one tar: root.tar
    Tar,
    /// A read-only root file system: root.erofs
    Erofs,
    /// dm-verity's hashes over it: root.verity, with root.erofs
    Verity,
    /// The root as squashfs: root.squashfs (needs `mksquashfs`)
    Squashfs,
    /// Kernel, initrd and command line in one program for firmware: node.efi
    Uki,
    /// Files for machines that boot over a network: vmlinuz, initrd.img, root.erofs, boot.ipxe …
    Pxe,
    /// A disk that boots by UEFI, its root by dm-verity: disk.raw
    Disk,
    /// The same for QEMU, compressed: disk.qcow2
    Qcow2,
    /// The same for Azure: disk.vhd
    Vhd,
    /// The same for VMware, by qemu-img: disk.vmdk
    Vmdk,
    /// The same for Google Cloud: disk.tar.gz
    Gce,
    /// What systemd-sysupdate updates disks with: root, hashes, kernel, SHA256SUMS
    Sysupdate,
}

/// Arguments of `same-root`.
#[derive(Debug, Args)]
pub struct SameRoot {
    /// Images (as for `show`), root images, disks (raw, qcow2, vhd), and folders of exports
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<String>,
    /// Architecture, where images have several
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<String>,
    #[command(flatten)]
    pub(crate) registry: Registry,
}
