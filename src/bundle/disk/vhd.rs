//! VHD, fixed: the disk, then a footer ("Virtual Hard Disk Image Format
//! Specification", Microsoft, version 1.0, "Hard Disk Footer Format").
//!
//! Azure takes fixed ones alone, of whole MiB without the footer.

use super::content::Content;
use super::gpt::Uuid;
use super::{fields, raw};
use crate::bundle::output::Target;
use crate::error::Result;

/// The size of the footer in bytes.
const FOOTER: usize = 512;

/// Writes the disk and its footer.
///
/// # Errors
/// When reading its parts or writing fails.
pub fn write(
    content: &Content<'_>,
    uuid: &Uuid,
    target: Target<'_>,
    done: &dyn Fn(u64),
) -> Result<()> {
    raw::write(content, target, done)?;
    target.put(content.size, &footer(content.size, uuid))
}

fn footer(size: u64, uuid: &Uuid) -> Vec<u8> {
    let mut footer = fields(
        FOOTER,
        &[
            (0, b"conectix"),
            (8, &2_u32.to_be_bytes()), // always set
            (12, &0x0001_0000_u32.to_be_bytes()),
            (16, &u64::MAX.to_be_bytes()), // no further header
            // Time 0. Readers trust the size below, and not the geometry, of makers
            // that they know (QEMU, block/vpc.c): this one is Hyper-V.
            (28, b"win "),
            (32, &0x000a_0000_u32.to_be_bytes()),
            (36, b"Wi2k"),
            (40, &size.to_be_bytes()),
            (48, &size.to_be_bytes()),
            (56, &geometry(size)),
            (60, &2_u32.to_be_bytes()), // fixed
            (68, uuid),
        ],
    );
    let sum = footer.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    footer[64..68].copy_from_slice(&(!sum).to_be_bytes());
    footer
}

/// Cylinders, heads and sectors ("CHS Calculation").
fn geometry(size: u64) -> [u8; 4] {
    let total = (size / 512).min(65535 * 16 * 255);
    let (cylinders, heads, sectors) = if total >= 65535 * 16 * 63 {
        (total / 255 / 16, 16, 255)
    } else {
        let mut sectors = 17;
        let mut tracks = total / sectors;
        let mut heads = tracks.div_ceil(1024).max(4);
        if tracks >= heads * 1024 || heads > 16 {
            (sectors, heads) = (31, 16);
            tracks = total / sectors;
        }
        if tracks >= heads * 1024 {
            (sectors, heads) = (63, 16);
            tracks = total / sectors;
        }
        (tracks / heads, heads, sectors)
    };
    let [high, low] = (cylinders as u16).to_be_bytes();
    [high, low, heads as u8, sectors as u8]
}
