//! A base for bootc stays one: labels, kernel and initramfs, and what its lints look for.

use serde_json::{Value, json};

use super::common;
use super::fixture::{Base, Layer, PROFILE, Scene};

const KERNEL: &str = "usr/lib/modules/6.12.0-55.el10.x86_64";

/// What bootc asks of an image; files are hard links of ostree's objects, as in images
/// that rpm-ostree makes.
fn bootc() -> Base {
    let object = |number: u32| format!("sysroot/ostree/repo/objects/00/{number:02}.file");
    let mut first = Layer::new();
    for folder in [
        "boot",
        "dev",
        "etc",
        "proc",
        "run",
        "sys",
        "sysroot",
        "sysroot/ostree/repo/objects/00",
        "tmp",
        "var",
        "usr/bin",
        "usr/lib/bootc/kargs.d",
        "usr/lib/ostree",
        "usr/lib/sysusers.d",
        "usr/lib/systemd/system",
        "usr/lib/tmpfiles.d",
        "usr/share/rpm",
        KERNEL,
    ] {
        first = first.folder(folder);
    }
    let files = [
        ("etc/group", "root:x:0:\nwheel:x:10:\n"),
        ("etc/passwd", "root:x:0:0:root:/root:/bin/bash\n"),
        (
            "usr/lib/bootc/kargs.d/10-console.toml",
            "kargs = [\"console=ttyS0\"]\n",
        ),
        (
            "usr/lib/os-release",
            "ID=centos\nPRETTY_NAME=\"CentOS Stream 10\"\n",
        ),
        (
            "usr/lib/ostree/prepare-root.conf",
            "[composefs]\nenabled = yes\n",
        ),
        (
            "usr/lib/sysusers.d/base.conf",
            "u root 0 - /root\ng wheel 10\n",
        ),
        (
            "usr/lib/systemd/system/multi-user.target",
            "[Unit]\nDescription=m\n",
        ),
        (
            "usr/lib/tmpfiles.d/base.conf",
            "d /var/opt 0755 - - -\nd /var/home 0755 - - -\nL /var/run - - - - ../run\n",
        ),
    ];
    for (number, (path, text)) in (0..).zip(files) {
        first = first
            .file(&object(number), text)
            .hard(path, &object(number));
    }
    let first = first
        .file(&format!("{KERNEL}/vmlinuz"), "kernel")
        .file(&format!("{KERNEL}/initramfs.img"), "initramfs")
        .link("etc/os-release", "../usr/lib/os-release")
        .link("home", "var/home")
        .link("opt", "var/opt")
        .link("ostree", "sysroot/ostree")
        .link("root", "var/roothome")
        .link("bin", "usr/bin");
    Base::of(vec![first]).labels(json!({
        "containers.bootc": "1", "ostree.bootable": "1", "ostree.final-diffid": "sha256:0",
    }))
}

/// The findings about bootc in the image in `out`, and whether it is one for bootc.
fn findings(scene: &Scene) -> Vec<String> {
    let checked = common::json(&mut scene.nodelith(&["check", "out", "--fail-on", "never"]));
    let findings = checked["findings"].as_array().unwrap();
    findings
        .iter()
        .filter(|one| one["id"].as_str().unwrap().starts_with("ND-BOOTC"))
        .map(|one| {
            format!(
                "{} {}",
                one["id"].as_str().unwrap(),
                one["place"]["file"].as_str().unwrap_or_default()
            )
        })
        .collect()
}

const MORE: &str = r#"
[kernel]
command-line = ["quiet"]

[sysctl]
net.ipv4.ip_forward = 1

[[files]]
path = "/usr/lib/systemd/system/ours.service"
text = "[Service]\nExecStart=/usr/bin/true\n[Install]\nWantedBy=multi-user.target\n"

[units]
enable = ["ours.service"]

[[users]]
name = "ops"
groups = ["wheel"]
ssh-keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleExampleExampleExampleExampleExam ops@example"]

