//! The values that a profile may hold, each checked while it is read.
//!
//! A checked text is a newtype over `String` whose deserialisation refuses what
//! cannot be meant, so that the message stands at the value itself. What is
//! refused and how to write it instead travel together in a [`Refusal`].

mod image;
pub(super) mod local;
mod number;
mod rules;
mod scalar;
mod text;

use std::fmt;

pub use image::ImageSource;
pub use local::LocalFile;
pub use number::{CompressionLevel, Id, LayerCount, LayerLimit};
pub use scalar::{FreeForm, Mixed, Scalar, Settings};
pub use text::{
    AbsolutePath, Argument, CertificateText, ComponentName, FileMode, FlagName, Glob, ImageDigest,
    ImageReference, ImageVersion, KubernetesVersion, Locale, ModuleName, Name, Owner,
    PackageChoice, PasswordHash, Pattern, PlainText, PluginName, RegistryHost, Release,
    RepositoryName, SshKey, StoreFile, Suite, SysctlKey, TimeSpan, UnitName, Url, UserName,
    credentials,
};

/// Why a value is refused, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong, lower-case, without a trailing period.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Stands between message and hint while a refusal passes through serde's errors.
pub(crate) const HINT_MARK: char = '\u{1f}';

impl Refusal {
    /// A refusal with a hint.
    pub(super) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: Some(hint.into()),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "{HINT_MARK}{hint}")?;
        }
        Ok(())
    }
}
