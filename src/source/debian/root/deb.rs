//! Reading `.deb` files (`deb(5)`): an `ar` archive of `debian-binary`,
//! `control.tar` and `data.tar`, the latter two compressed or not.
//!
//! Nothing is held in memory but the control files, and those only up to a
//! limit; `data.tar` is a stream.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::control::{Stanza, is_package_name};
use super::tarball::Tarball;
use crate::error::{Context, Error, Kind, Result};

const AR_MAGIC: &[u8; 8] = b"!<arch>\n";
const AR_HEADER: usize = 60;
/// Members that one `.deb` may have; real ones have three, or four with a signature.
const MOST_MEMBERS: usize = 32;
/// The most that all control files together may have; the largest of real ones
/// (checksums of kernels and games) stay under 10 MB.
const MOST_CONTROL: u64 = 64 << 20;
const MOST_CONTROL_FILES: usize = 1024;
/// Memory that decompression may take: `xz -9` and `zstd --ultra` need less.
const MOST_MEMORY: u64 = 256 << 20;
const MOST_WINDOW_LOG: u32 = 27;

/// An opened `.deb`.
#[derive(Debug, Clone)]
pub struct Deb {
    path: PathBuf,
    size: u64,
    control: Member,
    data: Member,
}

#[derive(Debug, Clone, Copy)]
struct Member {
    offset: u64,
    size: u64,
    compression: Compression,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compression {
    None,
    Gzip,
    Xz,
    Zstd,
}

/// A file of the control archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlFile {
    /// Permission bits.
    pub mode: u32,
    /// Modification time in seconds since the epoch.
    pub mtime: i64,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// The control archive.
#[derive(Debug, Clone)]
pub struct Control {
    /// The fields of `control`.
    pub stanza: Stanza,
    /// The other files (`preinst`, `conffiles`, `triggers`, …) by name.
    pub files: BTreeMap<String, ControlFile>,
}

impl Control {
    /// The text of a control file; nothing if it is not there.
    ///
    /// # Errors
    /// When it is not UTF-8.
    pub fn text(&self, name: &str) -> Result<Option<&str>> {
        let Some(file) = self.files.get(name) else {
            return Ok(None);
        };
        std::str::from_utf8(&file.bytes)
            .map(Some)
            .map_err(|_| Error::new(Kind::Verify, format!("control file `{name}` is not UTF-8")))
    }
}

impl Deb {
    /// Opens a `.deb` and finds its members.
    ///
    /// # Errors
    /// When it cannot be read or is not a `.deb` of format 2.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).io("opening", path)?;
        let size = file.metadata().io("reading", path)?.len();
        let members = Members::read(BufReader::new(file), size)
            .map_err(|error| error.context(format!("reading `{}`", path.display())))?;
        Ok(Self {
            path: path.to_owned(),
            size,
            control: members.control,
            data: members.data,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Reads the control archive.
    ///
    /// # Errors
    /// When it is malformed, too large, or its stanza lacks a needed field.
    pub fn control(&self) -> Result<Control> {
        read_control(self.reader(self.control)?)
            .map_err(|error| error.context(format!("reading `{}`", self.path.display())))
    }

    /// The decompressed `data.tar`.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn data(&self) -> Result<Box<dyn Read + Send>> {
        self.reader(self.data)
    }

    fn reader(&self, member: Member) -> Result<Box<dyn Read + Send>> {
        let mut file = File::open(&self.path).io("opening", &self.path)?;
        file.seek(SeekFrom::Start(member.offset))
            .io("reading", &self.path)?;
        let raw = BufReader::with_capacity(1 << 17, file.take(member.size));
        decompress(raw, member.compression).io("decompressing", &self.path)
    }
}

fn decompress(
    raw: impl BufRead + Send + 'static,
    compression: Compression,
) -> io::Result<Box<dyn Read + Send>> {
    Ok(match compression {
        Compression::None => Box::new(raw),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(raw)),
        Compression::Xz => {
            let stream = liblzma::stream::Stream::new_stream_decoder(MOST_MEMORY, 0)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(raw, stream))
        }
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(raw)?;
            decoder.window_log_max(MOST_WINDOW_LOG)?;
            Box::new(decoder)
        }
    })
}

struct Members {
    control: Member,
    data: Member,
}

