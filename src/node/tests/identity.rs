//! What a node takes of its identity, for each age of systemd, and whether systemd's own
//! tools understand it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use insta::assert_snapshot;

use super::runtime::{CONTAINERD, text};
use super::skip::skip;
use super::{configured, shown};
use crate::node::Configuration;
use crate::tree::{Content, Node};

const SETUP: &str = "usr/lib/systemd/system/systemd-tmpfiles-setup.service";
const IMPORTS: &str = "[Service]\nImportCredential=tmpfiles.*\n";
const LOADS: &str = "[Service]\nLoadCredential=tmpfiles.extra\n";

fn identity(setup: &str, more: &[(&str, &str)]) -> Configuration {
    let mut root = vec![
        ("package:containerd", "2.2.2"),
        (SETUP, setup),
        ("etc/ssl/certs/ca-certificates.crt", "bundle\n"),
    ];
    root.extend(more);
    let rest = format!("[kubernetes]\nversion = \"1.34\"\n{CONTAINERD}");
    configured(&rest, &root).unwrap()
}

/// What of it is about identity.
fn about(mut made: Configuration) -> String {
    let words = ["identity", "tmpfiles-setup", "join", "hostname", "ssh-keys"];
    made.entries.retain(|path, _| {
        let path = path.to_string();
        words.iter().any(|word| path.contains(word))
    });
    shown(&made)
}

const JOINS: [(&str, &str); 3] = [
    ("usr/bin/kubeadm", ""),
    ("usr/bin/ssh-keygen", ""),
    ("usr/lib/systemd/system/ssh.service", ""),
];

#[test]
fn credentials_of_each_systemd() {
    assert_snapshot!("identity-254", about(identity(IMPORTS, &JOINS)));
    assert_snapshot!("identity-252", about(identity(LOADS, &JOINS)));
    // One that is too old, or is not there.
    assert_eq!(about(identity("[Service]\n", &[])), "");
    let made = configured("[kubernetes]\nversion = \"1.34\"\n", &[]).unwrap();
    assert_eq!(about(made), "");
    // One that the profile takes away joins nothing; one that it brings does.
    let kubeadm = |how: &str| {
        let file = format!("{CONTAINERD}\n[[files]]\npath = \"/usr/bin/kubeadm\"\n{how}\n");
        let rest = format!("[kubernetes]\nversion = \"1.34\"\n{file}");
        move |root: &[(&str, &str)]| {
            about(configured(&rest, root).unwrap()).contains("nodelith-join")
        }
    };
    let root = [("package:containerd", "2.2.2"), (SETUP, IMPORTS)];
    let with = [root[0], root[1], ("usr/bin/kubeadm", "")];
    assert!(!kubeadm("remove = true")(&with));
    assert!(kubeadm("text = \"x\"")(&root) && kubeadm("text = \"x\"")(&with));
    // A machine of bootc's keeps what was appended to its /etc.
    let made = identity(IMPORTS, &[("usr/lib/bootc/", "")]);
    let lines = text(&made, "usr/lib/tmpfiles.d/nodelith-identity.conf");
    assert!(!lines.contains("ca-certificates"), "{lines}");
}

/// Writes what is inline to a folder.
fn write(made: &Configuration, root: &Path) {
    for (path, entry) in &made.entries {
        let path = root.join(path.to_string());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        match &entry.node {
            Node::File {
                content: Content::Inline(bytes),
                ..
            } => std::fs::write(&path, bytes).unwrap(),
            Node::Symlink(target) => {
                std::os::unix::fs::symlink(target.to_string(), &path).unwrap();
            }
            _ => {}
        }
    }
}

