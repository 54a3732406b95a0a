//! A subject from a tar archive of a root: plain, or in gzip, zstd or xz.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use super::Subject;
use super::image::{is_full, size};
use super::look::look;
use crate::digest::Digest;
use crate::error::{Context, Error, Kind, Result};
use crate::image::source::reading;
use crate::layer::compress::decompress;
use crate::layer::untar;
use crate::tree::Node;
use crate::tree::image::{self, merge_outline};

/// The most members of one archive.
const MOST_MEMBERS: usize = 4 << 20;

/// What a file is, by its first member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// An OCI layout.
    Layout,
    /// What `docker save` writes.
    Saved,
    /// A root.
    Root,
}

/// Tells what an archive holds.
///
/// # Errors
/// When it cannot be read, or is no archive.
pub fn kept(path: &Path) -> Result<Kept> {
    let mut tar = open(path)?;
    for _ in 0..4 {
        let Some((name, _)) = tar.advance().map_err(|error| about(path, error))? else {
            break;
        };
        match name.as_bytes() {
            b"oci-layout" | b"index.json" => return Ok(Kept::Layout),
            b"manifest.json" | b"repositories" => return Ok(Kept::Saved),
            _ => {}
        }
        if name.is_within(b"blobs") {
            return Ok(Kept::Layout);
        }
    }
    Ok(Kept::Root)
}

/// Reads a subject from an archive of a root.
///
/// # Errors
/// When it cannot be read, or is malformed.
pub fn read(path: &Path) -> Result<Subject> {
    read_tar(path).map_err(|error| about(path, error))
}

fn read_tar(path: &Path) -> Result<Subject> {
    let mut tar = open(path)?;
    let mut changes = image::Changes::default();
    let component: Arc<str> = "root".into();
    let mut seen = BTreeMap::new();
    let mut bytes = 0;
    for member in 0.. {
        let Some((name, mut entry)) = tar.advance()? else {
            break;
        };
        if member > MOST_MEMBERS {
            return Err(Error::new(Kind::Verify, "it has too many members"));
        }
        entry.component = Arc::clone(&component);
        if let Node::File { size: length, .. } = entry.node
            && let Some(one) = look(&name, length, &mut tar).map_err(|error| reading(&error))?
        {
            bytes += size(&one);
            if !is_full(bytes) {
                seen.insert(member, one);
            }
        }
        changes.brought.push((member, name, entry, None));
    }
    let merged = merge_outline(vec![changes])?;
    let mut subject = Subject::new(&path.display().to_string(), true);
    for (path, place) in &merged.files {
        if let Some(one) = seen.remove(&place.member) {
            subject.add(path.clone(), one);
        }
    }
    subject.tree = merged.tree;
    subject.limit(bytes);
    Ok(subject)
}

type Tar = untar::Reader<Box<dyn Read + Send>>;

fn open(path: &Path) -> Result<Tar> {
    let file = File::open(path).io("opening", path)?;
    Ok(untar::Reader::new(
        plain(file).io("reading", path)?,
        Digest::of(b""),
    ))
}

/// What is in xz, gzip or zstd; anything else as it is.
fn plain(file: File) -> io::Result<Box<dyn Read + Send>> {
    let mut file = BufReader::with_capacity(1 << 17, file);
    let mut magic = Vec::new();
    Read::by_ref(&mut file).take(6).read_to_end(&mut magic)?;
    let xz = magic == *b"\xfd7zXZ\0";
    let whole = io::Cursor::new(magic).chain(file);
    match xz {
        true => Ok(Box::new(liblzma::read::XzDecoder::new(whole))),
        false => decompress(whole),
    }
}

fn about(path: &Path, error: Error) -> Error {
    error.context(format!("reading `{}`", path.display()))
}
