//! containerd of a Debian suite, running on this machine.
//!
//! A daemon lives in its own mount, process and network namespaces, in an
//! overlay over a root that is built once for each suite. Its init is a shell
//! with containerd as child: when that is killed, every shim, container, mount
//! and network interface goes with it. It is killed when the [`Daemon`] is
//! dropped and when the thread that started it ends, however that ends; start
//! it in the test that uses it. Needs root.
//!
//! ```text
//! FOLDER/etc      config.toml, crictl.yaml     seen inside as /test/etc
//! FOLDER/log      containerd.log, registry.log              /test/log
//! FOLDER/upper    what is laid over the root
//! FOLDER/state    /var/lib/containerd (it must not be on an overlay)
//! ```

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

use super::{nodelith, profile, run, scratch};

/// A Debian suite, with its containerd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    /// containerd 1.6
    Bookworm,
    /// containerd 1.7
    Trixie,
    /// containerd 2.1
    Forky,
}

impl Suite {
    pub fn name(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
            Self::Forky => "forky",
        }
    }

    /// The minor version of its containerd.
    pub fn containerd(self) -> &'static str {
        match self {
            Self::Bookworm => "1.6",
            Self::Trixie => "1.7",
            Self::Forky => "2.1",
        }
    }

    /// The whole version of its containerd.
    pub fn version(self) -> String {
        let mut program = Command::new("chroot");
        program
            .arg(self.root())
            .args(["/usr/bin/containerd", "--version"]);
        let said = String::from_utf8(run(&mut program)).unwrap();
        // containerd MODULE VERSION, and what a distribution adds to it.
        let version = said.split_whitespace().nth(2).unwrap();
        version.split(['~', '+']).next().unwrap().to_owned()
    }

    /// A configuration with which pods run on this machine.
    pub fn config(self) -> String {
        let (version, runtime, images, pause, cni) = match self {
            Self::Forky => (
                3,
                "io.containerd.cri.v1.runtime",
                "io.containerd.cri.v1.images",
                format!("pinned_images = {{ sandbox = \"{PAUSE}\" }}"),
                "bin_dirs = [\"/usr/lib/cni\"]",
            ),
            _ => (
                2,
                "io.containerd.grpc.v1.cri",
                "io.containerd.grpc.v1.cri",
                format!("sandbox_image = \"{PAUSE}\""),
                "bin_dir = \"/usr/lib/cni\"",
            ),
        };
        // One table where both are the same plugin.
        let (images, runtime_table) = match images == runtime {
            true => (String::new(), format!("[plugins.\"{runtime}\"]\n{pause}\n")),
            false => (
                format!("[plugins.\"{images}\"]\n{pause}\n"),
                format!("[plugins.\"{runtime}\"]\n"),
            ),
        };
        let plugin = match self {
            Self::Forky => "io.containerd.cri.v1.images",
            _ => runtime,
        };
        format!(
            "version = {version}\nrequired_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
             {images}{runtime_table}restrict_oom_score_adj = true\n\
             [plugins.\"{runtime}\".cni]\n{cni}\nconf_dir = \"/test/etc/cni\"\n\
             [plugins.\"{runtime}\".containerd.runtimes.runc]\nruntime_type = \"io.containerd.runc.v2\"\n\
             [plugins.\"{plugin}\".registry]\nconfig_path = \"/test/etc/certs.d\"\n"
        )
    }

    /// The profile of its root. Sections that need no other packages can follow it.
    pub fn profile(self) -> String {
        format!(
            "name = \"containerd\"\narchitecture = \"amd64\"\n[debian]\nsuite = \"{}\"\npackages = \
             [\"busybox-static\", \"catatonit\", \"containerd\", \"containernetworking-plugins\"]\n\
             exclude = {{ documentation = true, man-pages = true, locales = true }}\n",
            self.name()
        )
    }

    /// The lock of that profile.
    pub fn lock(self) -> PathBuf {
        let root = self.root();
        root.ancestors().nth(2).unwrap().join("lock.toml")
    }

    /// The suite's root, built once.
    pub fn root(self) -> PathBuf {
        static BUILDING: Mutex<()> = Mutex::new(());
        let _one = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = scratch().join("containerd").join(self.name());
        let root = folder.join("bundle").join("rootfs");
        if folder.join("done").exists() {
            return root;
        }
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let profile = profile(&folder, &self.profile());
        let mut build = nodelith();
        build
            .args(["build", "--ignore-valid-until", "--output", "image"])
            .args(["--compression", "none"])
            .args(["--lock", "lock.toml"])
            .args(["--accept-findings", "a root to try programs in, no node"])
            .arg(&profile)
            .current_dir(&folder);
        run(&mut build);
        let mut umoci = Command::new("umoci");
        umoci
            .args(["unpack", "--image", "image:1", "bundle"])
            .current_dir(&folder);
        run(&mut umoci);
        fs::remove_dir_all(folder.join("image")).unwrap();
        File::create(folder.join("done")).unwrap();
        root
    }
}

