//! What mmdebstrap makes, and of which packages.

use std::path::{Path, PathBuf};
use std::process::Command;

const NODE: &str = "systemd,systemd-sysv,udev,dbus,kmod,iproute2,iptables,containerd,runc,\
                    containernetworking-plugins,ca-certificates,linux-image-cloud-amd64";

/// A folder with `root` and `debs`.
pub fn make(name: &str, suite: &str, set: &str) -> PathBuf {
    let cache = std::env::var_os("NODELITH_JUDGE_CACHE").map_or_else(
        || std::env::temp_dir().join("unpack-judge-cache"),
        PathBuf::from,
    );
    let folder = cache.join(name);
    let root = folder.join("root");
    if root.join("var/lib/dpkg/status").exists() {
        return folder;
    }
    std::fs::create_dir_all(folder.join("debs")).unwrap();
    let mut command = Command::new("mmdebstrap");
    command
        .env("SOURCE_DATE_EPOCH", nodelith::tree::FIXED_TIME.to_string())
        .args(["--mode=root", "--format=directory", "--variant=minbase"])
        // Testing's release file may be past its date on a machine whose clock is ahead.
        .arg("--aptopt=Acquire::Check-Valid-Until false")
        .arg("--skip=essential/unlink")
        .arg(format!(
            "--customize-hook=cp \"$1\"/var/cache/apt/archives/*.deb '{}'",
            folder.join("debs").display()
        ));
    if set == "node" {
        command.arg(format!("--include={NODE}"));
    }
    if suite == "bookworm" {
        command.arg("--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr");
    }
    command.arg(suite).arg(&root).arg(mirror());
    let status = command.status().expect("mmdebstrap is there");
    assert!(status.success(), "mmdebstrap failed");
    folder
}

pub fn architecture() -> String {
    let output = Command::new("dpkg")
        .arg("--print-architecture")
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The mirror that this machine's apt uses for Debian.
fn mirror() -> String {
    let folder = Path::new("/etc/apt/sources.list.d");
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let texts = files.filter_map(|file| std::fs::read_to_string(file.path()).ok());
    let text: String = texts
        .chain(std::fs::read_to_string("/etc/apt/sources.list"))
        .collect::<Vec<_>>()
        .join("\n");
    let words = text.split_whitespace();
    words
        .filter(|word| word.contains("://"))
        .find(|word| word.trim_end_matches('/').ends_with("/debian"))
        .expect("apt's sources name a Debian mirror")
        .to_owned()
}
