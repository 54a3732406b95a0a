//! Canonical tar: POSIX ustar members, with PAX records only where ustar cannot say it.
//!
//! Names are bytes without leading `./`, directories end in `/`, the root is
//! `./`. Owners are numbers. Records of a PAX header are sorted by key. The
//! archive ends with two zero blocks and no further padding. Changing any of
//! this changes every digest.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::sync::Arc;

use crate::error::{Context, Error, Kind, Result};
use crate::tree::{Content, Entry, FIXED_TIME, Node, TreePath};

/// Tar's unit.
pub const BLOCK: usize = 512;

/// Prefix of PAX keys that carry extended attributes, as star, GNU tar and Go have them.
pub const XATTR_PREFIX: &str = "SCHILY.xattr.";

/// What names of whiteouts begin with.
const WHITEOUT: &[u8] = b".wh.";

/// The name of PAX header members; readers do not look at it.
const PAX_NAME: &[u8] = b"././@PaxHeader";

/// The greatest numbers that fit octal fields of 8 and 12 bytes with their NUL.
const MAX_7: u64 = 0o7_777_777;
const MAX_11: u64 = 0o77_777_777_777;

/// Files are read in pieces of this size.
const PIECE: usize = 1 << 18;

/// Writes entries as tar.
pub struct Writer<W> {
    inner: W,
    piece: Box<[u8]>,
}

impl<W: Write> Writer<W> {
    /// An empty archive on `inner`.
    pub fn new(inner: W) -> Self {
        Self {
            inner,
            piece: vec![0; PIECE].into(),
        }
    }

    /// Adds an entry; `content` is read only for files, and must be as long as the entry says.
    ///
    /// # Errors
    /// When the entry cannot be said in a layer (a name that means a whiteout,
    /// a device number out of range), its content is shorter or longer than its
    /// size, or reading or writing fails.
    pub fn append(&mut self, path: &TreePath, entry: &Entry, content: &mut dyn Read) -> Result<()> {
        self.write(path, &head(path, entry)?)?;
        if let Node::File { size, .. } = entry.node {
            self.copy(path, size, content)?;
            self.pad(path, size)?;
        }
        Ok(())
    }

    /// Adds a whiteout: what layers below have at `path` is gone (OCI image layer
    /// specification, "Whiteouts").
    ///
    /// # Errors
    /// When the name is no file's, or writing fails.
    pub fn whiteout(&mut self, path: &TreePath) -> Result<()> {
        let name = [WHITEOUT, path.name()].concat();
        if path.name().is_empty() || path.name().starts_with(WHITEOUT) {
            let message = format!("`/{path}` cannot be taken out of a layer below");
            return Err(Error::new(Kind::Usage, message));
        }
        let marker = path.parent().unwrap_or_default().join(name);
        let entry = Entry {
            node: Node::File {
                size: 0,
                content: Content::Inline(Arc::default()),
            },
            mode: 0,
            uid: 0,
            gid: 0,
            mtime: FIXED_TIME,
            xattrs: BTreeMap::new(),
            component: "".into(),
        };
        let (header, pax) = encode(&marker, &entry)?;
        self.write(path, &blocks(header, &pax))
    }

    /// Ends the archive and returns what it was written to.
    ///
    /// # Errors
    /// When writing fails.
    pub fn finish(mut self) -> io::Result<W> {
        self.inner.write_all(&[0; 2 * BLOCK])?;
        Ok(self.inner)
    }

    /// What it was written to, without an end: more members may follow.
    pub fn unfinished(self) -> W {
        self.inner
    }

    fn write(&mut self, path: &TreePath, bytes: &[u8]) -> Result<()> {
        self.inner.write_all(bytes).io("packing", path.as_path())
    }

    fn pad(&mut self, path: &TreePath, size: u64) -> Result<()> {
        let over = (size % BLOCK as u64) as usize;
        if over > 0 {
            self.write(path, &[0; BLOCK][over..])?;
        }
        Ok(())
    }

