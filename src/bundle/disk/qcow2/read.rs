//! Reads qcow2 of any maker, as it is on a disk's file: of versions 2 and 3, with clusters
//! as they are, of zeros, or compressed by deflate or zstd. What needs more (a backing file,
//! encryption, data in another file, extended entries) is refused.
//!
//! The file may be a stranger's. What is kept of it in memory is one table of 32 MiB at most,
//! and a few of the others; every place is looked at before it is read.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use flate2::{Decompress, FlushDecompress, Status};

use super::COMPRESSED;
use crate::error::{Context, Error, Kind, Result};

/// What the file begins with.
pub const MAGIC: &[u8; 4] = b"QFI\xfb";

/// The smallest and the largest clusters, as powers of two.
const CLUSTER_BITS: std::ops::RangeInclusive<u32> = 9..=21;

/// The most entries of the first table, which is 32 MiB then (as in QEMU).
const MOST_ENTRIES: u64 = (32 << 20) / 8;

/// So many second tables are kept.
const KEPT: usize = 16;

/// Where in an entry the place is.
const PLACE: u64 = 0x00ff_ffff_ffff_fe00;

/// An entry of version 3 that stands for zeros.
const ZERO: u64 = 1;

/// Features that a reader must know: those that are known and change nothing for one
/// (an image that was not closed), and compression other than deflate.
const DIRTY: u64 = 1;
const CORRUPT: u64 = 1 << 1;
const OTHER_COMPRESSION: u64 = 1 << 3;

/// An opened image: the bytes of the disk that it holds.
pub struct Qcow2 {
    file: File,
    path: PathBuf,
    /// The file's length.
    length: u64,
    /// The disk's.
    size: u64,
    cluster_bits: u32,
    version: u32,
    zstd: bool,
    first: Vec<u64>,
    second: Mutex<BTreeMap<u64, Arc<Vec<u64>>>>,
}

impl Qcow2 {
    /// Opens an image.
    ///
    /// # Errors
    /// When it cannot be read, is damaged, or needs what is not known.
    pub fn open(file: File, path: &Path) -> Result<Self> {
        let length = file.metadata().io("reading", path)?.len();
        let mut header = [0; 112];
        let most = header
            .len()
            .min(usize::try_from(length).unwrap_or(header.len()));
        file.read_exact_at(&mut header[..most], 0)
            .io("reading", path)?;
        let about = Header::read(&header[..most]).map_err(|why| refused(path, &why))?;
        let mut image = Self {
            file,
            path: path.to_owned(),
            length,
            size: about.size,
            cluster_bits: about.cluster_bits,
            version: about.version,
            zstd: about.zstd,
            first: Vec::new(),
            second: Mutex::default(),
        };
        image.first = image
            .table(about.first, about.entries)
            .map_err(|error| refused(path, &error.to_string()))?;
        Ok(image)
    }

