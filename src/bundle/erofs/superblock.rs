//! The superblock (`struct erofs_super_block`), in block 0.

use crc::{CRC_32_ISCSI, Crc};

use super::BLOCK;
use crate::tree::FIXED_TIME;

/// Where it begins in block 0.
const START: usize = 1024;
const MAGIC: u32 = 0xe0f5_e1e2;

/// There is a checksum, and times are those of last modification.
const COMPATIBLE: u32 = 1 | 2;

/// Where its fields are, in bytes from its start.
const CHECKSUM: usize = 4;
const BLOCKS: usize = 36;
const UUID: usize = 48;

/// A UUID's bytes, in the order in which they are written.
pub type Uuid = [u8; 16];

/// What a superblock says of its image.
pub struct Facts {
    /// The root directory's inode.
    pub root: u16,
    /// How many inodes there are.
    pub inodes: u64,
    /// How many blocks there are.
    pub blocks: u32,
}

/// Block 0 of an image that has this UUID yet.
pub fn encode(facts: &Facts, uuid: &Uuid) -> Vec<u8> {
    let mut block = vec![0; BLOCK as usize];
    let mut put = |at: usize, bytes: &[u8]| {
        block[START + at..START + at + bytes.len()].copy_from_slice(bytes);
    };
    put(0, &MAGIC.to_le_bytes());
    put(8, &COMPATIBLE.to_le_bytes());
    put(12, &[BLOCK.trailing_zeros() as u8]);
    put(14, &facts.root.to_le_bytes());
    put(16, &facts.inodes.to_le_bytes());
    // The time of compact inodes. Changing this changes every digest.
    put(24, &FIXED_TIME.to_le_bytes());
    put(BLOCKS, &facts.blocks.to_le_bytes());
    put(UUID, uuid);
    seal(&mut block);
    block
}

/// The size in bytes that the superblock in `block` gives for its image, and its
/// UUID; none if it is not one.
#[must_use]
pub fn decode(block: &[u8]) -> Option<(u64, Uuid)> {
    let part = |at: usize, length: usize| block.get(START + at..START + at + length);
    if part(0, 4)? != MAGIC.to_le_bytes() || part(12, 1)? != [BLOCK.trailing_zeros() as u8] {
        return None;
    }
    let blocks = u32::from_le_bytes(part(BLOCKS, 4)?.try_into().ok()?);
    Some((u64::from(blocks) * BLOCK, part(UUID, 16)?.try_into().ok()?))
}

/// Puts another UUID into block 0.
pub fn set_uuid(block: &mut [u8], uuid: &Uuid) {
    block[START + UUID..START + UUID + uuid.len()].copy_from_slice(uuid);
    seal(block);
}

/// The checksum: CRC-32C from the superblock to the end of the block, without
/// the inversion at the end that the usual one has.
fn seal(block: &mut [u8]) {
    const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
    let field = START + CHECKSUM..START + CHECKSUM + 4;
    block[field.clone()].fill(0);
    let sum = !CRC32C.checksum(&block[START..]);
    block[field].copy_from_slice(&sum.to_le_bytes());
}
