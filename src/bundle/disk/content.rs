//! A disk as data: pieces at places, and nothing between them.

use std::ops::Range;

use rayon::prelude::*;

use crate::bundle::output::Target;
use crate::error::Result;

/// What is on a disk. Where there is no piece there are zeros.
pub struct Content<'a> {
    /// How many bytes it has.
    pub size: u64,
    /// In the order of their places; none overlaps another.
    pieces: Vec<(u64, Piece<'a>)>,
}

/// Bytes that stand together on a disk.
pub enum Piece<'a> {
    /// Bytes in memory.
    Bytes(Vec<u8>),
    /// So many bytes of a file, from its beginning.
    File(Target<'a>, u64),
}

impl Piece<'_> {
    fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(_, size) => *size,
        }
    }
}

impl<'a> Content<'a> {
    /// A disk of `size` bytes with these pieces, which lie on it and apart.
    #[must_use]
    pub fn new(size: u64, mut pieces: Vec<(u64, Piece<'a>)>) -> Self {
        pieces.retain(|(_, piece)| piece.size() > 0);
        pieces.sort_by_key(|(at, _)| *at);
        Self { size, pieces }
    }

    /// Reads what is at a place; beyond the disk's end there are zeros too.
    ///
    /// # Errors
    /// When a file that a piece is in cannot be read.
    pub fn read(&self, at: u64, bytes: &mut [u8]) -> Result<()> {
        bytes.fill(0);
        let end = at + bytes.len() as u64;
        for (begin, piece) in self.within(&(at..end)) {
            let from = at.max(*begin);
            let to = end.min(begin + piece.size());
            let into = &mut bytes[(from - at) as usize..(to - at) as usize];
            match piece {
                Piece::Bytes(all) => {
                    into.copy_from_slice(&all[(from - begin) as usize..(to - begin) as usize]);
                }
                Piece::File(target, _) => target.get(from - begin, into)?,
            }
        }
        Ok(())
    }

    /// Whether something may be there that is not zero.
    #[must_use]
    pub fn is_used(&self, range: &Range<u64>) -> bool {
        !self.within(range).is_empty()
    }

    /// The pieces that reach into a range.
    fn within(&self, range: &Range<u64>) -> &[(u64, Piece<'a>)] {
        let first = |(begin, piece): &(u64, Piece<'_>)| begin + piece.size() <= range.start;
        let first = self.pieces.partition_point(first);
        let last = self.pieces.partition_point(|(at, _)| *at < range.end);
        &self.pieces[first.min(last)..last]
    }

    /// Reads the used blocks of `block` bytes, makes something of each in several
    /// threads, and hands it on in their order: a block's number, and what came of it.
    ///
    /// # Errors
    /// When reading fails, or what `make` or `take` fail with.
    pub fn blocks<T: Send>(
        &self,
        block: u64,
        make: impl Fn(Vec<u8>) -> Result<T> + Sync,
        mut take: impl FnMut(u64, T) -> Result<()>,
    ) -> Result<()> {
        /// Blocks of so many bytes, and one at least, are in memory at once.
        const BATCH: u64 = 8 << 20;
        let used = (0..self.size.div_ceil(block))
            .filter(|number| self.is_used(&(number * block..(number + 1) * block)));
        let used: Vec<u64> = used.collect();
        for batch in used.chunks((BATCH / block).max(1) as usize) {
            let made: Vec<T> = batch
                .par_iter()
                .map(|number| {
                    let mut bytes = vec![0; block as usize];
                    self.read(number * block, &mut bytes)?;
                    make(bytes)
                })
                .collect::<Result<_>>()?;
            for (number, one) in batch.iter().zip(made) {
                take(*number, one)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_and_what_is_between_them() {
        let pieces = vec![
            (8, Piece::Bytes(vec![2, 3])),
            (1, Piece::Bytes(vec![1; 3])),
            (5, Piece::Bytes(Vec::new())),
        ];
        let content = Content::new(12, pieces);
        let mut all = [9; 14];
        content.read(0, &mut all).unwrap();
        assert_eq!(all, [0, 1, 1, 1, 0, 0, 0, 0, 2, 3, 0, 0, 0, 0]);
        let mut part = [9; 6];
        content.read(3, &mut part).unwrap();
        assert_eq!(part, [1, 0, 0, 0, 0, 2]);
        for (range, used) in [(0..1, false), (3..4, true), (4..8, false), (9..12, true)] {
            assert_eq!(content.is_used(&range), used, "{range:?}");
        }
        let mut seen = Vec::new();
        let sum = |bytes: Vec<u8>| Ok(bytes.iter().sum::<u8>());
        let take = |number, sum| {
            seen.push((number, sum));
            Ok(())
        };
        content.blocks(4, sum, take).unwrap();
        assert_eq!(seen, [(0, 3), (2, 5)]);
    }

    #[test]
    fn few_large_blocks_are_in_memory_at_once() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let content = Content::new(20 << 20, vec![(0, Piece::Bytes(vec![1; 20 << 20]))]);
        for (block, most) in [(1 << 20, 8), (16 << 20, 1)] {
            let (now, highest) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let make = |_| {
                let now = now.fetch_add(1, Ordering::SeqCst) + 1;
                highest.fetch_max(now, Ordering::SeqCst);
                Ok(())
            };
            let take = |_, ()| {
                now.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            };
            content.blocks(block, make, take).unwrap();
            assert_eq!(highest.into_inner(), most, "{block}");
        }
    }
}
