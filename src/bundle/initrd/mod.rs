//! The initrd: what finds a node's root, lays it out and hands over to it.
//!
//! It is `nodelith-init`, a static program of ours that comes with `nodelith`, and
//! modules of the image's kernel with the aliases by which hardware asks for them.
//! What else is needed at boot (systemd-repart, mkfs.ext4) is called in the image's own
//! root, once that is there: the same programs, verified, and not carried twice. So
//! it is a fraction of the size of one with systemd in it, and its root is there sooner
//! (docs/boot.md has the figures).
//!
//! ```text
//! modules   which modules, in which order (pure)
//! cpio      the archive
//! ```

pub mod cpio;
pub mod modules;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::{Context, Error, Kind, Result};
use crate::layer::compress::{Compression, Compressor};
use crate::source::release::elf;
use cpio::Archive;
use modules::Chosen;

/// The program's file name.
const PROGRAM: &str = "nodelith-init";

/// 19 would take five seconds more, for a tenth less.
const LEVEL: u8 = 9;

/// The program that becomes `/init`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Init(Vec<u8>);

impl Init {
    /// The one beside the running program, or that in a file of the caller's.
    ///
    /// # Errors
    /// When it is not there, is for another architecture than the image
    /// (`architecture` as OCI names it), or is not linked statically.
    pub fn find(file: Option<&Path>, architecture: &str) -> Result<Self> {
        let path = match file {
            Some(path) => path.to_owned(),
            None => beside(),
        };
        let hint = format!("name that for {architecture} with `--init FILE`");
        let bytes = fs::read(&path).io("reading", &path);
        let bytes = bytes.map_err(|error| error.with_kind(Kind::Usage).hint(&hint))?;
        let name = path.display();
        let message = match machine(&bytes) {
            Some(machine) if machine != architecture => format!(
                "the initrd's program `{name}` is for {machine}, and the image for {architecture}"
            ),
            // What would load its libraries is not in an initrd.
            Some(_) if segments(&bytes).any(|one| one.kind == INTERPRETER) => {
                format!("`{name}` is not linked statically")
            }
            Some(_) => return Ok(Self(loadable(bytes))),
            None => format!("`{name}` is no program for an initrd"),
        };
        Err(Error::new(Kind::Usage, message).hint(hint))
    }
}

fn beside() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    program.with_file_name(PROGRAM)
}

/// The architecture of an ELF program of 64 bits in little-endian; OCI has Debian's names.
fn machine(bytes: &[u8]) -> Option<&'static str> {
    match bytes.get(4..6)? {
        [2, 1] => elf::machine(bytes)?.0,
        _ => None,
    }
}

/// `PT_LOAD` and `PT_INTERP` (elf(5)).
const LOAD: u64 = 1;
const INTERPRETER: u64 = 3;

/// A program header of an ELF program.
struct Segment {
    /// `p_type`.
    kind: u64,
    /// Where what it tells of ends in the file; none where no file could reach.
    end: Option<u64>,
}

/// The program headers that are whole.
fn segments(bytes: &[u8]) -> impl Iterator<Item = Segment> {
    let table = number(bytes, 0x20, 8).unwrap_or_default();
    let (size, count) = (number(bytes, 0x36, 2), number(bytes, 0x38, 2));
    let size = size.unwrap_or_default();
    let places = (0..count.unwrap_or_default()).map(move |index| table.checked_add(index * size));
    places.filter_map(|place| {
        let place = usize::try_from(place?).ok()?;
        let field = |at: usize, size: usize| number(bytes, place.checked_add(at)?, size);
        Some(Segment {
            kind: field(0, 4)?,
            end: field(8, 8)?.checked_add(field(32, 8)?),
        })
    })
}

