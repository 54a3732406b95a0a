//! The parent's side: start the worker, map its ids, hear it out.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::choose::{Chosen, Maps};
use super::ids::Extent;
use super::protocol::{GO, Message, WORK};
use super::{Mode, VERB};
use crate::error::{Context, Error, Kind, Result};

/// How many lines of what a dead worker wrote are shown: a panic says at the
/// beginning what happened, others say it at the end.
const FIRST_WORDS: usize = 3;
const LAST_WORDS: usize = 9;

/// Runs `job` in a worker inside the sandbox; `on_event` hears what it tells meanwhile.
///
/// The worker is this program, started again; see [`worker_main`](super::worker_main).
/// It ends with this process, and with the thread that called.
///
/// # Errors
/// What the worker's work returned, with its kind and hints; [`Kind::Sandbox`] when
/// the worker cannot be started or dies.
pub fn run<Reply: DeserializeOwned>(
    chosen: &Chosen,
    job: &impl Serialize,
    on_event: &mut dyn FnMut(Value),
) -> Result<Reply> {
    send(chosen, WORK, job, on_event)
}

pub(super) fn send<Reply: DeserializeOwned>(
    chosen: &Chosen,
    verb: &str,
    job: &impl Serialize,
    on_event: &mut dyn FnMut(Value),
) -> Result<Reply> {
    let mut text = format!("{verb}\n").into_bytes();
    serde_json::to_writer(&mut text, job).io("writing", "the sandbox's job")?;
    text.push(b'\n');

    let mut worker = Worker::start(chosen)?;
    let outcome = worker.converse(chosen, &text, on_event);
    let (status, words) = worker.end()?;
    match outcome? {
        Some(reply) => Ok(reply),
        None => Err(died(status, &words)),
    }
}

struct Worker {
    child: Child,
    /// Open as long as this process wants the worker to live.
    lifeline: Option<ChildStdin>,
    words: Option<JoinHandle<Vec<String>>>,
}

impl Worker {
    fn start(chosen: &Chosen) -> Result<Self> {
        let mut child = Command::new(&chosen.program)
            .arg0(
                std::env::args_os()
                    .next()
                    .unwrap_or_else(|| "nodelith".into()),
            )
            .args([VERB, chosen.mode.name()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| failed("starting the sandbox worker", error))?;
        let words = child
            .stderr
            .take()
            .map(|pipe| std::thread::spawn(move || first_and_last_lines(pipe)));
        Ok(Self {
            lifeline: child.stdin.take(),
            child,
            words,
        })
    }

    /// Until the reply; none if the worker ended without one.
    fn converse<Reply: DeserializeOwned>(
        &mut self,
        chosen: &Chosen,
        job: &[u8],
        on_event: &mut dyn FnMut(Value),
    ) -> Result<Option<Reply>> {
        let pipe = self.child.stdout.take();
        let mut lines = BufReader::new(pipe.ok_or_else(|| failed("reading", "no pipe"))?);
        let mut line = Vec::new();
        let mut job = Some(job);
        if chosen.mode != Mode::Userns {
            self.write(job.take());
        }
        loop {
            line.clear();
            let length = lines
                .read_until(b'\n', &mut line)
                .map_err(|error| failed("reading from the sandbox worker", error))?;
            if length == 0 {
                return Ok(None);
            }
            let message = serde_json::from_slice(&line)
                .map_err(|error| failed("understanding the sandbox worker", error))?;
            match message {
                Message::Unshared => {
                    if let Some(maps) = &chosen.maps {
                        write_maps(maps, self.child.id())?;
                    }
                    self.write(Some(GO));
                    self.write(job.take());
                }
                Message::Event(event) => on_event(event),
                Message::Reply(reply) => return Ok(Some(reply)),
                Message::Error(failure) => return Err(Error::from(failure)),
            }
        }
    }

    /// A worker that is gone cannot read; why it went is learnt from its status.
    fn write(&mut self, text: Option<&[u8]>) {
        if let (Some(pipe), Some(text)) = (&mut self.lifeline, text) {
            let _ = pipe.write_all(text).and_then(|()| pipe.flush());
        }
    }

    /// Waits for the worker's end. If it has not finished, closing its pipe ends it.
    fn end(mut self) -> Result<(ExitStatus, Vec<String>)> {
        // A worker that has replied leaves by itself; one that has not will not be waited for.
        drop(self.lifeline.take());
        let status = self
            .child
            .wait()
            .map_err(|error| failed("waiting for the sandbox worker", error))?;
        let words = self.words.take().and_then(|words| words.join().ok());
        Ok((status, words.unwrap_or_default()))
    }
}

fn first_and_last_lines(pipe: impl Read) -> Vec<String> {
    let mut lines = BufReader::new(pipe);
    let mut first = Vec::new();
    let mut last = VecDeque::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        // A line without end must not fill the memory.
        match lines.by_ref().take(4096).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        if text.is_empty() {
            continue;
        }
        if first.len() < FIRST_WORDS {
            first.push(text);
            continue;
        }
        if last.len() == LAST_WORDS {
            last.pop_front();
        }
        last.push_back(text);
    }
    first.extend(last);
    first
}

