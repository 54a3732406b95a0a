//! Directories: blocks of entries, sorted by name (`struct erofs_dirent`).
//!
//! A block has its entries first and their names behind them; entries, `.` and
//! `..` among them, are in bytewise order over all blocks. What remains of a
//! block is zero; the directory's size ends with the last name.

use super::BLOCK;
use crate::tree::Node;

/// The size of an entry without its name.
const ENTRY: usize = 12;

/// What a directory says of one name.
pub struct Name<'a> {
    /// The name.
    pub name: &'a [u8],
    /// The inode that it leads to.
    pub nid: u64,
    /// Its type.
    pub kind: u8,
}

/// How many bytes a directory of these sorted names has.
pub fn size<'a>(names: impl Iterator<Item = &'a [u8]>) -> u64 {
    let (mut whole, mut used) = (0, 0);
    for name in names {
        let more = ENTRY + name.len();
        if used + more > BLOCK as usize {
            whole += BLOCK;
            used = 0;
        }
        used += more;
    }
    whole + used as u64
}

/// The bytes of a directory of these sorted names.
pub fn encode(names: &[Name<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = names;
    while !rest.is_empty() {
        let mut used = 0;
        let fits = |name: &&Name<'_>| {
            used += ENTRY + name.name.len();
            used <= BLOCK as usize
        };
        let count = rest.iter().take_while(fits).count();
        let (block, after) = rest.split_at(count);
        let mut place = count * ENTRY;
        for name in block {
            bytes.extend(name.nid.to_le_bytes());
            bytes.extend((place as u16).to_le_bytes());
            bytes.extend([name.kind, 0]);
            place += name.name.len();
        }
        for name in block {
            bytes.extend(name.name);
        }
        if !after.is_empty() {
            bytes.resize(bytes.len().next_multiple_of(BLOCK as usize), 0);
        }
        rest = after;
    }
    bytes
}

/// The type of what a name leads to, as in `struct dirent`'s own order (`FT_*`).
pub fn kind(node: &Node) -> u8 {
    match node {
        Node::File { .. } | Node::Hardlink(_) => 1,
        Node::Directory => 2,
        Node::CharDevice(..) => 3,
        Node::BlockDevice(..) => 4,
        Node::Fifo => 5,
        Node::Symlink(_) => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_bytes() {
        let names: Vec<String> = (0..2000).map(|number| format!("{number:05}")).collect();
        // 17 bytes for each: 240 fill a block but for 16 bytes.
        for (count, expected) in [(1, 17), (240, 4080), (241, 4113), (480, 4096 + 4080)] {
            let names = || names[..count].iter().map(String::as_bytes);
            assert_eq!(size(names()), expected);
            let entries: Vec<_> = names()
                .map(|name| Name {
                    name,
                    nid: 128,
                    kind: 1,
                })
                .collect();
            assert_eq!(encode(&entries).len() as u64, expected);
        }
    }

    #[test]
    fn a_block_may_be_filled_to_its_end() {
        let long = vec![b'x'; 244];
        let names: Vec<&[u8]> = vec![&long; 16];
        assert_eq!(size(names.iter().copied()), BLOCK);
    }
}
