//! Reading the tar archives inside a `.deb`: ustar and GNU headers, GNU long
//! names, and PAX records. One entry at a time, nothing unbounded in memory.
//!
//! The `tar` crate's headers are used, not its archives: those hold names of
//! any length in memory and take a cut-off archive for a whole one.

use std::io::{self, BufReader, Read, Write};

use tar::{EntryType, Header, PaxExtensions};

use crate::error::{Context, Error, Kind, Result};

const BLOCK: u64 = 512;
/// Longest name, with room over Linux's 4096.
const MOST_NAME: u64 = 16 << 10;
/// Longest PAX records of one entry: names, and xattrs of at most 64 KiB.
const MOST_PAX: u64 = 1 << 20;
/// For headers and small files; larger reads go past this buffer.
const READ_AHEAD: usize = 32 << 10;

/// A tar archive being read.
pub(super) struct Tarball<R> {
    reader: BufReader<R>,
    /// Bytes of the current entry not yet read.
    left: u64,
    /// Bytes after those, up to the next header.
    padding: u64,
}

/// An entry; its bytes are read with [`copy_to`](Entry::copy_to) or not at all.
pub(super) struct Entry<'a, R> {
    tarball: &'a mut Tarball<R>,
    /// Relative to the root, without `.` or empty components; empty for the root itself.
    pub path: Vec<u8>,
    /// Target of a link, as written.
    pub link: Vec<u8>,
    pub kind: EntryType,
    /// `0o7777` at most.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Seconds since the epoch.
    pub mtime: i64,
    /// Bytes of a regular file, otherwise 0.
    pub size: u64,
    /// Major and minor number of a device.
    pub device: (u32, u32),
    /// Extended attributes by full name.
    pub xattrs: Vec<(String, Vec<u8>)>,
}

/// What extension headers say about the entry that follows them.
#[derive(Default)]
struct Extensions {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<i64>,
    xattrs: Vec<(String, Vec<u8>)>,
}

impl<R: Read> Tarball<R> {
    pub fn new(reader: R) -> Self {
        Self {
            reader: BufReader::with_capacity(READ_AHEAD, reader),
            left: 0,
            padding: 0,
        }
    }

    /// The next entry, or nothing at the end.
    ///
    /// # Errors
    /// When the archive is malformed, cut off, or holds what dpkg would not unpack.
    pub fn next(&mut self) -> Result<Option<Entry<'_, R>>> {
        let mut extensions = Extensions::default();
        loop {
            self.skip()?;
            let Some(header) = self.header()? else {
                return Ok(None);
            };
            let size = number(header.entry_size())?;
            let kind = header.entry_type();
            match kind {
                EntryType::GNULongName => extensions.path = Some(self.name(size)?),
                EntryType::GNULongLink => extensions.link = Some(self.name(size)?),
                EntryType::XHeader => {
                    let records = self.small(size, MOST_PAX)?;
                    extensions.read_pax(&records)?;
                }
                EntryType::XGlobalHeader => drop(self.small(size, MOST_PAX)?),
                _ => return self.entry(&header, size, extensions).map(Some),
            }
        }
    }

    fn entry(
        &mut self,
        header: &Header,
        size: u64,
        extensions: Extensions,
    ) -> Result<Entry<'_, R>> {
        let raw = extensions
            .path
            .unwrap_or_else(|| header.path_bytes().into_owned());
        let path = normalize(&raw)?;
        let kind = match header.entry_type() {
            // Before POSIX, a directory was a file with a slash.
            EntryType::Regular if raw.ends_with(b"/") => EntryType::Directory,
            kind => kind,
        };
        let size = match kind {
            EntryType::Regular => extensions.size.unwrap_or(size),
            EntryType::Link
            | EntryType::Symlink
            | EntryType::Directory
            | EntryType::Char
            | EntryType::Block
            | EntryType::Fifo => 0,
            other => {
                return Err(malformed(&format!(
                    "`{}` is of the unknown type {:#04x}",
                    path.escape_ascii(),
                    other.as_byte()
                )));
            }
        };
        self.expect(size)?;
        let device = if matches!(kind, EntryType::Char | EntryType::Block) {
            let part = |number: io::Result<Option<u32>>| number_of(number)?.ok_or_else(bad_number);
            (part(header.device_major())?, part(header.device_minor())?)
        } else {
            (0, 0)
        };
        let id = |given: Option<u64>, own: io::Result<u64>| {
            let id = given.map_or_else(|| number(own), Ok)?;
            u32::try_from(id).map_err(|_| bad_number())
        };
        let mtime = match extensions.mtime {
            Some(mtime) => mtime,
            None => i64::try_from(number(header.mtime())?).map_err(|_| bad_number())?,
        };
        Ok(Entry {
            path,
            link: extensions
                .link
                .unwrap_or_else(|| header.link_name_bytes().unwrap_or_default().into_owned()),
            kind,
            mode: number_of(header.mode())? & 0o7777,
            uid: id(extensions.uid, header.uid())?,
            gid: id(extensions.gid, header.gid())?,
            mtime,
            size,
            device,
            xattrs: extensions.xattrs,
            tarball: self,
        })
    }

    /// The next header; nothing at the end-of-archive mark or at the end of the stream.
    fn header(&mut self) -> Result<Option<Header>> {
        let mut header = Header::new_old();
        let mut filled = 0;
        while filled < header.as_bytes().len() {
            match self.reader.read(&mut header.as_mut_bytes()[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(cut_off()),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unreadable(&error)),
            }
        }
        let bytes = header.as_bytes();
        if bytes.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        let sum = bytes
            .iter()
            .enumerate()
            .map(|(at, &byte)| match at {
                148..156 => u32::from(b' '),
                _ => u32::from(byte),
            })
            .sum::<u32>();
        if number_of(header.cksum())? != sum {
            return Err(malformed("a header's checksum is wrong"));
        }
        Ok(Some(header))
    }

    fn expect(&mut self, size: u64) -> Result<()> {
        size.checked_next_multiple_of(BLOCK)
            .ok_or_else(bad_number)
            .map(|whole| {
                self.left = size;
                self.padding = whole - size;
            })
    }

    /// Reads over what is left of the current entry.
    fn skip(&mut self) -> Result<()> {
        let amount = self.left + self.padding;
        let skipped = io::copy(&mut (&mut self.reader).take(amount), &mut io::sink())
            .map_err(|error| unreadable(&error))?;
        // The last entry's padding may be missing, as tar and dpkg allow.
        if skipped < self.left {
            return Err(cut_off());
        }
        (self.left, self.padding) = (0, 0);
        Ok(())
    }

    fn name(&mut self, size: u64) -> Result<Vec<u8>> {
        let mut name = self.small(size, MOST_NAME)?;
        if let Some(end) = name.iter().position(|&byte| byte == 0) {
            name.truncate(end);
        }
        Ok(name)
    }

    fn small(&mut self, size: u64, most: u64) -> Result<Vec<u8>> {
        if size > most {
            return Err(malformed("an extension header is too large"));
        }
        self.expect(size)?;
        let mut bytes = Vec::new();
        (&mut self.reader)
            .take(size)
            .read_to_end(&mut bytes)
            .map_err(|error| unreadable(&error))?;
        if (bytes.len() as u64) < size {
            return Err(cut_off());
        }
        self.left = 0;
        Ok(bytes)
    }
}

