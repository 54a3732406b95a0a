//! The root image, and its root hash.
//!
//! The *root hash* is that of the dm-verity tree over the image, whose bytes
//! depend on nothing but the tree: so it names the root, in whatever form a
//! machine gets it. Blocks are hashed as they are written. The UUID comes from
//! the content too: it is made of the root hash that the image has while its
//! UUID is zero.

use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::contents::{Sink, is_zero};
use super::erofs::superblock::{self, Uuid};
use super::erofs::{BLOCK, Plan};
use super::output::Target;
use super::verity::{self, Hash, HashTree};
use crate::error::{Error, Kind, Result};
use crate::report::human_bytes;
use crate::tree::TreePath;

/// Blocks are read back and hashed this many bytes at a time.
const PIECE: usize = 256 * verity::BLOCK;

/// The largest root image that is read, in bytes: what its superblock says may be a
/// stranger's, and the hashes over it are kept in memory, 512 MiB for this.
pub const LARGEST: u64 = 64 << 30;

/// An image that is whole.
pub struct RootImage {
    /// The hashes over its blocks.
    pub hashes: HashTree,
    /// The file system's UUID.
    pub uuid: Uuid,
    /// The UUID of its verity superblock.
    pub verity_uuid: Uuid,
}

/// Writes a root image.
pub struct RootWriter<'a> {
    plan: &'a Plan<'a>,
    target: Target<'a>,
    /// Whether bodies of files are written, not only hashed.
    whole: bool,
    leaves: Mutex<Vec<Hash>>,
}

impl<'a> RootWriter<'a> {
    /// Writes all that the plan knows; contents are to come.
    ///
    /// # Errors
    /// When writing fails.
    pub fn new(plan: &'a Plan<'a>, target: Target<'a>) -> Result<Self> {
        Self::begin(plan, target, true, plan.size())
    }

    /// The same for its root hash alone: `target` gets what stands before the
    /// bodies of files.
    ///
    /// # Errors
    /// When writing fails.
    pub fn hashing(plan: &'a Plan<'a>, target: Target<'a>) -> Result<Self> {
        Self::begin(plan, target, false, plan.metadata())
    }

    fn begin(plan: &'a Plan<'a>, target: Target<'a>, whole: bool, size: u64) -> Result<Self> {
        target.resize(size)?;
        plan.metadata_bytes(&mut |at, bytes| target.put(at, bytes))?;
        let blocks = (plan.size() / BLOCK) as usize;
        Ok(Self {
            plan,
            target,
            whole,
            leaves: Mutex::new(vec![[0; 32]; blocks]),
        })
    }

    /// Hashes what was not, and writes the superblock.
    ///
    /// # Errors
    /// When reading or writing fails.
    pub fn finish(self) -> Result<RootImage> {
        let pieces = self.plan.metadata().div_ceil(PIECE as u64);
        let pieces = (0..pieces).into_par_iter();
        pieces.try_for_each(|number| -> Result<()> {
            let at = number * PIECE as u64;
            let size = (self.plan.metadata() - at).min(PIECE as u64);
            let mut bytes = vec![0; size as usize];
            self.target.get(at, &mut bytes)?;
            self.note(at, &bytes);
            Ok(())
        })?;
        let leaves = self.leaves.into_inner();
        let mut leaves = leaves.unwrap_or_else(PoisonError::into_inner);
        let mut block = superblock::encode(&self.plan.facts(), &Uuid::default());
        let content = content_hash(&mut block, &mut leaves);
        let uuid = uuid(&content[..16]);
        superblock::set_uuid(&mut block, &uuid);
        leaves[0] = verity::leaf(&block);
        self.target.put(0, &block)?;
        Ok(RootImage {
            hashes: HashTree::new(&leaves),
            uuid,
            verity_uuid: self::uuid(&content[16..]),
        })
    }

    /// Keeps the hashes of whole blocks that begin at byte `at`.
    fn note(&self, at: u64, bytes: &[u8]) {
        let hashes = verity::leaves(bytes);
        let first = (at / BLOCK) as usize;
        let mut leaves = self.leaves.lock().unwrap_or_else(PoisonError::into_inner);
        leaves[first..first + hashes.len()].copy_from_slice(&hashes);
    }
}

