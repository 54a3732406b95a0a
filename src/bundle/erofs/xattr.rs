//! Extended attributes behind an inode (`struct erofs_xattr_ibody_header` and
//! `erofs_xattr_entry`), none of them shared.

use crate::error::{Error, Kind, Result};
use crate::tree::{Entry, TreePath};

/// Names that the format has a number for; the rest of the name stands in the entry.
const PREFIXES: [(&str, u8); 4] = [
    ("user.", 1),
    ("trusted.", 4),
    ("lustre.", 5),
    ("security.", 6),
];

/// Names that the number says wholly. ACLs are kept in the form in which the
/// system takes and gives them.
const NAMES: [(&str, u8); 2] = [
    ("system.posix_acl_access", 2),
    ("system.posix_acl_default", 3),
];

/// The header before the entries.
const HEADER: usize = 12;

/// The area of all attributes of an entry; nothing if it has none.
pub fn encode(path: &TreePath, entry: &Entry) -> Result<Vec<u8>> {
    if entry.xattrs.is_empty() {
        return Ok(Vec::new());
    }
    let mut area = vec![0; HEADER];
    for (name, value) in &entry.xattrs {
        let why = |why: &str| {
            let message = format!(
                "extended attribute `{}` of `{path}` {why}",
                name.escape_debug()
            );
            Error::new(Kind::Usage, message).hint("an EROFS image cannot hold it; a tar can")
        };
        let (index, rest) = number(name).ok_or_else(|| why("is of a kind that EROFS lacks"))?;
        let length = u8::try_from(rest.len()).map_err(|_| why("has too long a name"))?;
        let size = u16::try_from(value.len()).map_err(|_| why("has more than 65535 bytes"))?;
        area.extend([length, index]);
        area.extend(size.to_le_bytes());
        area.extend(rest.as_bytes());
        area.extend(value);
        area.resize(area.len().next_multiple_of(4), 0);
    }
    if units(area.len()).is_none() {
        let message = format!("the extended attributes of `{path}` are too large together");
        return Err(Error::new(Kind::Usage, message).hint("an EROFS image holds 256 KiB of them"));
    }
    Ok(area)
}

/// What an inode says of the size of its area (`i_xattr_icount`).
pub fn units(size: usize) -> Option<u16> {
    match size {
        0 => Some(0),
        _ => u16::try_from((size - HEADER) / 4 + 1).ok(),
    }
}

fn number(name: &str) -> Option<(u8, &str)> {
    if let Some((_, number)) = NAMES.iter().find(|(whole, _)| *whole == name) {
        return Some((*number, ""));
    }
    let known = |(prefix, number): &(&str, u8)| Some((*number, name.strip_prefix(prefix)?));
    PREFIXES
        .iter()
        .find_map(known)
        .filter(|(_, rest)| !rest.is_empty())
}
