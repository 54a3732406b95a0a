//! The child's side: into the sandbox, and work.
//!
//! Must run before any thread starts: unshare(2) of a user namespace demands it,
//! and fork(2) is safe only then.

use std::fs;
use std::io::{self, BufRead, BufReader, stdin};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::process::ExitCode;

use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    Pid, Signal, WaitOptions, getppid, kill_process, set_child_subreaper,
    set_parent_process_death_signal, wait, waitpid,
};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use serde_json::Value;

use super::protocol::{Emitter, Failure, GO, Message, REMOVE, WORK, read_line};
use super::{Mode, remove};
use crate::error::{Error, Kind, Result};

/// Proof of being inside a sandbox; only [`worker_main`] makes one.
#[derive(Debug, Clone, Copy)]
pub struct Inside {
    mode: Mode,
}

impl Inside {
    /// The sandbox's mode, never [`Mode::Auto`].
    #[must_use]
    pub fn mode(self) -> Mode {
        self.mode
    }

    /// Whether namespaces keep mounts and processes apart from the machine's.
    #[must_use]
    pub fn has_namespaces(self) -> bool {
        self.mode != Mode::Chroot
    }
}

/// The worker's whole life: enters the sandbox of `mode`, takes the job from
/// standard input, lets `work` do it, and sends what came of it.
///
/// `main` calls it first thing for the hidden [`VERB`](super::VERB), before
/// anything has started a thread.
pub fn worker_main(
    mode: &str,
    work: impl FnOnce(&[u8], &mut Emitter) -> Result<Value>,
) -> ExitCode {
    let mut emitter = match mode.parse().map_err(as_usage).and_then(claim_stdout) {
        Ok(emitter) => emitter,
        // Nobody speaks the protocol there, so the status must do.
        Err(error) => return ExitCode::from(error.kind().exit_status()),
    };
    let done = match enter(&emitter) {
        Ok(Role::Monitor(status)) => return ExitCode::from(status),
        Ok(Role::Worker) => serve(&mut emitter, work),
        Err(error) => Err(error),
    };
    match done.and_then(|reply| emitter.send(&Message::Reply(reply))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A parent that is gone needs no answer.
            let _ = emitter.send(&Message::<()>::Error(Failure::from(&error)));
            ExitCode::from(error.kind().exit_status())
        }
    }
}

fn as_usage(error: Error) -> Error {
    error.with_kind(Kind::Usage)
}

fn serve(
    emitter: &mut Emitter,
    work: impl FnOnce(&[u8], &mut Emitter) -> Result<Value>,
) -> Result<Value> {
    let mut input = BufReader::new(stdin().lock());
    let mut verb = String::new();
    let mut job = Vec::new();
    input
        .read_line(&mut verb)
        .map_err(|error| failed("reading the job", error))?;
    input
        .read_until(b'\n', &mut job)
        .map_err(|error| failed("reading the job", error))?;
    if job.pop() != Some(b'\n') {
        return Err(failed("reading the job", "the parent process is gone"));
    }
    drop(input);
    match verb.trim_end() {
        WORK => work(&job, emitter),
        REMOVE => remove::serve(&job),
        other => Err(failed("reading the job", format!("unknown verb `{other}`"))),
    }
}

/// Keeps the pipe to the parent for messages only: whatever else writes to
/// standard output from here on writes to standard error.
fn claim_stdout(mode: Mode) -> Result<Emitter> {
    if mode == Mode::Auto {
        return Err(Error::new(Kind::Usage, "a worker needs a mode"));
    }
    let pipe = rustix::io::fcntl_dupfd_cloexec(io::stdout(), 3)
        .map_err(|error| failed("setting up pipes", error))?;
    // SAFETY: both descriptors are open; nothing has been written to standard output yet.
    if unsafe { libc::dup2(libc::STDERR_FILENO, libc::STDOUT_FILENO) } == -1 {
        return Err(failed("setting up pipes", io::Error::last_os_error()));
    }
    Ok(Emitter::new(pipe, Inside { mode }))
}

/// Which of the processes this one became.
enum Role {
    /// Stays outside of the pid namespace; the worker's status is known.
    Monitor(u8),
    Worker,
}

fn enter(emitter: &Emitter) -> Result<Role> {
    let inside = emitter.inside();
    let threads = fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads != 1 {
        return Err(failed(
            "entering the sandbox",
            "threads are running already",
        ));
    }
    let parent = getppid();
    // No controlling terminal: nothing inside can ask questions or get Ctrl-C.
    rustix::process::setsid().map_err(|error| failed("starting a session", error))?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    if inside.has_namespaces() {
        unshare(inside.mode, emitter)?;
        // Only now: changing ids would have cleared it.
        die_with_parent()?;
        if getppid() != parent {
            return Err(failed("entering the sandbox", "the parent process is gone"));
        }
    } else {
        set_child_subreaper(Some(rustix::process::getpid()))
            .map_err(|error| failed("becoming a reaper of processes", error))?;
    }
    let (ended, alive) =
        pipe_with(PipeFlags::CLOEXEC).map_err(|error| failed("making a pipe", error))?;
    match fork()? {
        Some(child) => {
            drop(alive);
            Ok(Role::Monitor(monitor(child, &ended, inside)))
        }
        None => {
            drop(ended);
            die_with_parent()?;
            if closed([libc::STDIN_FILENO], 0)[0] {
                return Err(failed("entering the sandbox", "the parent process is gone"));
            }
            if inside.has_namespaces() {
                // The first process of a pid namespace reaps orphans, so that
                // the worker never waits for a process it did not start.
                if let Some(worker) = fork()? {
                    init(worker);
                }
            }
            // Open as long as this process lives, and closed by exec.
            std::mem::forget(alive);
            Ok(Role::Worker)
        }
    }
}

