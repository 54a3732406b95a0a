//! Local files that a profile names: pinned by digest, read through the store.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;

use super::{Pinned, PinnedFile};
use crate::digest::Digest;
use crate::error::{Context, Error, Kind, Result, plain};
use crate::profile::value::LocalFile;
use crate::store::Store;

/// Digests and sizes of the files, sorted by the path as written.
///
/// # Errors
/// [`Kind::Resolve`] when one is missing or no regular file, [`Kind::Io`] when
/// it cannot be read.
pub fn local_files(named: &[&LocalFile]) -> Result<Vec<PinnedFile>> {
    let mut sorted = named.to_vec();
    sorted.sort();
    sorted.dedup_by(|a, b| a.path() == b.path());
    sorted.into_iter().map(pin).collect()
}

fn pin(named: &LocalFile) -> Result<PinnedFile> {
    let missing = |error: io::Error| {
        let message = format!("the profile names `{}`: {}", named.path(), plain(&error));
        let hint = format!("it was looked for at `{}`", named.absolute().display());
        Error::new(Kind::Resolve, message).hint(hint)
    };
    let file = File::open(named.absolute()).map_err(missing)?;
    if !file.metadata().map_err(missing)?.is_file() {
        return Err(missing(io::Error::other("not a regular file")));
    }
    let (digest, size) = Digest::of_reader(file).io("reading", named.absolute())?;
    Ok(PinnedFile {
        path: named.path().to_owned(),
        size,
        digest,
    })
}

/// Puts every file that the lock names into the store, taking those that are
/// not where the profile says (but in the store or vendor folder) from there.
/// Returns where each path on this machine has its content.
///
/// # Errors
/// [`Kind::Verify`] when a file is not what the lock says.
pub fn verify_files(
    store: &Store,
    pinned: &Pinned,
    named: &[&LocalFile],
) -> Result<BTreeMap<PathBuf, (Digest, u64)>> {
    let locked: BTreeMap<&str, &PinnedFile> = pinned
        .file
        .iter()
        .map(|file| (file.path.as_str(), file))
        .collect();
    let mut contents = BTreeMap::new();
    for named in named {
        let file = locked.get(named.path()).ok_or_else(|| {
            Error::new(
                Kind::Resolve,
                format!("`{}` is not in the lock", named.path()),
            )
            .hint("renew the lock with `nodelith lock`")
        })?;
        if named.absolute().exists() || !store.has(&file.digest, Some(file.size)) {
            keep(store, named, file)?;
        }
        contents.insert(named.absolute().to_owned(), (file.digest, file.size));
    }
    Ok(contents)
}

fn keep(store: &Store, named: &LocalFile, locked: &PinnedFile) -> Result<()> {
    let mut source = File::open(named.absolute()).io("reading", named.absolute())?;
    let digest = if store.has_whole(&locked.digest, Some(locked.size))? {
        Digest::of_reader(source).io("reading", named.absolute())?.0
    } else {
        let mut blob = store.writer()?;
        io::copy(&mut source, &mut blob).io("copying", named.absolute())?;
        blob.commit()?.0
    };
    if digest == locked.digest {
        return Ok(());
    }
    Err(Error::new(
        Kind::Verify,
        format!(
            "`{}` has digest {digest}, and the lock says {}",
            named.path(),
            locked.digest
        ),
    )
    .hint("if the change is meant, renew the lock with `nodelith lock`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(path: &str) -> LocalFile {
        serde_json::from_value(serde_json::json!(path)).unwrap()
    }

    #[test]
    fn a_changed_file_is_refused_and_a_lost_one_comes_from_the_store() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("store")).unwrap();
        let path = folder.path().join("motd");
        std::fs::write(&path, "hello").unwrap();
        let mut file = named("motd");
        file.settle(std::path::Path::new(""), folder.path());
        let named = [&file];
        let pinned = Pinned {
            selection: Digest::of(b""),
            source_date_epoch: 0,
            release: Vec::new(),
            base: None,
            package: Vec::new(),
            component: Vec::new(),
            nix: Vec::new(),
            image: Vec::new(),
            file: local_files(&named).unwrap(),
        };
        verify_files(&store, &pinned, &named).unwrap();

        std::fs::write(&path, "other").unwrap();
        let error = verify_files(&store, &pinned, &named).unwrap_err();
        assert_eq!(error.kind(), Kind::Verify);

        std::fs::remove_file(&path).unwrap();
        let contents = verify_files(&store, &pinned, &named).unwrap();
        assert_eq!(contents[&path].0, Digest::of(b"hello"));
    }

    #[test]
    fn a_missing_file_names_where_it_was_looked_for() {
        let mut file = named("motd");
        file.settle(
            std::path::Path::new(""),
            std::path::Path::new("/nonexistent"),
        );
        let error = local_files(&[&file]).unwrap_err();
        assert_eq!(error.kind(), Kind::Resolve);
        assert!(error.hints()[0].contains("/nonexistent/motd"));
    }
}