fn died(status: ExitStatus, words: &[String]) -> Error {
    // The processes between pass a signal on as shells do.
    let signal = status.signal().or(status
        .code()
        .filter(|code| *code > 128)
        .map(|code| code - 128));
    let how = match signal {
        Some(signal) => format!("was killed by signal {signal}{}", signal_name(signal)),
        None => format!(
            "ended with status {} and no answer",
            status.code().unwrap_or(-1)
        ),
    };
    let mut message = format!("the sandbox worker {how}");
    for line in words {
        message.push_str("\n  ");
        message.push_str(line);
    }
    let error = Error::new(Kind::Sandbox, message);
    if signal == Some(libc::SIGKILL) {
        return error.hint("was memory short? `dmesg` or the container's events would tell");
    }
    error
}

fn signal_name(signal: i32) -> &'static str {
    match signal {
        libc::SIGABRT => " (SIGABRT)",
        libc::SIGBUS => " (SIGBUS)",
        libc::SIGILL => " (SIGILL)",
        libc::SIGKILL => " (SIGKILL)",
        libc::SIGSEGV => " (SIGSEGV)",
        libc::SIGSYS => " (SIGSYS)",
        libc::SIGTERM => " (SIGTERM)",
        _ => "",
    }
}

/// Gives the user namespace of process `pid` its ids.
fn write_maps(maps: &Maps, pid: u32) -> Result<()> {
    let Some((newuidmap, newgidmap)) = &maps.helpers else {
        for (extents, file) in [(&maps.uids, "uid_map"), (&maps.gids, "gid_map")] {
            let path = format!("/proc/{pid}/{file}");
            fs::write(&path, lines_of(extents))
                .map_err(|error| failed(&format!("writing `{path}`"), error))?;
        }
        return Ok(());
    };
    run_helper(newuidmap, pid, &maps.uids)?;
    run_helper(newgidmap, pid, &maps.gids)
}

fn lines_of(extents: &[Extent]) -> String {
    extents
        .iter()
        .map(|extent| format!("{} {} {}\n", extent.inside, extent.outside, extent.count))
        .collect()
}

fn run_helper(helper: &Path, pid: u32, extents: &[Extent]) -> Result<()> {
    let doing = format!("mapping ids with `{}`", helper.display());
    let numbers = extents
        .iter()
        .flat_map(|extent| [extent.inside, extent.outside, extent.count])
        .map(|number| number.to_string());
    let output = Command::new(helper)
        .arg(pid.to_string())
        .args(numbers)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(&doing, error))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(failed(&doing, said.trim()).hint(format!(
        "`{}` needs its setuid bit or file capability, and /etc/subuid and /etc/subgid must give this user the ids",
        helper.display()
    )))
}

fn failed(doing: &str, error: impl std::fmt::Display) -> Error {
    Error::new(Kind::Sandbox, format!("{doing}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_named_and_the_last_words_are_shown() {
        let words = ["first".to_owned(), "second".to_owned()];
        let error = died(ExitStatus::from_raw(137 << 8), &words);
        assert_eq!(
            error.message(),
            "the sandbox worker was killed by signal 9 (SIGKILL)\n  first\n  second"
        );
        assert!(error.hints()[0].contains("memory"));
        let error = died(ExitStatus::from_raw(libc::SIGSEGV), &[]);
        assert!(error.message().ends_with("signal 11 (SIGSEGV)"));
        let error = died(ExitStatus::from_raw(101 << 8), &[]);
        assert!(
            error
                .message()
                .ends_with("ended with status 101 and no answer")
        );
    }

    #[test]
    fn last_words_are_bounded() {
        let text = (0..100)
            .map(|number| format!("{number}\n\n"))
            .collect::<String>();
        let kept = first_and_last_lines(text.as_bytes());
        assert_eq!(kept.join(" "), "0 1 2 91 92 93 94 95 96 97 98 99");
        let endless = vec![b'x'; 1 << 20];
        let kept = first_and_last_lines(&endless[..]);
        assert!(kept.iter().map(String::len).sum::<usize>() <= 12 * 4096);
    }
}
