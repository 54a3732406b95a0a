//! Runs scripts of the pieces, as a CI system would.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::common::{output, run};
use super::team::Team;

/// A machine of a CI system: a checkout, a home, and variables.
pub struct Shell {
    folder: tempfile::TempDir,
    pub variables: BTreeMap<String, String>,
    /// Folders in which programs are looked for first.
    pub programs: Vec<PathBuf>,
}

impl Shell {
    /// A machine with a checkout of the repository at `origin`, which knows of no archive.
    pub fn new(team: &Team, origin: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shell = Self {
            variables: BTreeMap::from([
                ("HOME".to_owned(), folder.path().display().to_string()),
                (
                    "NODELITH_KEYRING".to_owned(),
                    team.mirror.keyring().display().to_string(),
                ),
            ]),
            programs: vec![program().parent().unwrap().to_owned()],
            folder,
        };
        fs::create_dir(shell.path("temp")).unwrap();
        let mut clone = shell.git(&["clone", "-q"]);
        run(clone
            .arg(origin)
            .arg(shell.checkout())
            .current_dir(shell.path(".")));
        shell
    }

    /// The same, which is Debian: it knows an archive by itself.
    pub fn of_debian(team: &Team, origin: &Path) -> Self {
        let mut shell = Self::new(team, origin);
        let mirror = ("NODELITH_MIRROR".to_owned(), team.mirror.url());
        shell.variables.extend([mirror]);
        shell
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder with the files of the repository.
    pub fn checkout(&self) -> PathBuf {
        self.path("checkout")
    }

    /// A program that notes how it was called, in the file `NAME.calls`, and prints nothing.
    pub fn stub(&mut self, name: &str) {
        use std::os::unix::fs::PermissionsExt;
        let folder = self.path("stubs");
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join(name);
        let calls = self.path(&format!("{name}.calls"));
        let text = format!("#!/bin/sh\necho \"$*\" >> {}\n", calls.display());
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
        self.programs.push(folder);
    }

    pub fn git(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.path("."))
            .args(["-c", "init.defaultBranch=main", "-c", "safe.directory=*"])
            .args(["-c", "user.name=test", "-c", "user.email=test@example.org"])
            .args(arguments);
        let checkout = self.checkout();
        if checkout.exists() {
            command.current_dir(checkout);
        }
        command
    }

    /// Runs a script in the checkout with these variables besides the machine's.
    pub fn run(&self, script: &str, variables: &BTreeMap<String, String>) -> Output {
        let file = self.path("temp/script.sh");
        fs::write(&file, script).unwrap();
        let mut path: Vec<PathBuf> = self.programs.clone();
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
        let mut bash = Command::new("bash");
        bash.args(["--noprofile", "--norc", "-eo", "pipefail"])
            .arg(&file)
            .env_clear()
            .env("PATH", std::env::join_paths(path).unwrap())
            .envs(&self.variables)
            .envs(variables)
            .current_dir(self.checkout());
        output(&mut bash)
    }

    /// The same, which must succeed; what it prints.
    pub fn must(&self, script: &str, variables: &BTreeMap<String, String>) -> String {
        let done = self.run(script, variables);
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success(), "{script}\n{said}");
        String::from_utf8(done.stdout).unwrap()
    }
}

/// The program under test.
pub fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_nodelith"))
}

/// A bare repository with the profile of a team and its lock, in `nodes/`.
pub fn origin(team: &Team, name: &str) -> PathBuf {
    let work = team.folder.path().join(format!("{name}-work"));
    fs::create_dir_all(work.join("nodes")).unwrap();
    for (file, to) in [
        ("node.toml", "minimal.toml"),
        ("node.lock.toml", "minimal.lock.toml"),
    ] {
        fs::copy(team.first().path(file), work.join("nodes").join(to)).unwrap();
    }
    let bare = team.folder.path().join(format!("{name}.git"));
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=test", "-c", "user.email=test@example.org"]);
        git.args(["-c", "init.defaultBranch=main", "-c", "safe.directory=*"]);
        run(git.args(arguments).current_dir(&work));
    };
    git(&["init", "-q"]);
    git(&["add", "-A"]);
    git(&["commit", "-q", "-m", "nodes"]);
    git(&["clone", "-q", "--bare", ".", bare.to_str().unwrap()]);
    bare
}

/// What differs between two branches of a bare repository, or that one of them is missing.
pub fn changed(bare: &Path, from: &str, to: &str) -> Option<String> {
    let mut diff = Command::new("git");
    diff.args(["-c", "safe.directory=*", "diff", "--name-only", from, to]);
    let done = output(diff.current_dir(bare));
    let text = String::from_utf8(done.stdout).unwrap();
    done.status.success().then(|| text.trim_end().to_owned())
}

/// Variables from pairs.
pub fn variables<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
    pairs.into()
}
