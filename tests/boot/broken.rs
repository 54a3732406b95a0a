//! Images broken on purpose, each in one way: the proof fails, and says why.

use std::fs;

use serde_json::Value;

use super::{boot, build_with, folder, profile, said};
use crate::common::{self, all, nodelith, root, run};

/// A way in which an image is broken.
struct Broken {
    name: &'static str,
    /// What comes over quickstart; `{kernel}` is the kernel's release.
    profile: &'static str,
    /// Checks that fail, and words of what they say.
    says: &'static [(&'static str, &'static str)],
}

const WAYS: &[Broken] = &[
    Broken {
        name: "cri-disabled",
        profile: r#"
[[files]]
path = "/usr/lib/systemd/system/containerd.service.d/90-broken.conf"
text = """
[Service]
ExecStart=
ExecStart=/usr/bin/containerd --config /usr/lib/broken.toml
"""
[[files]]
path = "/usr/lib/broken.toml"
text = """
version = 2
disabled_plugins = ["io.containerd.grpc.v1.cri"]
"""
"#,
        says: &[],
    },
    Broken {
        name: "sandbox-image",
        profile: r#"
[pause]
image = "registry.example/wrong:1"
preload = false
"#,
        says: &[
            (
                "sandbox image",
                "`registry.example/wrong:1` is not in the node",
            ),
            (
                "pod, own network",
                "failed to get sandbox image \"registry.example/wrong:1\"",
            ),
        ],
    },
    Broken {
        name: "no-runc",
        profile: r#"
[[files]]
path = "/usr/sbin/runc"
remove = true
"#,
        says: &[],
    },
    Broken {
        name: "cni-config",
        profile: r#"
[containerd.extra.plugins."io.containerd.grpc.v1.cri".cni]
conf_dir = "/etc/cni/elsewhere"
"#,
        says: &[],
    },
    Broken {
        name: "cgroup-driver",
        profile: r#"
[containerd]
systemd-cgroup = false
"#,
        says: &[],
    },
    Broken {
        name: "module-of-pods",
        profile: r#"
[[files]]
path = "/usr/lib/modules/{kernel}/kernel/drivers/net/veth.ko.xz"
remove = true
"#,
        says: &[],
    },
    Broken {
        name: "module-of-the-node",
        profile: r#"
[[files]]
path = "/usr/lib/modules/{kernel}/kernel/net/bridge/br_netfilter.ko.xz"
remove = true
"#,
        says: &[],
    },
    Broken {
        name: "unit",
        profile: r#"
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
"#,
        says: &[("system state", "degraded; failed: broken.service")],
    },
];

#[test]
fn each_fails_and_says_why() {
    if !root("booting broken images") || !all("booting broken images") {
        return;
    }
    let kernel = kernel();
    for way in WAYS {
        let folder = folder(&format!("broken-{}", way.name));
        let base = profile("quickstart");
        let more = way.profile.replace("{kernel}", &kernel);
        let text = format!(
            "name = \"broken\"\nextends = \"{}\"\n{more}",
            base.display()
        );
        let profile = common::profile(&folder, &text);
        // Checks of the image find most of it without a boot.
        let image = build_with(&folder, &profile, &["--accept-findings", "broken on purpose"]);
        // What is broken must not take longer than what is not.
        let (output, document) = boot(&folder, &image, &["--boots", "1", "--deadline", "300"]);
        let all = said(&output);
        assert_eq!(output.status.code(), Some(1), "{}: {all}", way.name);
        let checks = document["images"][0]["checks"].as_array().unwrap();
        for (name, words) in way.says {
            let check = checks.iter().find(|check| check["check"] == *name);
            let check = check.unwrap_or_else(|| panic!("{}: {all}", way.name));
            assert_eq!(check["passed"], false, "{}: {all}", way.name);
            let message = check["message"].as_str().unwrap();
            assert!(message.contains(words), "{}: {message}", way.name);
        }
        // One that is broken in one way is not broken in every way.
        let ran: &Value = checks
            .iter()
            .map(|check| &check["passed"])
            .next()
            .unwrap();
        assert_eq!(*ran, true, "{}: {all}", way.name);
        fs::remove_dir_all(folder).unwrap();
    }
}

/// The release of quickstart's kernel.
fn kernel() -> String {
    let lock = folder("broken-lock").join("lock.toml");
    let mut command = nodelith();
    command.args(["lock", "--ignore-valid-until", "--lock"]);
    run(command.arg(&lock).arg(profile("quickstart")));
    let text = fs::read_to_string(lock).unwrap();
    let package = text
        .lines()
        .find_map(|line| line.strip_prefix("name = \"linux-image-6"));
    format!("6{}", package.unwrap().trim_end_matches('"'))
}