/// The image that sandboxes are made from.
pub const PAUSE: &str = "nodelith.test/pause:1";

/// How long containerd has to start on a busy machine.
const START: Duration = Duration::from_secs(60);

/// How long a program inside may take, in seconds; after that it is killed.
const PATIENCE: &str = "120";

/// A running containerd.
pub struct Daemon {
    pub suite: Suite,
    folder: PathBuf,
    child: Child,
    others: Vec<Child>,
    /// Its shell's number in this machine's namespace.
    init: u32,
    /// Held as long as its folder is in use.
    _lock: File,
}

impl Daemon {
    /// Starts containerd with a configuration and waits until it has booted.
    ///
    /// # Errors
    /// Its log, when it ends instead.
    pub fn start(suite: Suite, config: &str) -> Result<Self, String> {
        let path = "/test/etc/config.toml";
        Self::begin(suite, path, |folder| {
            fs::write(folder.join("test/etc/config.toml"), config).unwrap();
        })
    }

    /// Starts a node's containerd: `lay` puts the node's files into a folder that is
    /// laid over the root, /etc/containerd/config.toml among them.
    ///
    /// # Errors
    /// Its log, when it ends instead.
    pub fn over(suite: Suite, lay: impl FnOnce(&Path)) -> Result<Self, String> {
        let path = "/etc/containerd/config.toml";
        Self::begin(suite, path, |folder| lay(&folder.join("upper")))
    }

