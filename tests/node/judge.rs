//! Judges that are in the root itself: its containerd, its systemd.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use super::common::{output, run};

pub const KUBELET_DROP_IN: &str = "usr/lib/systemd/system/kubelet.service.d/20-nodelith.conf";
const CONFIG: &str = "etc/containerd/config.toml";

fn inside(root: &Path, program: &str) -> Command {
    let mut command = Command::new("chroot");
    command
        .arg(root)
        .arg(program)
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command
}

/// Programs want somewhere to throw things.
pub fn prepare(root: &Path) {
    let null = root.join("dev/null");
    if !null.exists() {
        run(Command::new("mknod")
            .args(["-m", "666"])
            .arg(null)
            .args(["c", "1", "3"]));
    }
}

/// The whole configuration as the root's containerd understands it.
pub fn dump(root: &Path) -> toml::Table {
    let output = dumped(root);
    String::from_utf8(output.stdout).unwrap().parse().unwrap()
}

fn dumped(root: &Path) -> Output {
    let output = output(inside(root, "containerd").args(["config", "dump"]));
    assert!(output.status.success(), "{output:?}");
    output
}

/// Everything that is in the file is heeded.
pub fn containerd(root: &Path) {
    let faults = faults(root);
    assert_eq!(faults, Vec::<String>::new());
    negative(root);
}

/// What the root's containerd does not take from its configuration.
fn faults(root: &Path) -> Vec<String> {
    let said = dumped(root);
    let table: toml::Table = String::from_utf8(said.stdout).unwrap().parse().unwrap();
    let ours: toml::Table = fs::read_to_string(root.join(CONFIG))
        .unwrap()
        .parse()
        .unwrap();
    let messages = String::from_utf8(said.stderr).unwrap();
    let mut faults: Vec<String> = messages.lines().map(str::to_owned).collect();
    compare("", &ours.into(), Some(&table.into()), &mut faults);
    faults
}

fn compare(at: &str, ours: &toml::Value, theirs: Option<&toml::Value>, faults: &mut Vec<String>) {
    match (ours, theirs) {
        (toml::Value::Table(ours), Some(toml::Value::Table(theirs))) => {
            for (key, value) in ours {
                compare(&format!("{at}/{key}"), value, theirs.get(key), faults);
            }
        }
        (ours, Some(theirs)) if ours == theirs => {}
        (ours, theirs) => faults.push(format!("{at}: {ours} became {theirs:?}")),
    }
}

/// The same judge finds fault with a key that does not exist, and one in the wrong place.
fn negative(root: &Path) {
    let path = root.join(CONFIG);
    let good = fs::read_to_string(&path).unwrap();
    for wrong in [
        "\n[plugins.\"io.containerd.grpc.v1.cri\".nonsense]\nx = 1\n",
        "\n[plugins.\"io.containerd.internal.v1.opt\".y]\nx = 1\n",
    ] {
        fs::write(&path, format!("{good}{wrong}")).unwrap();
        assert_ne!(faults(root), Vec::<String>::new(), "{wrong}");
    }
    fs::write(&path, good).unwrap();
}

/// What decides whether pods run.
pub struct Settings {
    pub sandbox: String,
    pub systemd_cgroup: bool,
    pub bin_dir: String,
    pub conf_dir: String,
    pub registries: String,
}

/// Reads them where each version of the configuration has them.
pub fn settings(table: &toml::Table) -> Settings {
    let plugins = &table["plugins"];
    let text = |value: &toml::Value| value.as_str().unwrap().to_owned();
    assert_eq!(
        table["required_plugins"].as_array().unwrap(),
        &[toml::Value::from("io.containerd.grpc.v1.cri")]
    );
    assert!(table["disabled_plugins"].as_array().unwrap().is_empty());
    if table["version"].as_integer() == Some(2) {
        let cri = &plugins["io.containerd.grpc.v1.cri"];
        let runc = &cri["containerd"]["runtimes"]["runc"];
        return Settings {
            sandbox: text(&cri["sandbox_image"]),
            systemd_cgroup: runc["options"]["SystemdCgroup"].as_bool().unwrap(),
            bin_dir: text(&cri["cni"]["bin_dir"]),
            conf_dir: text(&cri["cni"]["conf_dir"]),
            registries: text(&cri["registry"]["config_path"]),
        };
    }
    let images = &plugins["io.containerd.cri.v1.images"];
    let runtime = &plugins["io.containerd.cri.v1.runtime"];
    let runc = &runtime["containerd"]["runtimes"]["runc"];
    let folders = runtime["cni"]["bin_dirs"].as_array().unwrap();
    assert_eq!(folders.len(), 1);
    Settings {
        sandbox: text(&images["pinned_images"]["sandbox"]),
        systemd_cgroup: runc["options"]["SystemdCgroup"].as_bool().unwrap(),
        bin_dir: text(&folders[0]),
        conf_dir: text(&runtime["cni"]["conf_dir"]),
        registries: text(&images["registry"]["config_path"]),
    }
}

/// The root's own systemd finds no fault in units, nor in what they need.
pub fn units(root: &Path, units: &[&str]) {
    assert_eq!(said_of(root, units), "");
    let bad = root.join("etc/systemd/system/bad.service");
    fs::write(&bad, "[Service]\nExecStart=/nowhere\nNonsense=1\n").unwrap();
    let said = said_of(root, &["bad.service"]);
    assert!(
        said.contains("Nonsense") && said.contains("/nowhere"),
        "{said}"
    );
    fs::remove_file(bad).unwrap();
}

fn said_of(root: &Path, units: &[&str]) -> String {
    let output = output(
        inside(root, "systemd-analyze")
            .args(["verify", "--man=no"])
            .args(units),
    );
    String::from_utf8(output.stderr).unwrap()
}

/// The folders that kubelet takes for granted come to be.
pub fn state(root: &Path) {
    let file = "nodelith-kubelet.conf";
    // The machine's own: it wants /proc, which the root does not have.
    run(Command::new("systemd-tmpfiles")
        .arg(format!("--root={}", root.display()))
        .args(["--create", file]));
    for (folder, mode) in [
        ("var/lib/kubelet", 0o750),
        ("var/lib/kubelet/volume-plugins", 0o755),
        ("etc/kubernetes/manifests", 0o700),
    ] {
        let found = fs::metadata(root.join(folder)).unwrap();
        assert_eq!(found.permissions().mode() & 0o7777, mode, "{folder}");
    }
}

/// Whether there is a program at a path, links followed as the node does.
pub fn is_program(root: &Path, path: &str) {
    run(inside(root, "test").args(["-x", path]));
}
