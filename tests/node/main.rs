//! The shipped profiles as nodes: what the root's own containerd and systemd make
//! of what is generated, and what a small change costs.
//!
//! Run as root. All but quickstart only with `NODELITH_TEST_ALL`.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../common/mod.rs"]
mod common;
mod daemon;
mod identity;
mod judge;
mod limits;
mod preload;

use std::fs;
use std::path::{Path, PathBuf};

use common::{all, nodelith, root, run, scratch};
use serde_json::Value;

const BUILD: [&str; 2] = ["build", "--ignore-valid-until"];

/// The program that stands for a kubelet; nothing runs it.
const KUBELET: &str = "#!/bin/sh\nexit 1\n";

/// Settings of all sorts, as far as containerd 1.6 has them.
const SETTINGS: &str = r#"
[containerd]
snapshotter = "native"
default-runtime = "other"
log-line-size = 32768
concurrent-downloads = 5
selinux = true
selinux-categories = 512
device-ownership = true
unprivileged-ports = false
unprivileged-icmp = true
open-files = 65536
streaming = { address = "127.0.0.2", port = 10010, idle-timeout = "1h0m0s", tls-certificate = "/etc/s.crt", tls-key = "/etc/s.key" }
[containerd.runtimes.other]
options = { BinaryName = "/usr/bin/other" }
[containerd.registries."docker.io"]
mirrors = ["https://mirror.example"]
[containerd.extra]
oom_score = -998
[cni]
conf-dir = "/etc/cni/other"
max-conf = 2
ip-preference = "cni"
[crictl]
timeout = 10
[kubelet]
source = "file"
file = "kubelet"
flags = { v = 2 }
[units]
enable = ["kubelet.service"]
"#;

const OTHER: &str = "[containerd.runtimes.other]\n";

/// What came with containerd 1.7, as `snapshotter` of a handler did.
const NEWER: &str = "cdi = true\ncdi-directories = [\"/etc/cdi\"]\nnri = false\npull-progress-timeout = \"1m30s\"\n";

fn shipped(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles");
    folder.join(format!("{name}.toml"))
}

/// A folder of this test's own, with a profile over the shipped one.
struct Case {
    folder: PathBuf,
}

impl Case {
    fn new(name: &str) -> Self {
        let folder = scratch().join("node").join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("kubelet"), KUBELET).unwrap();
        Self { folder }
    }

    /// Writes a profile that extends a shipped one.
    fn profile(&self, base: &str, settings: &str) -> PathBuf {
        let base = shipped(base);
        let text = format!(
            "name = \"node\"\nextends = \"{}\"\n{settings}",
            base.display()
        );
        common::profile(&self.folder, &text)
    }

    /// Builds into `output` and says what came of it.
    fn build(&self, profile: &Path, output: &str, arguments: &[&str]) -> Value {
        let mut command = nodelith();
        command
            .args(BUILD)
            .args(["--json", "--output", output, "--lock", "lock.toml"])
            .args(arguments)
            .arg(profile)
            .current_dir(&self.folder);
        serde_json::from_slice(&run(&mut command)).unwrap()
    }

    /// Builds and unpacks.
    fn unpacked(&self, profile: &Path) -> PathBuf {
        self.build(profile, "image", &["--compression", "none"]);
        let bundle = self.folder.join("bundle");
        let _ = fs::remove_dir_all(&bundle);
        let image = self.folder.join("image");
        let index: Value =
            serde_json::from_slice(&fs::read(image.join("index.json")).unwrap()).unwrap();
        let tag = &index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"];
        let mut umoci = std::process::Command::new("umoci");
        umoci
            .args(["unpack", "--image"])
            .arg(format!("{}:{}", image.display(), tag.as_str().unwrap()))
            .arg(&bundle);
        run(&mut umoci);
        bundle.join("rootfs")
    }
}

