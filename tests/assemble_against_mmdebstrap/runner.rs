//! The simplest runner: chroot as root, in a mount, PID and network namespace
//! of its own. Syncing to disk is answered with "done" by seccomp.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nodelith::error::{Error, Kind, Result};
use nodelith::source::debian::root::assemble::Runner;
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, Uid};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

pub struct ChrootRunner {
    root: PathBuf,
    timings: Vec<(String, Duration)>,
    no_sync: BpfProgram,
    prepared: bool,
}

const DEVICES: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

impl ChrootRunner {
    pub fn new(root: &Path) -> Self {
        let calls = [
            libc::SYS_fsync,
            libc::SYS_fdatasync,
            libc::SYS_sync,
            libc::SYS_syncfs,
            libc::SYS_sync_file_range,
            libc::SYS_msync,
        ];
        let filter = SeccompFilter::new(
            calls
                .into_iter()
                .map(|call| (call, Vec::new()))
                .collect::<BTreeMap<_, _>>(),
            SeccompAction::Allow,
            SeccompAction::Errno(0),
            std::env::consts::ARCH.try_into().unwrap(),
        );
        Self {
            root: root.to_owned(),
            timings: Vec::new(),
            no_sync: filter.unwrap().try_into().unwrap(),
            prepared: false,
        }
    }

    /// Devices come once the packages' `/dev` is there, and go in the end.
    fn prepare(&mut self) {
        if std::mem::replace(&mut self.prepared, true) {
            return;
        }
        for (name, major, minor) in DEVICES {
            let path = self.root.join("dev").join(name);
            let device = rustix::fs::makedev(major, minor);
            let mode = Mode::from_raw_mode(0o666);
            rustix::fs::mknodat(CWD, &path, FileType::CharacterDevice, mode, device).unwrap();
            rustix::fs::chmod(&path, mode).unwrap();
        }
        let (uid, gid) = (Uid::from_raw(0), Gid::from_raw(0));
        rustix::fs::chownat(CWD, &self.root, Some(uid), Some(gid), AtFlags::empty()).unwrap();
    }

    pub fn finish(self) -> Vec<(String, Duration)> {
        for (name, ..) in DEVICES {
            let _ = std::fs::remove_file(self.root.join("dev").join(name));
        }
        self.timings
    }
}

impl Runner for ChrootRunner {
    fn run(&mut self, argv: &[&str], env: &[(&str, &str)], stdin: Option<&[u8]>) -> Result<()> {
        self.prepare();
        let begun = Instant::now();
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--net", "--pid", "--fork", "--kill-child"])
            .arg(format!("--mount-proc={}", self.root.join("proc").display()))
            .args(["chroot", "--"])
            .arg(&self.root)
            .args(["env", "-i", "--"])
            .args(env.iter().map(|(name, value)| format!("{name}={value}")))
            .args(argv)
            .stdin(if stdin.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if std::env::var_os("NODELITH_JUDGE_SYNC").is_none() {
            let filter = self.no_sync.clone();
            // SAFETY: one system call with memory that was prepared before the fork.
            unsafe {
                command.pre_exec(move || {
                    seccompiler::apply_filter(&filter).map_err(std::io::Error::other)
                });
            }
        }
        rustix::process::umask(Mode::from_raw_mode(0o022));
        let mut child = command.spawn().unwrap();
        if let (Some(bytes), Some(mut pipe)) = (stdin, child.stdin.take()) {
            pipe.write_all(bytes).unwrap();
        }
        let output = child.wait_with_output().unwrap();
        let shown = argv.join(" ").chars().take(60).collect();
        self.timings.push((shown, begun.elapsed()));
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        if std::env::var_os("NODELITH_JUDGE_OUTPUT").is_some() {
            super::say(&text);
        }
        if output.status.success() {
            return Ok(());
        }
        let end = text.len().saturating_sub(4000);
        let end = (end..text.len())
            .find(|&at| text.is_char_boundary(at))
            .unwrap_or(0);
        Err(Error::new(
            Kind::Sandbox,
            format!("`{}` failed: {}", argv[0], &text[end..]),
        ))
    }
}
