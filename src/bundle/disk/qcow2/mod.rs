//! qcow2 with compressed clusters (QEMU's `docs/interop/qcow2.txt`).
//!
//! Version 3 with what every reader knows: clusters of 64 KiB, deflate, references
//! counted in 16 bits. A cluster of zeros has no place. The order in the file:
//!
//! ```text
//! header      cluster 0
//! data        compressed clusters, one right behind the other; one that does not
//!             become smaller is at a cluster's border
//! tables      L2, L1, reference blocks, reference table: whole clusters each
//! ```

pub mod read;

use flate2::{Compress, Compression, FlushCompress, Status};

use super::content::Content;
use super::fields;
use crate::bundle::contents::is_zero;
use crate::bundle::output::Target;
use crate::error::{Error, Kind, Result};

/// The size of a cluster, as a power of two and in bytes.
const BITS: u32 = 16;
const CLUSTER: u64 = 1 << BITS;

/// Entries of 8 bytes in a table of one cluster.
const ENTRIES: u64 = CLUSTER / 8;

/// Reference counts of 2 bytes in a block of one cluster.
const COUNTS: u64 = CLUSTER / 2;

/// Referred to once, so that it may be written in place.
const COPIED: u64 = 1 << 63;
const COMPRESSED: u64 = 1 << 62;

/// In a compressed cluster's entry the number of sectors begins at this bit.
const SECTORS: u32 = 62 - (BITS - 8);

/// Readers have a window of 4 KiB for deflate (as a power of two).
const WINDOW: u8 = 12;

/// zlib's usual level.
const LEVEL: u32 = 6;

/// Writes the disk.
///
/// # Errors
/// When reading its parts or writing fails.
pub fn write(content: &Content<'_>, target: Target<'_>, done: &dyn Fn(u64)) -> Result<()> {
    let mut file = Writer {
        target,
        end: CLUSTER,
        counts: vec![1],
    };
    let clusters = content.size.div_ceil(CLUSTER);
    let mut tables: Vec<Option<Vec<u64>>> = vec![None; clusters.div_ceil(ENTRIES) as usize];
    content.blocks(CLUSTER, compress, |number, made| {
        done(CLUSTER);
        let Some(cluster) = made else {
            return Ok(());
        };
        let entry = file.data(&cluster)?;
        let table = &mut tables[(number / ENTRIES) as usize];
        let table = table.get_or_insert_with(|| vec![0; ENTRIES as usize]);
        table[(number % ENTRIES) as usize] = entry;
        Ok(())
    })?;
    file.finish(content.size, &tables)
}

/// What a cluster is written as.
enum Cluster {
    Deflated(Vec<u8>),
    Plain(Vec<u8>),
}

/// Compresses a cluster; one of zeros is none.
fn compress(bytes: Vec<u8>) -> Result<Option<Cluster>> {
    if is_zero(&bytes) {
        return Ok(None);
    }
    let mut deflate = Compress::new_with_window_bits(Compression::new(LEVEL), false, WINDOW);
    // No more than this: what does not become smaller stays as it is.
    let mut out = Vec::with_capacity(bytes.len() - 1);
    let status = deflate.compress_vec(&bytes, &mut out, FlushCompress::Finish);
    match status {
        Ok(Status::StreamEnd) => Ok(Some(Cluster::Deflated(out))),
        Ok(_) => Ok(Some(Cluster::Plain(bytes))),
        Err(error) => Err(Error::new(Kind::Io, format!("compressing: {error}"))),
    }
}

struct Writer<'a> {
    target: Target<'a>,
    /// Where the next byte goes.
    end: u64,
    /// How often each cluster of the file is referred to.
    counts: Vec<u16>,
}

