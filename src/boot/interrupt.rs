//! An end by a signal (Ctrl-C) leaves no machine running, and no files.
//!
//! The handler only writes the signal's number into a pipe. A thread that reads it ends
//! QEMU, removes the folder, and lets the signal do what it does by itself.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::error::{Error, Kind, Result};

/// What asks a program to end.
const SIGNALS: [i32; 3] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP];

/// Where the handler writes to; -1 before there is such a place.
static PIPE: AtomicI32 = AtomicI32::new(-1);
/// The machines that run, by their process.
static MACHINES: Mutex<BTreeMap<u32, Child>> = Mutex::new(BTreeMap::new());
/// The folder that is not to stay.
static FOLDER: Mutex<Option<PathBuf>> = Mutex::new(None);

/// The machines that run. Whoever holds them is not interrupted.
pub fn machines() -> MutexGuard<'static, BTreeMap<u32, Child>> {
    MACHINES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From here on a signal ends the machines that run and removes `folder`, if there is
/// one; calls after the first only name another folder.
///
/// # Errors
/// When the system refuses a pipe or a thread.
pub fn clean_up_when_interrupted(folder: Option<&Path>) -> Result<()> {
    *FOLDER.lock().unwrap_or_else(PoisonError::into_inner) = folder.map(Path::to_owned);
    static WATCHED: OnceLock<Result<()>> = OnceLock::new();
    WATCHED.get_or_init(watch).clone()
}

fn watch() -> Result<()> {
    let failed = |error: &dyn std::fmt::Display| {
        Error::new(Kind::Io, format!("watching for signals: {error}"))
    };
    let flags = rustix::pipe::PipeFlags::CLOEXEC;
    let (read, write) = rustix::pipe::pipe_with(flags).map_err(|error| failed(&error))?;
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || wait(&read))
        .map_err(|error| failed(&error))?;
    PIPE.store(write.as_raw_fd(), Ordering::SeqCst);
    // For as long as the process lives.
    std::mem::forget(write);
    for signal in SIGNALS {
        // SAFETY: the handler does nothing but what signal-safety(7) allows.
        unsafe {
            let before = libc::signal(signal, handle as *const () as libc::sighandler_t);
            if before == libc::SIG_IGN {
                // As of a command under `nohup`.
                libc::signal(signal, libc::SIG_IGN);
            }
        }
    }
    Ok(())
}

/// Only tells of the signal.
extern "C" fn handle(signal: i32) {
    let byte = u8::try_from(signal).unwrap_or_default();
    // SAFETY: one byte of a local variable; a failure is of no consequence.
    unsafe { libc::write(PIPE.load(Ordering::SeqCst), (&raw const byte).cast(), 1) };
}

/// Waits for a signal, and ends all.
fn wait(pipe: &OwnedFd) {
    let mut signal = [0];
    while !matches!(rustix::io::read(pipe, &mut signal), Ok(1)) {}
    // Held until the end, so that nobody starts another machine.
    let mut machines = machines();
    for child in machines.values_mut() {
        let _ = child.kill();
        let _ = child.wait();
    }
    let folder = FOLDER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(folder) = &*folder {
        // Other threads may still make files in it.
        for _ in 0..100 {
            let _ = fs::remove_dir_all(folder);
            if !folder.exists() {
                break;
            }
        }
    }
    let signal = i32::from(signal[0]);
    // SAFETY: what the signal does by itself, to this whole process.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
        libc::_exit(128 + signal)
    }
}
