//! Messages on standard error, in the form that crictl's have: level and text
//! on a terminal, fields with the time where a program reads them.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Kind, Result};

static DEBUG: AtomicBool = AtomicBool::new(false);
static CLOSED: AtomicBool = AtomicBool::new(false);

/// From now on, what is asked and answered is told too.
pub fn debugging() {
    DEBUG.store(true, Ordering::Relaxed);
}

pub fn debug(text: impl FnOnce() -> String) {
    if DEBUG.load(Ordering::Relaxed) {
        line("debug", &text());
    }
}

pub fn info(text: &str) {
    line("info", text);
}

pub fn warning(text: &str) {
    line("warning", text);
}

/// What went wrong, and what can be done about it.
pub fn failure(error: &Error) {
    line("fatal", &error.message());
    for hint in error.hints() {
        let _ = writeln!(std::io::stderr().lock(), "hint: {hint}");
    }
}

fn line(level: &str, text: &str) {
    let mut to = std::io::stderr().lock();
    // A closed standard error must not turn into another failure.
    let _ = if to.is_terminal() {
        let level: String = level.chars().take(4).collect();
        writeln!(to, "{} {text}", level.to_uppercase())
    } else {
        let now = jiff::Timestamp::now().as_second();
        let now = jiff::Timestamp::from_second(now).unwrap_or_default();
        writeln!(to, "time=\"{now}\" level={level} msg={text:?}")
    };
}

/// Prints a result as it is.
pub fn print(text: &str) -> Result<()> {
    bytes(&mut std::io::stdout().lock(), text.as_bytes())
}

/// Whether a result or a container's output was written to a reader that is gone.
pub fn closed() -> bool {
    CLOSED.load(Ordering::Relaxed)
}

/// Writes a container's output.
pub fn bytes(to: &mut impl Write, bytes: &[u8]) -> Result<()> {
    match to.write_all(bytes).and_then(|()| to.flush()) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            CLOSED.store(true, Ordering::Relaxed);
            Ok(())
        }
        result => result.map_err(|error| Error::new(Kind::Io, format!("writing output: {error}"))),
    }
}
