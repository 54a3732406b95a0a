//! Images for bootc: each rule finds what it is about, and nothing in a healthy image.

use nodelith::check::subject::ReadOnly;
use nodelith::tree::{Node, TreePath};

use super::scene::{Scene, root};

/// What a base for bootc has.
fn healthy() -> Scene {
    let kernel = "usr/lib/modules/6.12.0-1.x86_64";
    let mut scene = root()
        .file(&format!("{kernel}/vmlinuz"), "kernel")
        .file(&format!("{kernel}/initramfs.img"), "initramfs")
        .file("usr/lib/bootc/kargs.d/10-console.toml", "kargs = [\"console=ttyS0\"]\n")
        .file(
            "usr/lib/ostree/prepare-root.conf",
            "[sysroot]\nreadonly = true\n[composefs]\nenabled = yes\n",
        )
        .file("usr/lib/tmpfiles.d/var.conf", "d /var/lib 0755 - - -\nL /var/run - - - - ../run\nd /home/core 0700 core core -\nd /var/home 0755 - - -\n")
        .file("usr/lib/sysusers.d/base.conf", "u root 0 - /root\ng wheel 10\nu core 1000:10\n")
        .file("etc/passwd", "root:x:0:0::/root:/bin/sh\ncore:x:1000:10::/home/core:/bin/sh\n")
        .file("etc/group", "root:x:0:\nwheel:x:10:\n")
        .link("ostree", "sysroot/ostree")
        .link("home", "var/home")
        .link("var/run", "../run");
    for folder in [
        "boot",
        "dev",
        "proc",
        "run",
        "sys",
        "sysroot",
        "tmp",
        "var/lib",
        "var/home/core",
    ] {
        scene = scene.entry(folder, Node::Directory, 0o755);
    }
    scene.0.labels.insert("containers.bootc".into(), "1".into());
    scene
}

fn without(mut scene: Scene, path: &str) -> Scene {
    scene.0.tree.entries.remove(path.as_bytes());
    scene
}

fn folder(scene: Scene, path: &str) -> Scene {
    scene.entry(path, Node::Directory, 0o755)
}

#[test]
fn a_healthy_image_has_no_findings() {
    let ids = healthy().ids();
    let ours: Vec<_> = ids.iter().filter(|id| id.contains("BOOTC")).collect();
    assert!(ours.is_empty(), "{ours:?}");
}

/// All rules read the labels alike: those of the root's places that can be written, too.
#[test]
fn either_label_makes_an_image_for_bootc() {
    let bare = || root().containerd("1.7.24").config("version = 2\n");
    let read_only = |scene: &Scene| scene.0.read_only();
    assert_eq!(read_only(&bare()), None);
    for (label, value) in [
        ("containers.bootc", "1"),
        ("ostree.bootable", "1"),
        ("ostree.bootable", "true"),
    ] {
        let mut scene = bare();
        scene.0.labels.insert(label.into(), value.into());
        assert_eq!(read_only(&scene), Some(ReadOnly::Bootc), "{label}={value}");
        assert!(scene.ids().contains(&"ND-BOOTC-002"), "{label}={value}");
    }
    let mut other = bare();
    other.0.labels.insert("ostree.bootable".into(), "0".into());
    assert_eq!(read_only(&other), None);
    assert!(!other.ids().contains(&"ND-BOOTC-002"));
}

#[test]
fn each_rule_finds_what_it_is_about() {
    let kernel = "usr/lib/modules/6.12.0-1.x86_64";
    let second = healthy()
        .file("usr/lib/modules/6.13.0/vmlinuz", "kernel")
        .file("usr/lib/modules/6.13.0/initramfs.img", "initramfs");
    let prepare = "usr/lib/ostree/prepare-root.conf";
    let kargs = "usr/lib/bootc/kargs.d/20-bad.toml";
    let odd = TreePath::new(*b"usr/share/\xff");
    let mut named_oddly = healthy();
    let file = named_oddly.0.tree.entries[b"etc/passwd".as_slice()].clone();
    named_oddly.0.tree.entries.insert(odd.clone(), file);
    let mut leading_oddly = healthy().link("usr/link", "x");
    if let Some(entry) = leading_oddly.0.tree.entries.get_mut(b"usr/link".as_slice()) {
        entry.node = Node::Symlink(odd);
    }
    for (id, broken) in [
        ("ND-BOOTC-001", second),
        (
            "ND-BOOTC-002",
            without(healthy(), &format!("{kernel}/vmlinuz")),
        ),
        (
            "ND-BOOTC-002",
            without(healthy(), &format!("{kernel}/initramfs.img")),
        ),
        ("ND-BOOTC-003", folder(healthy(), "var/run")),
        ("ND-BOOTC-004", folder(healthy(), "usr/etc")),
        ("ND-BOOTC-005", healthy().file(kargs, "kargs = \"quiet\"\n")),
        (
            "ND-BOOTC-005",
            healthy().file(kargs, "kargs = []\nmatch-arch = []\n"),
        ),
        ("ND-BOOTC-006", named_oddly),
        ("ND-BOOTC-006", leading_oddly),
        ("ND-BOOTC-007", without(healthy(), "proc")),
        ("ND-BOOTC-007", healthy().link("tmp", "var/tmp")),
        ("ND-BOOTC-008", without(healthy(), "sysroot")),
        ("ND-BOOTC-008", healthy().link("ostree", "/sysroot/ostree")),
        ("ND-BOOTC-008", without(healthy(), "ostree")),
        (
            "ND-BOOTC-009",
            healthy().file(prepare, "[composefs]\nenabled = no\n"),
        ),
        (
            "ND-BOOTC-009",
            healthy().file(prepare, "[etc]\nenabled = yes\n"),
        ),
        ("ND-BOOTC-010", healthy().file("boot/vmlinuz", "kernel")),
        ("ND-BOOTC-010", without(healthy(), "boot")),
        ("ND-BOOTC-011", folder(healthy(), "run/lock")),
        ("ND-BOOTC-011", healthy().file("tmp/x", "x")),
        ("ND-BOOTC-012", folder(healthy(), "var/lib/kubelet")),
        ("ND-BOOTC-012", healthy().file("var/lib/state", "x")),
        (
            "ND-BOOTC-013",
            healthy().file("etc/passwd", "kube:x:999:999::/:/bin/sh\n"),
        ),
        ("ND-BOOTC-013", healthy().file("etc/group", "kube:x:999:\n")),
        ("ND-BOOTC-014", healthy().file("etc/resolv.conf", "")),
    ] {
        let ids = broken.ids();
        assert!(ids.contains(&id), "{id} is not among {ids:?}");
        // Nothing of it counts for an image that is not for bootc.
        let mut other = broken;
        other.0.labels.clear();
        assert!(!other.finds(id), "{id}");
    }
}

#[test]
fn kernel_and_initramfs_in_one_file_do_as_well() {
    let kernel = "usr/lib/modules/6.12.0-1.x86_64";
    let unified =
        without(healthy(), &format!("{kernel}/vmlinuz")).file("boot/EFI/Linux/6.12.0.efi", "both");
    let ids = unified.ids();
    assert!(
        !ids.contains(&"ND-BOOTC-002") && !ids.contains(&"ND-BOOTC-010"),
        "{ids:?}"
    );
}
