//! `logs`: reads the file that the runtime writes a container's output to.
//!
//! A line is `TIME STREAM TAGS TEXT` (the CRI logging format): the time in
//! RFC 3339, `stdout` or `stderr`, and `F`, or `P` for a line that goes on in the
//! next entry. A file is followed across rotations, until the container ends.

mod entry;

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::args::{Logs, Stream};
use super::client::Session;
use super::containers::RUNNING;
use super::proto::{ContainerStatus, ContainerStatusRequest, ReopenContainerLogRequest};
use super::say;
use super::settings::unread;
use crate::error::{Error, Kind, Result};
use entry::{Entry, since};

/// How often a followed file is looked at.
const PAUSE: Duration = Duration::from_millis(200);
/// How much of a file's end is read at a time to find its last lines.
const BLOCK: u64 = 64 << 10;

pub async fn logs(session: &mut Session, arguments: &Logs) -> Result<()> {
    let since = arguments.since.as_deref().map(since).transpose()?;
    if arguments.reopen {
        let request = ReopenContainerLogRequest {
            container_id: arguments.container.clone(),
        };
        let answer = session.runtime().await?.call(request).await;
        answer.map_err(|error| error.context("reopen container logs"))?;
        say::info("Container logs reopened");
    }
    let status = status(session, &arguments.container).await?;
    let path = log_file(&status, arguments.previous)?;
    let mut printer = Printer {
        since,
        stream: arguments.stream,
        times: arguments.timestamps,
        left: arguments
            .limit_bytes
            .and_then(|limit| u64::try_from(limit).ok()),
    };
    let mut log = Log::open(&path)?;
    if let Some(lines) = arguments.tail.and_then(|lines| u64::try_from(lines).ok()) {
        log.skip_to_last(lines)?;
    }
    log.print(&mut printer, !arguments.follow)?;
    while arguments.follow && !printer.done() {
        // What was written before it ended is there when it has ended.
        let over = self::status(session, &arguments.container).await?.state != RUNNING;
        log.print(&mut printer, over)?;
        if over {
            break;
        }
        if let Some(next) = log.rotated()? {
            log.print(&mut printer, true)?;
            log = next;
            continue;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

async fn status(session: &mut Session, container: &str) -> Result<ContainerStatus> {
    let request = ContainerStatusRequest {
        container_id: container.to_owned(),
        verbose: false,
    };
    let answer = session.runtime().await?.call(request).await?;
    Ok(answer.status.unwrap_or_default())
}

/// Where a container's output is, or that of the attempt before it.
fn log_file(status: &ContainerStatus, previous: bool) -> Result<PathBuf> {
    if status.log_path.is_empty() {
        let message = "the container has not set log path";
        return Err(Error::new(Kind::Usage, message));
    }
    let path = PathBuf::from(&status.log_path);
    if !previous {
        return Ok(path);
    }
    let metadata = status.metadata.clone().unwrap_or_default();
    let Some(attempt) = metadata.attempt.checked_sub(1) else {
        let message = format!("previous terminated container {} not found", metadata.name);
        return Err(Error::new(Kind::Usage, message));
    };
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    Ok(path.with_file_name(format!("{attempt}.{extension}")))
}

/// A log file that is being read.
struct Log {
    path: PathBuf,
    file: BufReader<File>,
    /// The begin of a line whose end is not written yet.
    unfinished: Vec<u8>,
}

impl Log {
    fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| {
            unread(path, &error).context("failed to try resolving symlinks in path")
        });
        Ok(Self {
            path: path.to_owned(),
            file: BufReader::new(file?),
            unfinished: Vec::new(),
        })
    }

    /// Goes to the begin of the last lines.
    fn skip_to_last(&mut self, lines: u64) -> Result<()> {
        let failed = |error| Error::io("reading", &self.path, error);
        let file = self.file.get_mut();
        let start = last(file, lines).map_err(failed)?;
        self.file
            .seek(SeekFrom::Start(start))
            .map_err(|error| Error::io("reading", &self.path, error))?;
        Ok(())
    }

    /// Prints what is there; a line without its end only if nothing more will come.
    fn print(&mut self, printer: &mut Printer, over: bool) -> Result<()> {
        loop {
            let read = self.file.read_until(b'\n', &mut self.unfinished);
            let read = read.map_err(|error| Error::io("reading", &self.path, error))?;
            let ended = self.unfinished.ends_with(b"\n");
            let nothing = read == 0 && self.unfinished.is_empty();
            if nothing || !(ended || over) {
                return Ok(());
            }
            let line = std::mem::take(&mut self.unfinished);
            printer.line(line.strip_suffix(b"\n").unwrap_or(&line))?;
            if printer.done() {
                return Ok(());
            }
        }
    }

    /// The file that has taken this one's place.
    fn rotated(&mut self) -> Result<Option<Self>> {
        let identity = |file: &std::fs::Metadata| (file.dev(), file.ino());
        let own = self.file.get_ref().metadata();
        let own = own.map_err(|error| Error::io("reading", &self.path, error))?;
        match std::fs::metadata(&self.path) {
            Ok(now) if identity(&now) != identity(&own) => Self::open(&self.path).map(Some),
            // Between the renaming and the opening anew there is none.
            _ => Ok(None),
        }
    }
}

/// Where the last lines begin.
fn last(file: &mut (impl Read + Seek), lines: u64) -> std::io::Result<u64> {
    let end = file.seek(SeekFrom::End(0))?;
    if lines == 0 {
        return Ok(end);
    }
    let mut found = 0;
    let mut block_end = end;
    while block_end > 0 {
        let start = block_end.saturating_sub(BLOCK);
        file.seek(SeekFrom::Start(start))?;
        let mut block = Vec::new();
        file.by_ref()
            .take(block_end - start)
            .read_to_end(&mut block)?;
        for (offset, byte) in block.iter().enumerate().rev() {
            let next = start + offset as u64 + 1;
            // The end of the last line begins no other.
            if *byte == b'\n' && next != end {
                found += 1;
                if found == lines {
                    return Ok(next);
                }
            }
        }
        block_end = start;
    }
    Ok(0)
}

/// What of a log is printed, and how.
struct Printer {
    since: Option<jiff::Timestamp>,
    stream: Option<Stream>,
    times: bool,
    /// Bytes that may still be printed.
    left: Option<u64>,
}

impl Printer {
    /// Whether nothing more is to be printed, or nobody reads it.
    fn done(&self) -> bool {
        self.left == Some(0) || say::closed()
    }

    fn line(&mut self, line: &[u8]) -> Result<()> {
        let Some(entry) = Entry::parse(line) else {
            let line = String::from_utf8_lossy(line);
            say::warning(&format!("a line of the log is no log entry: {line:?}"));
            return Ok(());
        };
        if self.since.is_some_and(|since| entry.time < since)
            || self.stream.is_some_and(|stream| stream != entry.stream)
        {
            return Ok(());
        }
        let mut text = Vec::new();
        if self.times {
            text.extend(entry.written.as_bytes());
            text.push(b' ');
        }
        text.extend(entry.text);
        if entry.whole {
            text.push(b'\n');
        }
        if let Some(left) = &mut self.left {
            text.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= text.len() as u64;
        }
        match entry.stream {
            Stream::Stdout => say::bytes(&mut std::io::stdout().lock(), &text),
            Stream::Stderr => say::bytes(&mut std::io::stderr().lock(), &text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_found() {
        let text = b"one\ntwo\n\nfour";
        let cases = [(0, 13), (1, 9), (2, 8), (3, 4), (4, 0), (5, 0)];
        for (lines, start) in cases {
            let found = last(&mut std::io::Cursor::new(text), lines).unwrap();
            assert_eq!(found, start, "{lines}");
        }
        let ended = last(&mut std::io::Cursor::new(b"one\ntwo\n"), 1).unwrap();
        assert_eq!(ended, 4);
        let long = vec![b'\n'; 3 * 65536];
        let found = last(&mut std::io::Cursor::new(&long), 100_000).unwrap();
        assert_eq!(found, 3 * 65536 - 100_000);
        assert_eq!(last(&mut std::io::Cursor::new(b""), 3).unwrap(), 0);
    }

    #[test]
    fn the_log_before_is_named_by_its_attempt() {
        let mut status = ContainerStatus {
            log_path: "/var/log/pods/p/c/2.log".to_owned(),
            ..ContainerStatus::default()
        };
        assert!(log_file(&status, true).is_err());
        status.metadata = Some(super::super::proto::ContainerMetadata {
            name: "c".to_owned(),
            attempt: 2,
        });
        let before = log_file(&status, true).unwrap();
        assert_eq!(before, Path::new("/var/log/pods/p/c/1.log"));
    }
}
