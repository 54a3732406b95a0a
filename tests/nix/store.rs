//! A Nix store of a test's own, with derivations that need nothing but a static busybox.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{root, run, skip};

/// Debian's static shell and tools.
const BUSYBOX: &str = "/bin/busybox";

/// What derivations of the tests use.
const TOOLS: [&str; 9] = [
    "cat", "chmod", "cp", "dd", "head", "ln", "mkdir", "sh", "tr",
];

/// The functions that tests' expressions begin with: `tools`, and `run NAME SCRIPT`.
const PRELUDE: &str = r#"
let
  tools = builtins.path { path = @TOOLS@; name = "tools"; };
  run = name: script: derivation {
    inherit name;
    system = builtins.currentSystem;
    builder = "${tools}/bin/sh";
    PATH = "${tools}/bin";
    args = [ "-euc" script ];
  };
in
"#;

/// Whether this machine can have a store of a test's own: builds there need a mount
/// namespace, and the judges root.
pub fn able() -> bool {
    if !root("closures of Nix") {
        return false;
    }
    let mut unshare = Command::new("unshare");
    let able = unshare.args(["--mount", "true"]).output();
    let able = able.is_ok_and(|output| output.status.success());
    if !able {
        skip("closures of Nix (no mount namespaces here)");
    }
    able
}

/// A store below a folder, as Nix's `--store`.
pub struct Store {
    folder: tempfile::TempDir,
    /// The folder in which Nix's programs are, where they are not Debian bookworm's.
    programs: Option<PathBuf>,
}

impl Store {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tools = folder.path().join("tools/bin");
        fs::create_dir_all(&tools).unwrap();
        fs::copy(BUSYBOX, tools.join("busybox")).unwrap();
        for tool in TOOLS {
            symlink("busybox", tools.join(tool)).unwrap();
        }
        Self {
            folder,
            programs: None,
        }
    }

    /// A store of another Nix, whose programs are in this folder.
    pub fn of(programs: PathBuf) -> Self {
        let programs = Some(programs);
        Self {
            programs,
            ..Self::new()
        }
    }

    /// The folder for a test's own files.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder of the store's root.
    pub fn root(&self) -> PathBuf {
        self.path("root")
    }

    /// A program of Nix, on this store.
    pub fn nix(&self, program: &str) -> Command {
        self.nix_on(program, &self.root())
    }

    /// A program of Nix, on the store below another root.
    pub fn nix_on(&self, program: &str, root: &Path) -> Command {
        let mut command = match &self.programs {
            Some(folder) => Command::new(folder.join(program)),
            None => Command::new(program),
        };
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.folder.path())
            .env("NIX_REMOTE", format!("local?root={}", root.display()))
            .env("NIX_CONFIG", self.config())
            .current_dir(self.folder.path());
        command
    }

    /// Writes an expression that can use [`PRELUDE`].
    pub fn write(&self, name: &str, expression: &str) -> PathBuf {
        let tools = self.path("tools").display().to_string();
        let path = self.path(name);
        let text = PRELUDE.replace("@TOOLS@", &tools);
        fs::write(&path, format!("{text}{expression}\n")).unwrap();
        path
    }

    /// Builds an expression; gives its path in the store.
    pub fn build(&self, expression: &str) -> String {
        let file = self.write("expression.nix", expression);
        let mut build = self.nix("nix-build");
        build.arg(file).args(["--out-link", "result"]);
        let built = String::from_utf8(run(&mut build)).unwrap();
        built.trim().to_owned()
    }

    /// What `nix-store` says.
    pub fn ask(&self, arguments: &[&str]) -> String {
        String::from_utf8(run(self.nix("nix-store").args(arguments))).unwrap()
    }

    /// Where a path of the store is on this machine.
    pub fn on_disk(&self, path: &str) -> PathBuf {
        self.root().join(path.trim_start_matches('/'))
    }

    /// Does what a store's owner cannot do by accident: writes into a file of it.
    pub fn damage(&self, path: &str, bytes: &[u8]) {
        let file = self.on_disk(path);
        let access = fs::metadata(&file).unwrap().permissions();
        fs::remove_file(&file).unwrap();
        fs::write(&file, bytes).unwrap();
        fs::set_permissions(&file, access).unwrap();
    }

    /// Nix as root, without users of its own, without a network, and without what
    /// forky's puts into its sandbox or starts beside it.
    fn config(&self) -> String {
        let config = "build-users-group =\nsubstituters =\nsandbox = true\n\
            experimental-features = nix-command";
        match &self.programs {
            Some(_) => format!("{config}\nsandbox-paths =\nbuild-hook ="),
            None => config.to_owned(),
        }
    }
}
