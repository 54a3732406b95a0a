//! Writes an image layout (OCI image specification, "Image Layout").
//!
//! Blobs come first, then `index.json` is renamed into place: that is the
//! moment at which the image is there. Killed at any other moment, the layout
//! still holds the image that it held before. Blobs that nothing refers to any
//! more are removed last.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use rustix::fs::{Access, FlockOperation};
use serde::Deserialize;
use serde_json::Value;

use super::manifest::{Built, Descriptor, index, top};
use super::{annotations, is_index, is_manifest};
use crate::digest::Digest;
use crate::error::{Context, Error, Kind, Result};
use crate::layer::FORMAT;
use crate::store::Store;

/// The file that marks a layout, and what stands in it.
pub(super) const MARK: (&str, &str) = ("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);

/// The greatest JSON document that is read.
pub(super) const MAX_JSON: u64 = 8 << 20;

/// What came of writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The manifest's digest, or the index's if there are several architectures.
    pub digest: Digest,
    /// Whether the layout held this already.
    pub unchanged: bool,
}

/// Writes images of one name for different architectures into `folder`.
///
/// Images that an earlier call wrote there are replaced; other makers' stay.
///
/// # Errors
/// When `folder` holds something other than a layout, a blob is not in the
/// store, or writing fails.
pub fn write(store: &Store, folder: &Path, tag: Option<&str>, images: &[Built]) -> Result<Written> {
    let mut descriptor = top(store, images)?;
    let digest = descriptor.digest;
    descriptor
        .annotations
        .insert(annotations::FORMAT.into(), FORMAT.to_string());
    if let Some(tag) = tag {
        descriptor
            .annotations
            .insert(annotations::REF_NAME.into(), tag.to_owned());
    }
    let is_ours = |entry: &Value| !entry["annotations"][annotations::FORMAT].is_null();
    let mut wanted: Vec<&Descriptor> = images.iter().flat_map(Built::blobs).collect();
    wanted.push(&descriptor);
    let entry = serde_json::to_value(&descriptor).io("writing", folder)?;
    let unchanged = put(store, folder, &[entry], &wanted, is_ours)?;
    Ok(Written { digest, unchanged })
}

/// Lists an artifact, which is in the store with its blobs, in the index of a layout: a
/// referrer of an image there. One of the same type, of the same image, that says the
/// same of itself is replaced.
///
/// # Errors
/// As for [`write`].
pub fn attach(
    store: &Store,
    folder: &Path,
    artifact_type: &str,
    subject: &Digest,
    artifact: &Descriptor,
    blobs: &[Descriptor],
) -> Result<()> {
    let mut entry = serde_json::to_value(artifact).io("writing", folder)?;
    entry["artifactType"] = artifact_type.into();
    let wanted: Vec<&Descriptor> = blobs.iter().chain([artifact]).collect();
    let blobs_folder = folder.join("blobs/sha256");
    let replaced = |other: &Value| {
        other["artifactType"] == artifact_type
            && other["annotations"] == entry["annotations"]
            && subject_of(&blobs_folder, other).as_ref() == Some(subject)
    };
    put(
        store,
        folder,
        std::slice::from_ref(&entry),
        &wanted,
        replaced,
    )
    .map(drop)
}

/// What a layout lists that refers to a manifest: their descriptors, with their types.
///
/// # Errors
/// When its index cannot be read.
pub fn referrers(folder: &Path, subject: &Digest) -> Result<Vec<Value>> {
    let blobs = folder.join("blobs/sha256");
    let mut found = listed(folder)?;
    found.retain(|entry| subject_of(&blobs, entry).as_ref() == Some(subject));
    Ok(found)
}

/// What an artifact of a layout's index refers to, if it is one and does.
fn subject_of(blobs: &Path, entry: &Value) -> Option<Digest> {
    if !is_artifact(entry["artifactType"].as_str()) {
        return None;
    }
    let digest: Digest = entry["digest"].as_str()?.parse().ok()?;
    let bytes = read_small(&blobs.join(digest.hex())).ok()?;
    let manifest: Value = serde_json::from_slice(&bytes).ok()?;
    manifest["subject"]["digest"].as_str()?.parse().ok()
}