/// The machine's own systemd-tmpfiles makes the files, at the first boot and at later
/// ones, and nothing of credentials that were not given.
#[test]
fn files_as_systemd_tmpfiles_makes_them() {
    let version = Command::new("systemd-tmpfiles").arg("--version").output();
    if version.is_err() || !rustix::process::geteuid().is_root() {
        skip("files of credentials (needs systemd-tmpfiles, and root)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (root, given) = (folder.path().join("root"), folder.path().join("given"));
    std::fs::create_dir_all(&given).unwrap();
    let boot = || {
        // /etc is the image's again, /etc/kubernetes and /var are kept.
        std::fs::create_dir_all(root.join("etc/ssl/certs")).unwrap();
        std::fs::write(root.join("etc/ssl/certs/ca-certificates.crt"), "bundle\n").unwrap();
        let _ = std::fs::remove_dir_all(root.join("etc/default"));
        write(&identity(LOADS, &[]), &root);
        let made = Command::new("systemd-tmpfiles")
            .env("CREDENTIALS_DIRECTORY", &given)
            .arg(format!("--root={}", root.display()))
            .args(["--create", "--boot", "nodelith-identity.conf"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&made.stderr).into_owned();
        assert!(made.status.success() && said.is_empty(), "{said}");
        // The links would be in the way of the next.
        let _ = std::fs::remove_dir_all(root.join("etc/systemd"));
    };
    let read = |path: &str| std::fs::read_to_string(root.join(path)).ok();
    let mode = |path: &str| root.join(path).metadata().unwrap().permissions().mode() & 0o777;
    let config = "a: \"%h \\n\"\nb: ä\n";
    for (name, value) in [
        ("nodelith.bootstrap-kubeconfig", config),
        ("nodelith.cluster-ca", "ca\n"),
        ("nodelith.ca-certificates", "more\n"),
        ("nodelith.registry-auth", "{}"),
    ] {
        std::fs::write(given.join(name), value).unwrap();
    }
    boot();
    let bootstrap = "etc/kubernetes/bootstrap-kubelet.conf";
    assert_eq!(read(bootstrap).as_deref(), Some(config));
    assert_eq!(
        (mode(bootstrap), mode("etc/kubernetes/pki/ca.crt")),
        (0o600, 0o644)
    );
    assert_eq!(mode("var/lib/kubelet/config.json"), 0o600);
    let bundle = "etc/ssl/certs/ca-certificates.crt";
    assert_eq!(read(bundle).as_deref(), Some("bundle\nmore\n"));
    assert_eq!(read("var/lib/kubelet/config.yaml"), None);
    assert_eq!(read("etc/default/kubelet"), None);
    // A later boot with another one, and without the rest.
    for name in ["nodelith.cluster-ca", "nodelith.ca-certificates"] {
        std::fs::remove_file(given.join(name)).unwrap();
    }
    std::fs::write(given.join("nodelith.bootstrap-kubeconfig"), "new").unwrap();
    boot();
    assert_eq!(read(bootstrap).as_deref(), Some("new"));
    assert_eq!(mode(bootstrap), 0o600);
    assert_eq!(read("etc/kubernetes/pki/ca.crt").as_deref(), Some("ca\n"));
    assert_eq!(read(bundle).as_deref(), Some("bundle\n"));
}

/// The units are what the machine's own systemd takes for sound.
#[test]
fn units_as_systemd_reads_them() {
    let version = Command::new("systemd-analyze").arg("--version").output();
    if version.is_err() {
        skip("units of identity (needs systemd-analyze)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let units = folder.path().join("usr/lib/systemd/system");
    write(&identity(LOADS, &JOINS), folder.path());
    let verify = |unit: &Path| {
        let said = Command::new("systemd-analyze")
            .args(["verify", "--man=no", "--recursive-errors=no"])
            .arg(unit)
            .output()
            .unwrap();
        String::from_utf8_lossy(&said.stderr).into_owned()
    };
    for name in ["join", "hostname", "ssh-keys"] {
        // Where the programs are not, another stands for them.
        let unit = units.join(format!("nodelith-{name}.service"));
        let text = std::fs::read_to_string(&unit).unwrap();
        let text = text.replace("/usr/bin/kubeadm", "/bin/true");
        std::fs::write(&unit, text.replace("/usr/bin/ssh-keygen", "/bin/true")).unwrap();
        assert_eq!(verify(&unit), "", "{name}");
        let unknown = text.replace("RemainAfterExit", "RemainsAfterExit");
        std::fs::write(&unit, unknown).unwrap();
        assert!(verify(&unit).contains("RemainsAfterExit"), "{name}");
    }
}