    /// How many bytes the disk has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    fn cluster(&self) -> u64 {
        1 << self.cluster_bits
    }

    /// A table of entries, at a cluster's border.
    fn table(&self, at: u64, entries: u64) -> io::Result<Vec<u64>> {
        let end = at.checked_add(entries * 8);
        if !at.is_multiple_of(self.cluster()) || end.is_none_or(|end| end > self.length) {
            return Err(damaged(format!("a table is at byte {at}")));
        }
        let mut bytes = vec![0; (entries * 8) as usize];
        self.file.read_exact_at(&mut bytes, at)?;
        let entries = bytes.chunks_exact(8);
        Ok(entries
            .map(|entry| u64::from_be_bytes(entry.try_into().unwrap_or_default()))
            .collect())
    }

    /// The second table at a place.
    fn second(&self, at: u64) -> io::Result<Arc<Vec<u64>>> {
        let lock = || self.second.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = lock().get(&at) {
            return Ok(Arc::clone(table));
        }
        let table = Arc::new(self.table(at, self.cluster() / 8)?);
        let mut kept = lock();
        if kept.len() >= KEPT {
            kept.pop_first();
        }
        kept.insert(at, Arc::clone(&table));
        Ok(table)
    }

    /// What stands for a cluster of the disk.
    fn entry(&self, cluster: u64) -> io::Result<u64> {
        let entries = self.cluster() / 8;
        let first = usize::try_from(cluster / entries).ok();
        let first = first.and_then(|at| self.first.get(at)).copied();
        match first.unwrap_or_default() & PLACE {
            0 => Ok(0),
            at => Ok(self.second(at)?[(cluster % entries) as usize]),
        }
    }

    /// Reads within one cluster.
    fn within(&self, cluster: u64, from: usize, bytes: &mut [u8]) -> io::Result<()> {
        let entry = self.entry(cluster)?;
        if entry & COMPRESSED != 0 {
            let whole = self.compressed(entry)?;
            bytes.copy_from_slice(&whole[from..from + bytes.len()]);
            return Ok(());
        }
        let at = entry & PLACE;
        if at == 0 || self.version >= 3 && entry & ZERO != 0 {
            bytes.fill(0);
            return Ok(());
        }
        if !at.is_multiple_of(self.cluster()) || at + from as u64 + bytes.len() as u64 > self.length
        {
            return Err(damaged(format!("cluster {cluster} is at byte {at}")));
        }
        self.file.read_exact_at(bytes, at + from as u64)
    }

    /// A compressed cluster: so many more sectors from the place on as the entry says.
    fn compressed(&self, entry: u64) -> io::Result<Vec<u8>> {
        let place_bits = 62 - (self.cluster_bits - 8);
        let at = entry & ((1 << place_bits) - 1);
        let more = (entry & !(1 << 63 | COMPRESSED)) >> place_bits;
        let end = ((at / 512 + more + 1) * 512).min(self.length);
        if at >= end {
            return Err(damaged(format!("a compressed cluster is at byte {at}")));
        }
        let mut packed = vec![0; (end - at) as usize];
        self.file.read_exact_at(&mut packed, at)?;
        let mut whole = vec![0; self.cluster() as usize];
        let done = match self.zstd {
            true => unpack(&packed, &mut whole),
            false => inflate(&packed, &mut whole),
        };
        done.map_err(|error| damaged(format!("the compressed cluster at byte {at}: {error}")))?;
        Ok(whole)
    }
}

impl FileExt for Qcow2 {
    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        let most = self.size.saturating_sub(at).min(bytes.len() as u64) as usize;
        let mut done = 0;
        while done < most {
            let here = at + done as u64;
            let from = here % self.cluster();
            let length = (self.cluster() - from).min((most - done) as u64) as usize;
            let part = &mut bytes[done..done + length];
            self.within(here / self.cluster(), from as usize, part)?;
            done += length;
        }
        Ok(done)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
        let message = format!("`{}` is only read", self.path.display());
        Err(io::Error::new(io::ErrorKind::Unsupported, message))
    }
}

/// What a header says, once it is known to make sense.
struct Header {
    version: u32,
    cluster_bits: u32,
    size: u64,
    first: u64,
    entries: u64,
    zstd: bool,
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Self, String> {
        let number = |at: usize, length: usize| {
            let field = bytes.get(at..at + length).unwrap_or_default();
            field
                .iter()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
        };
        if bytes.len() < 72 || !bytes.starts_with(MAGIC) {
            return Err("its header is cut off".into());
        }
        let version = number(4, 4) as u32;
        if !(2..=3).contains(&version) {
            return Err(format!("it is of version {version}, not of 2 or 3"));
        }
        if number(8, 8) != 0 {
            return Err("it has a backing file".into());
        }
        let cluster_bits = number(20, 4) as u32;
        if !CLUSTER_BITS.contains(&cluster_bits) {
            return Err(format!("its clusters have 2^{cluster_bits} bytes"));
        }
        if number(32, 4) != 0 {
            return Err("it is encrypted".into());
        }
        let features = if version == 3 { number(72, 8) } else { 0 };
        if features & CORRUPT != 0 {
            return Err("it says that it is damaged".into());
        }
        let unknown = features & !(DIRTY | CORRUPT | OTHER_COMPRESSION);
        if unknown != 0 {
            return Err(format!(
                "it needs features {unknown:#x}, which are not known here"
            ));
        }
        let compression = match features & OTHER_COMPRESSION {
            0 => 0,
            _ => number(104, 1),
        };
        if compression > 1 {
            return Err(format!("its compression {compression} is not known here"));
        }
        let size = number(24, 8);
        // What a second table covers.
        let covered = 1_u64 << (2 * cluster_bits - 3);
        let entries = size.div_ceil(covered);
        if entries > MOST_ENTRIES || number(36, 4) < entries {
            return Err(format!("its tables do not go with a disk of {size} bytes"));
        }
        Ok(Self {
            version,
            cluster_bits,
            size,
            first: number(40, 8),
            entries,
            zstd: compression == 1,
        })
    }
}