impl Writer<'_> {
    /// Writes a cluster of the disk and returns its entry in an L2 table.
    fn data(&mut self, cluster: &Cluster) -> Result<u64> {
        match cluster {
            Cluster::Plain(bytes) => Ok(self.whole(bytes)? | COPIED),
            Cluster::Deflated(bytes) => {
                let at = self.end;
                self.target.put(at, bytes)?;
                self.end += bytes.len() as u64;
                let more = (self.end - 1) / 512 - at / 512;
                // Readers take whole sectors.
                self.refer(at, (at / 512 + more + 1) * 512);
                Ok(COMPRESSED | more << SECTORS | at)
            }
        }
    }

    /// Writes whole clusters at a border, each referred to once; returns where.
    fn whole(&mut self, bytes: &[u8]) -> Result<u64> {
        let at = self.end.next_multiple_of(CLUSTER);
        self.target.put(at, bytes)?;
        self.end = (at + bytes.len() as u64).next_multiple_of(CLUSTER);
        self.refer(at, self.end);
        Ok(at)
    }

    /// Counts one more reference to the clusters that a range touches.
    fn refer(&mut self, from: u64, to: u64) {
        let last = (to - 1) / CLUSTER;
        if self.counts.len() as u64 <= last {
            self.counts.resize(last as usize + 1, 0);
        }
        for cluster in from / CLUSTER..=last {
            self.counts[cluster as usize] += 1;
        }
    }

    /// Writes the tables and the header.
    fn finish(mut self, size: u64, tables: &[Option<Vec<u64>>]) -> Result<()> {
        let mut first = Vec::new();
        for table in tables {
            first.push(match table {
                Some(table) => self.whole(&bytes(table))? | COPIED,
                None => 0,
            });
        }
        let entries = first.len();
        first.resize(entries.next_multiple_of(ENTRIES as usize), 0);
        let first = self.whole(&bytes(&first))?;
        let (table, table_clusters) = self.references()?;
        let header = fields(
            CLUSTER as usize,
            &[
                (0, b"QFI\xfb"),
                (4, &3_u32.to_be_bytes()),
                (20, &BITS.to_be_bytes()),
                (24, &size.to_be_bytes()),
                (36, &(entries as u32).to_be_bytes()),
                (40, &first.to_be_bytes()),
                (48, &table.to_be_bytes()),
                (56, &(table_clusters as u32).to_be_bytes()),
                (96, &4_u32.to_be_bytes()),    // counts have 2^4 bits
                (100, &104_u32.to_be_bytes()), // length of this; no extensions follow
            ],
        );
        self.target.put(0, &header)?;
        self.target.resize(self.end)
    }

    /// Writes the reference counts, which count themselves too: where their table
    /// is, and how many clusters it has.
    fn references(&mut self) -> Result<(u64, u64)> {
        let begin = self.end.next_multiple_of(CLUSTER);
        let used = begin / CLUSTER;
        let (mut blocks, mut table) = (0, 0);
        // Until there is room for those of the blocks and the table themselves.
        while blocks * COUNTS < used + blocks + table || table * ENTRIES < blocks {
            blocks = (used + blocks + table).div_ceil(COUNTS);
            table = blocks.div_ceil(ENTRIES);
        }
        self.counts.resize(used as usize, 0);
        self.counts.resize((used + blocks + table) as usize, 1);
        let mut counts: Vec<u8> = self
            .counts
            .iter()
            .flat_map(|count| count.to_be_bytes())
            .collect();
        counts.resize((blocks * CLUSTER) as usize, 0);
        self.target.put(begin, &counts)?;
        let mut places: Vec<u64> = (0..blocks).map(|block| begin + block * CLUSTER).collect();
        places.resize((table * ENTRIES) as usize, 0);
        let at = begin + blocks * CLUSTER;
        self.target.put(at, &bytes(&places))?;
        self.end = at + table * CLUSTER;
        Ok((at, table))
    }
}

fn bytes(entries: &[u64]) -> Vec<u8> {
    entries
        .iter()
        .flat_map(|entry| entry.to_be_bytes())
        .collect()
}
