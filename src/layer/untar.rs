//! Reads tar archives, ours and other makers': ustar, PAX, GNU long names.
//!
//! Input may be hostile. Memory is bounded by [`MAX_EXTENSION`]; names that
//! lead out of the root are errors; what a root filesystem cannot hold (sparse
//! maps, volume labels) is refused rather than guessed at.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};

use super::tar::{BLOCK, XATTR_PREFIX};
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::tree::{Content, Entry, Node, TreePath};

/// The greatest PAX header or GNU long name that is read.
pub const MAX_EXTENSION: u64 = 1 << 20;

/// The longest name or link target that is read.
const MAX_NAME: usize = 16 << 10;

/// Reads the members of an archive one after the other; between two calls of
/// [`advance`](Self::advance), reading yields the content of the current file.
pub struct Reader<R> {
    inner: R,
    layer: Digest,
    skip: fn(&mut R, u64) -> io::Result<()>,
    /// Content bytes of the current member that were not read yet.
    left: u64,
    padding: u64,
    position: u64,
    ended: bool,
}

impl<R: Read> Reader<R> {
    /// Reads `inner`; files get [`Content::Layer`] of `layer` as their content.
    pub fn new(inner: R, layer: Digest) -> Self {
        Self {
            inner,
            layer,
            skip: |reader, count| match io::copy(&mut reader.take(count), &mut io::sink())? {
                read if read == count => Ok(()),
                _ => Err(io::ErrorKind::UnexpectedEof.into()),
            },
            left: 0,
            padding: 0,
            position: 0,
            ended: false,
        }
    }

    /// Goes to the next member; none at the end.
    ///
    /// # Errors
    /// When reading fails or the archive is not well-formed.
    pub fn advance(&mut self) -> Result<Option<(TreePath, Entry)>> {
        let mut extension = Extension::default();
        loop {
            self.skip_rest()?;
            let Some(header) = self.header()? else {
                return Ok(None);
            };
            let header = Fields(&header);
            let size = header.number(124, 12)?;
            match header.0[156] {
                b'x' => extension.pax(&self.extension(size)?)?,
                b'g' => drop(self.extension(size)?),
                b'L' => extension.path = Some(until_nul(&self.extension(size)?).to_vec()),
                b'K' => extension.link = Some(until_nul(&self.extension(size)?).to_vec()),
                _ => return self.member(&header, extension).map(Some),
            }
        }
    }

    /// Where the content of the current member begins, in bytes from the archive's start.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Reads to the end of the input, so that a digest taken on the way is that of all of it.
    ///
    /// # Errors
    /// When reading fails.
    pub fn drain(mut self) -> Result<R> {
        self.skip_rest()?;
        io::copy(&mut self.inner, &mut io::sink()).map_err(|error| broken(&error))?;
        Ok(self.inner)
    }

    fn member(&mut self, header: &Fields<'_>, extension: Extension) -> Result<(TreePath, Entry)> {
        let raw = extension.path.unwrap_or_else(|| header.path());
        let link = extension
            .link
            .unwrap_or_else(|| until_nul(header.part(157, 100)).to_vec());
        if raw.len() > MAX_NAME || link.len() > MAX_NAME {
            return Err(malformed("a name is too long"));
        }
        let path = clean(&raw)?;
        let size = match extension.size {
            Some(size) => size,
            None => header.number(124, 12)?,
        };
        let device = || -> Result<(u32, u32)> {
            let number = |at| header.number(at, 8).and_then(small);
            Ok((number(329)?, number(337)?))
        };
        let node = match header.0[156] {
            // Archives older than POSIX mark directories by a slash at the end.
            b'0' | 0 | b'7' if raw.ends_with(b"/") => Node::Directory,
            b'0' | 0 | b'7' => Node::File {
                size,
                content: Content::Layer(self.layer),
            },
            b'1' => Node::Hardlink(clean(&link)?),
            b'2' => Node::Symlink(TreePath::new(link)),
            b'3' => device().map(|(major, minor)| Node::CharDevice(major, minor))?,
            b'4' => device().map(|(major, minor)| Node::BlockDevice(major, minor))?,
            b'5' => Node::Directory,
            b'6' => Node::Fifo,
            other => {
                let kind = char::from(other).escape_default().to_string();
                return Err(malformed(&format!(
                    "`{path}` is of type `{kind}`, which no layer can hold"
                )));
            }
        };
        if path.as_bytes().is_empty() && node != Node::Directory {
            return Err(malformed("a member other than a directory has no name"));
        }
        if matches!(node, Node::File { .. }) {
            self.left = size;
            self.padding = size.next_multiple_of(BLOCK as u64) - size;
        }
        let owner = |value: Option<u64>, at| match value {
            Some(value) => small(value),
            None => header.number(at, 8).and_then(small),
        };
        let entry = Entry {
            node,
            mode: (header.number(100, 8)? & 0o7777) as u32,
            uid: owner(extension.uid, 108)?,
            gid: owner(extension.gid, 116)?,
            mtime: match extension.mtime {
                Some(mtime) => mtime,
                None => i64::try_from(header.number(136, 12)?).unwrap_or(i64::MAX),
            },
            xattrs: extension.xattrs,
            component: "".into(),
        };
        Ok((path, entry))
    }

