//! The one error type: what went wrong, where, and what to do about it.
//!
//! Every failure that reaches a person is one [`Error`]: a lower-case message
//! without a trailing period, an optional [`Place`] in a file, any number of
//! `hint:` lines, and a [`Kind`] that decides the exit status.

use std::fmt;
use std::path::{Path, PathBuf};

/// Result of everything that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of failure it is; each sort has its own exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What was made or looked at is not as it should be (exit status 1).
    Findings,
    /// Wrong command line or profile (exit status 2).
    Usage,
    /// Inputs that cannot be found or do not go together (exit status 3).
    Resolve,
    /// A signature, digest or size that does not match (exit status 4).
    Verify,
    /// A server that cannot be reached or refuses (exit status 5).
    Network,
    /// No way to run package scripts, or one of them failed (exit status 6).
    Sandbox,
    /// Reading or writing failed (exit status 7).
    Io,
}

impl Kind {
    /// The process's exit status for this kind.
    #[must_use]
    pub fn exit_status(self) -> u8 {
        match self {
            Self::Findings => 1,
            Self::Usage => 2,
            Self::Resolve => 3,
            Self::Verify => 4,
            Self::Network => 5,
            Self::Sandbox => 6,
            Self::Io => 7,
        }
    }

    /// The kind's name in JSON events.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Findings => "findings",
            Self::Usage => "usage",
            Self::Resolve => "resolve",
            Self::Verify => "verify",
            Self::Network => "network",
            Self::Sandbox => "sandbox",
            Self::Io => "io",
        }
    }
}

/// A place in a text file, shown with the offending line under the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file as the user named it.
    pub file: PathBuf,
    /// The whole text of the file.
    pub text: String,
    /// Byte range of the offending part.
    pub span: std::ops::Range<usize>,
}

impl Place {
    /// Line and column (both from 1, columns in characters) of the span's start.
    #[must_use]
    pub fn line_column(&self) -> (usize, usize) {
        let before = &self.text[..self.span.start.min(self.text.len())];
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        (line, before[start..].chars().count() + 1)
    }
}

/// A failure, told to a person.
#[derive(Debug, Clone)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    kind: Kind,
    /// Outermost context first.
    messages: Vec<String>,
    place: Option<Place>,
    hints: Vec<String>,
}

impl Error {
    /// A failure of `kind` with its message.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            messages: vec![message.into()],
            place: None,
            hints: Vec::new(),
        }))
    }

    /// A failed system call or file operation on `path`; `doing` is a gerund ("reading").
    pub fn io(doing: &str, path: impl AsRef<Path>, error: impl fmt::Display) -> Self {
        let why = plain(&error);
        let error = Self::new(
            Kind::Io,
            format!("{doing} `{}`: {why}", path.as_ref().display()),
        );
        match NO_SPACE.iter().any(|text| why.contains(text)) {
            true => error.hint("free some space, and run the same again"),
            false => error,
        }
    }

    /// Adds what to do about it, shown on a `hint:` line of its own.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hints.push(hint.into());
        self
    }

    /// Adds the place in a file that it is about.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.0.place = Some(place);
        self
    }

    /// Says what was being done, as a gerund clause ("verifying the digest of `x`").
    #[must_use]
    pub fn context(mut self, doing: impl Into<String>) -> Self {
        self.0.messages.insert(0, doing.into());
        self
    }

    /// The sort of failure.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The same failure as another sort.
    #[must_use]
    pub fn with_kind(mut self, kind: Kind) -> Self {
        self.0.kind = kind;
        self
    }

    /// The message with its contexts, on one line unless the message itself has several.
    #[must_use]
    pub fn message(&self) -> String {
        self.0.messages.join(": ")
    }

    /// The hints, in the order in which they were added.
    #[must_use]
    pub fn hints(&self) -> &[String] {
        &self.0.hints
    }

    /// The place in a file, if it is about one.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        self.0.place.as_ref()
    }
}

/// What the system says when a disk or a quota is full.
const NO_SPACE: [&str; 2] = ["No space left on device", "Disk quota exceeded"];

/// A failure in words, without the system's number for it or the random name of
/// a temporary file.
#[must_use]
pub fn plain(error: &impl fmt::Display) -> String {
    let text = error.to_string();
    let Some((why, rest)) = text.split_once(" (os error ") else {
        return text;
    };
    match rest.split_once(')') {
        Some((_, after)) if after.is_empty() || after.starts_with(" at path ") => why.to_owned(),
        _ => text,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())?;
        if let Some(place) = &self.0.place {
            let (line, column) = place.line_column();
            write!(f, " ({}:{line}:{column})", place.file.display())?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// Adds what was being done to any failure that can be shown.
pub trait Context<T> {
    /// Turns a failure into an [`Error`] of kind [`Kind::Io`] about `path`.
    ///
    /// # Errors
    /// The failure itself, with `doing` and `path`.
    fn io(self, doing: &str, path: impl AsRef<Path>) -> Result<T>;
}

impl<T, E: fmt::Display> Context<T> for std::result::Result<T, E> {
    fn io(self, doing: &str, path: impl AsRef<Path>) -> Result<T> {
        self.map_err(|error| Error::io(doing, path, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_errors_are_told_in_words() {
        let gone = std::io::Error::from_raw_os_error(2);
        assert_eq!(plain(&gone), "No such file or directory");
        let with_path = format!("{gone} at path \"/x/.new-a1b2c3\"");
        assert_eq!(plain(&with_path), "No such file or directory");
        let other = format!("{gone}, and more");
        assert_eq!(plain(&other), other);

        let full = Error::io("writing", "x", std::io::Error::from_raw_os_error(28));
        assert_eq!(full.message(), "writing `x`: No space left on device");
        assert_eq!(full.hints().len(), 1);
        assert!(Error::io("writing", "x", gone).hints().is_empty());
    }
}
