//! What parent and worker say to each other: lines.
//!
//! ```text
//! worker → parent   {"unshared":null}            user namespace made, ids wanted
//! parent → worker   go                           ids mapped
//! parent → worker   work | remove                what sort of job
//! parent → worker   JSON                         the job
//! worker → parent   {"event":JSON}               any number
//! worker → parent   {"reply":JSON} or {"error":{"kind":…,"message":…,"hints":[…]}}
//! ```
//!
//! The parent's end stays open as long as the parent lives; its closing ends the sandbox.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::worker::Inside;
use crate::error::{Context, Error, Kind, Result};

/// The parent's word that ids are mapped.
pub const GO: &[u8] = b"go\n";
/// The job is the caller's.
pub const WORK: &str = "work";
/// The job is a list of paths to remove.
pub const REMOVE: &str = "remove";

/// A line from the worker.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Message<Reply> {
    /// The user namespace is there and wants its ids.
    Unshared,
    /// Something happened.
    Event(Value),
    /// The work is done.
    Reply(Reply),
    /// The work failed.
    Error(Failure),
}

/// An [`Error`] in JSON.
#[derive(Debug, Serialize, Deserialize)]
pub struct Failure {
    kind: String,
    message: String,
    hints: Vec<String>,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self {
            kind: error.kind().name().to_owned(),
            message: error.message(),
            hints: error.hints().to_vec(),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let kinds = [
            Kind::Usage,
            Kind::Resolve,
            Kind::Verify,
            Kind::Network,
            Kind::Sandbox,
            Kind::Io,
        ];
        let kind = kinds
            .into_iter()
            .find(|kind| kind.name() == failure.kind)
            .unwrap_or(Kind::Sandbox);
        failure
            .hints
            .into_iter()
            .fold(Self::new(kind, failure.message), Self::hint)
    }
}

/// The worker's way to its parent. Clones speak over the same pipe, from any thread.
#[derive(Debug, Clone)]
pub struct Emitter {
    pipe: Arc<Mutex<File>>,
    inside: Inside,
}

impl Emitter {
    pub(super) fn new(pipe: OwnedFd, inside: Inside) -> Self {
        Self {
            pipe: Arc::new(Mutex::new(File::from(pipe))),
            inside,
        }
    }

    /// The proof of being inside a sandbox that [`Chroot`](super::Chroot) asks for.
    #[must_use]
    pub fn inside(&self) -> Inside {
        self.inside
    }

    /// Tells the parent of `event`.
    ///
    /// # Errors
    /// When it is not JSON, or the parent is gone.
    pub fn event(&self, event: &impl Serialize) -> Result<()> {
        let event = serde_json::to_value(event).io("telling", "an event")?;
        self.send(&Message::<()>::Event(event))
    }

    pub(super) fn send<Reply: Serialize>(&self, message: &Message<Reply>) -> Result<()> {
        let mut line = serde_json::to_vec(message).io("telling", "the parent")?;
        line.push(b'\n');
        self.pipe
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write_all(&line)
            .io("telling", "the parent")
    }
}

/// Reads up to the end of a line, and no byte further.
pub fn read_line(input: &mut impl Read, line: &mut Vec<u8>) -> io::Result<()> {
    let mut byte = [0];
    loop {
        match input.read(&mut byte) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) if byte[0] == b'\n' => return Ok(()),
            Ok(_) => line.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_cross_with_kind_and_hints() {
        let error = Error::new(Kind::Verify, "no match")
            .hint("look")
            .context("reading `x`");
        let line = serde_json::to_string(&Message::<()>::Error(Failure::from(&error))).unwrap();
        assert_eq!(
            line,
            r#"{"error":{"kind":"verify","message":"reading `x`: no match","hints":["look"]}}"#
        );
        let Message::Error(failure) = serde_json::from_str::<Message<()>>(&line).unwrap() else {
            panic!("not an error");
        };
        let back = Error::from(failure);
        assert_eq!(
            (back.kind(), back.message()),
            (Kind::Verify, error.message())
        );
        assert_eq!(back.hints(), error.hints());
    }

    #[test]
    fn lines_end_where_they_end() {
        let mut input = &b"go\nwork\nrest"[..];
        let mut line = Vec::new();
        read_line(&mut input, &mut line).unwrap();
        assert_eq!(line, b"go");
        assert_eq!(input, b"work\nrest");
        let mut cut = &b"half"[..];
        assert!(read_line(&mut cut, &mut line).is_err());
    }
}
