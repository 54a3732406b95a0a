//! Where a test happens: a folder, a program that anyone may run, a small root, a user.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

pub struct Place {
    folder: tempfile::TempDir,
    user: OnceLock<User>,
}

pub struct User {
    pub name: String,
    pub uid: u32,
    pub subuid: u32,
}

impl Place {
    pub fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("nodelith-sandbox-")
            .tempdir_in("/tmp")
            .unwrap();
        // Anyone may write: what is tested runs as several users.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
        let place = Self {
            folder,
            user: OnceLock::new(),
        };
        fs::copy("/proc/self/exe", place.program()).unwrap();
        place
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn program(&self) -> PathBuf {
        self.path().join("program")
    }

    pub fn folder(&self, name: &str) -> PathBuf {
        let folder = self.path().join(name);
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
        folder
    }

    /// A user with subordinate ids, made for this test and removed after it.
    pub fn user(&self) -> &User {
        self.user.get_or_init(|| {
            let name = format!("ndl-test-{}", std::process::id());
            run(Command::new("useradd").args(["--no-create-home", "--user-group", &name]));
            let read = |file: &str, field: usize| -> Option<u32> {
                let text = fs::read_to_string(file).unwrap();
                let line = text
                    .lines()
                    .find(|line| line.starts_with(&format!("{name}:")))?;
                line.split(':').nth(field)?.parse().ok()
            };
            if read("/etc/subuid", 1).is_none() {
                let range = "--add-subuids=2000000-2065535 --add-subgids=2000000-2065535";
                run(Command::new("usermod").args(range.split(' ')).arg(&name));
            }
            User {
                uid: read("/etc/passwd", 2).unwrap(),
                subuid: read("/etc/subuid", 1).unwrap(),
                name,
            }
        })
    }

    /// Kills the parent of a sandbox in which programs linger; none may be left.
    pub fn outlive(&self, mode: &str, signal: Signal, user: Option<&str>) {
        let folder = self.folder(&format!("{mode}-{}-{}", signal.as_raw(), user.is_some()));
        let mut command = match user {
            None => Command::new(self.program()),
            Some(user) => {
                let mut command = Command::new("setpriv");
                command
                    .args(["--reuid", user, "--regid", user, "--init-groups", "--"])
                    .arg(self.program());
                command
            }
        };
        let mut parent = command
            .args(["--scene", &format!("linger {mode}")])
            .arg(&folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(parent.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "lingering\n", "{mode}");
        // Parent, monitor, worker; dpkg's stand-in, and what it detached.
        let before = self.processes();
        assert!(before.len() >= 3, "{mode}: {before:?}");

        kill_process(Pid::from_child(&parent), signal).unwrap();
        parent.wait().unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        while !self.processes().is_empty() {
            assert!(
                Instant::now() < deadline,
                "{mode}, signal {}: {:?} are left",
                signal.as_raw(),
                self.processes()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Command lines of processes of this place: the program itself, and `sleep` with our marker.
    fn processes(&self) -> Vec<String> {
        let own = std::process::id().to_string();
        let marker = super::scenes::MARKER;
        fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let pid = entry.file_name().into_string().ok()?;
                let line = fs::read_to_string(entry.path().join("cmdline")).ok()?;
                let line = line.replace('\0', " ");
                let ours = line.contains(&*self.path().to_string_lossy()) || line.contains(marker);
                (ours && pid != own).then_some(line)
            })
            .collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(user) = self.user.get() {
            run(Command::new("userdel").arg(&user.name));
        }
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}

/// Copies a few of the machine's programs, with their libraries, into a new root.
pub fn make_root(root: &Path) {
    for folder in [
        "usr/bin",
        "usr/lib",
        "usr/lib64",
        "tmp",
        "proc",
        "dev",
        "run",
    ] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    for name in ["bin", "lib", "lib64"] {
        symlink(format!("usr/{name}"), root.join(name)).unwrap();
    }
    for program in [
        "sh",
        "perl",
        "cat",
        "ls",
        "id",
        "touch",
        "sleep",
        "setsid",
        "sha256sum",
    ] {
        let path = ["/usr/bin", "/bin"]
            .map(|folder| Path::new(folder).join(program))
            .into_iter()
            .find(|path| path.exists())
            .unwrap();
        copy(&path, &root.join("usr/bin").join(program));
        let output = Command::new("ldd").arg(&path).output().unwrap();
        for word in String::from_utf8_lossy(&output.stdout).split_whitespace() {
            if let Some(inside) = word.strip_prefix('/') {
                copy(Path::new(word), &root.join(inside));
            }
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    if !to.exists() {
        fs::copy(from, to).unwrap();
    }
}