[[files]]
path = "/opt/site/tool"
link = "/usr/bin/true"
"#;

#[test]
fn it_stays_an_image_for_bootc() {
    let (scene, base) = Scene::on(&format!("{PROFILE}{MORE}"), &bootc());
    scene.built(&["--compression", "gzip"]);
    assert_eq!(scene.layers()[..1], base);
    let [_, config] = scene.documents();
    let labels = &config["config"]["Labels"];
    for (label, value) in [
        ("containers.bootc", "1"),
        ("ostree.bootable", "1"),
        ("ostree.final-diffid", "sha256:0"),
    ] {
        assert_eq!(labels[label], value);
    }
    assert_eq!(config["config"]["Cmd"], json!(["/sbin/init"]));
    let none: [&str; 0] = [];
    assert_eq!(findings(&scene), none);
    let root = scene.unpacked();
    let text = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    assert_eq!(text(&format!("{KERNEL}/vmlinuz")), "kernel");
    assert_eq!(
        text("usr/lib/bootc/kargs.d/90-nodelith.toml"),
        "kargs = [\"quiet\"]\n"
    );
    assert!(!root.join("usr/lib/kernel/cmdline").exists());
    // /var of the image stays empty; what would be there is made at boot.
    assert_eq!(std::fs::read_dir(root.join("var")).unwrap().count(), 0);
    let made = text("usr/lib/tmpfiles.d/nodelith-var.conf");
    let made: Vec<_> = made.lines().skip(1).collect();
    assert_eq!(made[0], "d /var/home/ops 0700 1000 1000 -");
    assert_eq!(made[1], "d /var/home/ops/.ssh 0700 1000 1000 -");
    assert!(made[2].starts_with("f+~ /var/home/ops/.ssh/authorized_keys 0600 1000 1000 - c3No"));
    assert_eq!(made[3], "L /var/opt/site/tool - - - - /usr/bin/true");
    assert_eq!(
        text("usr/lib/sysusers.d/nodelith.conf"),
        "g ops 1000\nu ops 1000:1000 \"\" /home/ops /bin/bash\nm ops wheel\n"
    );
    // What ostree links is read all the same.
    assert_eq!(
        text("usr/lib/os-release"),
        "ID=centos\nPRETTY_NAME=\"CentOS Stream 10\"\nIMAGE_ID=node\nIMAGE_VERSION=7\n"
    );
    assert_eq!(
        scene.lock()["architecture"]["amd64"]["base"]["os"].as_str(),
        Some("CentOS Stream 10")
    );
    // The object that was linked is as it was.
    assert!(!text("sysroot/ostree/repo/objects/00/03.file").contains("IMAGE_ID"));
}

#[test]
fn what_it_no_longer_has_is_found() {
    let (scene, _) = Scene::on(
        &format!(
            "{PROFILE}remove = [\"/{KERNEL}/initramfs.img\", \"/ostree\"]\n\n[[files]]\npath = \"/opt/tool\"\nsource = \"tool\"\n"
        ),
        &bootc(),
    );
    // A small file would be made by a line.
    scene.write("tool", "a program".repeat(10_000));
    // The build refuses it, too.
    let said = scene.failing(
        1,
        &mut scene.nodelith(&["build", "node.toml", "--output", "out"]),
    );
    assert!(
        said.contains("ND-BOOTC-002") && said.contains("ND-BOOTC-008"),
        "{said}"
    );
    scene.built(&[]);
    assert_eq!(
        findings(&scene),
        [
            format!("ND-BOOTC-002 /{KERNEL}"),
            "ND-BOOTC-008 /ostree".into(),
            "ND-BOOTC-012 /var/opt/tool".into(),
        ]
    );
}

#[test]
fn without_the_label_nothing_is_asked() {
    let base = Base {
        config: Value::Null,
        ..bootc()
    };
    let (scene, _) = Scene::on(&format!("{PROFILE}remove = [\"/ostree\"]\n"), &base);
    scene.built(&[]);
    assert!(findings(&scene).is_empty());
}
