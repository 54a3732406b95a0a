//! The disk of a node: which partitions, of what size, and what is on them.

use sha2::{Digest as _, Sha256};

use super::content::{Content, Piece};
use super::fat::{self, Files};
use super::gce::GIB;
use super::gpt::{self, Partition, READ_ONLY, Uuid};
use super::{ALIGN, SECTOR};
use crate::bundle::output::Target;
use crate::bundle::root::uuid;
use crate::bundle::verity::{self, Hash};
use crate::error::{Error, Kind, Result};
use crate::report::human_bytes;

/// The EFI system partition's size in bytes, if nothing else is asked for.
pub const ESP: u64 = 256 << 20;

/// Slots for a root are a multiple of this many bytes.
const SLOT: u64 = 64 << 20;

/// No disk that partition tables of MS-DOS cannot say, so that all readers agree.
pub const LARGEST: u64 = 2 << 40;

/// How large things are to be, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wanted {
    /// The whole disk, of which whole MiB are used; none: as large as it has to be, in
    /// whole GiB.
    pub disk: Option<u64>,
    /// The EFI system partition; none: [`ESP`].
    pub esp: Option<u64>,
    /// The slot of a root; none: the root and a quarter of it.
    pub slot: Option<u64>,
}

/// How large they are, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// The whole disk.
    pub disk: u64,
    /// The EFI system partition.
    pub esp: u64,
    /// The root's partition.
    pub root: u64,
    /// That of its hashes.
    pub verity: u64,
}

impl Sizes {
    /// The sizes for a root image of `root` bytes.
    ///
    /// # Errors
    /// When something is smaller than it must be.
    pub fn of(wanted: Wanted, root: u64) -> Result<Self> {
        let whole = |size: u64| size.next_multiple_of(ALIGN);
        let slot = wanted.slot.unwrap_or(root + root / 4);
        if slot < root {
            return Err(too_small(
                "a slot",
                slot,
                "the root image",
                root,
                "--slot-size",
            ));
        }
        let slot = match wanted.slot {
            Some(size) => whole(size),
            None => slot.next_multiple_of(SLOT),
        };
        let esp = whole(wanted.esp.unwrap_or(ESP));
        // Hashes for whatever root has room.
        let hashes = whole(verity::file_size(slot / verity::BLOCK as u64));
        // What stands before and behind the partitions takes an aligned piece each.
        let needed = 2 * ALIGN + esp + slot + hashes;
        let disk = match wanted.disk {
            None => needed.next_multiple_of(GIB),
            Some(size) if size < needed => {
                let (what, option) = ("all of its partitions", "--disk-size");
                return Err(too_small("the disk", size, what, needed, option));
            }
            // Not more than was asked for: a disk may have exactly that.
            Some(size) => size - size % ALIGN,
        };
        if disk > LARGEST {
            let (size, most) = (human_bytes(disk), human_bytes(LARGEST));
            let message = format!("the disk would have {size}, and {most} is the most");
            return Err(Error::new(Kind::Usage, message)
                .hint("ask for smaller partitions with `--esp-size` and `--slot-size`"));
        }
        Ok(Self {
            disk,
            esp,
            root: slot,
            verity: hashes,
        })
    }
}

fn too_small(what: &str, size: u64, inside: &str, needed: u64, option: &str) -> Error {
    let (size, least) = (human_bytes(size), human_bytes(needed));
    let message = format!("{what} of {size} is too small for {inside}: {least}");
    Error::new(Kind::Usage, message).hint(format!("make it larger with `{option}`"))
}

/// What goes onto a disk.
pub struct Parts<'a> {
    /// The architecture, as OCI names it.
    pub architecture: &'a str,
    /// The files of the EFI system partition.
    pub esp: Files,
    /// The root image and its size in bytes.
    pub root: (Target<'a>, u64),
    /// Its hashes, as in a file.
    pub verity: Vec<u8>,
    /// Its root hash.
    pub root_hash: Hash,
    /// What the root's partition is called.
    pub name: String,
}

/// A disk that can be written.
pub struct Disk<'a> {
    /// Its bytes.
    pub content: Content<'a>,
    /// Its UUID.
    pub uuid: Uuid,
}

/// Puts a disk together.
///
/// # Errors
/// When a part does not fit, or there is no such disk for the architecture.
pub fn disk<'a>(parts: Parts<'a>, sizes: &Sizes) -> Result<Disk<'a>> {
    let (root, verity) = gpt::root_types(parts.architecture)?;
    let esp = unique("esp", &[&digest(&parts.esp)]);
    let (first, last) = parts.root_hash.split_at(16);
    let mut half = [Uuid::default(); 2];
    half[0].copy_from_slice(first);
    half[1].copy_from_slice(last);
    let mut start = ALIGN;
    let mut partition = |kind, uuid, name: &str, flags, size| {
        let partition = Partition {
            kind,
            uuid,
            name: name.to_owned(),
            flags,
            start,
            size,
        };
        start += size;
        partition
    };
    let partitions = [
        partition(gpt::ESP, esp, "esp", 0, sizes.esp),
        partition(root, half[0], &parts.name, READ_ONLY, sizes.root),
        partition(verity, half[1], &parts.name, READ_ONLY, sizes.verity),
    ];
    let uuid = unique("disk", &[&parts.root_hash, &esp, &sizes.disk.to_le_bytes()]);
    let mut pieces = gpt::pieces(sizes.disk, &uuid, &partitions);
    let mut serial = [0; 4];
    serial.copy_from_slice(&esp[..4]);
    let at = partitions[0].start;
    let files = fat::pieces(sizes.esp, at, serial, &parts.esp)?;
    pieces.extend(files.into_iter().map(|(place, piece)| (at + place, piece)));
    let (target, size) = parts.root;
    pieces.push((partitions[1].start, Piece::File(target, size)));
    pieces.push((partitions[2].start, Piece::Bytes(parts.verity)));
    debug_assert!(sizes.disk.is_multiple_of(SECTOR));
    Ok(Disk {
        content: Content::new(sizes.disk, pieces),
        uuid,
    })
}

/// What the files of a partition are, in 32 bytes.
fn digest(files: &Files) -> [u8; 32] {
    let mut all = Sha256::new();
    for (path, bytes) in files {
        all.update((path.len() as u64).to_le_bytes());
        all.update(path);
        all.update(Sha256::digest(bytes));
    }
    all.finalize().into()
}

/// A UUID that follows from what it is of.
fn unique(what: &str, of: &[&[u8]]) -> Uuid {
    let mut all = Sha256::new_with_prefix(b"nodelith.disk.v1.");
    all.update(what);
    of.iter().for_each(|part| all.update(part));
    let hash: [u8; 32] = all.finalize().into();
    uuid(&hash[..16])
}
