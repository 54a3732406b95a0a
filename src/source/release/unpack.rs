//! What a release puts into a node: its programs, each a blob of the store.
//!
//! An archive is read once, from front to back; what came of it is recorded. It is
//! held against the lock's digest before that, but a digest only says that the bytes
//! are those that were locked: names that lead out, links, twice the same name and
//! sizes beyond all measure are refused.

use std::collections::BTreeMap;
use std::io::{self, Read};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::elf;
use super::provide::{Component, Origin};
use super::table::{Layout, Row};
use crate::digest::Digest;
use crate::error::{Context, Error, Kind, Result};
use crate::layer::compress::decompress;
use crate::layer::untar::Reader;
use crate::store::Store;
use crate::tree::Node;

/// The most that an archive may hold, in bytes: several times the largest known.
const MOST_BYTES: u64 = 2 << 30;
/// The most members of an archive.
const MOST_MEMBERS: usize = 10_000;
/// Any of these permissions makes a file a program.
const EXECUTABLE: u32 = 0o111;

/// A program that a release puts into a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Where it belongs in a node, absolute.
    pub path: String,
    /// Its length in bytes.
    pub size: u64,
    /// The blob.
    pub digest: Digest,
}

/// The programs of a component for `architecture`, whose published file is in the
/// store.
///
/// # Errors
/// [`Kind::Verify`] when the file is not what the table says, or holds what no
/// release should.
pub fn files(
    store: &Store,
    row: &Row,
    component: &Component,
    architecture: &str,
) -> Result<Vec<File>> {
    let files = recorded(store, row, component);
    let mut files = files.map_err(|error| {
        let error = error.context(format!("unpacking `{}`", component.title()));
        match component.source {
            Origin::Local => error.hint("a local file must have the form of what is published"),
            Origin::Release | Origin::Builtin => error,
        }
    })?;
    for file in &mut files {
        let program = store.open_blob(&file.digest)?;
        if let Some(other) = elf::foreign(program, architecture) {
            let message = format!(
                "`{}` of `{}` is a program for {other}, and the image is for {architecture}",
                file.path,
                component.title()
            );
            return Err(Error::new(Kind::Verify, message));
        }
        file.path = format!("{}/{}", row.place, file.path);
    }
    Ok(files)
}

/// The programs of a component, where the store has them already.
#[must_use]
pub fn known_files(store: &Store, row: &Row, component: &Component) -> Option<Vec<File>> {
    let record = store.record::<Record>(RECORDS, &key(row, component))?;
    let mut files = record.files;
    for file in &mut files {
        if !store.has(&file.digest, Some(file.size)) {
            return None;
        }
        file.path = format!("{}/{}", row.place, file.path);
    }
    Some(files)
}

/// What the programs of a component follow from.
fn key(row: &Row, component: &Component) -> Digest {
    let key = json!({
        "file": component.digest, "name": component.name,
        "layout": layout(row, component).to_string(), "without": row.without,
    });
    Digest::of(key.to_string().as_bytes())
}

fn layout<'a>(row: &'a Row, component: &Component) -> &'a Layout {
    match component.source {
        // It is no archive, as the publisher's is.
        Origin::Builtin => &Layout::Binary,
        Origin::Release | Origin::Local => &row.layout,
    }
}

/// The programs of a release by file name, from the record where there is one.
fn recorded(store: &Store, row: &Row, component: &Component) -> Result<Vec<File>> {
    let Component { name, digest, .. } = component;
    let key = key(row, component);
    if let Some(Record { files, .. }) = store.record::<Record>(RECORDS, &key) {
        let mut whole = true;
        for file in &files {
            // Nothing that comes after looks at its digest.
            whole &= store.has_whole(&file.digest, Some(file.size))?;
        }
        if whole {
            return Ok(files);
        }
    }
    let files = match layout(row, component) {
        Layout::Binary => {
            let path = store.blob_path(digest);
            let size = std::fs::metadata(&path).io("looking at", &path)?.len();
            vec![File {
                path: name.to_owned(),
                size,
                digest: *digest,
            }]
        }
        Layout::Tar { pattern, members } => {
            let found = unpack(store, digest, |member, file| {
                members.is_match(member) && !row.without.iter().any(|other| other == file)
            })?;
            if found.is_empty() {
                return Err(refused(&format!("no program in it is `{pattern}`")));
            }
            found
        }
    };
    let record = Record {
        published: *digest,
        files,
    };
    store.put_record(RECORDS, &key, &record)?;
    Ok(record.files)
}

/// The kind of record.
const RECORDS: &str = "releases";

/// What a release came to. That its digest stands here keeps it from being pruned
/// as long as it is used.
#[derive(Serialize, Deserialize)]
struct Record {
    published: Digest,
    files: Vec<File>,
}

/// Puts the programs of an archive into the store that `wanted` says, given their
/// paths and file names.
fn unpack(
    store: &Store,
    digest: &Digest,
    wanted: impl Fn(&str, &str) -> bool,
) -> Result<Vec<File>> {
    let path = store.blob_path(digest);
    let reader = decompress(store.open_blob(digest)?).io("reading", &path)?;
    let mut archive = Reader::new(Bounded::new(reader), *digest);
    let mut found = BTreeMap::new();
    let mut count = 0;
    while let Some((path, entry)) = archive.advance()? {
        count += 1;
        if count > MOST_MEMBERS {
            return Err(refused(&format!("it has more than {MOST_MEMBERS} members")));
        }
        let text = path.to_string();
        let name = text.rsplit('/').next().unwrap_or_default().to_owned();
        if entry.node == Node::Directory || !wanted(&text, &name) {
            continue;
        }
        let Node::File { size, .. } = entry.node else {
            return Err(refused(&format!("`{text}` is no regular file")));
        };
        // Licences and the like.
        if entry.mode & EXECUTABLE == 0 {
            continue;
        }
        let mut blob = store.writer()?;
        io::copy(&mut archive, &mut blob).map_err(|error| match error.raw_os_error() {
            Some(_) => Error::io("unpacking into", store.root(), error),
            // Those of decoders have no number of the system's.
            None => refused(&error.to_string()),
        })?;
        let (digest, _) = blob.commit()?;
        let file = File {
            path: name,
            size,
            digest,
        };
        if found.insert(file.path.clone(), file).is_some() {
            return Err(refused(&format!("it has `{text}` twice")));
        }
    }
    Ok(found.into_values().collect())
}

fn refused(why: &str) -> Error {
    Error::new(Kind::Verify, format!("the archive cannot be used: {why}"))
}

/// Fails when more than [`MOST_BYTES`] come out of an archive.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R> Bounded<R> {
    fn new(inner: R) -> Self {
        Self {
            inner,
            left: MOST_BYTES,
        }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.left = self
            .left
            .checked_sub(read as u64)
            .ok_or_else(|| io::Error::other(format!("it holds more than {MOST_BYTES} bytes")))?;
        Ok(read)
    }
}

#[cfg(test)]
#[path = "unpack_tests.rs"]
mod tests;
