//! Keyrings: files of certificates, binary or armored, several in each.

use std::io::BufReader;
use std::path::{Path, PathBuf};

use pgp::composed::{Deserializable, SignedPublicKey};
use pgp::packet::Signature;

use super::certificate::{Certificate, Key};
use crate::error::{Context, Error, Kind, Result};

/// Where the keys of the Debian archive are on a host that has them, best first.
const KEYRINGS: [&str; 4] = [
    "usr/share/keyrings/debian-archive-keyring.pgp",
    "usr/share/keyrings/debian-archive-keyring.gpg",
    "etc/apt/keyrings/debian-archive-keyring.pgp",
    "etc/apt/keyrings/debian-archive-keyring.gpg",
];
/// A folder of keys that apt trusts for every archive; only Debian's own are taken from it.
const TRUSTED: &str = "etc/apt/trusted.gpg.d";
const TRUSTED_PREFIX: &str = "debian-archive-";
const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";

/// Certificates whose signatures are trusted.
#[derive(Debug, Clone, Default)]
pub struct Keyring {
    certificates: Vec<Certificate>,
    origins: Vec<String>,
}

impl Keyring {
    /// The host's keys of the Debian archive, from the usual places below `root` (`/`).
    ///
    /// # Errors
    /// [`Kind::Verify`] when there are none, and as for [`Keyring::from_files`].
    pub fn of_host(root: &Path) -> Result<Self> {
        for place in KEYRINGS {
            let path = root.join(place);
            if path.is_file() {
                return Self::from_files(&[path]);
            }
        }
        let mut trusted: Vec<PathBuf> = std::fs::read_dir(root.join(TRUSTED))
            .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
            .unwrap_or_default();
        trusted.retain(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with(TRUSTED_PREFIX)) && path.is_file()
        });
        trusted.sort();
        if trusted.is_empty() {
            return Err(Error::new(
                Kind::Verify,
                format!(
                    "no keys of the Debian archive are on this machine: no `{}`",
                    root.join(KEYRINGS[1]).display()
                ),
            )
            .hint("install `debian-archive-keyring`, or name a file with the archive's keys with `--keyring`"));
        }
        Self::from_files(&trusted)
    }

    /// The certificates of these files, each binary or armored.
    ///
    /// # Errors
    /// [`Kind::Verify`] when a file is missing or holds no certificate.
    pub fn from_files(paths: &[PathBuf]) -> Result<Self> {
        let mut keyring = Self::default();
        for path in paths {
            let bytes = std::fs::read(path)
                .io("reading keyring", path)
                .map_err(|error| {
                    error.with_kind(Kind::Verify).hint(
                        "install `debian-archive-keyring`, or name another file with `--keyring`",
                    )
                })?;
            keyring.add(&bytes, &path.display().to_string())?;
        }
        Ok(keyring)
    }

    /// Certificates in armored text, as a profile's further archives have them;
    /// `name` is what messages call it.
    ///
    /// # Errors
    /// [`Kind::Verify`] when there is none in it.
    pub fn from_armored(text: &str, name: &str) -> Result<Self> {
        let mut keyring = Self::default();
        keyring.add(text.as_bytes(), name)?;
        Ok(keyring)
    }

    /// Where the certificates are from.
    #[must_use]
    pub fn origin(&self) -> String {
        self.origins.join(", ")
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.certificates.is_empty()
    }

    /// The key that `signature` names.
    pub(super) fn find(&self, signature: &Signature) -> Option<(&Certificate, Key<'_>)> {
        self.certificates
            .iter()
            .find_map(|certificate| Some((certificate, certificate.find(signature)?)))
    }

    fn add(&mut self, bytes: &[u8], name: &str) -> Result<()> {
        let unreadable = |why: &str| {
            Error::new(
                Kind::Verify,
                format!("`{name}` is not a keyring: {why}"),
            )
            .hint("OpenPGP public keys are wanted, binary or armored; a newer keybox file (`.kbx`) needs `gpg --export`")
        };
        let found = if bytes.first().is_some_and(|first| first & 0x80 != 0) {
            binary(bytes)
        } else {
            std::str::from_utf8(bytes)
                .map_err(|error| error.to_string())
                .and_then(armored)
        }
        .map_err(|why| unreadable(&why))?;
        if found.is_empty() {
            return Err(unreadable("it holds no public key"));
        }
        for certificate in found {
            self.take(Certificate::new(certificate));
        }
        self.origins.push(format!("`{name}`"));
        Ok(())
    }

    /// Two files may hold the same certificate, one of them with its revocation.
    fn take(&mut self, certificate: Certificate) {
        let mut left = Some(certificate);
        for known in &mut self.certificates {
            left = left.and_then(|certificate| known.merge(certificate));
        }
        self.certificates.extend(left);
    }
}

fn binary(bytes: &[u8]) -> Result<Vec<SignedPublicKey>, String> {
    SignedPublicKey::from_bytes_many(BufReader::new(bytes))
        .and_then(Iterator::collect)
        .map_err(|error| error.to_string())
}

/// Armored files may hold several blocks, and prose between them.
fn armored(text: &str) -> Result<Vec<SignedPublicKey>, String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices(BEGIN) {
        let (keys, _) = SignedPublicKey::from_armor_many(&text.as_bytes()[at..])
            .map_err(|error| error.to_string())?;
        for key in keys {
            found.push(key.map_err(|error| error.to_string())?);
        }
    }
    Ok(found)
}