    fn begin(suite: Suite, config: &str, prepare: impl FnOnce(&Path)) -> Result<Self, String> {
        let root = suite.root();
        clear();
        let folder = tempfile::Builder::new()
            .prefix("run-")
            .tempdir_in(scratch().join("containerd"))
            .unwrap()
            .keep();
        let lock = File::create(folder.join("lock")).unwrap();
        flock(&lock, FlockOperation::LockShared).unwrap();
        for name in ["upper", "work", "root", "state", "test/etc/cni", "test/log"] {
            fs::create_dir_all(folder.join(name)).unwrap();
        }
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        prepare(&folder);
        let log = File::create(folder.join("test/log/containerd.log")).unwrap();
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "unshare", "--kill-child"])
            .args(["--mount", "--propagation", "private"])
            .args(["--pid", "--fork", "--net", "--ipc", "--uts"])
            .args(["sh", "-euc", include_str!("containerd.sh"), "containerd"])
            .arg(&root)
            .arg(&folder)
            .arg(config)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut daemon = Self {
            suite,
            folder,
            child,
            others: Vec::new(),
            init: 0,
            _lock: lock,
        };
        daemon.wait()?;
        Ok(daemon)
    }

    fn wait(&mut self) -> Result<(), String> {
        let begun = Instant::now();
        while begun.elapsed() < START {
            if self.child.try_wait().unwrap().is_some() {
                return Err(self.log());
            }
            if self.log().contains("containerd successfully booted") {
                self.init = only_child(self.child.id()).ok_or_else(|| self.log())?;
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(format!("it did not start in time:\n{}", self.log()))
    }

    /// What it wrote to standard output and error.
    pub fn log(&self) -> String {
        let log = fs::read(self.folder.join("test/log/containerd.log")).unwrap();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// The folder that the daemon sees as /test.
    pub fn test(&self) -> PathBuf {
        self.folder.join("test")
    }

    /// The cgroup that every pod's `cgroup_parent` should be, since it is removed at the end.
    pub fn cgroup(&self) -> String {
        format!("/{}", cgroup(&self.folder))
    }

    /// containerd's socket, from outside.
    pub fn socket(&self) -> PathBuf {
        PathBuf::from(format!(
            "/proc/{}/root/run/containerd/containerd.sock",
            self.init
        ))
    }

    /// A file in /test, which other files may stand in folders of.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.test().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// A program of the daemon's root, run inside of it.
    pub fn inside(&self, program: &str) -> Command {
        let mut command = Command::new("timeout");
        command
            .args(["--foreground", PATIENCE, "nsenter"])
            .arg(format!("--target={}", self.init))
            .args(["--mount", "--net", "--pid", "--ipc", "--uts", "--root"])
            .arg(program)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin");
        command
    }

    /// A program of this machine, run in the daemon's network.
    pub fn beside(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--target={}", self.init))
            .args(["--net", program]);
        command
    }

    /// The client under test, inside.
    pub fn crictl(&self) -> Command {
        let program = self.test().join("crictl");
        if !program.exists() {
            // By another process: what is open for writing here, a child that another
            // thread starts has open too, and then it cannot be run.
            run(Command::new("cp")
                .arg(env!("CARGO_BIN_EXE_nodelith-crictl"))
                .arg(&program));
        }
        self.inside("/test/crictl")
    }

    /// A program of the daemon's root, seen from outside.
    pub fn program(&self, path: &str) -> PathBuf {
        self.suite.root().join(path)
    }

    /// Puts the image of an archive into containerd's store.
    pub fn import(&self, archive: &Path) {
        let name = archive.file_name().unwrap().to_str().unwrap();
        fs::copy(archive, self.test().join(name)).unwrap();
        run(self
            .inside("ctr")
            .args(
                ["-n", "k8s.io", "images", "import", "--local"]
                    .iter()
                    .filter(
                        // Only there where importing by the transfer service is the default.
                        |flag| **flag != "--local" || self.suite == Suite::Forky,
                    ),
            )
            .arg(format!("/test/{name}")));
    }

    /// Another program that ends with the daemon, run in its network with its log in /test/log.
    pub fn spawn(&mut self, name: &str, command: &mut Command) {
        let log = File::create(self.test().join(format!("log/{name}.log"))).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.others.push(child);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        for child in self.others.iter_mut().chain([&mut self.child]) {
            let _ = child.kill();
            let _ = child.wait();
        }
        if self.init != 0 {
            // The namespace is gone when its init is.
            let init = PathBuf::from(format!("/proc/{}", self.init));
            let begun = Instant::now();
            while init.exists() && begun.elapsed() < START {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        remove(&self.folder);
    }
}

/// The only child of a process.
fn only_child(parent: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

/// Removes what killed tests left.
fn clear() {
    let entries = fs::read_dir(scratch().join("containerd"))
        .unwrap()
        .flatten();
    for folder in entries.map(|entry| entry.path()) {
        let name = folder.file_name().unwrap().to_string_lossy();
        if let Ok(lock) = File::open(folder.join("lock"))
            && name.starts_with("run-")
            && flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok()
        {
            remove(&folder);
        }
    }
}

/// Removes a daemon's folder and the cgroups of its containers, which are empty.
fn remove(folder: &Path) {
    let cgroup = cgroup(folder);
    let hierarchies = fs::read_dir("/sys/fs/cgroup").into_iter().flatten();
    let hierarchies = hierarchies.flatten().map(|entry| entry.path());
    for hierarchy in hierarchies.chain([PathBuf::from("/sys/fs/cgroup")]) {
        remove_cgroup(&hierarchy.join(&cgroup));
    }
    let _ = fs::remove_dir_all(folder);
}

fn cgroup(folder: &Path) -> String {
    format!(
        "nodelith-test-{}",
        folder.file_name().unwrap().to_str().unwrap()
    )
}

fn remove_cgroup(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_cgroup(&entry.path());
        }
    }
    let _ = fs::remove_dir(folder);
}