    /// The next header block; none at the end of the archive.
    fn header(&mut self) -> Result<Option<[u8; BLOCK]>> {
        if self.ended {
            return Ok(None);
        }
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.inner.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => {
                    self.ended = true; // an archive may lack its end mark
                    return Ok(None);
                }
                Ok(0) => return Err(malformed("it ends within a header")),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(broken(&error)),
            }
        }
        self.position += BLOCK as u64;
        if block == [0; BLOCK] {
            self.ended = true;
            return Ok(None);
        }
        let sum: u64 = block
            .iter()
            .enumerate()
            .map(|(at, &byte)| {
                if (148..156).contains(&at) {
                    32
                } else {
                    u64::from(byte)
                }
            })
            .sum();
        if Fields(&block).number(148, 8)? != sum {
            return Err(malformed("a header's checksum does not match"));
        }
        Ok(Some(block))
    }

    /// The whole content of an extension header.
    fn extension(&mut self, size: u64) -> Result<Vec<u8>> {
        if size > MAX_EXTENSION {
            return Err(malformed("an extension header is too large"));
        }
        self.left = size;
        self.padding = size.next_multiple_of(BLOCK as u64) - size;
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes)
            .map_err(|error| broken(&error))?;
        Ok(bytes)
    }

    fn skip_rest(&mut self) -> Result<()> {
        if self.left > 0 {
            (self.skip)(&mut self.inner, self.left).map_err(|error| broken(&error))?;
            self.position += self.left;
            self.left = 0;
        }
        let mut padding = [0; BLOCK];
        while self.padding > 0 {
            match self.inner.read(&mut padding[..self.padding as usize]) {
                // Some writers (umoci) do not fill the last block.
                Ok(0) => {
                    self.ended = true;
                    self.padding = 0;
                }
                Ok(read) => {
                    self.position += read as u64;
                    self.padding -= read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(broken(&error)),
            }
        }
        Ok(())
    }
}

impl<R: Read + Seek> Reader<R> {
    /// As [`new`](Self::new), but jumps over contents that are not read.
    pub fn seeking(inner: R, layer: Digest) -> Self {
        Self {
            skip: |reader, count| {
                let count = i64::try_from(count).map_err(io::Error::other)?;
                reader.seek(SeekFrom::Current(count)).map(drop)
            },
            ..Self::new(inner, layer)
        }
    }
}

impl<R: Read> Read for Reader<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        if most == 0 {
            return Ok(0);
        }
        let read = self.inner.read(&mut bytes[..most])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= read as u64;
        self.position += read as u64;
        Ok(read)
    }
}

/// What extension headers say about the next member.
#[derive(Default)]
struct Extension {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<i64>,
    xattrs: BTreeMap<String, Vec<u8>>,
}

