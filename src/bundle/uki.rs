//! Unified kernel images (UAPI group's specification UKI): systemd's stub with kernel,
//! initrd and the rest as sections of one PE file, which firmware starts.
//!
//! The format of PE files: Microsoft's "PE Format", sections "COFF File Header",
//! "Optional Header" and "Section Table".

use crate::error::{Error, Kind, Result};

/// What a unified kernel image is made of.
pub struct Parts<'a> {
    /// systemd's stub.
    pub stub: &'a [u8],
    /// The kernel.
    pub kernel: &'a [u8],
    /// The initrd.
    pub initrd: &'a [u8],
    /// The kernel's command line.
    pub command_line: &'a str,
    /// The image's os-release.
    pub os_release: &'a [u8],
    /// The kernel's release (`uname -r`).
    pub release: &'a str,
}

/// Puts one together.
///
/// # Errors
/// When the stub is none, or has no room for the sections.
pub fn make(parts: &Parts<'_>) -> Result<Vec<u8>> {
    // The kernel comes last: it may be started where it lies, and needs room behind it.
    append(
        parts.stub,
        &[
            (".osrel", parts.os_release),
            (".cmdline", parts.command_line.as_bytes()),
            (".uname", parts.release.as_bytes()),
            (".initrd", parts.initrd),
            (".linux", parts.kernel),
        ],
    )
}

/// A section's header in bytes.
const SECTION: usize = 40;

/// `IMAGE_SCN_CNT_INITIALIZED_DATA` and `IMAGE_SCN_MEM_READ`.
const DATA: u32 = 0x4000_0040;

/// Where things are in a PE file, from the beginning of its COFF header or of its
/// optional header (of the 64-bit form).
pub(super) mod at {
    pub const SECTIONS: usize = 2;
    pub const OPTIONAL_SIZE: usize = 16;
    pub const OPTIONAL: usize = 20;
    pub const MAGIC: usize = 0;
    pub const DATA_SIZE: usize = 8;
    pub const SECTION_ALIGNMENT: usize = 32;
    pub const FILE_ALIGNMENT: usize = 36;
    pub const IMAGE_SIZE: usize = 56;
    pub const HEADERS_SIZE: usize = 60;
    pub const CHECKSUM: usize = 64;
    pub const DIRECTORIES: usize = 108;
    pub const CERTIFICATES: usize = 144;
    /// Which of the directories that is, from 0.
    pub const CERTIFICATES_NUMBER: usize = 4;
}

/// A file's alignment is at most this many bytes ("Optional Header Windows-Specific
/// Fields"), and each section is filled up to it.
const MOST_ALIGNED: u32 = 1 << 16;

/// `PE32+`.
pub(super) const MAGIC: u16 = 0x20b;

fn append(stub: &[u8], sections: &[(&str, &[u8])]) -> Result<Vec<u8>> {
    let mut file = Pe::open(stub).ok_or_else(|| {
        let message = "the image's systemd stub is not a PE file of 64 bits";
        Error::new(Kind::Verify, message)
    })?;
    for (name, bytes) in sections {
        file.add(name, bytes).ok_or_else(|| {
            let message = format!("the image's systemd stub has no room for a section `{name}`");
            Error::new(Kind::Verify, message)
        })?;
    }
    Ok(file.bytes)
}

/// A PE file that sections are put behind.
struct Pe {
    bytes: Vec<u8>,
    /// Where the COFF header is.
    coff: usize,
    /// Where the next section's header goes.
    next: usize,
    /// The address behind the last section.
    address: u32,
}

impl Pe {
    fn open(bytes: &[u8]) -> Option<Self> {
        let mut file = Self {
            bytes: bytes.to_vec(),
            coff: 0,
            next: 0,
            address: 0,
        };
        let start = file.u32(0x3c)? as usize;
        if !bytes.starts_with(b"MZ") || bytes.get(start..start + 4)? != b"PE\0\0" {
            return None;
        }
        file.coff = start + 4;
        let optional = file.coff + at::OPTIONAL;
        let size = usize::from(file.u16(file.coff + at::OPTIONAL_SIZE)?);
        let alignment = |field: usize| file.u32(optional + field).filter(|n| n.is_power_of_two());
        let aligned = alignment(at::SECTION_ALIGNMENT).is_some()
            && alignment(at::FILE_ALIGNMENT).is_some_and(|bytes| bytes <= MOST_ALIGNED);
        if file.u16(optional + at::MAGIC)? != MAGIC || size < at::CERTIFICATES + 8 || !aligned {
            return None;
        }
        // A signature of the stub alone says nothing of what it becomes.
        let signature = file.u32(optional + at::CERTIFICATES)? as usize;
        if signature != 0 {
            file.bytes.truncate(signature);
            file.bytes
                .get_mut(optional + at::CERTIFICATES..optional + at::CERTIFICATES + 8)?
                .fill(0);
        }
        file.put(optional + at::CHECKSUM, &[0; 4])?;
        let table = optional + size;
        let count = usize::from(file.u16(file.coff + at::SECTIONS)?);
        file.next = table + count * SECTION;
        for header in (table..file.next).step_by(SECTION) {
            let end = file.u32(header + 12)?.checked_add(file.u32(header + 8)?)?;
            file.address = file.address.max(end);
        }
        Some(file)
    }