impl<R: Read> Entry<'_, R> {
    /// Writes the entry's bytes to `target`.
    ///
    /// # Errors
    /// When the archive is cut off or `target` fails.
    pub fn copy_to(&mut self, target: &mut impl Write) -> Result<()> {
        let mut buffer = [0; 1 << 16];
        while self.tarball.left > 0 {
            let most = usize::try_from(self.tarball.left).unwrap_or(usize::MAX);
            let room = buffer.len().min(most);
            let read = match self.tarball.reader.read(&mut buffer[..room]) {
                Ok(0) => return Err(cut_off()),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(unreadable(&error)),
            };
            target
                .write_all(&buffer[..read])
                .io("writing", String::from_utf8_lossy(&self.path).as_ref())?;
            self.tarball.left -= read as u64;
        }
        Ok(())
    }
}

impl Extensions {
    /// Reads PAX records (POSIX.1-2001 pax, Extended Header).
    fn read_pax(&mut self, records: &[u8]) -> Result<()> {
        for record in PaxExtensions::new(records) {
            let record = record.map_err(|_| malformed("a PAX record is damaged"))?;
            let key = record
                .key()
                .map_err(|_| malformed("a PAX record is damaged"))?;
            let value = record.value_bytes();
            let text = || std::str::from_utf8(value).map_err(|_| bad_number());
            let whole = || text()?.parse().map_err(|_| bad_number());
            match key {
                "path" => self.path = Some(value.to_vec()),
                "linkpath" => self.link = Some(value.to_vec()),
                "size" => self.size = Some(whole()?),
                "uid" => self.uid = Some(whole()?),
                "gid" => self.gid = Some(whole()?),
                "mtime" => {
                    let text = text()?;
                    let seconds = text.split_once('.').map_or(text, |(seconds, _)| seconds);
                    self.mtime = Some(seconds.parse().map_err(|_| bad_number())?);
                }
                _ => {
                    if let Some(name) = key.strip_prefix("SCHILY.xattr.") {
                        self.xattrs.push((name.to_owned(), value.to_vec()));
                    }
                }
            }
        }
        Ok(())
    }
}

/// `./usr//bin/` → `usr/bin`.
pub(super) fn normalize(raw: &[u8]) -> Result<Vec<u8>> {
    let mut path = Vec::with_capacity(raw.len());
    for part in raw.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                return Err(malformed(&format!(
                    "`{}` leads out of the root",
                    raw.escape_ascii()
                )));
            }
            part => {
                if !path.is_empty() {
                    path.push(b'/');
                }
                path.extend_from_slice(part);
            }
        }
    }
    if path.contains(&b'\n') || path.contains(&0) {
        return Err(malformed("a path has a line end or a zero byte in it"));
    }
    Ok(path)
}

fn number(value: io::Result<u64>) -> Result<u64> {
    number_of(value)
}

fn number_of<T>(value: io::Result<T>) -> Result<T> {
    value.map_err(|_| bad_number())
}

fn bad_number() -> Error {
    malformed("a header has a number that is none or too large")
}

fn cut_off() -> Error {
    malformed("it is cut off")
}

fn unreadable(error: &io::Error) -> Error {
    malformed(&error.to_string())
}

fn malformed(why: &str) -> Error {
    Error::new(Kind::Verify, format!("malformed tar archive: {why}"))
}
