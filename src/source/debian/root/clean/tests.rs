use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

/// Each row's example: a path that it must take or change, with its content.
const DIRTY: &[(&str, &str)] = &[
    ("boot/initrd.img-6.12", "initrd"),
    ("core.123", "core"),
    ("dev/kmsg", "x"),
    ("etc/group-", "x"),
    ("etc/hostname", "builder\n"),
    ("etc/iscsi/initiatorname.iscsi", "InitiatorName=iqn:abc\n"),
    ("etc/machine-id", "8f7c2f0d3a7e4c0a9d6b1e5f4a3b2c1d\n"),
    ("etc/nvme/hostnqn", "nqn\n"),
    ("etc/pam.d/common.dpkg-new", "x"),
    ("etc/resolv.conf", "nameserver 192.0.2.1\n"),
    ("etc/shadow", "root:*:20780:0:99999:7:::\n"),
    ("etc/ssh/ssh_host_ed25519_key", "key"),
    ("etc/ssl/certs/ssl-cert-snakeoil.pem", "cert"),
    ("home/user/.bash_history", "ls\n"),
    ("opt/tool/__pycache__/a.pyc", "rubbish"),
    ("root/.bash_history", "ls\n"),
    ("run/daemon.pid", "1"),
    ("tmp/x/y", "x"),
    (
        "usr/lib/python3/__pycache__/clock.cpython-313.pyc",
        "rubbish",
    ),
    ("var/cache/apt/pkgcache.bin", "x"),
    ("var/cache/debconf/config.dat-old", "x"),
    ("var/cache/ldconfig/aux-cache", "x"),
    ("var/cache/man/de/index.db", "x"),
    ("var/lib/apt/lists/mirror_InRelease", "x"),
    ("var/lib/dbus/machine-id", "8f7c\n"),
    ("var/lib/dpkg/status-old", "x"),
    ("var/lib/systemd/credential.secret", "x"),
    ("var/lib/systemd/random-seed", "x"),
    ("var/lib/systemd/timers/stamp-apt", ""),
    ("var/log/apt/history.log", "x"),
    ("var/log/dpkg.log", "x"),
    ("var/log/journal/8f7c/system.journal", "x"),
    ("var/log/wtmp", "x"),
    ("var/tmp/x", "x"),
];

/// What must stay as it is.
const CLEAN: &[(&str, &str)] = &[
    ("etc/passwd", "root:x:0:0:root:/root:/bin/bash\n"),
    (
        "etc/ssl/certs/ca-certificates.crt",
        "-----BEGIN CERTIFICATE-----\n",
    ),
    ("etc/ssh/sshd_config", "x"),
    ("etc/ld.so.cache", "x"),
    ("usr/lib/systemd/systemd", "x"),
    ("usr/share/perl/test.key", "-----BEGIN PRIVATE KEY-----\n"),
    ("var/cache/debconf/config.dat", "x"),
    ("var/lib/dpkg/lock", ""),
    ("var/lib/dpkg/status", "x"),
    ("var/lib/systemd/catalog/database", "x"),
    ("var/lib/systemd/deb-systemd-helper-enabled/x.dsh-also", "x"),
];

fn write(root: &Path, path: &str, content: impl AsRef<[u8]>) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn dirty_root() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, content) in DIRTY.iter().chain(CLEAN) {
        write(folder.path(), path, content);
    }
    folder
}

#[test]
fn every_dirty_path_is_found_then_cleaned_and_the_rest_stays() {
    let folder = dirty_root();
    let root = folder.path();
    let found = leaks(root).unwrap();
    for (path, _) in DIRTY {
        let is_found = |finding: &Finding| Path::new(path).starts_with(&finding.path);
        assert!(found.iter().any(is_found), "`{path}` is not found");
    }
    assert!(found.is_sorted());
    assert!(found.iter().all(|finding| !finding.reason.is_empty()));

    clean(root).unwrap();
    assert_eq!(leaks(root).unwrap(), []);
    for (path, content) in CLEAN {
        assert_eq!(
            &fs::read_to_string(root.join(path)).unwrap(),
            content,
            "{path}"
        );
    }
    for (path, content) in DIRTY {
        let kept = fs::read_to_string(root.join(path)).ok();
        assert_ne!(kept.as_deref(), Some(*content), "{path}");
    }
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    assert_eq!(read("etc/machine-id"), "uninitialized\n");
    assert_eq!(read("etc/shadow"), "root:*::0:99999:7:::\n");
    assert_eq!(read("etc/iscsi/initiatorname.iscsi"), "GenerateName=yes\n");
    assert_eq!(read("var/log/wtmp"), "");
    for folder in [
        "var/log/apt",
        "var/lib/apt/lists",
        "run",
        "tmp",
        "var/cache/man",
    ] {
        assert!(root.join(folder).is_dir(), "{folder}");
    }
    clean(root).unwrap();
    assert_eq!(leaks(root).unwrap(), []);
}

