//! The files of a node: what containerd makes of them, and what `nodelith check` does.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::common::containerd::{Daemon, PAUSE, Suite};
use crate::common::{document, image, nodelith, output, refused, run, scratch};

const SOCKET: &str = "unix:///run/containerd/containerd.sock";
const CONFIG: &str = "etc/containerd/config.toml";

/// A node's files by path.
#[derive(Clone)]
pub struct Node {
    files: BTreeMap<String, String>,
    kubernetes: Option<&'static str>,
}

/// A node with that config.toml.
pub fn node(config: &str) -> Node {
    let node = Node {
        files: BTreeMap::new(),
        kubernetes: None,
    };
    node.file(CONFIG, config)
}

impl Node {
    pub fn file(mut self, path: &str, text: &str) -> Self {
        self.files.insert(path.to_owned(), text.to_owned());
        self
    }

    /// With a kubelet of that version, as `check` is told.
    pub fn kubernetes(mut self, version: &'static str) -> Self {
        self.kubernetes = Some(version);
        self
    }

    fn write(&self, folder: &Path) {
        for (path, text) in &self.files {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    /// The rules that find something in these files: as a root with that containerd
    /// and, where there is but one, as a loose file, which must be judged alike.
    pub fn found(&self, suite: Suite) -> BTreeSet<String> {
        let root = tempfile::tempdir_in(scratch()).unwrap();
        self.write(root.path());
        let check = |target: &[&OsStr]| {
            let mut check = nodelith();
            check
                .args(["check", "--json", "--date", "2026-01-01"])
                .args(["--fail-on", "never", "--containerd-version"])
                .arg(suite.version())
                .args(target);
            if let Some(version) = self.kubernetes {
                check.args(["--kubernetes-version", version]);
            }
            let found = document(&run(&mut check));
            let found = found["findings"].as_array().unwrap().iter();
            let ids = found.map(|finding| finding["id"].as_str().unwrap().to_owned());
            ids.collect::<BTreeSet<_>>()
        };
        let found = check(&[root.path().as_os_str()]);
        if self.files.len() == 1 {
            let file = root.path().join(CONFIG);
            let loose = check(&["--containerd-config".as_ref(), file.as_os_str()]);
            let of_config = |id: &&String| id.starts_with("ND-CRI-") && *id != "ND-CRI-013";
            let [one, other] =
                [&found, &loose].map(|all| all.iter().filter(of_config).collect::<Vec<_>>());
            assert_eq!(one, other);
        }
        found
    }

    /// `check` finds it here.
    #[track_caller]
    pub fn is_told(&self, suite: Suite, rule: &str) -> &Self {
        let found = self.found(suite);
        assert!(found.contains(rule), "{rule} is not among {found:?}");
        self
    }

    /// `check` does not find it here.
    #[track_caller]
    pub fn passes(&self, suite: Suite, rule: &str) -> &Self {
        let found = self.found(suite);
        assert!(!found.contains(rule), "{rule} is among {found:?}");
        self
    }

    /// containerd with these files, running.
    #[track_caller]
    pub fn runs(&self, suite: Suite) -> Running {
        let daemon = Daemon::over(suite, |root| self.write(root));
        Running(daemon.unwrap_or_else(|log| panic!("{log}")))
    }

    /// The log of containerd, which does not start with these files.
    #[track_caller]
    pub fn fails(&self, suite: Suite) -> String {
        match Daemon::over(suite, |root| self.write(root)) {
            Ok(daemon) => panic!("it starts:\n{}", daemon.log()),
            Err(log) => log,
        }
    }
}

/// A whole configuration as containerd reads it, and what it says on the way.
pub struct Dump {
    pub table: toml::Table,
    pub said: String,
}

/// What the suite's containerd makes of a file, without being started with it.
#[track_caller]
pub fn dumped(suite: Suite, file: &Path) -> Dump {
    let daemon = Daemon::start(suite, &suite.config()).unwrap_or_else(|log| panic!("{log}"));
    daemon.write("etc/other.toml", fs::read(file).unwrap());
    let mut dump = daemon.inside("containerd");
    dump.args(["--config", "/test/etc/other.toml", "config", "dump"]);
    read(&mut dump)
}

#[track_caller]
fn read(dump: &mut Command) -> Dump {
    let dumped = output(dump);
    let said = String::from_utf8(dumped.stderr).unwrap();
    assert!(dumped.status.success(), "{said}");
    let table = String::from_utf8(dumped.stdout).unwrap().parse().unwrap();
    Dump { table, said }
}

/// A containerd that runs.
pub struct Running(pub Daemon);

impl Running {
    /// With the files of a folder.
    #[track_caller]
    pub fn over(suite: Suite, files: &Path) -> Self {
        let daemon = Daemon::over(suite, |root| {
            run(Command::new("cp").args(["-a", "-T"]).arg(files).arg(root));
        });
        Self(daemon.unwrap_or_else(|log| panic!("{log}")))
    }

    fn crictl(&self, arguments: &[&str]) -> Command {
        let mut crictl = self.0.crictl();
        crictl.args(["-t", "60s", "-r", SOCKET]).args(arguments);
        crictl
    }

    /// What `crictl` prints.
    #[track_caller]
    pub fn says(&self, arguments: &[&str]) -> String {
        String::from_utf8(run(&mut self.crictl(arguments))).unwrap()
    }

    /// What `crictl` says as it fails.
    #[track_caller]
    pub fn refuses(&self, arguments: &[&str]) -> String {
        refused(&mut self.crictl(arguments), 1)
    }

    /// The effective configuration of CRI, as its status has it.
    #[track_caller]
    pub fn config(&self) -> Value {
        let info: Value = serde_json::from_str(&self.says(&["info"])).unwrap();
        info["config"].clone()
    }

    /// The effective configuration as `containerd config dump` has it.
    #[track_caller]
    pub fn dump(&self) -> Dump {
        let mut dump = self.0.inside("containerd");
        dump.args(["--config", &format!("/{CONFIG}"), "config", "dump"]);
        read(&mut dump)
    }

    /// Gives it the image that sandboxes are made from.
    pub fn pause(&self) {
        let folder = tempfile::tempdir_in(scratch()).unwrap();
        let archive = folder.path().join("pause.tar");
        let program = self.0.program("usr/bin/catatonit");
        image::archive(&archive, PAUSE, &program, &[], &["/bin/catatonit", "-P"]);
        self.0.import(&archive);
    }

    fn pod(&self) -> [&'static str; 2] {
        let pod = serde_json::json!({
            "metadata": {"name": "one", "namespace": "default", "uid": "one"},
            "log_directory": "/test/pods",
            "linux": {
                "cgroup_parent": self.0.cgroup(),
                "security_context": {"namespace_options": {"network": 2}},
            },
        });
        self.0.write("pod.json", pod.to_string());
        ["runp", "/test/pod.json"]
    }

    /// A pod in the node's network runs.
    #[track_caller]
    pub fn runs_a_pod(&self) {
        let id = self.says(&self.pod());
        assert_eq!(id.trim_end().len(), 64, "{id}");
        self.says(&["rmp", "-f", id.trim_end()]);
    }

    /// Why no pod runs.
    #[track_caller]
    pub fn runs_no_pod(&self) -> String {
        self.refuses(&self.pod())
    }
}
