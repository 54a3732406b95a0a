//! Signatures for UEFI Secure Boot, made by `sbsign` or by a command of one's own.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::error::{Context, Error, Kind, Result};

/// Who signs what firmware starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signer {
    /// `sbsign`, with a key and a certificate in PEM.
    Key {
        /// The private key.
        key: PathBuf,
        /// Its certificate.
        certificate: PathBuf,
    },
    /// A shell command; `$1` is the file to be signed, `$2` where the signed one goes.
    Command(String),
}

const PROGRAM: &str = "sbsign";

impl Signer {
    /// Makes sure that there is what signing needs.
    ///
    /// # Errors
    /// [`Kind::Usage`] when something is not there.
    pub fn check(&self) -> Result<()> {
        let Self::Key { key, certificate } = self else {
            return Ok(());
        };
        for path in [key, certificate] {
            fs::File::open(path).io("opening", path)?;
        }
        let found = Command::new(PROGRAM)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        match found {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::new(
                Kind::Usage,
                format!("signing with a key needs `{PROGRAM}`, which is not there"),
            )
            .hint("install sbsigntool, or name a program of your own with `--sign-command`")),
        }
    }

    /// Signs a PE file.
    ///
    /// # Errors
    /// When the program fails, or what it writes is not a PE file that is longer.
    pub fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        let folder = tempfile::tempdir().io("making a folder in", std::env::temp_dir())?;
        let (from, to) = (
            folder.path().join("plain.efi"),
            folder.path().join("signed.efi"),
        );
        fs::write(&from, bytes).io("writing", &from)?;
        let mut command = match self {
            Self::Key { key, certificate } => {
                let mut command = Command::new(PROGRAM);
                command.arg("--key").arg(key).arg("--cert").arg(certificate);
                command.arg("--output").arg(&to).arg(&from);
                command
            }
            Self::Command(text) => {
                let mut command = Command::new("sh");
                command.args(["-c", text, "sign"]).arg(&from).arg(&to);
                command
            }
        };
        let output = command.stdin(Stdio::null()).output();
        let name = match self {
            Self::Key { .. } => PROGRAM,
            Self::Command(text) => text,
        };
        let output = output.io("running", name)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let last = said.lines().rfind(|line| !line.trim().is_empty());
            let message = format!("`{name}` failed: {}", last.unwrap_or("it says nothing"));
            return Err(Error::new(Kind::Usage, message));
        }
        let signed = fs::read(&to).unwrap_or_default();
        if !signed.starts_with(b"MZ") || signed.len() <= bytes.len() {
            let message = format!("`{name}` has written no signed file");
            return Err(Error::new(Kind::Usage, message)
                .hint("a `--sign-command` takes the file `$1` and writes the signed one to `$2`"));
        }
        Ok(signed)
    }
}
