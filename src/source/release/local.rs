//! Local files that take the place of what a publisher has: `--component NAME=FILE`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::error::{Context, Error, Kind, Result, plain};
use crate::store::Store;

const HINT: &str = "write it like `--component kubelet=FILE`, or `--component kubelet:arm64=FILE`";

/// Local files by the release that they take the place of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LocalReleases {
    /// Name, and the architecture where one is said.
    files: BTreeMap<(String, Option<String>), PathBuf>,
}

impl LocalReleases {
    /// Reads `NAME=FILE` and `NAME:ARCH=FILE`.
    ///
    /// # Errors
    /// [`Kind::Usage`] for anything else, and for the same thing twice.
    pub fn parse(arguments: &[String]) -> Result<Self> {
        let mut files = BTreeMap::new();
        for argument in arguments {
            let refuse = |why: &str| {
                Error::new(Kind::Usage, format!("`--component {argument}` {why}")).hint(HINT)
            };
            let (key, file) = argument
                .split_once('=')
                .ok_or_else(|| refuse("names no file"))?;
            let (name, architecture) = match key.split_once(':') {
                Some((name, architecture)) => (name, Some(architecture.to_owned())),
                None => (key, None),
            };
            if name.is_empty() || file.is_empty() || architecture.as_deref() == Some("") {
                return Err(refuse("is not whole"));
            }
            let key = (name.to_owned(), architecture);
            if files.insert(key, PathBuf::from(file)).is_some() {
                return Err(refuse("is there twice"));
            }
        }
        Ok(Self { files })
    }

    /// The file for the release `name` of `architecture`.
    #[must_use]
    pub fn find(&self, name: &str, architecture: &str) -> Option<&Path> {
        let of = |architecture: Option<&str>| {
            let key = (name.to_owned(), architecture.map(str::to_owned));
            self.files.get(&key).map(PathBuf::as_path)
        };
        of(Some(architecture)).or_else(|| of(None))
    }

    /// Every name, and the architecture where one is said.
    pub fn names(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let names = self.files.keys();
        names.map(|(name, architecture)| (name.as_str(), architecture.as_deref()))
    }
}

/// Puts a local file into the store; gives its digest and size in bytes.
///
/// # Errors
/// [`Kind::Usage`] when it is no regular file, [`Kind::Io`] when it cannot be copied.
pub(super) fn keep(store: &Store, path: &Path) -> Result<(Digest, u64)> {
    let unreadable = |error: &io::Error| {
        let message = format!(
            "reading `{}`, which `--component` names: {}",
            path.display(),
            plain(error)
        );
        Error::new(Kind::Usage, message)
    };
    let file = File::open(path).map_err(|error| unreadable(&error))?;
    let metadata = file.metadata().map_err(|error| unreadable(&error))?;
    if !metadata.is_file() {
        return Err(unreadable(&io::Error::other("it is no regular file")));
    }
    let (digest, size) = Digest::of_reader(&file).io("reading", path)?;
    if store.has_whole(&digest, Some(size))? {
        return Ok((digest, size));
    }
    let mut blob = store.writer()?;
    let mut file = File::open(path).io("reading", path)?;
    io::copy(&mut file, &mut blob).io("copying", path)?;
    blob.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<LocalReleases> {
        let arguments: Vec<_> = arguments.iter().map(|&text| text.to_owned()).collect();
        LocalReleases::parse(&arguments)
    }

    #[test]
    fn the_architectures_own_goes_first() {
        let files = parse(&["kubelet=a", "kubelet:arm64=b=c", "runc:arm64=d"]).unwrap();
        let find = |name, architecture| files.find(name, architecture).and_then(Path::to_str);
        assert_eq!(find("kubelet", "amd64"), Some("a"));
        assert_eq!(find("kubelet", "arm64"), Some("b=c"));
        assert_eq!(find("runc", "amd64"), None);
        assert_eq!(find("runc", "arm64"), Some("d"));
        assert_eq!(files.names().count(), 3);
    }

    #[test]
    fn what_cannot_be_meant() {
        for arguments in [
            &["kubelet"][..],
            &["=x"],
            &["kubelet="],
            &["kubelet:=x"],
            &["kubelet=x", "kubelet=y"],
        ] {
            let error = parse(arguments).unwrap_err();
            assert_eq!((error.kind(), error.hints().len()), (Kind::Usage, 1));
        }
    }
}