/// As shipped, and with settings of all sorts.
fn holds(name: &str, minor: u32, pause: &str, newer: bool) {
    if !root(name) {
        return;
    }
    let case = Case::new(name);
    let node = case.unpacked(&shipped(name));
    judge::prepare(&node);
    judge::containerd(&node);
    let table = judge::dump(&node);
    let said = judge::settings(&table);
    assert_eq!(said.sandbox, format!("registry.k8s.io/pause:{pause}"));
    assert_eq!(
        (said.systemd_cgroup, said.bin_dir.as_str()),
        (true, "/opt/cni/bin")
    );
    assert_eq!(said.conf_dir, "/etc/cni/net.d");
    assert_eq!(said.registries, "/etc/containerd/certs.d");
    // Where containerd looks for plug-ins there are some that can be run.
    judge::is_program(&node, "/opt/cni/bin/loopback");
    judge::units(
        &node,
        &[
            "multi-user.target",
            "containerd.service",
            "nodelith-images.service",
        ],
    );
    preload::imports(&node, &said.sandbox);
    assert!(!node.join("usr/lib/systemd/system/docker.service").exists());
    let version = fs::read_to_string(node.join(judge::KUBELET_DROP_IN)).unwrap();
    assert!(
        version.contains(&format!("kubelet 1.{minor}.")),
        "{version}"
    );

    let newer = if newer { NEWER } else { "" };
    let limits = limits::LIMITS;
    let settings = SETTINGS.replace("[containerd]\n", &format!("[containerd]\n{limits}{newer}"));
    let settings = match newer.is_empty() {
        true => settings,
        false => settings.replace(OTHER, &format!("{OTHER}snapshotter = \"native\"\n")),
    };
    let node = case.unpacked(&case.profile(name, &settings));
    judge::prepare(&node);
    judge::containerd(&node);
    judge::units(
        &node,
        &["multi-user.target", "containerd.service", "kubelet.service"],
    );
    judge::state(&node);
    limits::hold(&node);
}

#[test]
fn quickstart() {
    holds("quickstart", 33, "3.10", true);
}

#[test]
fn testing() {
    if all("the testing profile as a node") {
        holds("testing", 34, "3.10.1", true);
    }
}

#[test]
fn kubernetes_of_2020() {
    if all("the kubernetes-1.20 profile as a node") {
        holds("kubernetes-1.20", 20, "3.2", false);
    }
}

/// One setting changed: one layer of a few kilobytes, and `diff` names the setting.
#[test]
fn small_changes_are_small() {
    let case = Case::new("change");
    let changes = [
        (
            "[kubelet.flags]\nmax-pods = 50\n",
            "[kubelet.flags]\nmax-pods = 60\n",
            "kubelet.flag.max-pods",
            "60",
        ),
        (
            "[containerd.registries.\"docker.io\"]\nmirrors = [\"https://a.example\"]\n",
            "[containerd.registries.\"docker.io\"]\nmirrors = [\"https://b.example\"]\n",
            "containerd.registries.docker.io.mirrors",
            "https://b.example",
        ),
    ];
    for (before, after, setting, value) in changes {
        let first = case.build(&case.profile("quickstart", before), "before", &[]);
        let second = case.build(&case.profile("quickstart", after), "after", &["--locked"]);
        let layers = |built: &Value| built["images"][0]["layers"].as_array().unwrap().clone();
        let (first, second) = (layers(&first), layers(&second));
        let known: Vec<_> = first.iter().map(|layer| &layer["digest"]).collect();
        let made: Vec<_> = second
            .iter()
            .filter(|layer| !known.contains(&&layer["digest"]))
            .collect();
        assert_eq!(made.len(), 1, "{made:#?}");
        assert_eq!(made[0]["id"], "configuration");
        let size = made[0]["compressed-size"].as_u64().unwrap();
        assert!(size < 20_000, "{size} bytes");
        let mut diff = nodelith();
        diff.args(["diff", "--json", "before", "after"])
            .current_dir(&case.folder);
        let diff: Value = serde_json::from_slice(&run(&mut diff)).unwrap();
        let settings = diff["settings"].as_array().unwrap();
        assert_eq!(settings.len(), 1, "{diff:#}");
        assert_eq!(
            (&settings[0]["name"], &settings[0]["after"]),
            (&setting.into(), &value.into())
        );
        assert_eq!(diff["download"]["layers"], 1);
    }
}
