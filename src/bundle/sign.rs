//! Signatures for UEFI Secure Boot, made with a key or by a command of one's own.

mod authenticode;
mod key;
mod pe;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::error::{Context, Error, Kind, Result};
use key::Key;

/// Who signs what firmware starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signer {
    /// A key and its certificate, both files in PEM: PKCS#8 or PKCS#1, not encrypted.
    Key {
        /// The private key.
        key: PathBuf,
        /// Its certificate, and those that it is signed by, if they are to be carried.
        certificate: PathBuf,
    },
    /// A shell command; `$1` is the file to be signed, `$2` where the signed one goes.
    Command(String),
}

impl Signer {
    /// Reads what signing needs.
    ///
    /// # Errors
    /// When a file cannot be read, or key and certificate are not what they should be or
    /// do not belong together.
    pub fn open(&self) -> Result<Signing> {
        Ok(Signing(match self {
            Self::Key { key, certificate } => With::Key(Key::read(key, certificate)?),
            Self::Command(text) => With::Command(text.clone()),
        }))
    }
}

/// A [`Signer`] that has all that it needs.
#[derive(Debug)]
pub struct Signing(With);

#[derive(Debug)]
enum With {
    Key(Key),
    Command(String),
}

impl Signing {
    /// Signs a PE file. With a key the same file becomes the same bytes every time.
    ///
    /// # Errors
    /// When it is no PE file that can be signed; or the command fails, or writes no
    /// PE file that is longer.
    pub fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        match &self.0 {
            With::Key(key) => authenticode::sign(bytes, key),
            With::Command(text) => by_command(text, bytes),
        }
    }

    /// A file as long as the signed one will be, as far as that can be told: a command is
    /// not asked, for someone may have to be at hand for it.
    ///
    /// # Errors
    /// As [`Signing::sign`].
    pub fn rehearse(&self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        match &self.0 {
            With::Key(key) => authenticode::sign(&bytes, key),
            With::Command(_) => Ok(bytes),
        }
    }
}

/// What is said of a command does not repeat it: there may be a PIN in it.
fn by_command(text: &str, bytes: &[u8]) -> Result<Vec<u8>> {
    let folder = tempfile::tempdir().io("making a folder in", std::env::temp_dir())?;
    let (from, to) = (
        folder.path().join("plain.efi"),
        folder.path().join("signed.efi"),
    );
    fs::write(&from, bytes).io("writing", &from)?;
    let mut command = Command::new("sh");
    command.args(["-c", text, "sign"]).arg(&from).arg(&to);
    let output = command.stdin(Stdio::null()).output().io("running", "sh")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let last = said.lines().rfind(|line| !line.trim().is_empty());
        let message = format!(
            "`--sign-command` failed: {}",
            last.unwrap_or("it says nothing")
        );
        return Err(Error::new(Kind::Usage, message));
    }
    let signed = fs::read(&to).unwrap_or_default();
    if !signed.starts_with(b"MZ") || signed.len() <= bytes.len() {
        let message = "the `--sign-command` has written no signed file";
        return Err(Error::new(Kind::Usage, message)
            .hint("it takes the file `$1` and writes the signed one to `$2`"));
    }
    Ok(signed)
}