impl Sink for RootWriter<'_> {
    fn piece(&self, path: &TreePath, at: u64, bytes: &[u8]) -> Result<()> {
        let Some(placed) = self.plan.file(path) else {
            return Ok(());
        };
        let left = usize::try_from(placed.whole - at.min(placed.whole)).unwrap_or(usize::MAX);
        let (body, tail) = bytes.split_at(left.min(bytes.len()));
        if !body.is_empty() {
            let to = placed.body + at;
            if self.whole && !is_zero(body) {
                self.target.put(to, body)?;
            }
            self.note(to, body);
        }
        if !tail.is_empty() {
            let (to, bytes) = placed.tail(tail)?;
            self.target.put(to, &bytes)?;
        }
        Ok(())
    }
}

/// The root hash of the image whose block 0 has no UUID yet.
fn content_hash(block: &mut [u8], leaves: &mut [Hash]) -> Hash {
    superblock::set_uuid(block, &Uuid::default());
    leaves[0] = verity::leaf(block);
    verity::root(leaves)
}

/// A UUID made of 16 bytes: version 8, "custom" (RFC 9562, section 5.8).
pub(super) fn uuid(bytes: &[u8]) -> Uuid {
    let mut uuid = Uuid::default();
    uuid.copy_from_slice(&bytes[..16]);
    uuid[6] = uuid[6] & 0x0f | 0x80;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    uuid
}

/// The root hash of a root image in a file or in a part of it; none if it is no EROFS
/// image, and [`Found::Foreign`] if its UUID is not what its content says, as after a change
/// or in an image of another maker. `length` is how many bytes there are, and `name` what
/// they are called.
///
/// # Errors
/// When it cannot be read, is shorter than its superblock says, or larger than [`LARGEST`].
pub fn read_root_hash(
    source: &(dyn FileExt + Sync),
    length: u64,
    name: &Path,
) -> Result<Option<Found>> {
    let mut block = vec![0; verity::BLOCK];
    if length < BLOCK {
        return Ok(None);
    }
    let get = |at: u64, bytes: &mut [u8]| {
        let read = source.read_exact_at(bytes, at);
        read.map_err(|error| match error.kind() {
            // What a reader of disks says of a damaged one.
            io::ErrorKind::InvalidData => Error::io("reading", name, error).with_kind(Kind::Verify),
            _ => Error::io("reading", name, error),
        })
    };
    get(0, &mut block)?;
    let Some((size, found)) = superblock::decode(&block) else {
        return Ok(None);
    };
    if size == 0 {
        return Ok(Some(Found::Foreign));
    }
    if length < size {
        let name = name.display();
        let message = format!("`{name}` is cut off: it has {length} of {size} bytes");
        return Err(Error::new(Kind::Verify, message));
    }
    if size > LARGEST {
        let (name, size, most) = (name.display(), human_bytes(size), human_bytes(LARGEST));
        let message = format!("`{name}` has a root of {size} by its superblock: more than {most}");
        return Err(Error::new(Kind::Verify, message));
    }
    let mut leaves: Vec<Hash> = vec![[0; 32]; (size / BLOCK) as usize];
    let pieces = leaves.par_chunks_mut(PIECE / verity::BLOCK).enumerate();
    pieces.try_for_each(|(number, hashes)| -> Result<()> {
        let mut bytes = vec![0; hashes.len() * verity::BLOCK];
        get(number as u64 * PIECE as u64, &mut bytes)?;
        hashes.copy_from_slice(&verity::leaves(&bytes));
        Ok(())
    })?;
    let root = verity::root(&leaves);
    let content = content_hash(&mut block, &mut leaves);
    Ok(Some(if uuid(&content[..16]) == found {
        Found::Root(root)
    } else {
        Found::Foreign
    }))
}

/// What an EROFS image was found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// A root image of ours, with this root hash.
    Root(Hash),
    /// Another one, or one that was changed.
    Foreign,
}
