//! Where everything stands in an image: planned from the tree alone.

use std::collections::HashMap;

use super::directory::{self, Name};
use super::inode::{self, Inode, NOWHERE};
use super::superblock::Facts;
use super::{BLOCK, MAX_NAME, MAX_TARGET, SLOT, xattr};
use crate::error::{Error, Kind, Result};
use crate::tree::{Entry, Node, Tree, TreePath};

/// How many blocks of inodes are filled side by side: an inode goes into that of
/// them which it leaves least room in. Changing this changes every digest.
const OPEN_BLOCKS: usize = 16;

/// A tree as an EROFS image: every byte of it but the contents of files.
pub struct Plan<'a> {
    /// In the order of their paths, so the root first.
    inodes: Vec<Planned<'a>>,
    metadata: u64,
    size: u64,
}

struct Planned<'a> {
    path: &'a TreePath,
    entry: &'a Entry,
    parent: usize,
    children: Vec<(&'a [u8], usize)>,
    links: u32,
    size: u64,
    /// Where the inode is.
    at: u64,
    /// The first block of its body.
    start: u32,
    inline: bool,
}

/// Where the content of a file goes.
pub struct Placed<'a, 'b> {
    plan: &'b Plan<'a>,
    inode: usize,
    /// Where its body begins.
    pub body: u64,
    /// How many bytes of it belong to the body. Those after them are its tail.
    pub whole: u64,
    /// How many bytes it has.
    pub size: u64,
}

impl<'a> Plan<'a> {
    /// Plans an image.
    ///
    /// # Errors
    /// When the tree holds what an EROFS image cannot: names or link targets that
    /// are too long, attributes of unknown kinds, too large numbers, entries
    /// outside of directories, more than 16 TiB.
    pub fn new(tree: &'a Tree) -> Result<Self> {
        let mut inodes = collect(tree)?;
        measure(&mut inodes);
        let mut packer = Packer::new();
        for one in &mut inodes {
            let compact = inode::is_compact(one.entry, one.links, one.size);
            let fixed = if compact { 32 } else { 64 };
            let fixed = fixed + xattr::encode(one.path, one.entry)?.len() as u64;
            let tail = one.size % BLOCK;
            one.inline = tail > 0 && fixed + tail <= BLOCK;
            one.at = packer.place(fixed + if one.inline { tail } else { 0 });
        }
        let mut next = packer.next;
        let mut bodies = |wanted: fn(&Node) -> bool| -> Result<u64> {
            for one in inodes.iter_mut().filter(|one| wanted(&one.entry.node)) {
                let blocks = one.body().div_ceil(BLOCK);
                one.start = match blocks {
                    0 => NOWHERE,
                    _ => u32::try_from(next / BLOCK).map_err(|_| too_large())?,
                };
                next = blocks
                    .checked_mul(BLOCK)
                    .and_then(|bytes| next.checked_add(bytes))
                    .ok_or_else(too_large)?;
            }
            Ok(next)
        };
        let metadata = bodies(|node| !matches!(node, Node::File { .. }))?;
        let size = bodies(|node| matches!(node, Node::File { .. }))?;
        u32::try_from(size / BLOCK).map_err(|_| too_large())?;
        Ok(Self {
            inodes,
            metadata,
            size,
        })
    }

    /// The size of the whole image in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How many bytes stand before the bodies of files.
    #[must_use]
    pub fn metadata(&self) -> u64 {
        self.metadata
    }

    /// What the superblock says.
    #[must_use]
    pub fn facts(&self) -> Facts {
        Facts {
            root: (self.inodes[0].at / SLOT) as u16,
            inodes: self.inodes.len() as u64,
            blocks: (self.size / BLOCK) as u32,
        }
    }

    /// Where the content of a file goes; nothing for what is not a regular file.
    #[must_use]
    pub fn file(&self, path: &TreePath) -> Option<Placed<'a, '_>> {
        let inode = self.find(path)?;
        let one = &self.inodes[inode];
        matches!(one.entry.node, Node::File { .. }).then(|| Placed {
            plan: self,
            inode,
            body: u64::from(one.start) * BLOCK,
            whole: one.body(),
            size: one.size,
        })
    }

    /// Gives all bytes but the superblock and what belongs to the contents of files.
    ///
    /// # Errors
    /// What `put` fails with.
    pub fn metadata_bytes(&self, put: &mut dyn FnMut(u64, &[u8]) -> Result<()>) -> Result<()> {
        for (number, one) in self.inodes.iter().enumerate() {
            let mut bytes = self.inode(number)?;
            let data = match &one.entry.node {
                Node::File { .. } if one.inline => continue,
                Node::Directory => self.directory(number),
                Node::Symlink(target) => target.as_bytes().to_vec(),
                _ => Vec::new(),
            };
            let (body, tail) = data.split_at(data.len().min(one.body() as usize));
            if !body.is_empty() {
                put(u64::from(one.start) * BLOCK, body)?;
            }
            bytes.extend(tail);
            put(one.at, &bytes)?;
        }
        Ok(())
    }

    fn find(&self, path: &TreePath) -> Option<usize> {
        let found = self.inodes.binary_search_by(|one| one.path.cmp(path));
        found.ok()
    }

    fn inode(&self, number: usize) -> Result<Vec<u8>> {
        let one = &self.inodes[number];
        let inode = Inode {
            entry: one.entry,
            number: number as u32 + 1,
            links: one.links,
            size: one.size,
            start: one.start,
            inline: one.inline,
        };
        Ok(inode.encode(&xattr::encode(one.path, one.entry)?))
    }

