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

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::{Context, Error, Kind, Result};
use crate::layer::compress::{Compression, Compressor};
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
    /// When it is not there, or is for another architecture than the image
    /// (`architecture` as OCI names it).
    pub fn find(file: Option<&Path>, architecture: &str) -> Result<Self> {
        let path = match file {
            Some(path) => path.to_owned(),
            None => beside(),
        };
        let hint = format!("name that for {architecture} with `--init FILE`");
        let bytes = fs::read(&path).io("reading", &path);
        let bytes = bytes.map_err(|error| error.with_kind(Kind::Usage).hint(&hint))?;
        match machine(&bytes) {
            Some(machine) if machine == architecture => Ok(Self(loadable(bytes))),
            found => {
                let name = path.display();
                let message = match found {
                    Some(machine) => format!(
                        "the initrd's program `{name}` is for {machine}, and the image for {architecture}"
                    ),
                    None => format!("`{name}` is no program for an initrd"),
                };
                Err(Error::new(Kind::Usage, message).hint(hint))
            }
        }
    }
}

fn beside() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    program.with_file_name(PROGRAM)
}

/// The architecture of an ELF program (`e_machine`), as OCI names it.
fn machine(bytes: &[u8]) -> Option<&'static str> {
    match bytes.get(..20)? {
        [0x7f, b'E', b'L', b'F', 2, 1, .., 62, 0] => Some("amd64"),
        [0x7f, b'E', b'L', b'F', 2, 1, .., 183, 0] => Some("arm64"),
        _ => None,
    }
}

/// A program without what only debuggers read: what stands behind all that is loaded
/// goes away, and with it the table of sections.
fn loadable(mut bytes: Vec<u8>) -> Vec<u8> {
    /// `PT_LOAD`, and where fields are in the headers (elf(5)).
    const LOAD: u64 = 1;
    const SECTIONS: [std::ops::Range<usize>; 2] = [0x28..0x30, 0x3a..0x40];
    let number = |at: usize, size: usize| -> Option<u64> {
        let bytes = bytes.get(at..at.checked_add(size)?)?;
        Some(
            bytes
                .iter()
                .rev()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        )
    };
    let end = || -> Option<usize> {
        let (table, size, count) = (number(0x20, 8)?, number(0x36, 2)?, number(0x38, 2)?);
        let mut end = table + size * count;
        for segment in 0..count {
            let at = usize::try_from(table + segment * size).ok()?;
            if number(at, 4)? == LOAD {
                end = end.max(number(at + 8, 8)?.checked_add(number(at + 32, 8)?)?);
            }
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

/// Makes the initrd. `modules` are the chosen modules' bytes, by their names and
/// uncompressed; `os_release` is the image's.
///
/// # Errors
/// When compressing fails.
pub fn make(
    init: &Init,
    chosen: &Chosen,
    modules: &[(String, Vec<u8>)],
    os_release: &str,
) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    archive.file("init", 0o755, &init.0);
    archive.file("etc/initrd-release", 0o644, os_release.as_bytes());
    archive.file("modules/order", 0o644, chosen.order().as_bytes());
    archive.file("modules/alias", 0o644, chosen.aliases.as_bytes());
    for (name, bytes) in modules {
        archive.file(&format!("modules/{name}.ko"), 0o644, bytes);
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