impl Extension {
    /// Takes the records of a PAX header.
    fn pax(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let bad = || malformed("a PAX record is broken");
            let space = bytes
                .iter()
                .position(|&byte| byte == b' ')
                .ok_or_else(bad)?;
            let length = text(&bytes[..space])
                .and_then(|text| text.parse().ok())
                .ok_or_else(bad)?;
            let record = bytes.get(space + 1..length).ok_or_else(bad)?;
            let record = record.strip_suffix(b"\n").ok_or_else(bad)?;
            let equals = record
                .iter()
                .position(|&byte| byte == b'=')
                .ok_or_else(bad)?;
            let key = text(&record[..equals]).ok_or_else(bad)?;
            self.record(key, &record[equals + 1..])?;
            bytes = &bytes[length..];
        }
        Ok(())
    }

    fn record(&mut self, key: &str, value: &[u8]) -> Result<()> {
        let number = || {
            text(value)
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| malformed(&format!("the PAX record `{key}` is not a number")))
        };
        match key {
            "path" => self.path = Some(value.to_vec()),
            "linkpath" => self.link = Some(value.to_vec()),
            "size" => self.size = Some(number()?),
            "uid" => self.uid = Some(number()?),
            "gid" => self.gid = Some(number()?),
            "mtime" => self.mtime = Some(seconds(value)?),
            _ if key.starts_with("GNU.sparse.") => {
                return Err(malformed("it has a sparse file, which no layer can hold"));
            }
            _ => {
                if let Some(name) = key.strip_prefix(XATTR_PREFIX) {
                    self.xattrs.insert(name.to_owned(), value.to_vec());
                }
            }
        }
        Ok(())
    }
}

/// A decimal time, rounded down to whole seconds.
fn seconds(value: &[u8]) -> Result<i64> {
    let parse = || {
        let text = text(value)?;
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let seconds: i64 = whole.parse().ok()?;
        let rounds = whole.starts_with('-') && fraction.bytes().any(|digit| digit != b'0');
        seconds.checked_sub(i64::from(rounds))
    };
    parse().ok_or_else(|| malformed("a PAX time is not a number"))
}

/// A header block's fields.
struct Fields<'a>(&'a [u8; BLOCK]);

impl Fields<'_> {
    fn part(&self, at: usize, width: usize) -> &[u8] {
        &self.0[at..at + width]
    }

    /// An octal field, or a positive number in GNU's base 256.
    fn number(&self, at: usize, width: usize) -> Result<u64> {
        let field = self.part(at, width);
        if field[0] & 0x80 != 0 {
            let first = u64::from(field[0] & 0x7f);
            return field[1..]
                .iter()
                .try_fold(first, |number, &byte| {
                    (number >> 56 == 0).then_some(number << 8 | u64::from(byte))
                })
                .ok_or_else(|| malformed("a number in a header is negative or too large"));
        }
        let digits = text(until_nul(field)).unwrap_or("?").trim_matches(' ');
        if digits.is_empty() {
            return Ok(0);
        }
        u64::from_str_radix(digits, 8).map_err(|_| malformed("a number in a header is not octal"))
    }

    fn path(&self) -> Vec<u8> {
        let name = until_nul(self.part(0, 100));
        let prefix = until_nul(self.part(345, 155));
        // GNU's own format has other things where ustar has the prefix.
        if self.part(257, 6) == b"ustar\0" && !prefix.is_empty() {
            return [prefix, b"/", name].concat();
        }
        name.to_vec()
    }
}

/// The path that a member's name means, relative to the root.
fn clean(name: &[u8]) -> Result<TreePath> {
    let mut path = Vec::with_capacity(name.len());
    for part in name.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                let name = TreePath::new(name);
                return Err(malformed(&format!(
                    "the name `{name}` leads out of the root"
                )));
            }
            _ if part.contains(&0) => return Err(malformed("a name has a NUL byte")),
            _ => {
                if !path.is_empty() {
                    path.push(b'/');
                }
                path.extend_from_slice(part);
            }
        }
    }
    Ok(TreePath::new(path))
}

fn small(number: u64) -> Result<u32> {
    u32::try_from(number).map_err(|_| malformed("an owner or device number is too large"))
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or(bytes)
}

fn malformed(why: &str) -> Error {
    Error::new(Kind::Verify, format!("the archive is malformed: {why}"))
}

fn broken(error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => malformed("it ends too early"),
        // Decoders' errors have no number of the system's.
        _ if error.raw_os_error().is_none() => malformed(&error.to_string()),
        _ => Error::new(Kind::Io, format!("reading the archive: {error}")),
    }
}
