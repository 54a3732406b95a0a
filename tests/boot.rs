//! The shipped profiles boot and run pods, and `ci/boot` says what is wrong with an
//! image that does not. Slow: each boot takes one to two minutes under emulation.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "boot/broken.rs"]
mod broken;
mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

use common::{all, nodelith, root, run, scratch};
use serde_json::Value;

/// One machine at a time: two would share the processors, and miss the deadline.
static MACHINE: Mutex<()> = Mutex::new(());

/// A folder of this test's own.
fn folder(name: &str) -> PathBuf {
    let folder = scratch().join("boot").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Builds the profile in the folder.
fn build(folder: &Path, profile: &Path) -> PathBuf {
    build_with(folder, profile, &[])
}

/// The same, with more arguments.
fn build_with(folder: &Path, profile: &Path, arguments: &[&str]) -> PathBuf {
    let image = folder.join("image");
    let mut command = nodelith();
    command
        .arg("build")
        .args(arguments)
        .args(["--ignore-valid-until", "--output"])
        .arg(&image)
        .arg("--lock")
        .arg(folder.join("lock.toml"))
        .arg(profile);
    run(&mut command);
    image
}

/// A shipped profile.
fn profile(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("profiles/{name}.toml"))
}

/// Boots an image; the second value is what it wrote as JSON.
fn boot(folder: &Path, image: &Path, arguments: &[&str]) -> (Output, Value) {
    let _machine = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
    let json = folder.join("boot.json");
    let output = Command::new("ci/boot")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(arguments)
        .arg("--output")
        .arg(&json)
        .arg(image)
        .output()
        .unwrap();
    let document = fs::read(&json).unwrap_or_else(|_| panic!("{}", said(&output)));
    (output, common::document(&document))
}