impl Members {
    fn read(mut file: impl Read + Seek, size: u64) -> Result<Self> {
        let mut magic = [0; 8];
        file.read_exact(&mut magic)
            .map_err(|_| malformed("it is too short"))?;
        if &magic != AR_MAGIC {
            return Err(malformed("it does not begin as an `ar` archive"));
        }
        let (mut control, mut data) = (None, None);
        let mut offset = AR_MAGIC.len() as u64;
        for index in 0.. {
            if index == MOST_MEMBERS {
                return Err(malformed("it has too many members"));
            }
            if offset >= size {
                break;
            }
            let mut header = [0; AR_HEADER];
            file.seek(SeekFrom::Start(offset))
                .and_then(|_| file.read_exact(&mut header))
                .map_err(|_| malformed("it ends within a member's header"))?;
            let (name, length) = parse_header(&header)?;
            let start = offset + AR_HEADER as u64;
            let end = start
                .checked_add(length)
                .filter(|&end| end <= size)
                .ok_or_else(|| malformed(&format!("member `{name}` goes beyond its end")))?;
            if index == 0 {
                check_format(&name, length, &mut file)?;
            }
            let place = if name.starts_with("control.tar") {
                Some(&mut control)
            } else if name.starts_with("data.tar") {
                Some(&mut data)
            } else {
                None
            };
            if let Some(place) = place {
                let member = Member {
                    offset: start,
                    size: length,
                    compression: compression(&name)?,
                };
                if place.replace(member).is_some() {
                    return Err(malformed(&format!("member `{name}` occurs twice")));
                }
            }
            // Members begin at even offsets.
            offset = end + end % 2;
        }
        Ok(Self {
            control: control.ok_or_else(|| malformed("it has no `control.tar`"))?,
            data: data.ok_or_else(|| malformed("it has no `data.tar`"))?,
        })
    }
}

fn parse_header(header: &[u8; AR_HEADER]) -> Result<(String, u64)> {
    if &header[58..] != b"`\n" {
        return Err(malformed("a member's header has a wrong end"));
    }
    let field = |range: std::ops::Range<usize>| {
        std::str::from_utf8(&header[range])
            .map(str::trim_end)
            .map_err(|_| malformed("a member's header is not ASCII"))
    };
    let name = field(0..16)?;
    let name = name.strip_suffix('/').unwrap_or(name).to_owned();
    let size = field(48..58)?;
    if size.is_empty() || !size.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(malformed("a member's size is no number"));
    }
    let size = size
        .parse()
        .map_err(|_| malformed("a member's size is no number"))?;
    Ok((name, size))
}

fn check_format(name: &str, length: u64, file: &mut impl Read) -> Result<()> {
    let mut version = Vec::new();
    file.take(length.min(64))
        .read_to_end(&mut version)
        .map_err(|_| malformed("it is too short"))?;
    if name != "debian-binary" {
        return Err(malformed("its first member is not `debian-binary`"));
    }
    if !version.starts_with(b"2.") {
        return Err(malformed("its format version is not 2"));
    }
    Ok(())
}

fn compression(name: &str) -> Result<Compression> {
    match name.split_once(".tar").map_or("", |(_, rest)| rest) {
        "" => Ok(Compression::None),
        ".gz" => Ok(Compression::Gzip),
        ".xz" => Ok(Compression::Xz),
        ".zst" => Ok(Compression::Zstd),
        _ => Err(malformed(&format!(
            "member `{name}` is compressed in an unknown way"
        ))),
    }
}

fn read_control(reader: impl Read) -> Result<Control> {
    let mut tarball = Tarball::new(reader);
    let mut files = BTreeMap::new();
    let mut left = MOST_CONTROL;
    while let Some(mut entry) = tarball.next()? {
        if entry.kind != tar::EntryType::Regular {
            continue;
        }
        let name = std::str::from_utf8(&entry.path)
            .ok()
            .filter(|name| is_control_name(name))
            .ok_or_else(|| malformed("a control file has an odd name"))?
            .to_owned();
        left = left
            .checked_sub(entry.size)
            .filter(|_| files.len() < MOST_CONTROL_FILES)
            .ok_or_else(|| malformed("its control files are too large"))?;
        let mut bytes = Vec::new();
        entry.copy_to(&mut bytes)?;
        let (mode, mtime) = (entry.mode & 0o777, entry.mtime);
        files.insert(name, ControlFile { mode, mtime, bytes });
    }
    let stanza = files
        .remove("control")
        .ok_or_else(|| malformed("it has no `control` file"))?;
    let stanza = String::from_utf8(stanza.bytes)
        .map_err(|_| malformed("its `control` file is not UTF-8"))?;
    let stanza = Stanza::parse(&stanza)?;
    if !is_package_name(stanza.require("Package")?) {
        return Err(malformed("its package name is not one"));
    }
    if !is_package_name(stanza.require("Architecture")?) {
        return Err(malformed("its architecture is not one"));
    }
    stanza.require("Version")?;
    Ok(Control { stanza, files })
}

/// Control files become `info/PACKAGE.NAME`, so a name must not lead elsewhere.
fn is_control_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() < 64
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-._".contains(&byte))
}

fn malformed(why: &str) -> Error {
    Error::new(Kind::Verify, format!("malformed .deb: {why}"))
}

#[cfg(test)]
#[path = "deb_tests.rs"]
pub(super) mod tests;
