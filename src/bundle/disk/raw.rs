//! The disk as it is.

use super::content::Content;
use crate::bundle::contents::is_zero;
use crate::bundle::output::Target;
use crate::error::Result;

/// Written so many bytes at a time.
const BLOCK: u64 = 1 << 20;

/// Writes the disk, sparse.
///
/// # Errors
/// When reading its parts or writing fails.
pub fn write(content: &Content<'_>, target: Target<'_>, done: &dyn Fn(u64)) -> Result<()> {
    target.resize(content.size)?;
    content.blocks(BLOCK, Ok, |number, bytes| {
        done(BLOCK);
        let at = number * BLOCK;
        let most = (content.size - at).min(BLOCK) as usize;
        // Zeros need not be written.
        for (number, part) in bytes[..most].chunks(1 << 16).enumerate() {
            if !is_zero(part) {
                target.put(at + (number << 16) as u64, part)?;
            }
        }
        Ok(())
    })
}
