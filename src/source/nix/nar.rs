//! Reads a path on disk once, for its NAR hash and for its entries.
//!
//! A Nix archive (Nix manual, "Nix Archive (NAR) format") is a sequence of texts,
//! each with its length before it as 64 bits, little-endian, and filled up with
//! zeros to whole eight bytes.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::digest::{Digest, Hasher};
use crate::error::{Context, Error, Result};
use crate::tree::TreePath;

const MAGIC: &[u8] = b"nix-archive-1";

/// Files are read in pieces of this size.
const PIECE: usize = 1 << 17;

/// What a Nix archive says of one path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    Directory,
    File {
        size: u64,
        digest: Digest,
        executable: bool,
    },
    Symlink(TreePath),
}

/// A store path as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Archive {
    /// SHA-256 of the archive.
    pub(super) hash: Digest,
    /// Its length in bytes.
    pub(super) size: u64,
    /// Every path, relative (the path itself is empty), sorted as the archive has them.
    pub(super) entries: Vec<(TreePath, Kind)>,
}

/// Reads what is at `path`.
///
/// # Errors
/// When it cannot be read, or holds what no store path can.
pub(super) fn archive(path: &Path) -> Result<Archive> {
    let mut walk = Walk {
        hasher: Hasher::new(io::sink()),
        piece: vec![0; PIECE].into(),
        entries: Vec::new(),
    };
    walk.text(MAGIC)?;
    walk.node(path, &TreePath::default())?;
    let (hash, size, _) = walk.hasher.finish();
    Ok(Archive {
        hash,
        size,
        entries: walk.entries,
    })
}

struct Walk {
    hasher: Hasher<io::Sink>,
    piece: Box<[u8]>,
    entries: Vec<(TreePath, Kind)>,
}

impl Walk {
    fn node(&mut self, path: &Path, at: &TreePath) -> Result<()> {
        let metadata = fs::symlink_metadata(path).io("looking at", path)?;
        self.texts(&[b"(", b"type"])?;
        if metadata.is_dir() {
            self.texts(&[b"directory"])?;
            self.entries.push((at.clone(), Kind::Directory));
            for name in names(path)? {
                self.texts(&[b"entry", b"(", b"name", name.as_bytes(), b"node"])?;
                self.node(&path.join(&name), &at.join(name.as_bytes()))?;
                self.texts(&[b")"])?;
            }
        } else if metadata.is_symlink() {
            let target = fs::read_link(path).io("reading the link", path)?;
            let target = target.as_os_str().as_bytes();
            self.texts(&[b"symlink", b"target", target])?;
            self.entries
                .push((at.clone(), Kind::Symlink(TreePath::new(target))));
        } else if metadata.is_file() {
            // As Nix decides it: by the owner's bit.
            let executable = metadata.permissions().mode() & 0o100 != 0;
            self.texts(&[b"regular"])?;
            if executable {
                self.texts(&[b"executable", b""])?;
            }
            let kind = self.file(path, metadata.len(), executable)?;
            self.entries.push((at.clone(), kind));
        } else {
            return Err(Error::io(
                "reading",
                path,
                "no store path can hold such a file",
            ));
        }
        self.texts(&[b")"])
    }

    fn file(&mut self, path: &Path, size: u64, executable: bool) -> Result<Kind> {
        self.texts(&[b"contents"])?;
        self.write(&size.to_le_bytes())?;
        let mut file = File::open(path).io("opening", path)?;
        let mut own = Hasher::new(io::sink());
        let mut length = 0;
        loop {
            let got = match file.read(&mut self.piece) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other.io("reading", path)?,
            };
            if got == 0 {
                break;
            }
            length += got as u64;
            for hasher in [&mut self.hasher, &mut own] {
                hasher.write_all(&self.piece[..got]).io("hashing", path)?;
            }
        }
        if length != size {
            return Err(Error::io("reading", path, "its size changed meanwhile"));
        }
        self.pad(size)?;
        let (digest, ..) = own.finish();
        Ok(Kind::File {
            size,
            digest,
            executable,
        })
    }

    fn texts(&mut self, texts: &[&[u8]]) -> Result<()> {
        texts.iter().try_for_each(|text| self.text(text))
    }

    fn text(&mut self, text: &[u8]) -> Result<()> {
        self.write(&(text.len() as u64).to_le_bytes())?;
        self.write(text)?;
        self.pad(text.len() as u64)
    }

    fn pad(&mut self, length: u64) -> Result<()> {
        let over = (length % 8) as usize;
        match over {
            0 => Ok(()),
            _ => self.write(&[0; 8][over..]),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.hasher.write_all(bytes).io("hashing", "a Nix archive")
    }
}

/// The names in a folder, in byte order.
fn names(folder: &Path) -> Result<Vec<OsString>> {
    let mut names = fs::read_dir(folder)
        .io("listing", folder)?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<io::Result<Vec<_>>>()
        .io("listing", folder)?;
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hard_links_and_modes_that_do_not_count_change_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        for root in [&one, &two] {
            fs::create_dir_all(root.join("bin")).unwrap();
            fs::write(root.join("bin/a"), "same").unwrap();
            std::os::unix::fs::symlink("a", root.join("bin/b")).unwrap();
        }
        fs::write(one.join("bin/c"), "same").unwrap();
        fs::hard_link(two.join("bin/a"), two.join("bin/c")).unwrap();
        fs::set_permissions(two.join("bin/a"), fs::Permissions::from_mode(0o666)).unwrap();
        assert_eq!(archive(&one).unwrap(), archive(&two).unwrap());
        fs::set_permissions(two.join("bin/a"), fs::Permissions::from_mode(0o744)).unwrap();
        assert_ne!(archive(&one).unwrap().hash, archive(&two).unwrap().hash);
    }

    #[test]
    fn a_small_archive_is_as_the_manual_says() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        fs::write(&path, "hello").unwrap();
        let mut bytes = Vec::new();
        for text in [
            "nix-archive-1",
            "(",
            "type",
            "regular",
            "contents",
            "hello",
            ")",
        ] {
            bytes.extend((text.len() as u64).to_le_bytes());
            bytes.extend(text.as_bytes());
            bytes.resize(bytes.len().next_multiple_of(8), 0);
        }
        let made = archive(&path).unwrap();
        assert_eq!(
            (made.hash, made.size),
            (Digest::of(&bytes), bytes.len() as u64)
        );
    }
}
