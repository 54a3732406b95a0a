//! The partition table: GPT, as the UEFI specification has it (2.10, section 5.3),
//! with the partition types of the UAPI group's Discoverable Partitions Specification.

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;

use crc::{CRC_32_ISO_HDLC, Crc};

use super::content::Piece;
use super::{SECTOR, fields};
use crate::error::{Error, Kind, Result};

/// A UUID's bytes, in the order in which they are written as text.
pub type Uuid = [u8; 16];

/// The EFI system partition.
pub const ESP: Uuid = uuid(0xc12a_7328_f81f_11d2_ba4b_00a0_c93e_c93b);

/// So many partitions have a place in the table, which all tools expect.
const ENTRIES: usize = 128;
const ENTRY: usize = 128;

/// The size of a table in bytes: header, then entries.
const TABLE: u64 = SECTOR + (ENTRIES * ENTRY) as u64;

/// The length of a header in bytes, as far as its checksum goes.
const LENGTH: usize = 92;

/// The longest name, in UTF-16 units.
const MAX_NAME: usize = 36;

/// "Read-only" of the Discoverable Partitions Specification ("Partition Flags").
pub const READ_ONLY: u64 = 1 << 60;

/// What a slot is called that no version is in (sysupdate.d(5)).
pub const EMPTY: &str = "_empty";

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// What it is for.
    pub kind: Uuid,
    /// Its own UUID.
    pub uuid: Uuid,
    /// Its name (*label*), at most 36 characters.
    pub name: String,
    /// Flags.
    pub flags: u64,
    /// Where it begins, in bytes; a multiple of [`super::ALIGN`].
    pub start: u64,
    /// Its length in bytes, a multiple of the same.
    pub size: u64,
}

/// The types of root and root-verity for an architecture, as OCI names it.
///
/// # Errors
/// When there are none, or none of which a machine is known.
pub fn root_types(architecture: &str) -> Result<(Uuid, Uuid)> {
    match architecture {
        "amd64" => Ok((
            uuid(0x4f68_bce3_e8cd_4db1_96e7_fbca_f984_b709),
            uuid(0x2c73_57ed_ebd2_46d9_aec1_23d4_37ec_2bf5),
        )),
        "arm64" => Ok((
            uuid(0xb921_b045_1df0_41c3_af44_4c6f_280d_3fae),
            uuid(0xdf33_00ce_d69f_4c92_978c_9bfb_0f38_d820),
        )),
        other => Err(Error::new(
            Kind::Usage,
            format!("disks are made for amd64 and arm64, not for `{other}`"),
        )),
    }
}

/// Whether a type is that of a root, of an architecture for which disks are made.
#[must_use]
pub fn is_root(kind: &Uuid) -> bool {
    ["amd64", "arm64"]
        .iter()
        .any(|architecture| root_types(architecture).is_ok_and(|(root, _)| root == *kind))
}

/// The table of a disk of `size` bytes, in its pieces: with the MBR that protects it
/// at the disk's beginning, and again at its end.
#[must_use]
pub fn pieces<'a>(size: u64, disk: &Uuid, partitions: &[Partition]) -> Vec<(u64, Piece<'a>)> {
    let mut entries = Vec::with_capacity(ENTRIES * ENTRY);
    for partition in partitions {
        entries.extend(entry(partition));
    }
    entries.resize(ENTRIES * ENTRY, 0);
    let last = size / SECTOR - 1;
    let begin = [
        mbr(last),
        header(1, last, 2, last, disk, &entries),
        entries.clone(),
    ]
    .concat();
    let entries_at = last - (ENTRIES * ENTRY) as u64 / SECTOR;
    let end = [
        &entries[..],
        &header(last, 1, entries_at, last, disk, &entries),
    ]
    .concat();
    vec![
        (0, Piece::Bytes(begin)),
        (entries_at * SECTOR, Piece::Bytes(end)),
    ]
}

/// The protective MBR (section 5.2.3): one partition over the whole disk.
fn mbr(last: u64) -> Vec<u8> {
    let sectors = u32::try_from(last).unwrap_or(u32::MAX);
    fields(
        SECTOR as usize,
        &[
            (446 + 1, &[0, 2, 0]), // the first sector, as cylinder, head and sector
            (446 + 4, &[0xee]),
            (446 + 5, &[0xff, 0xff, 0xff]),
            (446 + 8, &1_u32.to_le_bytes()),
            (446 + 12, &sectors.to_le_bytes()),
            (510, &[0x55, 0xaa]),
        ],
    )
}

/// A header (section 5.3.2) at sector `here`, whose twin is at `other`.
fn header(here: u64, other: u64, table: u64, last: u64, disk: &Uuid, entries: &[u8]) -> Vec<u8> {
    let sectors = TABLE / SECTOR;
    let mut header = fields(
        SECTOR as usize,
        &[
            (0, b"EFI PART"),
            (8, &0x0001_0000_u32.to_le_bytes()),
            (12, &(LENGTH as u32).to_le_bytes()),
            (24, &here.to_le_bytes()),
            (32, &other.to_le_bytes()),
            (40, &(1 + sectors).to_le_bytes()),
            (48, &(last - sectors).to_le_bytes()),
            (56, &mixed(disk)),
            (72, &table.to_le_bytes()),
            (80, &(ENTRIES as u32).to_le_bytes()),
            (84, &(ENTRY as u32).to_le_bytes()),
            (88, &crc32(entries).to_le_bytes()),
        ],
    );
    let sum = crc32(&header[..LENGTH]);
    header[16..20].copy_from_slice(&sum.to_le_bytes());
    header
}

