//! The root's own containerd, running.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::common::output;

/// What containerd needs of a node that runs, in a mount namespace of its own. It
/// wants to know which mount its state is on, so that is one.
const START: &str = "\
mkdir -p \"$1/var/lib/containerd\"
mount --bind \"$1/var/lib/containerd\" \"$1/var/lib/containerd\"
mount -t proc proc \"$1/proc\"
mount --rbind /sys \"$1/sys\"
mount --rbind /dev \"$1/dev\"
mount -t tmpfs tmpfs \"$1/run\"
mount -t tmpfs tmpfs \"$1/tmp\"
exec chroot \"$1\" containerd
";

/// The root's containerd, running until it is dropped.
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts it and waits for it to answer.
    pub fn start(root: &Path) -> Self {
        let mut daemon = Self::begin(root);
        let since = Instant::now();
        while !daemon.output(&["ctr", "version"]).status.success() {
            let log = daemon.log();
            assert!(daemon.child.try_wait().unwrap().is_none(), "{log}");
            assert!(since.elapsed() < Duration::from_secs(60), "{log}");
            thread::sleep(Duration::from_millis(200));
        }
        daemon
    }

    /// Starts it and waits for it to exit by itself: its log.
    pub fn exits(root: &Path) -> String {
        let mut daemon = Self::begin(root);
        let since = Instant::now();
        while daemon.child.try_wait().unwrap().is_none() {
            assert!(
                since.elapsed() < Duration::from_secs(60),
                "{}",
                daemon.log()
            );
            thread::sleep(Duration::from_millis(200));
        }
        daemon.log()
    }

    fn begin(root: &Path) -> Self {
        let log = root.with_extension("log");
        let file = fs::File::create(&log).unwrap();
        let child = Command::new("unshare")
            .args(["--mount", "sh", "-euc", START, "start"])
            .arg(root)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .unwrap();
        Self { child, log }
    }

    /// What it has said until now.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// A command in the node. Each program became the next, so they share a number.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["--mount", "--root", "--wd=/", "--target"])
            .arg(self.child.id().to_string())
            .args(words)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command
    }

    /// Runs a command in the node.
    pub fn output(&self, words: &[&str]) -> Output {
        output(&mut self.command(words))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