#[test]
fn owners_and_modes_of_what_is_rewritten_stay() {
    let folder = dirty_root();
    let shadow = folder.path().join("etc/shadow");
    fs::set_permissions(&shadow, fs::Permissions::from_mode(0o640)).unwrap();
    let before = shadow.metadata().unwrap();
    clean(folder.path()).unwrap();
    let after = shadow.metadata().unwrap();
    assert_eq!((before.mode(), before.ino()), (after.mode(), after.ino()));
}

#[test]
fn nothing_outside_of_the_root_is_touched() {
    let outside = tempfile::tempdir().unwrap();
    for name in ["log", "file", "shadow", "apt/lists/x", "known"] {
        write(outside.path(), name, "precious");
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for path in ["etc", "var/lib", "tmp", "root", "var/cache"] {
        fs::create_dir_all(root.join(path)).unwrap();
    }
    let target = |name: &str| outside.path().join(name);
    for (link, name) in [
        ("var/log", ""),
        ("run", ""),
        ("tmp/link", ""),
        ("etc/shadow", "shadow"),
        ("etc/machine-id", "file"),
        ("var/lib/apt", "apt"),
        ("var/cache/man", ""),
        ("root/.cache", ""),
    ] {
        symlink(target(name), root.join(link)).unwrap();
    }
    clean(root).unwrap();
    leaks(root).unwrap();
    for name in ["log", "file", "shadow", "apt/lists/x", "known"] {
        assert_eq!(
            fs::read_to_string(target(name)).unwrap(),
            "precious",
            "{name}"
        );
    }
}

#[test]
fn links_that_name_no_machine_stay() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for path in ["etc/ssl/certs", "var/lib/dbus"] {
        fs::create_dir_all(root.join(path)).unwrap();
    }
    symlink(
        "../run/systemd/resolve/stub-resolv.conf",
        root.join("etc/resolv.conf"),
    )
    .unwrap();
    symlink("/etc/machine-id", root.join("var/lib/dbus/machine-id")).unwrap();
    symlink("other.pem", root.join("etc/ssl/certs/12345678.0")).unwrap();
    symlink(
        "ssl-cert-snakeoil.pem",
        root.join("etc/ssl/certs/87654321.0"),
    )
    .unwrap();
    clean(root).unwrap();
    for path in [
        "etc/resolv.conf",
        "var/lib/dbus/machine-id",
        "etc/ssl/certs/12345678.0",
    ] {
        assert!(root.join(path).is_symlink(), "{path}");
    }
    assert!(!root.join("etc/ssl/certs/87654321.0").is_symlink());
    assert!(
        !root.join("etc/machine-id").exists(),
        "there is no systemd here"
    );
}

#[test]
fn bytecode_stays_only_with_its_source_s_time() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let source = root.join("usr/lib/python3/a.py");
    write(root, "usr/lib/python3/a.py", "pass");
    let time = source.metadata().unwrap().mtime() as u32;
    let pyc = |flags: u8, time: u32| {
        let mut bytes = vec![0xf3, 0x0d, 0x0d, 0x0a, flags, 0, 0, 0];
        bytes.extend(time.to_le_bytes());
        bytes.extend([4, 0, 0, 0, 0xe3]);
        bytes
    };
    let cache = "usr/lib/python3/__pycache__";
    for (name, content) in [
        ("a.cpython-313.pyc", pyc(0, time)),
        ("a.cpython-312.pyc", pyc(0, time + 1)),
        ("a.cpython-311.pyc", pyc(3, 7)),
        ("gone.cpython-313.pyc", pyc(0, time)),
        ("short.pyc", vec![0xf3]),
    ] {
        write(root, &format!("{cache}/{name}"), content);
    }
    clean(root).unwrap();
    let left = walk::children(root, Path::new(cache)).unwrap();
    let names: Vec<_> = left.iter().map(|path| path.file_name().unwrap()).collect();
    assert_eq!(names, ["a.cpython-311.pyc", "a.cpython-313.pyc"]);
}

#[test]
fn private_keys_are_found_wherever_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let key = "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n";
    write(root, "etc/somewhere/id", key);
    write(
        root,
        "srv/tls.pem",
        format!("# my key\n{}", "-----BEGIN EC PRIVATE KEY-----\n"),
    );
    write(root, "usr/share/doc/example.pem", key);
    write(root, "etc/public.pem", "-----BEGIN PUBLIC KEY-----\n");
    clean(root).unwrap();
    let paths: Vec<PathBuf> = leaks(root)
        .unwrap()
        .into_iter()
        .map(|finding| finding.path)
        .collect();
    assert_eq!(
        paths,
        [Path::new("etc/somewhere/id"), Path::new("srv/tls.pem")]
    );
}

#[test]
fn a_root_without_machine_id_gets_one_to_be_filled_in() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "usr/lib/systemd/systemd", "");
    fs::create_dir(folder.path().join("etc")).unwrap();
    assert_eq!(leaks(folder.path()).unwrap().len(), 1);
    clean(folder.path()).unwrap();
    let path = folder.path().join("etc/machine-id");
    assert_eq!(fs::read_to_string(&path).unwrap(), "uninitialized\n");
    assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o444);
}