    /// Copies exactly `size` bytes, and makes sure that there are no more.
    fn copy(&mut self, path: &TreePath, size: u64, content: &mut dyn Read) -> Result<()> {
        let mut left = size;
        loop {
            // One byte more than is due, at the end, to notice a file that grew.
            let want = usize::try_from(left.saturating_add(1)).unwrap_or(usize::MAX);
            let piece = &mut self.piece[..want.min(PIECE)];
            let got = match content.read(piece) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other.io("reading the content of", path.as_path())?,
            };
            if got == 0 && left == 0 {
                return Ok(());
            }
            if got == 0 || got as u64 > left {
                let message = format!("`{path}` changed its size while it was packed");
                return Err(Error::new(Kind::Io, message));
            }
            self.inner
                .write_all(&self.piece[..got])
                .io("packing", path.as_path())?;
            left -= got as u64;
        }
    }
}

/// All that stands before an entry's content: whole blocks.
///
/// # Errors
/// As [`Writer::append`].
pub fn head(path: &TreePath, entry: &Entry) -> Result<Vec<u8>> {
    if path.name().starts_with(WHITEOUT) {
        return Err(Error::new(
            Kind::Usage,
            format!("`{path}` cannot be in an image: its name means a deletion there"),
        ));
    }
    let (header, pax) = encode(path, entry)?;
    Ok(blocks(header, &pax))
}

/// A header and its PAX records as whole blocks.
fn blocks(header: Header, pax: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(BLOCK);
    if !pax.is_empty() {
        let mut extension = Header::new(PAX_NAME, b'x');
        extension.octal(100, 8, 0o644);
        extension.octal(124, 12, pax.len() as u64);
        bytes.extend(extension.sealed());
        bytes.extend(pax);
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    }
    bytes.extend(header.sealed());
    bytes
}

/// The header block of an entry, and its PAX records (often none).
fn encode(path: &TreePath, entry: &Entry) -> Result<(Header, Vec<u8>)> {
    let mut name = path.as_bytes().to_vec();
    if matches!(entry.node, Node::Directory) {
        name.extend_from_slice(if name.is_empty() { b"./" } else { b"/" });
    }
    let (kind, link, size, device) = match &entry.node {
        Node::File { size, .. } => (b'0', None, *size, None),
        Node::Hardlink(target) => (b'1', Some(target), 0, None),
        Node::Symlink(target) => (b'2', Some(target), 0, None),
        Node::CharDevice(major, minor) => (b'3', None, 0, Some((*major, *minor))),
        Node::BlockDevice(major, minor) => (b'4', None, 0, Some((*major, *minor))),
        Node::Directory => (b'5', None, 0, None),
        Node::Fifo => (b'6', None, 0, None),
    };
    let link = link.map_or(&b""[..], TreePath::as_bytes);
    if name.is_empty() || name.contains(&0) || link.contains(&0) {
        return Err(Error::new(
            Kind::Io,
            format!("`{path}` cannot be named in a tar"),
        ));
    }
    let mut pax = Pax::default();
    pax.name("path", &name, 100);
    pax.name("linkpath", link, 100);
    let mut header = Header::new(&name, kind);
    header.text(157, 100, link);
    header.octal(100, 8, u64::from(entry.mode & 0o7777));
    header.octal(108, 8, pax.number("uid", u64::from(entry.uid), MAX_7));
    header.octal(116, 8, pax.number("gid", u64::from(entry.gid), MAX_7));
    header.octal(124, 12, pax.number("size", size, MAX_11));
    header.octal(136, 12, pax.time(entry.mtime));
    if let Some((major, minor)) = device {
        if u64::from(major) > MAX_7 || u64::from(minor) > MAX_7 {
            let message = format!("device number {major}:{minor} of `{path}` is out of range");
            return Err(Error::new(Kind::Io, message));
        }
        header.octal(329, 8, u64::from(major));
        header.octal(337, 8, u64::from(minor));
    }
    // A hard link's attributes are those of the file that it names.
    if !matches!(entry.node, Node::Hardlink(_)) {
        for (name, value) in &entry.xattrs {
            if name.is_empty() || name.contains(['=', '\0']) {
                let message = format!("extended attribute `{name}` of `{path}` cannot be packed");
                return Err(Error::new(Kind::Io, message));
            }
            pax.records
                .insert(format!("{XATTR_PREFIX}{name}"), value.clone());
        }
    }
    Ok((header, pax.encode()))
}