/// Whether an entry of an index with this `artifactType` is something else than an image
/// (OCI image specification, "Content Descriptors": of an image it is the
/// configuration's media type, if it is there).
pub(super) fn is_artifact(artifact_type: Option<&str>) -> bool {
    artifact_type
        .is_some_and(|kind| kind != super::CONFIG && !kind.starts_with("application/vnd.docker."))
}

/// Writes images that are in the store as they are, by one tag or by their digests
/// alone, into `folder`: `entries` for its index, and all `blobs`, documents
/// included. What had the same name there is replaced; all else stays.
///
/// # Errors
/// As for [`write`].
pub fn write_as_is(
    store: &Store,
    folder: &Path,
    tag: Option<&str>,
    entries: &[Descriptor],
    blobs: &[Descriptor],
) -> Result<bool> {
    let mut entries = entries.to_vec();
    for entry in &mut entries {
        entry.annotations.remove(annotations::REF_NAME);
        if let Some(tag) = tag {
            let name = annotations::REF_NAME.into();
            entry.annotations.insert(name, tag.to_owned());
        }
    }
    let digests: BTreeSet<String> = entries
        .iter()
        .map(|entry| entry.digest.to_string())
        .collect();
    let replaced = |entry: &Value| {
        let name = entry["annotations"][annotations::REF_NAME].as_str();
        match tag {
            Some(_) => name == tag,
            None => {
                name.is_none()
                    && entry["digest"]
                        .as_str()
                        .is_some_and(|digest| digests.contains(digest))
            }
        }
    };
    let entries: Result<Vec<Value>> = entries
        .iter()
        .map(|entry| serde_json::to_value(entry).io("writing", folder))
        .collect();
    let blobs: Vec<&Descriptor> = blobs.iter().collect();
    put(store, folder, &entries?, &blobs, replaced)
}

/// Puts blobs into a layout and then entries into its index, in the place of those
/// that are `replaced`; says whether all of it was there.
fn put(
    store: &Store,
    folder: &Path,
    ours: &[Value],
    wanted: &[&Descriptor],
    replaced: impl Fn(&Value) -> bool,
) -> Result<bool> {
    let blobs_folder = prepare(folder)?;
    let _lock = lock(folder)?;

    let there = listed(folder)?;
    let mut others = there.clone();
    others.retain(|entry| !replaced(entry));
    drop_orphans(&blobs_folder, &mut others, ours, wanted);
    // What is replaced keeps its place, so that the same again is no change.
    let first = there.iter().position(&replaced).unwrap_or(there.len());
    let (before, after): (Vec<&Value>, Vec<&Value>) = others
        .iter()
        .partition(|entry| there[..first].contains(entry));
    let manifests: Vec<&Value> = before.into_iter().chain(ours).chain(after).collect();
    let index_bytes = index(&manifests)?;
    let index_path = folder.join("index.json");
    let before = fs::read(&index_path).ok();

    let new = wanted
        .par_iter()
        .map(|blob| place(store, &blobs_folder, blob))
        .try_reduce(|| false, |one, other| Ok(one | other))?;
    let marked = fs::read(folder.join(MARK.0)).is_ok_and(|bytes| bytes == MARK.1.as_bytes());
    if !marked {
        commit(&folder.join(MARK.0), MARK.1.as_bytes())?;
    }
    let unchanged = !new && marked && before.as_deref() == Some(&index_bytes);
    if !unchanged {
        commit(&index_path, &index_bytes)?;
    }
    let mut keep: BTreeSet<Digest> = wanted.iter().map(|blob| blob.digest).collect();
    let known = others
        .iter()
        .all(|entry| referenced(&blobs_folder, entry, &mut keep, 0).is_some());
    if known {
        sweep(folder, &blobs_folder, &keep);
    }
    Ok(unchanged)
}

