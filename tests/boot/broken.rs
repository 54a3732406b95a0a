//! Images broken on purpose, each in one way: the proof fails, and says why.

use std::fs;

use super::{boot, build_with, folder, profile, said};
use crate::common::{self, all, root};

/// A check, and words of what it says.
type Says = (&'static str, &'static str);

/// Quickstart with something over it boots, and these checks fail, saying so.
fn fails(name: &str, profile_text: &str, says: &[Says]) {
    let what = format!("booting an image that is broken on purpose: {name}");
    if !root(&what) || !all(&what) {
        return;
    }
    let folder = folder(&format!("broken-{name}"));
    let base = profile("quickstart");
    let text = format!(
        "name = \"broken\"\nextends = \"{}\"\n{profile_text}",
        base.display()
    );
    let profile = common::profile(&folder, &text);
    // The rules of `check` find some of it without a boot.
    let accepted = ["--accept-findings", "broken on purpose"];
    let image = build_with(&folder, &profile, &accepted);
    // Most of it is waiting for the machine; what is broken takes no longer than what is not.
    let (output, document) = boot(&folder, &image, &["--boots", "1", "--deadline", "400"]);
    let all = said(&output);
    assert_eq!(output.status.code(), Some(1), "{all}");
    let checks = document["images"][0]["checks"].as_array().unwrap();
    let find = |name: &str| {
        let check = checks.iter().find(|check| check["check"] == name);
        let check = check.unwrap_or_else(|| panic!("no `{name}`: {all}"));
        let message = check["message"].as_str().unwrap();
        (check["passed"] == true, message)
    };
    for (name, words) in says {
        let (passed, message) = find(name);
        assert!(!passed && message.contains(words), "{name}: {message}");
    }
    // Broken in one way is not broken in every way.
    for name in ["test ran", "mounts", "dpkg database", "shutdown"] {
        let (passed, message) = find(name);
        assert!(passed, "{name}: {message}");
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_sandbox_image_that_is_nowhere() {
    let profile = r#"
[pause]
image = "registry.example/wrong:1"
preload = false
"#;
    let missing = "`registry.example/wrong:1` is not in the node";
    let failed = "failed to get sandbox image ";
    let says = [("sandbox image", missing), ("pod, own network", failed)];
    fails("sandbox-image", profile, &says);
}

#[test]
fn no_runc() {
    let profile = r#"
[[files]]
path = "/usr/sbin/runc"
remove = true
"#;
    // As crictl's log has it, quotes in quotes.
    let missing = "executable file not found in $PATH";
    let says = [
        ("pod, own network", missing),
        ("pod, node's network", missing),
    ];
    fails("runc", profile, &says);
}

#[test]
fn no_cni_configuration() {
    let profile = r#"
[containerd.extra.plugins."io.containerd.grpc.v1.cri".cni]
conf_dir = "/etc/cni/elsewhere"
"#;
    let missing = "cni plugin not initialized";
    let says = [("crictl info", missing), ("pod, own network", missing)];
    fails("cni", profile, &says);
}

#[test]
fn a_unit_that_fails() {
    let profile = r#"
[[files]]
path = "/usr/lib/systemd/system/broken.service"
text = """
[Service]
Type=oneshot
ExecStart=/bin/false
[Install]
WantedBy=multi-user.target
"""
[units]
enable = ["broken.service"]
"#;
    let says = [("system state", "degraded; failed: broken.service")];
    fails("unit", profile, &says);
}

/// The build refuses to be told so; a unit changes the file when the node is up.
#[test]
fn no_cri() {
    let profile = r#"
[[files]]
path = "/usr/lib/systemd/system/containerd.service.d/90-broken.conf"
text = """
[Service]
ExecStartPre=/bin/sed -i 's/^required_plugins = .*/disabled_plugins = ["io.containerd.grpc.v1.cri"]/' /etc/containerd/config.toml
"""
"#;
    let missing = "unknown service runtime.v1.RuntimeService";
    let says = [("crictl info", missing), ("pod, own network", missing)];
    fails("cri", profile, &says);
}

/// A kernel module that is never loaded: pods with a network of their own need it, and
/// others do not.
#[test]
fn no_veth() {
    let profile = r#"
[[files]]
path = "/etc/modprobe.d/broken.conf"
text = "install veth /bin/false\n"
"#;
    fails("veth", profile, &[("pod, own network", "veth")]);
}