/// PAX records of one entry (POSIX pax, "pax Extended Header").
#[derive(Default)]
struct Pax {
    records: BTreeMap<String, Vec<u8>>,
}

impl Pax {
    /// Adds a name that does not fit `room` bytes.
    fn name(&mut self, key: &str, name: &[u8], room: usize) {
        if name.len() > room {
            if std::str::from_utf8(name).is_err() {
                // Without this, readers may take the value for UTF-8.
                self.records.insert("hdrcharset".into(), b"BINARY".to_vec());
            }
            self.records.insert(key.into(), name.to_vec());
        }
    }

    /// What the header's field says: the number, or nothing if it needs a record.
    fn number(&mut self, key: &str, number: u64, max: u64) -> u64 {
        if number <= max {
            return number;
        }
        self.records
            .insert(key.into(), number.to_string().into_bytes());
        0
    }

    fn time(&mut self, seconds: i64) -> u64 {
        match u64::try_from(seconds) {
            Ok(time) => self.number("mtime", time, MAX_11),
            Err(_) => {
                self.records
                    .insert("mtime".into(), seconds.to_string().into_bytes());
                0
            }
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (key, value) in &self.records {
            // The length counts its own digits: "LENGTH KEY=VALUE\n".
            let rest = 3 + key.len() + value.len();
            let mut length = rest + 1;
            while length != rest + length.to_string().len() {
                length = rest + length.to_string().len();
            }
            bytes.extend_from_slice(format!("{length} {key}=").as_bytes());
            bytes.extend_from_slice(value);
            bytes.push(b'\n');
        }
        bytes
    }
}

/// One ustar header block.
struct Header([u8; BLOCK]);

impl Header {
    fn new(name: &[u8], kind: u8) -> Self {
        let mut header = Self([0; BLOCK]);
        header.text(0, 100, name);
        header.0[156] = kind;
        header.0[257..265].copy_from_slice(b"ustar\x0000");
        for (at, width) in [
            (100, 8),
            (108, 8),
            (116, 8),
            (124, 12),
            (136, 12),
            (329, 8),
            (337, 8),
        ] {
            header.octal(at, width, 0);
        }
        header
    }

    /// Writes as much of `text` as fits; longer ones have a PAX record too.
    fn text(&mut self, at: usize, width: usize, text: &[u8]) {
        let length = text.len().min(width);
        self.0[at..at + length].copy_from_slice(&text[..length]);
    }

    fn octal(&mut self, at: usize, width: usize, mut number: u64) {
        for digit in self.0[at..at + width - 1].iter_mut().rev() {
            *digit = b'0' + (number & 7) as u8;
            number >>= 3;
        }
    }

    /// The block with its checksum.
    fn sealed(mut self) -> [u8; BLOCK] {
        self.0[148..156].fill(b' ');
        let sum: u64 = self.0.iter().map(|&byte| u64::from(byte)).sum();
        self.octal(148, 7, sum);
        self.0[154] = 0;
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pax_lengths_count_themselves() {
        for (value, length) in [
            (&b"x"[..], 6),
            (&[b'y'; 92], 98),
            (&[b'z'; 93], 99),
            (&[b'z'; 94], 101),
        ] {
            let mut pax = Pax::default();
            pax.records.insert("k".into(), value.to_vec());
            let bytes = pax.encode();
            assert_eq!(bytes.len(), length);
            assert!(bytes.starts_with(format!("{length} k=").as_bytes()));
        }
    }
}
