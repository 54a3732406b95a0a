//! An account without rights but subordinate ids, made for a test (as root).

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::{output, run};

/// The account; removed when dropped.
pub struct User {
    name: String,
    folder: tempfile::TempDir,
}

impl User {
    /// Makes the account, with a folder of its own.
    pub fn new() -> Self {
        let name = format!("nodelith-{}", std::process::id());
        run(Command::new("useradd").args(["--system", "--shell", "/bin/sh", &name]));
        let folder = tempfile::Builder::new()
            .prefix("nodelith-user-")
            .tempdir_in("/tmp")
            .unwrap();
        let user = Self { name, folder };
        // System accounts are given none.
        let range = format!("{0}-{1}", 0x3000_0000, 0x3000_FFFF);
        run(Command::new("usermod")
            .args(["--add-subuids", &range, "--add-subgids", &range])
            .arg(&user.name));
        user.own(user.folder());
        user
    }

    /// A folder that belongs to the account.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Copies a file into the folder, readable and executable.
    pub fn give(&self, file: &Path) -> std::path::PathBuf {
        let to = self.folder().join(file.file_name().unwrap());
        fs::copy(file, &to).unwrap();
        self.own(&to);
        to
    }

    /// Makes all of `path` the account's own.
    pub fn own(&self, path: &Path) {
        run(Command::new("chown")
            .arg("-R")
            .arg(format!("{}:", self.name))
            .arg(path));
    }

    /// A command that runs `program` as this user.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("/usr/sbin/runuser");
        command
            .args(["-u", &self.name, "--"])
            .arg(program)
            .env_clear()
            .env("HOME", self.folder())
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .current_dir(self.folder());
        command
    }
}

impl Drop for User {
    fn drop(&mut self) {
        // What the sandbox left belongs to subordinate ids; root may remove it all.
        let _ = output(Command::new("userdel").arg(&self.name));
    }
}
