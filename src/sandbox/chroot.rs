//! A root directory in which the programs of packages are run.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{StatVfsMountFlags, fstatvfs};
use rustix::io::Errno;

use super::devices::{self, Undo};
use super::output::Output;
use super::seccomp::Filter;
use super::worker::Inside;
use crate::error::{Context, Error, Kind, Result};

/// How long to wait for killed processes to be gone.
const PATIENCE: Duration = Duration::from_secs(5);

/// A root directory made ready for its programs; taken back when dropped.
#[derive(Debug)]
pub struct Chroot {
    path: PathBuf,
    root: File,
    log: PathBuf,
    inside: Inside,
    filter: Filter,
    undo: Vec<Undo>,
}

impl Chroot {
    /// Makes `root` ready: devices, and `/proc` where the mode allows it. The
    /// output of programs is appended to `log`, outside of `root`.
    ///
    /// # Errors
    /// When mounts or devices cannot be made; nothing of them is left then.
    pub fn new(root: &Path, inside: Inside, log: &Path) -> Result<Self> {
        let path = root.canonicalize().io("finding the root", root)?;
        let root = File::open(&path).io("opening the root", &path)?;
        let flags = fstatvfs(&root).io("looking at", &path)?.f_flag;
        if flags.contains(StatVfsMountFlags::NOEXEC) {
            let message = format!(
                "`{}` is on a file system mounted `noexec`: no program can run there",
                path.display()
            );
            return Err(
                Error::new(Kind::Sandbox, message).hint("put the store elsewhere (`--store`)")
            );
        }
        // Dropped on failure, it takes back what there is.
        let mut chroot = Self {
            root,
            log: log.to_owned(),
            inside,
            filter: Filter::new()?,
            undo: Vec::new(),
            path,
        };
        devices::set_up(&chroot.path, inside, &mut chroot.undo)
            .map_err(|error| error.with_kind(Kind::Sandbox))?;
        Ok(chroot)
    }

    /// Runs `argv` inside, with exactly this environment, `/` as working folder
    /// and umask 022, and waits for its end. It reads `stdin`, or nothing.
    ///
    /// # Errors
    /// [`Kind::Sandbox`] when it cannot be started or fails, with the end of its output.
    pub fn run(&mut self, argv: &[&str], env: &[(&str, &str)], stdin: Option<&[u8]>) -> Result<()> {
        let Some((program, arguments)) = argv.split_first() else {
            return Err(Error::new(Kind::Sandbox, "no program to run"));
        };
        let (output, pipe) = Output::to(&self.log)?;
        let errors = pipe.try_clone().io("making a pipe for", &self.log)?;

        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(env.iter().copied())
            .stdin(if stdin.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(pipe)
            .stderr(errors);
        let enter = Entrance {
            root: self.root.as_raw_fd(),
            limits: limits(),
            filter: self.filter.clone(),
        };
        // SAFETY: it makes system calls only and allocates nothing.
        unsafe { command.pre_exec(move || enter.enter()) };

        let child = command.spawn();
        // It holds our ends of the program's pipes.
        drop(command);
        let mut child = child.map_err(|error| not_started(program, &error))?;
        if let (Some(mut pipe), Some(bytes)) = (child.stdin.take(), stdin) {
            // A program need not read all that it is offered.
            let _ = pipe.write_all(bytes);
        }
        let status = child.wait().map_err(|error| {
            Error::new(Kind::Sandbox, format!("waiting for `{program}`: {error}"))
        })?;
        let tail = output.end()?;
        if status.success() {
            return Ok(());
        }
        Err(failed(argv, status, &tail))
    }

    /// Ends what scripts left running and takes devices and mounts back.
    ///
    /// # Errors
    /// When something is still mounted or could not be removed, so that the tree
    /// must not be read.
    pub fn close(mut self) -> Result<()> {
        self.take_back()
    }

    fn take_back(&mut self) -> Result<()> {
        if self.inside.has_namespaces() {
            end_all_others();
        } else {
            end_those_in(&self.path);
        }
        let mut done = Ok(());
        while let Some(step) = self.undo.pop() {
            done = done.and(step.undo());
        }
        done.map_err(|error: Error| error.with_kind(Kind::Sandbox))
    }
}

impl Drop for Chroot {
    fn drop(&mut self) {
        // Who wants to know calls `close`.
        let _ = self.take_back();
    }
}

type Limit = (libc::__rlimit_resource_t, libc::rlimit);

/// What happens between fork and exec.
struct Entrance {
    root: RawFd,
    limits: [Limit; 3],
    filter: Filter,
}

impl Entrance {
    fn enter(&self) -> std::io::Result<()> {
        let check = |result: i32| match result {
            -1 => Err(std::io::Error::last_os_error()),
            _ => Ok(()),
        };
        // SAFETY: plain system calls on constants and on what `self` keeps alive.
        unsafe {
            check(libc::fchdir(self.root))?;
            check(libc::chroot(c".".as_ptr()))?;
            check(libc::chdir(c"/".as_ptr()))?;
            check(libc::setgroups(0, std::ptr::null()))?;
            libc::umask(0o022);
            for (resource, limit) in &self.limits {
                check(libc::setrlimit(*resource, limit))?;
            }
            check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0))?;
        }
        self.filter.apply()
    }
}

