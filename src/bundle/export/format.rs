//! What an image can be made into.

use super::sums;

/// A form of an image, or of a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// The whole root as one tar.
    Tar,
    /// The root image.
    Erofs,
    /// The hashes over the root image, which comes with them.
    Verity,
    /// The root as squashfs.
    Squashfs,
    /// The unified kernel image, which firmware starts.
    Uki,
    /// What machines boot over a network: several files.
    Pxe,
    /// A disk as it is.
    Disk,
    /// The disk for QEMU.
    Qcow2,
    /// The disk for Azure.
    Vhd,
    /// The disk for VMware.
    Vmdk,
    /// The disk for Google Cloud.
    Gce,
    /// What systemd-sysupdate updates a disk with.
    Sysupdate,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Tar,
        Self::Erofs,
        Self::Verity,
        Self::Squashfs,
        Self::Uki,
        Self::Pxe,
        Self::Disk,
        Self::Qcow2,
        Self::Vhd,
        Self::Vmdk,
        Self::Gce,
        Self::Sysupdate,
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tar => "tar",
            Self::Erofs => "erofs",
            Self::Verity => "verity",
            Self::Squashfs => "squashfs",
            Self::Uki => "uki",
            Self::Pxe => "pxe",
            Self::Disk => "disk",
            Self::Qcow2 => "qcow2",
            Self::Vhd => "vhd",
            Self::Vmdk => "vmdk",
            Self::Gce => "gce",
            Self::Sysupdate => "sysupdate",
        }
    }

    /// The file that it is, or that names its files.
    #[must_use]
    pub fn file(self) -> &'static str {
        match self {
            Self::Tar => "root.tar",
            Self::Erofs => "root.erofs",
            Self::Verity => "root.verity",
            Self::Squashfs => "root.squashfs",
            Self::Uki => "node.efi",
            Self::Disk => "disk.raw",
            Self::Qcow2 => "disk.qcow2",
            Self::Vhd => "disk.vhd",
            Self::Vmdk => "disk.vmdk",
            Self::Gce => "disk.tar.gz",
            Self::Pxe | Self::Sysupdate => sums::NAME,
        }
    }

    /// Whether it is a disk, in whatever form.
    #[must_use]
    pub fn is_disk(self) -> bool {
        matches!(
            self,
            Self::Disk | Self::Qcow2 | Self::Vhd | Self::Vmdk | Self::Gce
        )
    }

    /// Whether its files are listed with their checksums.
    #[must_use]
    pub fn has_sums(self) -> bool {
        matches!(self, Self::Pxe | Self::Sysupdate)
    }

    /// Whether a machine boots it, or takes it for its next boot.
    #[must_use]
    pub fn boots(self) -> bool {
        self.is_disk() || matches!(self, Self::Uki | Self::Pxe | Self::Sysupdate)
    }
}