/// Drops artifacts that refer to an image which is replaced; none if something of the
/// others is not known.
fn drop_orphans(blobs: &Path, others: &mut Vec<Value>, ours: &[Value], wanted: &[&Descriptor]) {
    let mut there: BTreeSet<Digest> = wanted.iter().map(|blob| blob.digest).collect();
    let images = others
        .iter()
        .filter(|entry| subject_of(blobs, entry).is_none());
    let known = images
        .map(|entry| referenced(blobs, entry, &mut there, 0))
        .all(|known| known.is_some());
    if known
        && ours
            .iter()
            .all(|entry| !is_artifact(entry["artifactType"].as_str()))
    {
        others.retain(|entry| {
            subject_of(blobs, entry).is_none_or(|subject| there.contains(&subject))
        });
    }
}

/// Says whether images can be put into `folder`, before any work is done for them.
///
/// # Errors
/// [`Kind::Usage`] when it is no folder or holds something other than a layout,
/// [`Kind::Io`] when it cannot be read, or made.
pub fn check(folder: &Path) -> Result<()> {
    let mut place = folder;
    loop {
        // The parent of `out` is said to be "".
        let real = if place.as_os_str().is_empty() {
            Path::new(".")
        } else {
            place
        };
        match (fs::metadata(real), place.parent()) {
            (Ok(there), _) if there.is_dir() => break,
            (Ok(_), _) => {
                let message = format!("`{}` is a file, not a folder", place.display());
                return Err(Error::new(Kind::Usage, message)
                    .hint("choose another folder for the image with `--output`"));
            }
            (Err(error), Some(parent))
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                place = parent;
            }
            (Err(error), _) => return Err(Error::io("reading", place, error)),
        }
    }
    if place == folder {
        holds_nothing_else(folder)?;
        return listed(folder).map(drop);
    }
    let place = if place.as_os_str().is_empty() {
        Path::new(".")
    } else {
        place
    };
    rustix::fs::access(place, Access::WRITE_OK | Access::EXEC_OK)
        .io("making a folder in", place)
        .map_err(|error| error.hint("choose another folder for the image with `--output`"))
}

/// Refuses a folder that holds something other than a layout.
fn holds_nothing_else(folder: &Path) -> Result<()> {
    if let Ok(names) = fs::read_dir(folder) {
        for name in names {
            let name = name.io("listing", folder)?.file_name();
            let name = name.to_string_lossy();
            if !matches!(&*name, "blobs" | "oci-layout" | "index.json")
                && !name.starts_with(".new-")
            {
                let message = format!(
                    "`{}` is not an image layout: it holds `{name}`",
                    folder.display()
                );
                return Err(Error::new(Kind::Usage, message)
                    .hint("choose another folder for the image, or empty this one"));
            }
        }
    }
    Ok(())
}

/// Makes the layout's folders, with modes that no umask changes.
fn prepare(folder: &Path) -> Result<PathBuf> {
    holds_nothing_else(folder)?;
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent).io("making", parent)?;
    }
    let blobs = folder.join("blobs");
    let sha256 = blobs.join("sha256");
    for path in [folder, &blobs, &sha256] {
        if !path.is_dir() {
            match fs::create_dir(path) {
                // Another build has the same output.
                Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => {}
                made => made.io("making", path)?,
            }
        }
        // Someone else's folder may refuse, and then keeps its mode.
        let _ = fs::set_permissions(path, Permissions::from_mode(0o755));
    }
    Ok(sha256)
}

/// One writer at a time.
fn lock(folder: &Path) -> Result<File> {
    let file = File::open(folder).io("opening", folder)?;
    rustix::fs::flock(&file, FlockOperation::LockExclusive).io("locking", folder)?;
    Ok(file)
}

/// Entries of the index there is.
fn listed(folder: &Path) -> Result<Vec<Value>> {
    #[derive(Deserialize)]
    struct Index {
        manifests: Vec<Value>,
    }
    let path = folder.join("index.json");
    if !path.exists() {
        return Ok(Vec::new());
    }
    let index: Index = serde_json::from_slice(&read_small(&path)?).map_err(|error| {
        Error::io("reading", &path, error).hint("choose another folder, or remove this one")
    })?;
    Ok(index.manifests)
}