/// The same limits everywhere: some containers allow a billion open files, and
/// programs that close them all one by one then take minutes.
fn limits() -> [Limit; 3] {
    let limit = |resource, soft: libc::rlim_t, hard: libc::rlim_t| {
        let mut now = libc::rlimit {
            rlim_cur: 0,
            rlim_max: libc::RLIM_INFINITY,
        };
        // SAFETY: `now` is there to be written to.
        unsafe { libc::getrlimit(resource, &raw mut now) };
        let wanted = libc::rlimit {
            rlim_cur: soft.min(now.rlim_max),
            rlim_max: hard.min(now.rlim_max),
        };
        (resource, wanted)
    };
    [
        limit(libc::RLIMIT_NOFILE, 1024, 4096),
        limit(libc::RLIMIT_CORE, 0, 0),
        limit(libc::RLIMIT_STACK, 8 << 20, libc::RLIM_INFINITY),
    ]
}

fn not_started(program: &str, error: &std::io::Error) -> Error {
    let message = format!("starting `{program}` in the root: {error}");
    let error_code = error.raw_os_error();
    let error = Error::new(Kind::Sandbox, message);
    match error_code {
        Some(libc::ENOEXEC) => error.hint(
            "for another architecture, install an emulator on the machine itself: package `qemu-user-binfmt` or `qemu-user-static`",
        ),
        Some(libc::ENOENT) => {
            error.hint("the program, or the loader that it asks for, is not in the root")
        }
        _ => error,
    }
}

fn failed(argv: &[&str], status: ExitStatus, tail: &str) -> Error {
    let words = argv.iter().flat_map(|word| word.split_whitespace());
    let command = words.collect::<Vec<_>>().join(" ");
    let command: String = command.chars().take(120).collect();
    let how = match status.signal() {
        Some(signal) => format!("was killed by signal {signal}"),
        None => format!("failed with status {}", status.code().unwrap_or(-1)),
    };
    let mut message = match failed_package(tail) {
        Some(package) => format!("`{command}` {how}, for package `{package}`"),
        None => format!("`{command}` {how}"),
    };
    for line in tail.lines() {
        message.push_str("\n  ");
        message.push_str(line);
    }
    Error::new(Kind::Sandbox, message)
}

/// The package that dpkg names in its complaint.
fn failed_package(tail: &str) -> Option<&str> {
    tail.lines().find_map(|line| {
        let rest = line.strip_prefix("dpkg: error processing package ")?;
        rest.split_whitespace().next()
    })
}

/// Kills all other processes of this pid namespace but its first, and waits until they are gone.
fn end_all_others() {
    let deadline = Instant::now() + PATIENCE;
    // SAFETY: `Inside` proves that this is a pid namespace of our own, whose only
    // other processes are its init, which -1 spares, and what scripts left.
    while unsafe { libc::kill(-1, libc::SIGKILL) } == 0 && Instant::now() < deadline {
        sleep(Duration::from_millis(1));
    }
}

/// Kills all processes whose root directory is `root`, and waits until they are gone.
fn end_those_in(root: &Path) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = processes_in(root);
        if found.is_empty() || Instant::now() > deadline {
            return;
        }
        for pid in found {
            match rustix::process::kill_process(pid, rustix::process::Signal::KILL) {
                Ok(()) | Err(Errno::SRCH) => {}
                // Not ours to kill: waiting would be in vain.
                Err(_) => return,
            }
        }
        sleep(Duration::from_millis(2));
    }
}

fn processes_in(root: &Path) -> Vec<rustix::process::Pid> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let pid = entry.file_name().to_str()?.parse().ok()?;
            // A process that is dead but not reaped has no root any more.
            let its_root = fs::read_link(entry.path().join("root")).ok()?;
            (its_root == root).then(|| rustix::process::Pid::from_raw(pid))?
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_that_failed_is_named() {
        let tail = "Setting up foo (1) ...\ndpkg: error processing package foo:amd64 (--configure):\n installed foo package post-installation script subprocess returned error exit status 1";
        let error = failed(
            &["dpkg", "--configure", "-a"],
            ExitStatus::from_raw(1 << 8),
            tail,
        );
        let message = error.message();
        assert!(
            message.starts_with("`dpkg --configure -a` failed with status 1, for package `foo:amd64`\n  Setting up foo"),
            "{message}"
        );
    }
}