fn said(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// A shipped profile boots, boots again, and each time all is well.
fn boots(name: &str) {
    let folder = folder(name);
    let image = build(&folder, &profile(name));
    let (output, document) = boot(&folder, &image, &["--deadline", "600"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(document["passed"], true);
    let checks = document["images"][0]["checks"].as_array().unwrap();
    for boot in ["first", "second", "both"] {
        assert!(checks.iter().any(|check| check["boot"] == boot));
    }
}

#[test]
fn quickstart() {
    if root("booting quickstart") {
        boots("quickstart");
    }
}

/// The exported disk by UEFI firmware: systemd-boot, the unified kernel image, the root
/// by dm-verity, and `/var` made at the first boot.
#[test]
fn quickstart_from_a_disk() {
    if !root("booting a disk") {
        return;
    }
    let folder = folder("disk");
    let image = build(&folder, &profile("quickstart"));
    let boots = if all("booting a disk twice") {
        "2"
    } else {
        "1"
    };
    let arguments = ["--way", "disk", "--deadline", "600", "--boots", boots];
    let (output, document) = boot(&folder, &image, &arguments);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(document["passed"], true);
}

/// What `export` made is booted as it is, and stays so.
#[test]
fn an_exported_disk() {
    if !root("booting an exported disk") || !all("booting an exported disk") {
        return;
    }
    let folder = folder("exported");
    let image = build(&folder, &profile("quickstart"));
    let bundle = folder.join("bundle");
    let mut export = nodelith();
    export.args(["export", "--to", "qcow2", "--output"]);
    run(export.arg(&bundle).arg(&image));
    let before = fs::read(bundle.join("disk.qcow2")).unwrap();
    let of = image.display().to_string();
    let arguments = ["--image", &of, "--boots", "1", "--deadline", "600"];
    let (output, document) = boot(&folder, &bundle, &arguments);
    assert!(output.status.success(), "{}", said(&output));
    let proof = &document["images"][0];
    assert_eq!(proof["way"], "disk");
    assert_eq!(proof["digest"], *common::manifest_digest(&image));
    assert!(fs::read(bundle.join("disk.qcow2")).unwrap() == before);
}

/// The network card's own iPXE from a server of ours; the root by HTTP, or as an initrd.
fn boots_over_a_network(way: &str, boots: &str) {
    let folder = folder(way);
    let image = build(&folder, &profile("quickstart"));
    let arguments = ["--way", way, "--deadline", "900", "--boots", boots];
    let (output, document) = boot(&folder, &image, &arguments);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(document["passed"], true);
}

#[test]
fn quickstart_over_a_network() {
    if root("booting over a network") {
        boots_over_a_network("ipxe", "1");
    }
}

#[test]
fn quickstart_over_a_network_with_the_root_as_an_initrd() {
    if root("the root as an initrd") && all("the root as an initrd") {
        boots_over_a_network("ipxe-initrd", "2");
    }
}

#[test]
fn a_root_with_another_digest_stops_the_boot() {
    if !root("booting a damaged root") || !all("booting a damaged root") {
        return;
    }
    for way in ["ipxe", "ipxe-initrd"] {
        let folder = folder(&format!("{way}-damaged"));
        let image = build(&folder, &profile("quickstart"));
        let arguments = [
            "--way",
            way,
            "--damage",
            "--boots",
            "1",
            "--deadline",
            "900",
        ];
        let (output, document) = boot(&folder, &image, &arguments);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        let console = document["images"][0]["console"].as_str().unwrap();
        let said = "is not the root that was asked for: its SHA-256 is ";
        assert!(console.contains(said), "{console}");
    }
}

#[test]
fn a_byte_of_the_root_that_was_changed_stops_the_boot() {
    if !root("booting a damaged disk") || !all("booting a damaged disk") {
        return;
    }
    let folder = folder("damaged");
    let image = build(&folder, &profile("quickstart"));
    let arguments = ["--way", "disk", "--damage", "--boots", "1"];
    let (output, document) = boot(&folder, &image, &arguments);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let console = document["images"][0]["console"].as_str().unwrap();
    assert!(console.contains("verity"), "{console}");
    assert!(console.contains("is corrupted"), "{console}");
    assert!(console.contains("Kernel panic"), "{console}");
}

#[test]
fn testing() {
    if root("booting testing") && all("booting testing") {
        boots("testing");
    }
}

#[test]
fn testing_from_a_disk() {
    if !root("booting testing from a disk") || !all("booting testing from a disk") {
        return;
    }
    let folder = folder("testing-disk");
    let image = build(&folder, &profile("testing"));
    let arguments = ["--way", "disk", "--deadline", "600"];
    let (output, document) = boot(&folder, &image, &arguments);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(document["passed"], true);
}

#[test]
fn kubernetes_of_2020() {
    if root("booting kubernetes-1.20") && all("booting kubernetes-1.20") {
        boots("kubernetes-1.20");
    }
}

/// Wrong in several ways at once: a unit that fails, a sandbox image that is not in
/// the node, and containers outside of their pods' slices.
const BROKEN: &str = r#"
[pause]
preload = false
[containerd]
systemd-cgroup = false
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

#[test]
fn what_is_wrong_is_said() {
    if !root("booting a broken image") || !all("booting a broken image") {
        return;
    }
    let folder = folder("broken");
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles/quickstart.toml");
    let text = format!(
        "name = \"broken\"\nextends = \"{}\"\n{BROKEN}",
        base.display()
    );
    let image = build(&folder, &common::profile(&folder, &text));
    let (output, document) = boot(&folder, &image, &["--boots", "1", "--deadline", "600"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let checks = document["images"][0]["checks"].as_array().unwrap();
    let found = |name: &str| {
        let check = checks.iter().find(|check| check["check"] == name).unwrap();
        let message = check["message"].as_str().unwrap().to_owned();
        (check["passed"].as_bool().unwrap(), message)
    };
    assert_eq!(
        found("system state"),
        (false, "degraded; failed: broken.service".to_owned())
    );
    assert_eq!(
        found("sandbox image"),
        (
            false,
            "`registry.k8s.io/pause:3.10` is not in the node".to_owned()
        )
    );
    let (passed, why) = found("containerd");
    assert!(!passed && why.contains("SystemdCgroup"), "{why}");
    let (passed, why) = found("pod, own network");
    assert!(
        !passed && why.contains("registry.k8s.io/pause:3.10"),
        "{why}"
    );
    assert!(found("shutdown").0, "{}", said(&output));
}

/// A node takes what it is given by its firmware, at the first boot and the second; and what
/// it joins by is not on its disk.
#[test]
fn a_node_is_who_it_is_told_to_be() {
    if !root("booting with credentials") || !all("booting with credentials") {
        return;
    }
    let folder = folder("identity");
    let kubeconfig = "clusters: []\nusers: []\n# 6d4b8e07\n";
    fs::write(folder.join("bootstrap.conf"), kubeconfig).unwrap();
    let profile = folder.join("node.toml");
    fs::write(&profile, identity_profile()).unwrap();
    let image = build(&folder, &profile);
    let kept = folder.join("kept");
    let bootstrap = format!(
        "nodelith.bootstrap-kubeconfig=@{}",
        folder.join("bootstrap.conf").display()
    );
    let given = [
        "system.hostname=node-1",
        &bootstrap,
        "nodelith.kubeadm-join=kind: JoinConfiguration # 83c1f5aa",
        "nodelith.registry-auth={}",
        "nodelith.ca-certificates=# none\n",
        "ssh.authorized_keys.root=ssh-ed25519 AAAA root",
    ];
    let mut arguments = vec!["--deadline", "600", "--keep", kept.to_str().unwrap()];
    for one in given {
        arguments.extend(["--credential", one]);
    }
    let (output, document) = boot(&folder, &image, &arguments);
    assert!(output.status.success(), "{}", said(&output));
    let checks = document["images"][0]["checks"].as_array().unwrap();
    let identity = checks.iter().filter(|check| check["check"] == "identity");
    for check in identity.clone() {
        let said = check.to_string();
        for taken in [
            "host name",
            "joined",
            "bootstrap-kubelet.conf",
            "authorized_keys",
        ] {
            assert!(said.contains(taken), "{said}");
        }
    }
    assert_eq!(identity.count(), 2);
    // Of what is kept in /var it is seen that it would be seen.
    let var = fs::read(kept.join("0-kernel/first.nodelith-var.qcow2")).unwrap();
    let has = |words: &str| memchr::memmem::find(&var, words.as_bytes()).is_some();
    assert!(has("6d4b8e07") && !has("83c1f5aa"));
}

/// The quickstart with something that stands for kubeadm.
fn identity_profile() -> String {
    let quickstart = profile("quickstart");
    let script = r#"
#!/bin/sh
set -eu
config=${2#--config=}
grep -q 'kind: JoinConfiguration' "$config"
[ ! -e /etc/kubernetes/kubelet.conf ]
(umask 077; echo joined >/etc/kubernetes/kubelet.conf)
"#;
    format!(
        "name = \"identity\"\nversion = \"1\"\narchitecture = \"amd64\"\nextends = \"{}\"\n\
         [[files]]\npath = \"/usr/bin/kubeadm\"\nmode = \"0755\"\ntext = '''{script}'''\n",
        quickstart.display()
    )
}
