//! The files of a bundle: written aside in their folder, and renamed into place
//! when all of them are whole.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::fs::FlockOperation;
use tempfile::NamedTempFile;

use crate::digest::Digest;
use crate::error::{Context, Error, Kind, Result};

/// How the names of files begin that are not whole yet.
const ASIDE: &str = ".new-";

/// A folder of files; one process at a time writes into it.
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes the folder if need be, and takes away what killed processes left in it.
    ///
    /// # Errors
    /// When it is a file, or cannot be made or locked.
    pub fn open(path: &Path) -> Result<Self> {
        if path.exists() && !path.is_dir() {
            let message = format!("`{}` is a file, not a folder", path.display());
            return Err(
                Error::new(Kind::Usage, message).hint("choose another folder with `--output`")
            );
        }
        if !path.is_dir() {
            fs::create_dir_all(path).io("making", path)?;
            fs::set_permissions(path, Permissions::from_mode(0o755)).io("making", path)?;
        }
        let lock = File::open(path).io("opening", path)?;
        rustix::fs::flock(&lock, FlockOperation::LockExclusive).io("locking", path)?;
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(ASIDE) {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// A new file of this folder, with no bytes.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn file(&self, name: &str) -> Result<Output> {
        let aside = tempfile::Builder::new()
            .prefix(ASIDE)
            .tempfile_in(&self.path)
            .io("making a file in", &self.path)?;
        Ok(Output {
            aside,
            name: name.to_owned(),
            path: self.path.join(name),
            measured: OnceLock::new(),
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes a file if it is there.
    ///
    /// # Errors
    /// When it stays.
    pub fn remove(&self, name: &str) -> Result<()> {
        let path = self.path.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::io("removing", path, error))
            }
            _ => Ok(()),
        }
    }
}

/// A file that is being written.
pub struct Output {
    aside: NamedTempFile,
    /// Its name.
    pub name: String,
    path: PathBuf,
    /// Once it is known.
    measured: OnceLock<(u64, Digest)>,
}

impl Output {
    /// Where it will be.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where it is until then.
    #[must_use]
    pub fn aside(&self) -> &Path {
        self.aside.path()
    }

    /// The file, to be written at places.
    #[must_use]
    pub fn file(&self) -> Target<'_> {
        Target {
            file: self.aside.as_file(),
            path: &self.path,
        }
    }

    /// Size and digest of what was written; it is whole when it is first asked for them.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn measure(&self) -> Result<(u64, Digest)> {
        if let Some(measured) = self.measured.get() {
            return Ok(*measured);
        }
        // Others may have written by the name.
        let file = File::open(self.aside.path()).io("reading", &self.path)?;
        let reader = io::BufReader::with_capacity(1 << 18, file);
        let (digest, size) = Digest::of_reader(reader).io("reading", &self.path)?;
        Ok(*self.measured.get_or_init(|| (size, digest)))
    }

    /// Renames it into place, with a mode that no umask changes.
    ///
    /// # Errors
    /// When that fails.
    pub fn commit(self) -> Result<()> {
        let mode = Permissions::from_mode(0o644);
        fs::set_permissions(self.aside.path(), mode).io("writing", &self.path)?;
        let renamed = self.aside.persist(&self.path);
        renamed
            .map(drop)
            .map_err(|error| error.error)
            .io("renaming to", &self.path)
    }
}

/// A file that is written at places, and what it is called in messages.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// The file.
    pub file: &'a File,
    /// Its name.
    pub path: &'a Path,
}

impl Target<'_> {
    /// Gives it a size; what is not written is zero.
    ///
    /// # Errors
    /// When the file system has no such files.
    pub fn resize(&self, size: u64) -> Result<()> {
        self.file.set_len(size).io("writing", self.path)
    }

    /// How many bytes it has.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn size(&self) -> Result<u64> {
        let about = self.file.metadata().io("reading", self.path)?;
        Ok(about.len())
    }

    /// Writes at a place.
    ///
    /// # Errors
    /// When that fails, as on a full disk.
    pub fn put(&self, at: u64, bytes: &[u8]) -> Result<()> {
        self.file.write_all_at(bytes, at).io("writing", self.path)
    }

    /// Reads at a place.
    ///
    /// # Errors
    /// When that fails or the file is shorter.
    pub fn get(&self, at: u64, bytes: &mut [u8]) -> Result<()> {
        self.file.read_exact_at(bytes, at).io("reading", self.path)
    }
}

/// Writes to a target, one after the other.
pub struct AtEnd<'a> {
    target: Target<'a>,
    at: u64,
}

impl<'a> AtEnd<'a> {
    /// From its beginning.
    #[must_use]
    pub fn new(target: Target<'a>) -> Self {
        Self { target, at: 0 }
    }
}

impl Write for AtEnd<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.target.file.write_at(bytes, self.at)?;
        self.at += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
