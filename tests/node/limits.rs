//! Limits of containers: the base specification is what the root's containerd itself
//! begins with but for the limits, containerd takes it, and runc sets the limits.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::common::run;
use super::daemon::Daemon;

const CONFIG: &str = "etc/containerd/config.toml";
const SPEC: &str = "etc/containerd/base-spec.json";

/// What the profile of the test says of limits; no higher than this machine allows.
pub const LIMITS: &str = "rlimits = { nofile = \"256:512\", core = 0 }\n";

pub fn hold(root: &Path) {
    let spec: Value = serde_json::from_slice(&fs::read(root.join(SPEC)).unwrap()).unwrap();
    assert_eq!(
        spec["process"]["rlimits"],
        json!([
            {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
            {"type": "RLIMIT_NOFILE", "soft": 256, "hard": 512},
        ])
    );
    begins_alike(root, &spec);
    are_set(root, &spec);
    containerd_takes_them(root);
}

/// As `ctr oci spec`, which is what CRI begins with where it is given nothing.
fn begins_alike(root: &Path, spec: &Value) {
    let output = run(Command::new("chroot")
        .arg(root)
        .args(["ctr", "oci", "spec"]));
    let mut theirs: Value = serde_json::from_slice(&output).unwrap();
    let mut ours = spec.clone();
    // What is hidden only grows from line to line.
    let hidden = |spec: &mut Value| -> Vec<Value> {
        serde_json::from_value(spec["linux"]["maskedPaths"].take()).unwrap()
    };
    let (hidden, before) = (hidden(&mut ours), hidden(&mut theirs));
    assert!(before.iter().all(|path| hidden.contains(path)));
    for spec in [&mut ours, &mut theirs] {
        spec["ociVersion"].take();
        spec["process"]["rlimits"].take();
    }
    assert_eq!(ours, theirs);
}

/// In a mount namespace of its own: the node as a container's root.
const RUN: &str = "\
mount --bind \"$1\" \"$1\"
mount -t proc proc \"$1/proc\"
mount --rbind /sys \"$1/sys\"
mount --rbind /dev \"$1/dev\"
mount -t tmpfs tmpfs \"$1/run\"
mount --bind \"$1\" \"$1/var/tmp/limits/rootfs\"
exec chroot \"$1\" sh -c 'cd /var/tmp/limits && exec runc run limits'
";

fn are_set(root: &Path, spec: &Value) {
    let folder = root.join("var/tmp/limits");
    fs::create_dir_all(folder.join("rootfs")).unwrap();
    let mut spec = spec.clone();
    // What CRI adds.
    spec["process"]["args"] = json!(["/bin/cat", "/proc/self/limits"]);
    spec["root"]["readonly"] = json!(true);
    spec["linux"]["cgroupsPath"] = json!("/nodelith-limits");
    fs::write(folder.join("config.json"), spec.to_string()).unwrap();
    let output = run(Command::new("unshare")
        .args(["--mount", "sh", "-euc", RUN, "run"])
        .arg(root)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"));
    let output = String::from_utf8(output).unwrap();
    let of = |name: &str| {
        let mut lines = output.lines();
        let line = lines.find_map(|line| line.strip_prefix(name)).unwrap();
        let words: Vec<_> = line.split_whitespace().take(2).collect();
        words.join(" ")
    };
    assert_eq!(of("Max open files"), "256 512");
    assert_eq!(of("Max core file size"), "0 0");
    fs::remove_dir_all(folder).unwrap();
}

/// CRI loads with it, and containerd exits where it cannot be read.
fn containerd_takes_them(root: &Path) {
    let good = fs::read_to_string(root.join(CONFIG)).unwrap();
    assert!(good.contains("base_runtime_spec = \"/etc/containerd/base-spec.json\""));
    // There are no such certificates, and others on this machine may have the port.
    let mut lines: Vec<_> = good.lines().collect();
    lines.retain(|line| !line.contains("tls") && !line.contains("stream_server"));
    fs::write(root.join(CONFIG), lines.join("\n")).unwrap();
    let daemon = Daemon::start(root);
    let plugins = daemon.output(&["ctr", "plugins", "list"]);
    let plugins = String::from_utf8(plugins.stdout).unwrap();
    let cri = plugins.lines().filter(|line| line.contains("cri"));
    let cri: Vec<_> = cri.collect();
    assert!(
        !cri.is_empty() && cri.iter().all(|line| line.trim_end().ends_with("ok")),
        "{cri:?}"
    );
    drop(daemon);

    let spec = fs::read(root.join(SPEC)).unwrap();
    fs::write(root.join(SPEC), "{").unwrap();
    let log = Daemon::exits(root);
    assert!(log.contains("OCI spec"), "{log}");
    fs::write(root.join(SPEC), spec).unwrap();
    fs::write(root.join(CONFIG), good).unwrap();
}