    fn directory(&self, number: usize) -> Vec<u8> {
        let name = |name, inode: usize| Name {
            name,
            nid: self.inodes[inode].at / SLOT,
            kind: directory::kind(&self.inodes[inode].entry.node),
        };
        let one = &self.inodes[number];
        let children = one.children.iter();
        let mut names: Vec<_> = children.map(|&(text, inode)| name(text, inode)).collect();
        names.extend([name(b".", number), name(b"..", one.parent)]);
        names.sort_by_key(|one| one.name);
        directory::encode(&names)
    }
}

impl Placed<'_, '_> {
    /// The inode with the tail behind it, and where they go.
    ///
    /// # Errors
    /// None that planning would not have met.
    pub fn tail(&self, tail: &[u8]) -> Result<(u64, Vec<u8>)> {
        let mut bytes = self.plan.inode(self.inode)?;
        bytes.extend(tail);
        Ok((self.plan.inodes[self.inode].at, bytes))
    }
}

impl Planned<'_> {
    /// How many bytes of its data stand in blocks of their own.
    fn body(&self) -> u64 {
        if self.inline {
            self.size - self.size % BLOCK
        } else {
            self.size
        }
    }
}

/// The inodes of a tree, with their names.
fn collect(tree: &Tree) -> Result<Vec<Planned<'_>>> {
    let mut inodes: Vec<Planned<'_>> = Vec::with_capacity(tree.entries.len());
    let mut numbers: HashMap<&TreePath, usize> = HashMap::with_capacity(tree.entries.len());
    for (path, entry) in &tree.entries {
        check(path, entry)?;
        let number = match &entry.node {
            Node::Hardlink(target) => {
                let number = numbers.get(target).copied();
                let number = number
                    .filter(|&number| matches!(inodes[number].entry.node, Node::File { .. }))
                    .ok_or_else(|| {
                        let message = format!("hard link `{path}` to `{target}`, which is no file");
                        Error::new(Kind::Verify, message)
                    })?;
                inodes[number].links += 1;
                number
            }
            _ => inodes.len(),
        };
        let parent = match path.parent() {
            None => Some(number),
            Some(folder) => numbers.get(&folder).copied(),
        };
        let parent = parent
            .filter(|&at| at == number || inodes[at].entry.node == Node::Directory)
            .ok_or_else(|| {
                let message = format!("`{path}` is in no directory of the tree");
                Error::new(Kind::Verify, message)
            })?;
        if parent != number {
            inodes[parent].children.push((path.name(), number));
            if entry.node == Node::Directory {
                inodes[parent].links += 1;
            }
        } else if entry.node != Node::Directory {
            return Err(Error::new(Kind::Verify, "the root is no directory"));
        }
        if number == inodes.len() {
            numbers.insert(path, number);
            inodes.push(Planned {
                path,
                entry,
                parent,
                children: Vec::new(),
                links: if entry.node == Node::Directory { 2 } else { 1 },
                size: 0,
                at: 0,
                start: NOWHERE,
                inline: false,
            });
        }
    }
    if inodes.is_empty() || u32::try_from(inodes.len()).is_err() {
        return Err(Error::new(Kind::Verify, "a tree without a root directory"));
    }
    Ok(inodes)
}

/// How much data each inode has.
fn measure(inodes: &mut [Planned<'_>]) {
    for one in inodes {
        one.size = match &one.entry.node {
            Node::File { size, .. } => *size,
            Node::Symlink(target) => target.as_bytes().len() as u64,
            Node::Directory => {
                let mut names: Vec<&[u8]> = one.children.iter().map(|(name, _)| *name).collect();
                names.extend([&b"."[..], b".."]);
                names.sort_unstable();
                directory::size(names.into_iter())
            }
            _ => 0,
        };
    }
}

fn check(path: &TreePath, entry: &Entry) -> Result<()> {
    let refuse = |why: &str| {
        let message = format!("`{path}` {why}");
        Err(Error::new(Kind::Usage, message).hint("an EROFS image cannot hold it; a tar can"))
    };
    if path.name().len() > MAX_NAME {
        return refuse("has a name of more than 255 bytes");
    }
    if let Node::Symlink(target) = &entry.node
        && !(1..=MAX_TARGET).contains(&target.as_bytes().len())
    {
        return refuse("is a symbolic link whose target has no bytes, or more than 4095");
    }
    inode::check_device(path, &entry.node)
}

fn too_large() -> Error {
    Error::new(
        Kind::Usage,
        "the tree is too large: an EROFS image holds 16 TiB",
    )
}

/// Gives inodes their places. None that fits a block crosses into another.
struct Packer {
    /// Blocks with room: where it begins and ends.
    open: Vec<(u64, u64)>,
    /// Where the next block begins.
    next: u64,
}

impl Packer {
    fn new() -> Self {
        Self {
            open: Vec::new(),
            next: BLOCK,
        }
    }

    fn place(&mut self, size: u64) -> u64 {
        let size = size.next_multiple_of(SLOT);
        let best = (0..self.open.len())
            .filter(|&number| self.open[number].1 - self.open[number].0 >= size)
            .min_by_key(|&number| (self.open[number].1 - self.open[number].0, number));
        let (at, end) = match best {
            Some(number) => self.open.remove(number),
            None => {
                let at = self.next;
                self.next += size.next_multiple_of(BLOCK);
                (at, self.next)
            }
        };
        if at + size < end {
            self.open.push((at + size, end));
            self.open.sort_unstable();
        }
        if self.open.len() > OPEN_BLOCKS {
            let fullest = (0..self.open.len())
                .min_by_key(|&number| (self.open[number].1 - self.open[number].0, number));
            self.open.remove(fullest.unwrap_or_default());
        }
        at
    }
}