fn unshare(mode: Mode, emitter: &Emitter) -> Result<()> {
    let mut flags = UnshareFlags::NEWNS
        | UnshareFlags::NEWPID
        | UnshareFlags::NEWNET
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS;
    if mode == Mode::Userns {
        flags |= UnshareFlags::NEWUSER;
    }
    // SAFETY: the file descriptor table is not among what is unshared.
    unsafe { unshare_unsafe(flags) }.map_err(|error| failed("making namespaces", error))?;
    if mode == Mode::Userns {
        emitter.send(&Message::<()>::Unshared)?;
        let mut line = Vec::new();
        // Byte by byte from the descriptor: the job behind it is the worker's to read.
        read_line(&mut Raw, &mut line).map_err(|error| failed("waiting for ids", error))?;
        if line != GO[..GO.len() - 1] {
            return Err(failed("waiting for ids", "the parent sent something else"));
        }
        become_root()?;
    }
    mount_change(
        "/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )
    .map_err(|error| failed("making mounts private", error))?;
    rustix::system::sethostname(b"localhost")
        .map_err(|error| failed("setting the host name", error))
}

/// Standard input without a buffer.
struct Raw;

impl io::Read for Raw {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(stdin(), buffer)?)
    }
}

fn become_root() -> Result<()> {
    // SAFETY: there is one thread, so ids change for the whole process.
    let done = unsafe { libc::setresgid(0, 0, 0) == 0 && libc::setresuid(0, 0, 0) == 0 };
    if !done {
        let error = io::Error::last_os_error();
        return Err(failed("becoming root in the user namespace", error));
    }
    // Or else this process's /proc entries would belong to ids that do not exist inside.
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::Dumpable)
        .map_err(|error| failed("becoming root in the user namespace", error))
}

fn die_with_parent() -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| failed("binding this process to its parent", error))
}

/// Which of these pipes have lost their other end; waits for one, `timeout`
/// milliseconds at most, or without end if that is -1.
fn closed<const N: usize>(pipes: [RawFd; N], timeout: i32) -> [bool; N] {
    let mut watched = pipes.map(|fd| libc::pollfd {
        fd,
        events: 0,
        revents: 0,
    });
    // SAFETY: `watched` holds N entries.
    while unsafe { libc::poll(watched.as_mut_ptr(), N as libc::nfds_t, timeout) } == -1 {
        if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            break;
        }
    }
    watched.map(|pipe| pipe.revents != 0)
}

fn fork() -> Result<Option<Pid>> {
    // SAFETY: there is one thread, as was checked on entering.
    match unsafe { libc::fork() } {
        -1 => Err(failed("forking", io::Error::last_os_error())),
        child => Ok(Pid::from_raw(child)),
    }
}

/// Waits for the end of the worker, or of the parent.
fn monitor(child: Pid, ended: &OwnedFd, inside: Inside) -> u8 {
    let [_, worker_ended] = closed([libc::STDIN_FILENO, ended.as_raw_fd()], -1);
    if !worker_ended {
        let _ = kill_process(child, Signal::KILL);
    }
    let status = loop {
        match waitpid(Some(child), WaitOptions::empty()) {
            Ok(Some((_, status))) => break exit_status(status),
            Ok(None) | Err(Errno::INTR) => {}
            Err(_) => break 1,
        }
    };
    if !inside.has_namespaces() {
        end_orphans();
    }
    status
}

/// What a shell would say of it: 128 and the signal, for a process that died of one.
fn exit_status(status: rustix::process::WaitStatus) -> u8 {
    let code = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => 1,
    };
    u8::try_from(code).unwrap_or(1)
}

/// Kills everything that was left without a parent: as subreaper, this process inherits it.
fn end_orphans() {
    let own = rustix::process::getpid();
    let list = format!("/proc/self/task/{}/children", own.as_raw_nonzero());
    loop {
        for child in fs::read_to_string(&list)
            .unwrap_or_default()
            .split_whitespace()
        {
            if let Some(child) = child.parse().ok().and_then(Pid::from_raw) {
                let _ = kill_process(child, Signal::KILL);
            }
        }
        match wait(WaitOptions::NOHANG) {
            Err(Errno::CHILD) => return,
            // Its children are ours now: look again.
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) => std::thread::sleep(std::time::Duration::from_millis(2)),
            Err(_) => return,
        }
    }
}

/// Pid 1: reaps until the worker ends; with this process, all in its namespace end.
fn init(worker: Pid) -> ! {
    let status = loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == worker => break exit_status(status),
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => break 1,
        }
    };
    // SAFETY: ends this process without running what belongs to the worker.
    unsafe { libc::_exit(i32::from(status)) }
}

fn failed(doing: &str, error: impl std::fmt::Display) -> Error {
    Error::new(Kind::Sandbox, format!("{doing}: {error}"))
}
