//! Reads a profile with all that it extends.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::check;
use super::document::Document;
use super::file::ProfileFile;
use super::merge::Merge;
use super::model::Profile;
use super::value::local::normal;
use crate::error::{Error, Kind, Place, Result};

/// More than any profile has, so that a wrong path cannot fill the memory.
const LARGEST: u64 = 8 << 20;

/// How many profiles may extend one another in a row.
const DEEPEST: usize = 32;

/// Reads the profile at `path`, what it extends, and checks the whole.
pub(super) fn load(path: &Path) -> Result<Profile> {
    let absolute = std::path::absolute(path).map_err(|error| Error::io("finding", path, error))?;
    let mut loader = Loader {
        shown: path.parent().unwrap_or(Path::new("")).to_owned(),
        folder: absolute.parent().unwrap_or(Path::new("/")).to_owned(),
        merged: ProfileFile::default(),
        read: Vec::new(),
        stack: Vec::new(),
    };
    let name = path.file_name().unwrap_or_default();
    loader.read(Path::new(name), None)?;
    // The most specific first: that is where a person looks first.
    let documents: Vec<_> = loader
        .read
        .into_iter()
        .map(|(_, document)| document)
        .rev()
        .collect();
    check::whole(&loader.merged, &documents)?;
    Profile::complete(loader.merged, documents)
}

struct Loader {
    /// The outermost profile's folder as the user named it.
    shown: PathBuf,
    /// The same, absolute.
    folder: PathBuf,
    /// All files read so far, the later over the earlier.
    merged: ProfileFile,
    /// Files that are merged, with their canonical paths.
    read: Vec<(PathBuf, Document)>,
    /// Files being read: canonical path, and path relative to the folder.
    stack: Vec<(PathBuf, PathBuf)>,
}

impl Loader {
    /// Reads one file, `path` being relative to the outermost profile's folder
    /// (or absolute), and before it those that it extends. A file that several
    /// others extend counts once, where it is first named.
    fn read(&mut self, path: &Path, named: Option<Place>) -> Result<()> {
        let located = self.folder.join(path);
        let canonical = located
            .canonicalize()
            .map_err(|error| cannot_read(&self.shown(path), &error, named.as_ref()))?;
        if let Some(start) = self.stack.iter().position(|(known, _)| *known == canonical) {
            return Err(self.circle(start, path, named));
        }
        if self.read.iter().any(|(known, _)| *known == canonical) {
            return Ok(());
        }
        if self.stack.len() >= DEEPEST {
            let error = format!("more than {DEEPEST} profiles extend one another in a row");
            return Err(at(Error::new(Kind::Usage, error), named));
        }
        let text = read_text(&located)
            .map_err(|error| cannot_read(&self.shown(path), &error, named.as_ref()))?;
        let document = Document {
            file: self.shown(path),
            text,
        };
        let mut file = document.parse()?;
        check::alone(&file, &document)?;

        let prefix = path.parent().unwrap_or(Path::new(""));
        self.stack.push((canonical.clone(), path.to_owned()));
        for base in file.extends.take().map(|list| list.0).unwrap_or_default() {
            let place = document
                .find(&["extends"], Some(&base))
                .map(|span| document.place(span));
            self.read(&normal(&prefix.join(&base)), place)?;
        }
        self.stack.pop();

        for local in file.local_files() {
            local.settle(prefix, &self.folder);
        }
        for source in file.image_sources() {
            source.settle(prefix, &self.folder);
        }
        check::removals(&file, &self.merged, &document)?;
        self.merged.merge(file);
        self.read.push((canonical, document));
        Ok(())
    }

    fn shown(&self, path: &Path) -> PathBuf {
        normal(&self.shown.join(path))
    }

    fn circle(&self, start: usize, path: &Path, named: Option<Place>) -> Error {
        let mut chain: Vec<_> = self.stack[start..]
            .iter()
            .map(|(_, path)| format!("`{}`", self.shown(path).display()))
            .collect();
        chain.push(format!("`{}`", self.shown(path).display()));
        let message = format!(
            "profiles extend one another in a circle: {}",
            chain.join(" → ")
        );
        at(Error::new(Kind::Usage, message), named).hint("take one of them out of `extends`")
    }
}

fn at(error: Error, place: Option<Place>) -> Error {
    match place {
        Some(place) => error.at(place),
        None => error,
    }
}

/// The whole text of a file.
fn read_text(path: &Path) -> std::io::Result<String> {
    use std::io::{Error, ErrorKind};

    let mut text = String::new();
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(Error::new(ErrorKind::IsADirectory, "it is a folder"));
    }
    file.take(LARGEST + 1)
        .read_to_string(&mut text)
        .map_err(|error| match error.kind() {
            ErrorKind::InvalidData => Error::new(ErrorKind::InvalidData, "it is not UTF-8 text"),
            _ => error,
        })?;
    if text.len() as u64 > LARGEST {
        return Err(Error::new(
            ErrorKind::InvalidData,
            "it is too large for a profile",
        ));
    }
    Ok(text)
}

fn cannot_read(path: &Path, error: &std::io::Error, named: Option<&Place>) -> Error {
    use std::io::ErrorKind;

    let shown = path.display();
    let result = match error.kind() {
        ErrorKind::NotFound if named.is_some() => Error::new(
            Kind::Usage,
            format!("the extended profile `{shown}` does not exist"),
        )
        .hint("paths in `extends` are relative to the file that names them"),
        ErrorKind::NotFound => {
            Error::new(Kind::Usage, format!("the profile `{shown}` does not exist"))
                .hint("`nodelith init` writes a profile to begin with")
        }
        ErrorKind::InvalidData | ErrorKind::IsADirectory => Error::new(
            Kind::Usage,
            format!("`{shown}` cannot be a profile: {error}"),
        ),
        _ => Error::io("reading", path, error),
    };
    at(result, named.cloned())
}