/// A number in little-endian.
fn number(bytes: &[u8], at: usize, size: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(size)?)?.iter().rev();
    Some(bytes.fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

/// A program without what only debuggers read: what stands behind all that is loaded
/// goes away, and with it the table of sections.
fn loadable(mut bytes: Vec<u8>) -> Vec<u8> {
    /// `e_shoff`, and `e_shentsize` to `e_shstrndx` (elf(5)).
    const SECTIONS: [std::ops::Range<usize>; 2] = [0x28..0x30, 0x3a..0x40];
    let end = || -> Option<usize> {
        let (table, size) = (number(&bytes, 0x20, 8)?, number(&bytes, 0x36, 2)?);
        let mut end = table.checked_add(size * number(&bytes, 0x38, 2)?)?;
        for segment in segments(&bytes).filter(|segment| segment.kind == LOAD) {
            end = end.max(segment.end?);
        }
        usize::try_from(end)
            .ok()
            .filter(|end| (0x40..=bytes.len()).contains(end))
    };
    if let Some(end) = end() {
        bytes.truncate(end);
        for range in SECTIONS {
            bytes[range].fill(0);
        }
    }
    bytes
}

/// The folder in which a second initrd may bring the root. Some boot loaders make files
/// of an initrd without the folders that they are in.
const BROUGHT: &str = "nodelith";

/// Makes the initrd. `modules` are the kernel's modules' bytes, by their names and
/// uncompressed, with those that were chosen; `os_release` is the image's.
///
/// # Errors
/// When compressing fails.
pub fn make(
    init: &Init,
    chosen: &Chosen,
    modules: &BTreeMap<String, Vec<u8>>,
    os_release: &str,
) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    archive.file("init", 0o755, &init.0);
    archive.file("etc/initrd-release", 0o644, os_release.as_bytes());
    archive.file("modules/order", 0o644, chosen.order().as_bytes());
    archive.file("modules/alias", 0o644, chosen.aliases.as_bytes());
    for name in chosen.files.keys() {
        let bytes = modules.get(name).map_or(&[][..], |bytes| bytes);
        archive.file(&format!("modules/{name}.ko"), 0o644, bytes);
    }
    if chosen.network {
        archive.folder(BROUGHT);
    }
    // The number of threads does not matter to the bytes.
    let compression = Compression::Zstd { level: LEVEL };
    let compress = || {
        let mut zstd = Compressor::new(Vec::new(), compression, 2)?;
        zstd.write_all(&archive.finish())?;
        zstd.finish()
    };
    let mut bytes: Vec<u8> = compress().io("compressing", "initrd")?;
    // So that another may follow it.
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program for amd64 with one segment of this kind, which ends at byte 136.
    fn program(kind: u8) -> Vec<u8> {
        let mut bytes = vec![0; 200];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        for (at, byte) in [(18, 62), (0x20, 64), (0x36, 56), (0x38, 1), (0x3c, 9)] {
            bytes[at] = byte;
        }
        (bytes[64], bytes[64 + 8], bytes[64 + 32]) = (kind, 120, 16);
        bytes
    }

    #[test]
    fn programs_for_an_initrd() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let find = |bytes: &[u8], architecture: &str| {
            fs::write(file.path(), bytes).unwrap();
            let said = |error: Error| {
                error
                    .message()
                    .replace(file.path().to_str().unwrap(), "FILE")
            };
            Init::find(Some(file.path()), architecture).map_err(said)
        };
        let found = find(&program(1), "amd64").unwrap().0;
        // No sections, and nothing behind what is loaded.
        assert_eq!((found.len(), found[0x3c]), (136, 0));
        let mut big = program(1);
        big[5] = 2;
        for (bytes, architecture, message) in [
            (program(3), "amd64", "`FILE` is not linked statically"),
            (
                program(1),
                "arm64",
                "the initrd's program `FILE` is for amd64, and the image for arm64",
            ),
            (big, "amd64", "`FILE` is no program for an initrd"),
            (
                program(1)[..10].to_vec(),
                "amd64",
                "`FILE` is no program for an initrd",
            ),
        ] {
            assert_eq!(find(&bytes, architecture).unwrap_err(), message);
        }
        // Headers beyond all places.
        let mut far = program(1);
        far[0x20..0x28].fill(0xff);
        assert_eq!(find(&far, "amd64").unwrap().0, far);
    }
}
