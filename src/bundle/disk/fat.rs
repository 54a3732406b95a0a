//! The EFI system partition: FAT32 ("FAT32 File System Specification", Microsoft,
//! version 1.03; UEFI 2.10, section 13.3).
//!
//! Written once and never again by us, so each file and folder has its clusters in
//! a row: first the folders, then the files, both in the order of their paths.
//! All times are 1980-01-01 00:00.

mod name;

use std::collections::BTreeMap;

use super::content::Piece;
use super::{SECTOR, fields};
use crate::error::{Error, Kind, Result};
use crate::report::human_bytes;
use name::Names;

/// Files by their paths, with `/` between names.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Fewer clusters would be FAT16 to every reader.
const FEWEST: u64 = 65_525;

/// More clusters have no numbers: from `0x0fff_fff7` on these mean something else.
const MOST: u64 = 0x0fff_fff4;

/// The largest cluster in bytes.
const CLUSTER: u64 = 4096;

/// Sectors before the first allocation table; so many keep data at borders of 4 KiB.
const RESERVED: u64 = 32;

/// An entry of a folder in bytes.
const ENTRY: usize = 32;

/// Attributes of an entry.
const LABEL: u8 = 0x08;
const FOLDER: u8 = 0x10;
const ARCHIVE: u8 = 0x20;

/// 1980-01-01 as an entry has it.
const DATE: u16 = 1 << 5 | 1;

/// Ends a chain of clusters.
const END: u32 = 0x0fff_ffff;

/// The smallest partition in bytes.
pub const SMALLEST: u64 = 33 << 20;

