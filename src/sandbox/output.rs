//! A program's output, on its way into the log.
//!
//! It goes through a pipe: were the log itself a program's standard error, then
//! `echo … > /dev/stderr` would open it anew and truncate it.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::thread::JoinHandle;

use crate::error::{Context, Error, Kind, Result};

/// How much of a failed program's output is shown.
const TAIL_LINES: usize = 20;
const TAIL_BYTES: u64 = 8192;

/// Copies what comes through a pipe to the end of a log.
#[derive(Debug)]
pub struct Output {
    log: File,
    /// Where this program's output begins.
    start: u64,
    pump: JoinHandle<io::Result<()>>,
    stop: PipeWriter,
}

impl Output {
    /// Opens the log and starts copying; the program gets the writer.
    pub fn to(path: &Path) -> Result<(Self, PipeWriter)> {
        let mut log = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .open(path)
            .io("opening the log", path)?;
        let start = log.seek(SeekFrom::End(0)).io("reading the log", path)?;
        let end = log.try_clone().io("opening the log", path)?;
        let pipes = || io::pipe().io("making a pipe for", path);
        let ((reader, writer), (stopped, stop)) = (pipes()?, pipes()?);
        rustix::io::ioctl_fionbio(&reader, true).io("making a pipe for", path)?;
        let pump = std::thread::spawn(move || pump(reader, &stopped, end));
        let output = Self {
            log,
            start,
            pump,
            stop,
        };
        Ok((output, writer))
    }

    /// Takes what is still in the pipe, without waiting for programs that were
    /// left running and hold it open; returns the last lines.
    pub fn end(mut self) -> Result<String> {
        drop(self.stop);
        let copied = self
            .pump
            .join()
            .unwrap_or_else(|_| Err(ErrorKind::Other.into()));
        copied.map_err(|error| Error::new(Kind::Io, format!("writing the log: {error}")))?;
        Ok(tail(&mut self.log, self.start).unwrap_or_default())
    }
}

fn pump(mut reader: PipeReader, stopped: &PipeReader, mut log: File) -> io::Result<()> {
    let mut buffer = [0; 16384];
    let mut stopping = false;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => log.write_all(&buffer[..length])?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
            Err(_) if stopping => return Ok(()),
            // Once told to stop, one more look: what was written before is in the pipe by now.
            Err(_) => stopping = wait_for(&reader, stopped),
        }
    }
}

/// Until there is output, or no more is wanted; whether the latter.
fn wait_for(reader: &PipeReader, stopped: &PipeReader) -> bool {
    let watch = |fd, events| libc::pollfd {
        fd,
        events,
        revents: 0,
    };
    let mut watched = [
        watch(reader.as_raw_fd(), libc::POLLIN),
        watch(stopped.as_raw_fd(), 0),
    ];
    // SAFETY: `watched` holds two entries. A failure (a signal) leads to another look.
    unsafe { libc::poll(watched.as_mut_ptr(), 2, -1) };
    watched[1].revents != 0
}

/// The last lines from `start` on, without control characters.
fn tail(log: &mut (impl Read + Seek), start: u64) -> io::Result<String> {
    let length = log.seek(SeekFrom::End(0))?;
    log.seek(SeekFrom::Start(
        start.max(length.saturating_sub(TAIL_BYTES)),
    ))?;
    let mut bytes = Vec::new();
    log.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let clean = |line: &str| -> String {
        // What a progress display leaves standing.
        let shown = line.rsplit('\r').next().unwrap_or_default();
        shown.chars().filter(|c| !c.is_control()).collect()
    };
    let lines: Vec<String> = text
        .trim_end()
        .lines()
        .map(|line| clean(line.trim_end_matches('\r')))
        .filter(|line| !line.is_empty())
        .collect();
    Ok(lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_what_this_program_wrote_and_no_more_than_a_screen() {
        let before = "of an earlier run\n";
        let start = before.len() as u64;
        let mut text = before.to_owned();
        for line in 0..1000 {
            text.push_str(&format!("10%\r100%\r\x1b[1mline {line}\x1b[0m\r\n"));
        }
        let tail = |text: &str, start| tail(&mut io::Cursor::new(text), start).unwrap();
        let shown = tail(&text, start);
        assert_eq!(shown.lines().count(), TAIL_LINES);
        assert_eq!(shown.lines().last(), Some("[1mline 999[0m"));
        assert_eq!(tail(&text, text.len() as u64), "");
        assert_eq!(tail("of an earlier run\nshort\n", start), "short");
    }

    #[test]
    fn all_that_was_written_arrives_though_someone_holds_the_pipe() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, "before\n").unwrap();
        let (output, mut writer) = Output::to(&path).unwrap();
        let held = writer.try_clone().unwrap();
        writer.write_all(&b"line\n".repeat(100_000)).unwrap();
        writer.write_all(b"last\n").unwrap();
        assert!(output.end().unwrap().ends_with("line\nlast"));
        drop(held);
        let log = std::fs::read_to_string(&path).unwrap();
        assert!(log.starts_with("before\nline\n"));
        assert_eq!(log.len(), 7 + 500_000 + 5);
    }
}
