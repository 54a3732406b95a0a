//! Targets that were made to do harm: one error or some findings, never a panic,
//! and nothing outside of the target is touched.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::process::{Command, Output};

use super::common::{nodelith, output};

fn check(target: &std::path::Path) -> Output {
    output(nodelith().arg("check").arg(target))
}

/// One error and no panic.
fn refused(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(matches!(output.status.code(), Some(2..=7)), "{output:?}");
    assert_eq!(said.matches("error: ").count(), 1, "{said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

fn survived(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 1)), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn archives_that_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.tar");
    for bytes in [
        b"not an archive at all, but longer than nothing".repeat(40),
        b"\x28\xb5\x2f\xfd garbage".to_vec(),
        b"\x1f\x8b garbage".to_vec(),
        b"\xfd7zXZ\0garbage".to_vec(),
    ] {
        fs::write(&path, bytes).unwrap();
        refused(&check(&path));
    }
    // Nothing at all is a root with nothing in it.
    fs::write(&path, b"").unwrap();
    survived(&check(&path));
}

#[test]
fn names_that_lead_out_of_the_root() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.tar");
    fs::write(folder.path().join("f"), "x").unwrap();
    Command::new("tar")
        .args(["--transform", "s,^,../../,", "-P", "-cf"])
        .arg(&path)
        .arg("-C")
        .arg(folder.path())
        .arg("f")
        .output()
        .unwrap();
    assert!(refused(&check(&path)).contains("leads out of the root"));
}

/// Links in a root lead nowhere outside of it, and in circles nowhere at all.
#[test]
fn links_stay_in_the_root() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    let etc = root.join("etc");
    fs::create_dir_all(etc.join("containerd")).unwrap();
    fs::create_dir_all(root.join("usr/lib")).unwrap();
    let secret = folder.path().join("secret.toml");
    fs::write(&secret, "disabled_plugins = [\"cri\"]\n").unwrap();
    symlink(&secret, etc.join("containerd/config.toml")).unwrap();
    symlink("../../secret.toml", etc.join("crictl.yaml")).unwrap();
    symlink("machine-id", etc.join("machine-id")).unwrap();
    symlink("/dev/zero", etc.join("fstab")).unwrap();
    let text = survived(&check(&root));
    assert!(!text.contains("ND-CRI-001"), "{text}");
}

#[test]
fn texts_of_all_sorts() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let write = |path: &str, bytes: &[u8]| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    let unit = "usr/lib/systemd/system/kubelet.service";
    for bytes in [
        b"\xff\xfe\x00\x01".to_vec(),
        b"[[[[[[[[[[[[[[[[".repeat(10_000),
        b"x = 1\n".repeat(30_000),
        b"a: &a [*a, *a]\n".to_vec(),
        "ő\u{1b}[31m".repeat(1000).into_bytes(),
        b"[Service]\nExecStart=$X\nEnvironment=X=$X\n".to_vec(),
        b"[plugins]\ncri = 3\nversion = \"2\"\nimports = [1, {}]\n".to_vec(),
        b"version = 99999999999999999999\n".to_vec(),
        b"imports = [\"*\", \"/etc/containerd/*\", \"[\", \"/**/{a,b}*\"]\n".to_vec(),
        b"Package\nStatus: install ok installed\nVersion\n\n\n\n: : :\n".to_vec(),
        b"/ / / swap\n-----BEGIN PRIVATE KEY-----\n".to_vec(),
    ] {
        for path in [
            "etc/containerd/config.toml",
            "etc/containerd/certs.d/docker.io/hosts.toml",
            "etc/crictl.yaml",
            "etc/cni/net.d/10.conflist",
            "etc/docker/daemon.json",
            "etc/fstab",
            "etc/kubernetes/kubeadm.yaml",
            "etc/machine-id",
            "etc/passwd",
            "usr/lib/kernel/cmdline",
            "usr/lib/modules/6.1/modules.builtin",
            "usr/lib/modules-load.d/x.conf",
            "usr/lib/sysctl.d/x.conf",
            "usr/lib/systemd/system/containerd.service",
            unit,
            "usr/share/images/x.tar",
            "var/lib/dpkg/status",
            "var/lib/kubelet/config.yaml",
            "var/lib/kubelet/kubeadm-flags.env",
            "var/lib/rpm/rpmdb.sqlite",
        ] {
            write(path, &bytes);
        }
        let said = survived(&check(root));
        assert!(
            !said.contains('\u{1b}'),
            "escape codes reach the terminal: {said}"
        );
    }
}

/// An archive of a tiny file that unpacks to a great text, and many of them.
#[test]
fn great_texts_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.tar.zst");
    let mut zstd = Command::new("zstd")
        .args(["-q", "-o"])
        .arg(&path)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut tar = tar::Builder::new(zstd.stdin.take().unwrap());
    let mut header = tar::Header::new_ustar();
    header.set_size(64 << 20);
    header.set_mode(0o644);
    let zeros = std::io::Read::take(std::io::repeat(b'x'), 64 << 20);
    tar.append_data(&mut header, "etc/containerd/config.toml", zeros)
        .unwrap();
    tar.into_inner().unwrap().flush().unwrap();
    zstd.wait().unwrap();
    survived(&check(&path));
}
