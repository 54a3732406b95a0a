//! The programs and files of this machine that booting needs; those that are missing are
//! told of at once, before anything is made.

use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};

/// Something that is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tool {
    /// The emulator.
    Qemu,
    /// Makes the empty file system for `/var`.
    MkfsExt4,
    /// UEFI firmware for QEMU.
    Firmware,
    /// The ROM of QEMU's network card.
    Ipxe,
}

/// Where the ROM is: Debian's, and what QEMU itself brings.
const ROMS: [&str; 3] = [
    "/usr/lib/ipxe/qemu/pxe-virtio.rom",
    "/usr/share/ipxe/qemu/pxe-virtio.rom",
    "/usr/share/qemu/pxe-virtio.rom",
];

/// UEFI firmware: code, and the variables of a machine that nobody has used. Debian's,
/// its older one, Fedora's, Arch's, openSUSE's, and what QEMU itself brings.
const FIRMWARE: [(&str, &str); 6] = [
    (
        "/usr/share/OVMF/OVMF_CODE_4M.fd",
        "/usr/share/OVMF/OVMF_VARS_4M.fd",
    ),
    (
        "/usr/share/OVMF/OVMF_CODE.fd",
        "/usr/share/OVMF/OVMF_VARS.fd",
    ),
    (
        "/usr/share/edk2/ovmf/OVMF_CODE.fd",
        "/usr/share/edk2/ovmf/OVMF_VARS.fd",
    ),
    (
        "/usr/share/edk2/x64/OVMF_CODE.4m.fd",
        "/usr/share/edk2/x64/OVMF_VARS.4m.fd",
    ),
    (
        "/usr/share/qemu/ovmf-x86_64-code.bin",
        "/usr/share/qemu/ovmf-x86_64-vars.bin",
    ),
    (
        "/usr/share/qemu/edk2-x86_64-code.fd",
        "/usr/share/qemu/edk2-i386-vars.fd",
    ),
];

impl Tool {
    /// What a person calls it.
    fn name(self) -> &'static str {
        match self {
            Self::Qemu => "`qemu-system-x86_64`",
            Self::MkfsExt4 => "`mkfs.ext4`",
            Self::Firmware => "UEFI firmware for QEMU (OVMF)",
            Self::Ipxe => "iPXE for QEMU's network card (pxe-virtio.rom)",
        }
    }

    /// The package of Debian that has it.
    fn package(self) -> &'static str {
        match self {
            Self::Qemu => "qemu-system-x86",
            Self::MkfsExt4 => "e2fsprogs",
            Self::Firmware => "ovmf",
            Self::Ipxe => "ipxe-qemu",
        }
    }

    /// Where it is.
    fn find(self) -> Option<PathBuf> {
        match self {
            Self::Qemu => program("qemu-system-x86_64"),
            Self::MkfsExt4 => program("mkfs.ext4"),
            Self::Firmware => firmware_files().map(|(code, _)| code.into()),
            Self::Ipxe => ROMS.iter().map(PathBuf::from).find(|path| path.is_file()),
        }
    }

    /// Where it is.
    ///
    /// # Errors
    /// [`Kind::Usage`] when it is not.
    pub fn path(self) -> Result<PathBuf> {
        self.find().ok_or_else(|| missing(&[self]))
    }
}

/// The firmware's code and variables.
///
/// # Errors
/// [`Kind::Usage`] when there is none.
pub fn firmware() -> Result<(&'static Path, &'static Path)> {
    let files = firmware_files().ok_or_else(|| missing(&[Tool::Firmware]))?;
    Ok((Path::new(files.0), Path::new(files.1)))
}

/// Makes sure that all of these are there.
///
/// # Errors
/// [`Kind::Usage`] that names those that are not, and their packages.
pub fn check(tools: impl IntoIterator<Item = Tool>) -> Result<()> {
    let mut wanted: Vec<Tool> = tools.into_iter().collect();
    wanted.sort();
    wanted.dedup();
    wanted.retain(|tool| tool.find().is_none());
    match wanted.is_empty() {
        true => Ok(()),
        false => Err(missing(&wanted)),
    }
}

fn missing(tools: &[Tool]) -> Error {
    let names: Vec<_> = tools.iter().map(|tool| tool.name()).collect();
    let packages: Vec<_> = tools.iter().map(|tool| tool.package()).collect();
    let is = if tools.len() == 1 { "is" } else { "are" };
    let message = format!("what booting needs {is} not there: {}", names.join(", "));
    let hint = format!("on Debian: apt-get install {}", packages.join(" "));
    Error::new(Kind::Usage, message).hint(hint)
}

fn firmware_files() -> Option<(&'static str, &'static str)> {
    let is_there = |(code, variables): &(&str, &str)| {
        Path::new(code).is_file() && Path::new(variables).is_file()
    };
    FIRMWARE.into_iter().find(is_there)
}

/// A program of the search path, or of where programs for administrators are, which
/// the search path of others may not have.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}
