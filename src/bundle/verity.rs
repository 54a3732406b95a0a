//! dm-verity: a tree of hashes over the blocks of an image, whose root hash the
//! kernel is given at boot and holds every block against as it is read.
//!
//! Version 1 of the format (`Documentation/admin-guide/device-mapper/verity.rst`
//! and the cryptsetup project's description of the superblock): SHA-256, blocks
//! of 4096 bytes for data and hashes, a salt before each block. The file begins
//! with a superblock of one block, then come the levels, that nearest to the
//! root first. A block holds 128 hashes; what is left of the last one is zero.

use rayon::prelude::*;
use sha2::{Digest as _, Sha256};

/// The size of a block of data or hashes. Changing this changes every root hash.
pub const BLOCK: usize = 4096;

/// Hashed before each block. It is no secret, only always the same.
/// Changing this changes every root hash.
pub const SALT: &[u8; 32] = b"nodelith.root.dm-verity.salt.v1.";

/// A hash of a block.
pub type Hash = [u8; 32];

const PER_BLOCK: usize = BLOCK / size_of::<Hash>();

/// Hashes as many blocks at a time in one thread.
const GRAIN: usize = 16;

/// The hashes of an image's blocks, and those above them.
pub struct HashTree {
    /// How many blocks the image has.
    blocks: u64,
    /// Whole blocks of hashes, that of the image's blocks first.
    levels: Vec<Vec<u8>>,
    root: Hash,
}

/// The hashes of whole blocks, in parallel. A last one that is shorter counts as
/// filled up with zeros.
#[must_use]
pub fn leaves(bytes: &[u8]) -> Vec<Hash> {
    bytes
        .par_chunks(BLOCK)
        .with_min_len(GRAIN)
        .map(leaf)
        .collect()
}

/// The size in bytes of the file of hashes over an image of so many blocks.
#[must_use]
pub fn file_size(blocks: u64) -> u64 {
    let (mut all, mut level) = (1, blocks);
    while level > 1 {
        level = level.div_ceil(PER_BLOCK as u64);
        all += level;
    }
    all * BLOCK as u64
}

/// The hash of one block.
#[must_use]
pub fn leaf(block: &[u8]) -> Hash {
    let mut hash = Sha256::new_with_prefix(SALT);
    hash.update(block);
    hash.update(&[0; BLOCK][block.len().min(BLOCK)..]);
    hash.finalize().into()
}

/// The root hash over the hashes of all blocks of an image, at least one: that of a
/// [`HashTree`], which is not kept.
#[must_use]
pub fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash::default(),
        [one] => *one,
        // The last block of hashes counts as filled up, as it is in the tree.
        many => root(&self::leaves(many.as_flattened())),
    }
}

impl HashTree {
    /// The tree over the hashes of all blocks of an image, at least one.
    #[must_use]
    pub fn new(leaves: &[Hash]) -> Self {
        let mut levels: Vec<Vec<u8>> = Vec::new();
        let mut hashes = leaves.to_vec();
        while hashes.len() > 1 {
            let mut level = hashes.concat();
            level.resize(hashes.len().div_ceil(PER_BLOCK) * BLOCK, 0);
            hashes = self::leaves(&level);
            levels.push(level);
        }
        Self {
            blocks: leaves.len() as u64,
            levels,
            root: hashes.first().copied().unwrap_or_default(),
        }
    }

    /// The root hash.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.root
    }

    /// The file: superblock and levels, in pieces.
    pub fn file<'a>(&'a self, uuid: &[u8; 16]) -> impl Iterator<Item = std::borrow::Cow<'a, [u8]>> {
        let superblock = self.superblock(uuid);
        let levels = self.levels.iter().rev();
        std::iter::once(superblock.into()).chain(levels.map(|level| (&level[..]).into()))
    }

    fn superblock(&self, uuid: &[u8; 16]) -> Vec<u8> {
        let mut bytes = vec![0; BLOCK];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(0, b"verity\0\0");
        put(8, &1_u32.to_le_bytes()); // of the superblock
        put(12, &1_u32.to_le_bytes()); // of the hashes: the salt comes first
        put(16, uuid);
        put(32, b"sha256");
        put(64, &(BLOCK as u32).to_le_bytes());
        put(68, &(BLOCK as u32).to_le_bytes());
        put(72, &self.blocks.to_le_bytes());
        put(80, &(SALT.len() as u16).to_le_bytes());
        put(88, SALT);
        bytes
    }
}