/// A file system of `size` bytes in a partition that begins at byte `start` of its
/// disk, in pieces; `serial` is its serial number.
///
/// # Errors
/// When the files do not fit, or a name cannot be said.
pub fn pieces<'a>(
    size: u64,
    start: u64,
    serial: [u8; 4],
    files: &Files,
) -> Result<Vec<(u64, Piece<'a>)>> {
    let shape = Shape::of(size)?;
    let mut folders = Folders::of(files)?;
    shape.check(&folders, files)?;
    // Clusters are numbered from 2, and the root is the first.
    let mut next = 2;
    let mut table: Vec<u32> = vec![0x0fff_fff8, END];
    let mut take = |bytes: usize| -> u32 {
        let (first, clusters) = (next, shape.clusters(bytes as u64) as u32);
        next += clusters;
        table.extend((first + 1..next).chain((clusters > 0).then_some(END)));
        if clusters > 0 { first } else { 0 }
    };
    let places: BTreeMap<String, u32> = folders
        .0
        .iter()
        .map(|(path, folder)| (path.clone(), take(folder.size())))
        .collect();
    let mut placed = places.clone();
    placed.extend(
        files
            .iter()
            .map(|(path, bytes)| (path.clone(), take(bytes.len()))),
    );
    let mut pieces: Vec<(u64, Piece<'a>)> = Vec::new();
    for (path, folder) in &mut folders.0 {
        let bytes = folder.bytes(path, &placed, files);
        pieces.push((shape.place(places[path]), Piece::Bytes(bytes)));
    }
    for (path, bytes) in files {
        pieces.push((shape.place(placed[path]), Piece::Bytes(bytes.clone())));
    }
    pieces.retain(|(_, piece)| !matches!(piece, Piece::Bytes(bytes) if bytes.is_empty()));
    let free = shape.count as u32 + 2 - next;
    let head = shape.head(start, serial, free, next);
    let table: Vec<u8> = table.into_iter().flat_map(u32::to_le_bytes).collect();
    let first = RESERVED * SECTOR;
    pieces.push((first + shape.table * SECTOR, Piece::Bytes(table.clone())));
    pieces.push((first, Piece::Bytes(table)));
    pieces.push((0, Piece::Bytes(head)));
    Ok(pieces)
}

/// How a partition is divided.
struct Shape {
    /// The size of the partition, in sectors.
    sectors: u64,
    /// The size of a cluster in bytes.
    cluster: u64,
    /// How many clusters there are.
    count: u64,
    /// The size of one of the two allocation tables, in sectors.
    table: u64,
}

impl Shape {
    fn of(size: u64) -> Result<Self> {
        let sectors = size / SECTOR;
        let mut cluster = CLUSTER;
        loop {
            // The tables have an entry of 4 bytes for each cluster that there might be.
            let entries = (size / cluster + 2) * 4;
            let table = entries.div_ceil(SECTOR).next_multiple_of(8);
            let data = sectors.saturating_sub(RESERVED + 2 * table);
            let count = data * SECTOR / cluster;
            if count > MOST {
                let message = format!(
                    "an EFI system partition of {} is too large to be one",
                    human_bytes(size)
                );
                return Err(Error::new(Kind::Usage, message)
                    .hint("make it smaller with `--esp-size`: at most 1T"));
            }
            if count >= FEWEST {
                return Ok(Self {
                    sectors,
                    cluster,
                    count,
                    table,
                });
            }
            if cluster == SECTOR {
                let message = format!(
                    "an EFI system partition of {} is too small to be one",
                    human_bytes(size)
                );
                return Err(Error::new(Kind::Usage, message)
                    .hint(format!("the least is {}", human_bytes(SMALLEST))));
            }
            cluster /= 2;
        }
    }

    fn clusters(&self, bytes: u64) -> u64 {
        bytes.div_ceil(self.cluster)
    }

    /// Where a cluster is, in bytes from the partition's beginning.
    fn place(&self, cluster: u32) -> u64 {
        let data = (RESERVED + 2 * self.table) * SECTOR;
        data + u64::from(cluster.max(2) - 2) * self.cluster
    }

    fn check(&self, folders: &Folders, files: &Files) -> Result<()> {
        let folders = folders.0.values().map(|folder| folder.size() as u64);
        let files = files.values().map(|bytes| bytes.len() as u64);
        let needed: u64 = folders.chain(files).map(|size| self.clusters(size)).sum();
        if needed <= self.count {
            return Ok(());
        }
        let message = format!(
            "the EFI system partition is too small: its files need {}, and {} has room for {}",
            human_bytes(needed * self.cluster),
            human_bytes(self.sectors * SECTOR),
            human_bytes(self.count * self.cluster),
        );
        Err(Error::new(Kind::Usage, message).hint("make it larger with `--esp-size`"))
    }

    /// The boot sector, the information sector, and their copies.
    fn head(&self, start: u64, serial: [u8; 4], free: u32, next: u32) -> Vec<u8> {
        let boot = fields(
            SECTOR as usize,
            &[
                (0, &[0xeb, 0x58, 0x90]),
                (3, b"NODELITH"),
                (11, &(SECTOR as u16).to_le_bytes()),
                (13, &[(self.cluster / SECTOR) as u8]),
                (14, &(RESERVED as u16).to_le_bytes()),
                (16, &[2]),    // tables
                (21, &[0xf8]), // a disk that stays in
                (24, &63_u16.to_le_bytes()),
                (26, &255_u16.to_le_bytes()),
                (28, &((start / SECTOR) as u32).to_le_bytes()),
                (32, &(self.sectors as u32).to_le_bytes()),
                (36, &(self.table as u32).to_le_bytes()),
                (44, &2_u32.to_le_bytes()), // the root's cluster
                (48, &1_u16.to_le_bytes()), // the information sector
                (50, &6_u16.to_le_bytes()), // the copy
                (64, &[0x80]),
                (66, &[0x29]),
                (67, &serial),
                (71, b"ESP        "),
                (82, b"FAT32   "),
                (510, &[0x55, 0xaa]),
            ],
        );
        let information = fields(
            SECTOR as usize,
            &[
                (0, b"RRaA"),
                (484, b"rrAa"),
                (488, &free.to_le_bytes()),
                (492, &next.to_le_bytes()),
                (510, &[0x55, 0xaa]),
            ],
        );
        let third = fields(SECTOR as usize, &[(510, &[0x55, 0xaa])]);
        let mut head = [&boot[..], &information, &third].concat();
        head.resize(6 * SECTOR as usize, 0);
        head.extend([&boot[..], &information, &third].concat());
        head
    }
}

/// The folders by their paths; that of the root is empty.
struct Folders(BTreeMap<String, Folder>);

/// What is in a folder: for each path its entries' names.
struct Folder {
    entries: BTreeMap<String, Names>,
    is_root: bool,
}

impl Folders {
    fn of(files: &Files) -> Result<Self> {
        let mut children: BTreeMap<String, Vec<String>> = BTreeMap::new();
        children.entry(String::new()).or_default();
        for path in files.keys() {
            let mut path = path.clone();
            loop {
                let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                let siblings = children.entry(folder.to_owned()).or_default();
                if !siblings.contains(&path) {
                    siblings.push(path.clone());
                }
                if folder.is_empty() {
                    break;
                }
                path = folder.to_owned();
            }
        }
        let mut folders = BTreeMap::new();
        for (path, mut children) in children {
            children.sort();
            let mut entries: BTreeMap<String, Names> = BTreeMap::new();
            for child in children {
                let name = child.rsplit('/').next().unwrap_or(&child);
                let taken: Vec<_> = entries.values().map(|names| names.short).collect();
                entries.insert(child.clone(), Names::of(name, &taken)?);
            }
            let is_root = path.is_empty();
            folders.insert(path, Folder { entries, is_root });
        }
        Ok(Self(folders))
    }
}

impl Folder {
    /// Its size in bytes.
    fn size(&self) -> usize {
        let entries: usize = self
            .entries
            .values()
            .map(|names| names.long.len() + 1)
            .sum();
        // The label; or itself and what it is in.
        let more = if self.is_root { 1 } else { 2 };
        (entries + more) * ENTRY
    }

    fn bytes(&self, path: &str, placed: &BTreeMap<String, u32>, files: &Files) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.size());
        if self.is_root {
            bytes.extend(entry(b"ESP        ", LABEL, 0, 0));
        } else {
            // The root is said as cluster 0 here.
            let above = path.rsplit_once('/').map_or(0, |(above, _)| placed[above]);
            bytes.extend(entry(b".          ", FOLDER, placed[path], 0));
            bytes.extend(entry(b"..         ", FOLDER, above, 0));
        }
        for (path, names) in &self.entries {
            names.long.iter().for_each(|part| bytes.extend(part));
            let (attribute, size) = match files.get(path) {
                Some(content) => (ARCHIVE, content.len() as u32),
                None => (FOLDER, 0),
            };
            bytes.extend(entry(&names.short, attribute, placed[path], size));
        }
        bytes
    }
}

fn entry(name: &[u8; 11], attribute: u8, cluster: u32, size: u32) -> Vec<u8> {
    let date = DATE.to_le_bytes();
    fields(
        ENTRY,
        &[
            (0, name),
            (11, &[attribute]),
            (16, &date),
            (18, &date),
            (20, &((cluster >> 16) as u16).to_le_bytes()),
            (24, &date),
            (26, &(cluster as u16).to_le_bytes()),
            (28, &size.to_le_bytes()),
        ],
    )
}