/// An entry (section 5.3.3).
fn entry(partition: &Partition) -> Vec<u8> {
    let name: Vec<u8> = partition
        .name
        .encode_utf16()
        .take(MAX_NAME)
        .flat_map(u16::to_le_bytes)
        .collect();
    let (first, end) = (partition.start, partition.start + partition.size);
    fields(
        ENTRY,
        &[
            (0, &mixed(&partition.kind)),
            (16, &mixed(&partition.uuid)),
            (32, &(first / SECTOR).to_le_bytes()),
            (40, &(end / SECTOR - 1).to_le_bytes()),
            (48, &partition.flags.to_le_bytes()),
            (56, &name),
        ],
    )
}

/// The partitions in the table at a disk's beginning: their places in it, from 1, and
/// what they are. None if there is no table that is whole.
#[must_use]
pub fn read(disk: &impl FileExt) -> Option<BTreeMap<u32, Partition>> {
    let mut header = [0; SECTOR as usize];
    disk.read_exact_at(&mut header, SECTOR).ok()?;
    let number = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().unwrap_or_default());
    let whole = header.starts_with(b"EFI PART") && number(12) == LENGTH as u32;
    let (count, size) = (number(80) as usize, number(84) as usize);
    let sums = (number(16), number(88));
    if !whole || size < ENTRY || count > 1024 || size > 4096 {
        return None;
    }
    let table = u64::from_le_bytes(header[72..80].try_into().ok()?);
    header[16..20].fill(0);
    let mut entries = vec![0; count * size];
    disk.read_exact_at(&mut entries, table.checked_mul(SECTOR)?)
        .ok()?;
    if (crc32(&header[..LENGTH]), crc32(&entries)) != sums {
        return None;
    }
    let entries = (1..).zip(entries.chunks(size));
    Some(
        entries
            .filter_map(|(place, bytes)| Some((place, decode(bytes)?)))
            .collect(),
    )
}

/// An entry that is used.
fn decode(entry: &[u8]) -> Option<Partition> {
    let uuid = |at: usize| -> Option<Uuid> { Some(mixed(&entry[at..at + 16].try_into().ok()?)) };
    let number = |at: usize| Some(u64::from_le_bytes(entry[at..at + 8].try_into().ok()?));
    let kind = uuid(0).filter(|kind| *kind != Uuid::default())?;
    let (first, last) = (number(32)?, number(40)?);
    let units = entry[56..ENTRY].chunks(2);
    let units = units.map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
    let units: Vec<u16> = units.take_while(|unit| *unit != 0).collect();
    Some(Partition {
        kind,
        uuid: uuid(16)?,
        name: String::from_utf16_lossy(&units),
        flags: number(48)?,
        start: first.checked_mul(SECTOR)?,
        size: last
            .checked_add(1)?
            .checked_sub(first)?
            .checked_mul(SECTOR)?,
    })
}

fn crc32(bytes: &[u8]) -> u32 {
    const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);
    CRC.checksum(bytes)
}

/// A UUID as tables have it: its first three numbers in little-endian (appendix A).
fn mixed(uuid: &Uuid) -> Uuid {
    let mut mixed = *uuid;
    for part in [0..4, 4..6, 6..8] {
        mixed[part].reverse();
    }
    mixed
}

const fn uuid(number: u128) -> Uuid {
    number.to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::disk::content::Content;

    #[test]
    fn what_is_written_is_read() {
        let partition = |number: u8| Partition {
            kind: ESP,
            uuid: [number; 16],
            name: format!("partition {number}"),
            flags: READ_ONLY,
            start: u64::from(number) << 20,
            size: 1 << 20,
        };
        let partitions = [partition(1), partition(2)];
        let content = Content::new(4 << 20, pieces(4 << 20, &[7; 16], &partitions));
        let mut bytes = vec![0; 4 << 20];
        content.read(0, &mut bytes).unwrap();
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&bytes, 0).unwrap();
        let found: Vec<_> = read(&file).unwrap().into_values().collect();
        assert_eq!(found, partitions);
        for at in [512, 520, 1024 + 130] {
            file.write_all_at(&[bytes[at] ^ 1], at as u64).unwrap();
            assert_eq!(read(&file), None, "{at}");
            file.write_all_at(&[bytes[at]], at as u64).unwrap();
        }
        let mut strange = entry(&partitions[0]);
        strange[40..48].fill(0xff);
        assert_eq!(decode(&strange), None);
        file.set_len(2000).unwrap();
        assert_eq!(read(&file), None);
    }
}