    /// Puts a section behind all others; none if it cannot be.
    fn add(&mut self, name: &str, content: &[u8]) -> Option<()> {
        let optional = self.coff + at::OPTIONAL;
        let section_alignment = self.u32(optional + at::SECTION_ALIGNMENT)?;
        let file_alignment = self.u32(optional + at::FILE_ALIGNMENT)? as usize;
        let headers = self.u32(optional + at::HEADERS_SIZE)? as usize;
        // What stands between the table and the first section is zeros.
        let room = self.bytes.get(self.next..self.next + SECTION)?;
        if self.next + SECTION > headers || room.iter().any(|byte| *byte != 0) {
            return None;
        }
        let size = u32::try_from(content.len()).ok()?;
        let address = self.address.checked_next_multiple_of(section_alignment)?;
        let place = self.bytes.len().next_multiple_of(file_alignment);
        self.bytes.resize(place, 0);
        self.bytes.extend_from_slice(content);
        let end = self.bytes.len().next_multiple_of(file_alignment);
        self.bytes.resize(end, 0);
        let raw = u32::try_from(end - place).ok()?;
        let header = self.next;
        self.put(header, name.as_bytes())?;
        for (at, number) in [
            (8, size),
            (12, address),
            (16, raw),
            (20, u32::try_from(place).ok()?),
            (36, DATA),
        ] {
            self.put(header + at, &number.to_le_bytes())?;
        }
        self.next += SECTION;
        self.address = address.checked_add(size)?;
        let count = self.u16(self.coff + at::SECTIONS)? + 1;
        self.put(self.coff + at::SECTIONS, &count.to_le_bytes())?;
        let image = self.address.checked_next_multiple_of(section_alignment)?;
        self.put(optional + at::IMAGE_SIZE, &image.to_le_bytes())?;
        let data = self.u32(optional + at::DATA_SIZE)?.checked_add(raw)?;
        self.put(optional + at::DATA_SIZE, &data.to_le_bytes())
    }

    fn u16(&self, at: usize) -> Option<u16> {
        let bytes = self.bytes.get(at..at + 2)?;
        Some(u16::from_le_bytes(bytes.try_into().ok()?))
    }

    fn u32(&self, at: usize) -> Option<u32> {
        let bytes = self.bytes.get(at..at.checked_add(4)?)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }

    fn put(&mut self, at: usize, bytes: &[u8]) -> Option<()> {
        let place = self.bytes.get_mut(at..at + bytes.len())?;
        place.copy_from_slice(bytes);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alignment_that_no_stub_has() {
        let stub = |alignment: u32| {
            let mut bytes = vec![0; 1024];
            bytes[..2].copy_from_slice(b"MZ");
            bytes[0x3c] = 64;
            bytes[64..68].copy_from_slice(b"PE\0\0");
            let optional = 68 + at::OPTIONAL;
            let mut put = |at: usize, number: u32| {
                bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
            };
            put(68 + at::OPTIONAL_SIZE, 240);
            put(optional + at::MAGIC, MAGIC.into());
            put(optional + at::SECTION_ALIGNMENT, 4096);
            put(optional + at::FILE_ALIGNMENT, alignment);
            put(optional + at::HEADERS_SIZE, 1024);
            bytes
        };
        for (alignment, size) in [(512, Some(1536)), (1 << 16, Some(2 << 16)), (1 << 17, None)] {
            let made = append(&stub(alignment), &[(".osrel", b"ID=debian")]);
            assert_eq!(made.ok().map(|bytes| bytes.len()), size, "{alignment}");
        }
    }
}
