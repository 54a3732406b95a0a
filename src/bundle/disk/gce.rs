//! Google Cloud's form: `disk.raw` in a tar of GNU's old format, compressed with
//! gzip; the disk has whole GiB ("Requirements for the image file" in Compute
//! Engine's documentation on importing disks).

use super::content::Content;
use crate::bundle::output::{AtEnd, Target};
use crate::error::{Context, Result};
use crate::layer::compress::{Compression, Compressor};
use std::io::{self, Write};

/// The size of a disk is a multiple of this many bytes.
pub const GIB: u64 = 1 << 30;

const NAME: &str = "disk.raw";

/// Compressed at this level: a disk's zeros and programs gain little from more.
const LEVEL: u8 = 4;

/// Read so many bytes at a time.
const BLOCK: u64 = 1 << 20;

/// Writes the tar.
///
/// # Errors
/// When reading the disk's parts or writing fails.
pub fn write(
    content: &Content<'_>,
    target: Target<'_>,
    threads: usize,
    done: &dyn Fn(u64),
) -> Result<()> {
    let file = io::BufWriter::new(AtEnd::new(target));
    let gzip = Compressor::new(file, Compression::Gzip { level: LEVEL }, threads);
    let mut gzip = gzip.io("writing", target.path)?;
    let mut put = |bytes: &[u8]| gzip.write_all(bytes).io("writing", target.path);
    put(header(content.size).as_bytes())?;
    let mut next = 0;
    let zeros = vec![0; BLOCK as usize];
    content.blocks(BLOCK, Ok, |number, bytes| {
        while next < number {
            put(&zeros)?;
            next += 1;
        }
        next += 1;
        done(BLOCK);
        put(&bytes)
    })?;
    while next * BLOCK < content.size {
        put(&zeros)?;
        next += 1;
    }
    // Two blocks of zeros at least end a tar, and GNU's are whole records of 20.
    let blocks = 1 + content.size / 512;
    let end = (blocks + 2).next_multiple_of(20) - blocks;
    put(&zeros[..end as usize * 512])?;
    let file = gzip.finish().io("writing", target.path)?;
    file.into_inner()
        .map_err(io::IntoInnerError::into_error)
        .io("writing", target.path)?;
    Ok(())
}

/// The member's header: GNU's old magic, and sizes from 8 GiB on in binary.
fn header(size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    // It is short and has no strange letters.
    let _ = header.set_path(NAME);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(crate::tree::FIXED_TIME.unsigned_abs());
    header.set_size(size);
    header.set_cksum();
    header
}
