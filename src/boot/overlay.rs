//! Disks that are written beside what they are made of: a qcow2 file with nothing in it
//! over a *backing file* that stays as it is (QEMU's `docs/interop/qcow2.txt`).

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::error::{Context, Error, Kind, Result};

/// The size of a cluster, as a power of two and in bytes.
const BITS: u32 = 16;
const CLUSTER: u64 = 1 << BITS;
/// What one entry of the first table maps, in bytes.
const MAPPED: u64 = CLUSTER * (CLUSTER / 8);

/// The largest disk that is booted, in bytes: a file says how large it is, and the tables
/// that are written for it grow with that.
const LARGEST: u64 = 16 << 40;

/// In which form a disk is, by its name, as QEMU calls it.
pub fn format(path: &Path) -> &'static str {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("qcow2") => "qcow2",
        Some("vhd") => "vpc",
        _ => "raw",
    }
}

/// Writes an overlay to `path`, over `backing`, in whose place the machine has it; of
/// `size` bytes, if the disk that it stands for is smaller.
///
/// # Errors
/// When the backing file cannot be read, or is no disk, or writing fails.
pub fn write(path: &Path, backing: &Path, size: u64) -> Result<()> {
    let backing = fs::canonicalize(backing).io("opening", backing)?;
    let size = size.max(virtual_size(&backing)?);
    fs::write(path, overlay(&backing, size)?).io("writing", path)
}

/// The header, its tables, and no data.
fn overlay(backing: &Path, size: u64) -> Result<Vec<u8>> {
    let name = backing.as_os_str().as_encoded_bytes();
    // QEMU takes a name with a colon for a protocol, unless it begins with a slash.
    if name.len() > 1023 {
        let message = format!("the path `{}` is too long for QEMU", backing.display());
        return Err(Error::new(Kind::Usage, message).hint("give a shorter folder with TMPDIR"));
    }
    let entries = size.div_ceil(MAPPED);
    let table = (entries * 8).div_ceil(CLUSTER);
    // The header, the table of reference counts, one block of them, the first table.
    let clusters = 3 + table;
    let mut bytes = vec![0; usize::try_from(clusters * CLUSTER).unwrap_or(usize::MAX)];
    let format = format(backing).as_bytes();
    let extension = 104;
    let name_at = extension + 8 + format.len().next_multiple_of(8) + 8;

    let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
    put(0, b"QFI\xfb");
    put(4, &3_u32.to_be_bytes());
    put(8, &(name_at as u64).to_be_bytes());
    put(16, &(name.len() as u32).to_be_bytes());
    put(20, &BITS.to_be_bytes());
    put(24, &size.to_be_bytes());
    put(36, &(entries as u32).to_be_bytes());
    put(40, &(3 * CLUSTER).to_be_bytes());
    put(48, &CLUSTER.to_be_bytes());
    put(56, &1_u32.to_be_bytes());
    // Reference counts of 16 bits, a header of 104 bytes.
    put(96, &4_u32.to_be_bytes());
    put(100, &104_u32.to_be_bytes());
    // The backing file's format, so that nobody guesses it.
    put(extension, &0xe279_2aca_u32.to_be_bytes());
    put(extension + 4, &(format.len() as u32).to_be_bytes());
    put(extension + 8, format);
    put(name_at, name);
    put(CLUSTER as usize, &(2 * CLUSTER).to_be_bytes());
    for cluster in 0..clusters {
        let at = 2 * CLUSTER + 2 * cluster;
        put(at as usize, &1_u16.to_be_bytes());
    }
    Ok(bytes)
}

/// How large a disk is for a machine, in bytes.
///
/// # Errors
/// When it cannot be read, is no disk, or is larger than any that is booted.
pub fn virtual_size(path: &Path) -> Result<u64> {
    let size = said_size(path)?;
    if size > LARGEST {
        let message = format!(
            "the disk `{}` has {size} bytes: disks of 16 TiB at most are booted",
            path.display()
        );
        return Err(Error::new(Kind::Verify, message));
    }
    Ok(size)
}

/// How large a disk says that it is, in bytes.
fn said_size(path: &Path) -> Result<u64> {
    let file = File::open(path).io("opening", path)?;
    let length = file.metadata().io("reading", path)?.len();
    // Where its header is, how that begins, and where in it the size is.
    let (header, mark, place) = match format(path) {
        "qcow2" => (0, b"QFI\xfb", 24),
        // The footer (Virtual Hard Disk Image Format Specification, "Current Size").
        "vpc" => (length.saturating_sub(512), b"cone", 48),
        _ => return Ok(length),
    };
    let (mut start, mut size) = ([0; 4], [0; 8]);
    file.read_exact_at(&mut start, header).io("reading", path)?;
    file.read_exact_at(&mut size, header + place)
        .io("reading", path)?;
    match start == *mark {
        true => Ok(u64::from_be_bytes(size)),
        false => {
            let message = format!("`{}` is not the disk that its name says", path.display());
            Err(Error::new(Kind::Verify, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlay_has_the_size_of_what_is_below_or_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        File::create(path("disk.raw"))
            .unwrap()
            .set_len(5 << 20)
            .unwrap();
        write(&path("a.qcow2"), &path("disk.raw"), 0).unwrap();
        assert_eq!(virtual_size(&path("a.qcow2")).unwrap(), 5 << 20);
        write(&path("b.qcow2"), &path("a.qcow2"), 6 << 30).unwrap();
        assert_eq!(virtual_size(&path("b.qcow2")).unwrap(), 6 << 30);
        fs::write(path("c.qcow2"), [0; 64]).unwrap();
        let error = write(&path("d.qcow2"), &path("c.qcow2"), 0).unwrap_err();
        assert_eq!(error.kind(), Kind::Verify);
    }

    #[test]
    fn a_disk_that_says_it_is_immense_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let mut header = b"QFI\xfb".to_vec();
        for (size, fits) in [
            (LARGEST, true),
            (LARGEST + 1, false),
            (1 << 50, false),
            (u64::MAX, false),
        ] {
            header.resize(24, 0);
            header.extend(size.to_be_bytes());
            fs::write(path("disk.qcow2"), &header).unwrap();
            header.truncate(24);
            let written = write(&path("over.qcow2"), &path("disk.qcow2"), 0);
            assert_eq!(written.is_ok(), fits, "{size}");
            if let Err(error) = written {
                assert_eq!(error.kind(), Kind::Verify);
                let words = format!("has {size} bytes: disks of 16 TiB at most are booted");
                assert!(error.message().ends_with(&words), "{error}");
            }
        }
    }
}
