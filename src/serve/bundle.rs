//! The files of an export, by its description.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use serde_json::Value;

use crate::bundle::export::{DESCRIPTION, pxe};
use crate::digest::Digest;
use crate::error::{Context, Error, Kind, Result};

/// What there is to serve.
pub struct Bundle {
    /// By name: how many bytes, and their digest.
    pub files: BTreeMap<String, Entry>,
}

/// A file that there is.
pub struct Entry {
    pub size: u64,
    pub digest: Digest,
}

impl Bundle {
    /// Reads the description in a folder.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(DESCRIPTION);
        let none = |why: &str| {
            let message = format!("`{}` is no export: {why}", folder.display());
            Error::new(Kind::Usage, message)
                .hint("make one with `nodelith export IMAGE --to pxe --output DIR`")
        };
        if !path.is_file() {
            return Err(none(&format!("it has no `{DESCRIPTION}`")));
        }
        let bytes = std::fs::read(&path).io("reading", &path)?;
        let mut files = parse(&bytes)
            .ok_or_else(|| none(&format!("its `{DESCRIPTION}` is not one of ours")))?;
        let own = Entry {
            size: bytes.len() as u64,
            digest: Digest::of(&bytes),
        };
        files.insert(DESCRIPTION.to_owned(), own);
        Ok(Self { files })
    }

    /// Looks whether a machine can boot from it.
    pub fn is_for_a_network(&self, folder: &Path) -> Result<()> {
        match self.files.contains_key(pxe::IPXE) {
            true => Ok(()),
            false => {
                let name = folder.display();
                let message = format!("`{name}` has nothing to boot over a network");
                Err(Error::new(Kind::Usage, message)
                    .hint("export it once more, with `pxe` among the formats of `--to`"))
            }
        }
    }

    /// Opens a file, which must be as the description says. No link is followed.
    pub fn open(&self, folder: &Path, name: &str) -> Result<Option<(File, &Entry)>> {
        let Some(entry) = self.files.get(name) else {
            return Ok(None);
        };
        let path = folder.join(name);
        // A pipe in its place must not hold us up.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::open(&path, flags, Mode::empty()).io("opening", &path)?;
        let file = File::from(file);
        let about = file.metadata().io("reading", &path)?;
        if !about.is_file() || about.len() != entry.size {
            let message = format!("`{}` is not as `{DESCRIPTION}` says", path.display());
            return Err(Error::new(Kind::Verify, message).hint("export it once more"));
        }
        Ok(Some((file, entry)))
    }
}

fn parse(bytes: &[u8]) -> Option<BTreeMap<String, Entry>> {
    let description: Value = serde_json::from_slice(bytes).ok()?;
    if description["schema"] != "nodelith.export" {
        return None;
    }
    let files = description["files"].as_array()?.iter().map(|file| {
        let name = file["name"].as_str().filter(|name| is_plain(name))?;
        let entry = Entry {
            size: file["size"].as_u64()?,
            digest: file["digest"].as_str()?.parse().ok()?,
        };
        Some((name.to_owned(), entry))
    });
    files.collect()
}

/// Whether it is a name of a file in the folder, and none that would have to be escaped.
fn is_plain(name: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-._~+".contains(letter);
    !name.is_empty() && !name.starts_with('.') && name.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions() {
        let digest = Digest::of(b"");
        let of = |name: &str| {
            let text = format!(
                r#"{{"schema": "nodelith.export", "files": [{{"name": "{name}", "size": 1, "digest": "{digest}"}}]}}"#
            );
            parse(text.as_bytes()).map(|files| files.len())
        };
        assert_eq!(of("debian_13.root-x86.raw"), Some(1));
        for name in ["", "..", ".new-a", "a/b", "/etc/passwd", "a b", "a%2f", "é"] {
            assert_eq!(of(name), None, "{name}");
        }
        for text in ["", "{}", r#"{"schema": "nodelith.export", "files": [{}]}"#] {
            assert!(parse(text.as_bytes()).is_none(), "{text}");
        }
    }
}