/// Puts a blob into the layout; says whether it was not there.
fn place(store: &Store, folder: &Path, blob: &Descriptor) -> Result<bool> {
    let path = folder.join(blob.digest.hex());
    if fs::symlink_metadata(&path).is_ok_and(|there| there.is_file() && there.len() == blob.size) {
        return Ok(false);
    }
    let source = store.blob_path(&blob.digest);
    if !store.has(&blob.digest, Some(blob.size)) {
        return Err(Error::new(
            Kind::Io,
            format!("blob {} is not in the store", blob.digest),
        )
        .hint("it may have been pruned during the build: build again"));
    }
    if !store.has_whole(&blob.digest, Some(blob.size))? {
        let message = format!(
            "blob {} was damaged in the store, and is removed",
            blob.digest
        );
        return Err(Error::new(Kind::Verify, message).hint("build again: it is then made anew"));
    }
    let _ = fs::remove_file(&path); // one of another size
    if fs::hard_link(&source, &path).is_err() {
        // Another file system, or no right to link: copy, aside and then into place.
        let aside = tempfile::Builder::new()
            .prefix(".new-")
            .tempfile_in(folder)
            .io("making a file in", folder)?;
        fs::copy(&source, aside.path()).io("copying to", &path)?;
        fs::set_permissions(aside.path(), Permissions::from_mode(0o444)).io("copying to", &path)?;
        aside
            .persist(&path)
            .map_err(|error| error.error)
            .io("copying to", &path)?;
    }
    Ok(true)
}

/// Adds all blobs that an index entry refers to; none if something in it is not known.
fn referenced(folder: &Path, entry: &Value, keep: &mut BTreeSet<Digest>, depth: u8) -> Option<()> {
    const MOST_NESTED: u8 = 4;
    let digest: Digest = entry["digest"].as_str()?.parse().ok()?;
    keep.insert(digest);
    if depth > MOST_NESTED {
        return None;
    }
    let document: Value =
        serde_json::from_slice(&read_small(&folder.join(digest.hex())).ok()?).ok()?;
    match entry["mediaType"].as_str()? {
        kind if is_manifest(kind) => {
            let blobs = document["layers"]
                .as_array()?
                .iter()
                .chain([&document["config"]]);
            for blob in blobs {
                keep.insert(blob["digest"].as_str()?.parse().ok()?);
            }
            Some(())
        }
        kind if is_index(kind) => document["manifests"]
            .as_array()?
            .iter()
            .try_for_each(|inner| referenced(folder, inner, keep, depth + 1)),
        _ => None,
    }
}

/// Removes what nothing refers to. Failing at it harms nothing.
fn sweep(folder: &Path, blobs: &Path, keep: &BTreeSet<Digest>) {
    let keep: BTreeSet<String> = keep.iter().map(Digest::hex).collect();
    for (place, all) in [(blobs, true), (folder, false)] {
        for entry in fs::read_dir(place).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let left_over = name.to_string_lossy().starts_with(".new-");
            if left_over || (all && !name.to_str().is_some_and(|name| keep.contains(name))) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// Writes a file aside and renames it into place, with a mode that no umask changes.
fn commit(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .tempfile_in(folder)
        .io("making a file in", folder)?;
    file.write_all(bytes).io("writing", path)?;
    file.as_file()
        .set_permissions(Permissions::from_mode(0o644))
        .io("writing", path)?;
    file.persist(path)
        .map_err(|error| error.error)
        .io("renaming to", path)?;
    Ok(())
}

fn read_small(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path).io("opening", path)?;
    file.take(MAX_JSON + 1)
        .read_to_end(&mut bytes)
        .io("reading", path)?;
    if bytes.len() as u64 > MAX_JSON {
        return Err(Error::io(
            "reading",
            path,
            "it is too large to be what it should be",
        ));
    }
    Ok(bytes)
}