/// Inflates a cluster; what follows it is another's.
fn inflate(packed: &[u8], whole: &mut [u8]) -> io::Result<()> {
    let mut inflate = Decompress::new(false);
    let status = inflate.decompress(packed, whole, FlushDecompress::Finish);
    let filled = inflate.total_out() == whole.len() as u64;
    match status {
        Ok(Status::StreamEnd | Status::Ok | Status::BufError) if filled => Ok(()),
        Ok(_) => Err(io::ErrorKind::UnexpectedEof.into()),
        Err(error) => Err(error.into()),
    }
}

/// The same for zstd, whose window is no larger than a cluster needs.
fn unpack(packed: &[u8], whole: &mut [u8]) -> io::Result<()> {
    let mut decoder = zstd::Decoder::with_buffer(packed)?.single_frame();
    decoder.window_log_max(24)?;
    decoder.read_exact(whole)
}

fn damaged(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn refused(path: &Path, why: &str) -> Error {
    let message = format!("`{}` cannot be read as qcow2: {why}", path.display());
    Error::new(Kind::Verify, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header of version 3 for a disk of 1 MiB in clusters of 64 KiB.
    fn header() -> Vec<u8> {
        let mut bytes = vec![0; 112];
        let fields: [(usize, &[u8]); 6] = [
            (0, MAGIC),
            (4, &3_u32.to_be_bytes()),
            (20, &16_u32.to_be_bytes()),
            (24, &(1_u64 << 20).to_be_bytes()),
            (36, &1_u32.to_be_bytes()),
            (40, &(1_u64 << 16).to_be_bytes()),
        ];
        for (at, field) in fields {
            bytes[at..at + field.len()].copy_from_slice(field);
        }
        bytes
    }

    #[test]
    fn headers_that_are_refused() {
        assert_eq!(Header::read(&header()).unwrap().entries, 1);
        for (at, byte, why) in [
            (7, 1, "it is of version 1, not of 2 or 3"),
            (15, 1, "it has a backing file"),
            (23, 63, "its clusters have 2^63 bytes"),
            (23, 8, "its clusters have 2^8 bytes"),
            (35, 1, "it is encrypted"),
            (79, 2, "it says that it is damaged"),
            (79, 4, "it needs features 0x4, which are not known here"),
            (39, 0, "its tables do not go with a disk of 1048576 bytes"),
            (
                24,
                0xff,
                "its tables do not go with a disk of 18374686479672672256 bytes",
            ),
        ] {
            let mut bytes = header();
            bytes[at] = byte;
            let said = Header::read(&bytes).map(|_| ()).unwrap_err();
            assert!(said.starts_with(why), "{said}");
        }
        let mut other = header();
        (other[79], other[104]) = (8, 2);
        let said = Header::read(&other).map(|_| ()).unwrap_err();
        assert_eq!(said, "its compression 2 is not known here");
        assert!(Header::read(&header()[..71]).is_err());
    }

    #[test]
    fn places_beyond_the_file_are_damage() {
        let open = |second: u64, entry: u64| {
            let mut bytes = vec![0; 3 << 16];
            bytes[..112].copy_from_slice(&header());
            bytes[1 << 16..(1 << 16) + 8].copy_from_slice(&second.to_be_bytes());
            bytes[2 << 16..(2 << 16) + 8].copy_from_slice(&entry.to_be_bytes());
            let file = tempfile::tempfile().unwrap();
            file.write_all_at(&bytes, 0).unwrap();
            let image = Qcow2::open(file, Path::new("disk")).unwrap();
            let mut read = [9; 512];
            image.read_exact_at(&mut read, 0).map(|()| read[0])
        };
        assert_eq!(open(0, 0).unwrap(), 0);
        assert_eq!(open(2 << 16, 1).unwrap(), 0);
        // The header is a cluster, too.
        assert_eq!(open(2 << 16, 1 << 16).unwrap(), 0);
        for (second, entry) in [
            (3 << 16, 0),
            ((2 << 16) + 512, 0),
            (PLACE, 0),
            (2 << 16, 3 << 16),
            (2 << 16, PLACE),
            (2 << 16, COMPRESSED | 5 << 16),
            (2 << 16, COMPRESSED | 0x3fff_ffff_ffff_ffff),
            (2 << 16, COMPRESSED | 1 << 17),
        ] {
            assert!(open(second, entry).is_err(), "{second:x} {entry:x}");
        }
    }
}
