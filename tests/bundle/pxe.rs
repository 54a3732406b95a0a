//! `export --to pxe` of an image with made-up parts. Judges: `sha256sum`,
//! `grub-script-check`, `objdump`, `cpio`. That a machine boots it is shown by
//! `tests/boot.rs`; what is served of it by `tests/serve.rs`.

use std::fs;
use std::path::Path;
use std::process::Command;

use insta::assert_snapshot;
use nodelith::digest::Digest;
use nodelith::tree::{Tree, TreePath};

use crate::common::{json, refused, run, skip};
use crate::sample;
use crate::uki::{RELEASE, STUB, Scene, section, without};

/// What a kernel has that boots over a network: a card's driver, which needs another one.
pub fn connected(tree: &mut Tree) {
    let modules = format!("usr/lib/modules/{RELEASE}");
    let mut add = |name: &str, bytes: &[u8]| {
        let entry = sample::entry(sample::inline(bytes.to_vec()), 0o644, "kernel");
        let path = TreePath::from(&*format!("{modules}/{name}"));
        tree.entries.insert(path, entry);
    };
    let dep = "kernel/erofs.ko:\nkernel/overlay.ko:\nkernel/dm-verity.ko: kernel/dm-mod.ko\n\
               kernel/dm-mod.ko:\nkernel/nvme.ko:\nkernel/loop.ko:\n\
               kernel/virtio_net.ko: kernel/net_failover.ko\nkernel/net_failover.ko:\n";
    add("modules.dep", dep.as_bytes());
    add(
        "modules.alias",
        b"alias pci:*bc01sc08* nvme\nalias virtio:d00000001v* virtio_net\n",
    );
    for name in ["loop", "virtio_net", "net_failover"] {
        add(&format!("kernel/{name}.ko"), name.as_bytes());
    }
}

/// What is in an initrd.
pub fn list(folder: &Path, initrd: &str) -> String {
    let script = format!("zstd -qdc '{initrd}' 2>/dev/null | cpio -t --quiet");
    let list = run(Command::new("sh").args(["-c", &script]).current_dir(folder));
    String::from_utf8(list).unwrap()
}

#[test]
fn what_machines_boot_over_a_network() {
    let scene = Scene::of(connected);
    let said = json(
        scene
            .export("pxe", "out")
            .args(["--command-line", "debug a=b,c"]),
    );
    let out = scene.path("out");
    let names: Vec<&str> = said["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "root.erofs",
            "vmlinuz",
            "boot.ipxe",
            "grub.cfg",
            "node-http.efi",
            "initrd.img",
            "SHA256SUMS"
        ]
    );
    run(Command::new("sha256sum")
        .args(["--check", "--strict", "--quiet", "SHA256SUMS"])
        .current_dir(&out));
    let digest = Digest::of(&fs::read(out.join("root.erofs")).unwrap()).hex();
    let words = format!("console=ttyS0 debug a=b,c nodelith.root-sha256={digest} panic=10");
    let pxe = &said["pxe"];
    assert_eq!(
        (&pxe["kernel"], &pxe["initrd"], &pxe["root"]),
        (
            &"vmlinuz".into(),
            &"initrd.img".into(),
            &"root.erofs".into()
        )
    );
    assert_eq!(pxe["command_line"], words);
    assert_eq!(said["boot"]["command-line"], serde_json::Value::Null);
    for way in ["http", "initrd"] {
        let memory = pxe["memory"][way].as_u64().unwrap();
        assert_eq!(memory, 704 << 20, "{way}");
    }
    assert!(fs::read(out.join("vmlinuz")).unwrap() == b"the kernel".repeat(1000));
    assert_snapshot!(list(&out, "initrd.img"), @r"
    init
    etc
    etc/initrd-release
    modules
    modules/order
    modules/alias
    modules/dm_mod.ko
    modules/dm_verity.ko
    modules/erofs.ko
    modules/loop.ko
    modules/net_failover.ko
    modules/nvme.ko
    modules/overlay.ko
    modules/virtio_net.ko
    nodelith
    ");

    let script = fs::read_to_string(out.join("boot.ipxe")).unwrap();
    assert!(
        script.starts_with("#!ipxe\n") && script.contains(&words),
        "{script}"
    );
    // No address of a server: it works wherever the folder is.
    let addresses = script.lines().filter(|line| !line.starts_with('#'));
    assert!(addresses.clone().all(|line| !line.contains("http://")));
    let fetched: Vec<&str> = addresses
        .filter(|line| line.starts_with("initrd "))
        .collect();
    assert_eq!(
        fetched,
        [
            "initrd initrd.img || goto failed",
            "initrd initrd.img || goto failed",
            "initrd root.erofs /nodelith/root.erofs || goto failed"
        ]
    );
    assert!(
        fs::read_to_string(out.join("grub.cfg"))
            .unwrap()
            .contains(&words)
    );
    match Command::new("grub-script-check")
        .arg(out.join("grub.cfg"))
        .output()
    {
        Ok(checked) => assert!(checked.status.success(), "{checked:?}"),
        Err(_) => skip("grub.cfg by grub-script-check, which is not there"),
    }

    let uki = out.join("node-http.efi");
    let words = format!(
        "console=ttyS0 debug a=b,c nodelith.root=root.erofs nodelith.root-sha256={digest} panic=10"
    );
    assert_eq!(section(&uki, ".cmdline"), words.as_bytes());
    assert!(section(&uki, ".initrd") == fs::read(out.join("initrd.img")).unwrap());
}

/// Beside other formats, at another time, and by another user: the same bytes; and what
/// disks boot knows nothing of networks.
#[test]
fn the_same_bytes_again() {
    let scene = Scene::of(connected);
    let said = json(&mut scene.export("pxe", "out"));
    let again = json(
        scene
            .export("pxe,uki", "again")
            .args(["--threads", "1"])
            .env("TZ", "Asia/Tokyo"),
    );
    let digests = |said: &serde_json::Value| -> Vec<(String, String)> {
        let files = said["files"].as_array().unwrap().iter();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        files
            // Digests of all others are in it.
            .filter(|file| file["format"] != "uki" && file["name"] != "SHA256SUMS")
            .map(|file| (text(&file["name"]), text(&file["digest"])))
            .collect()
    };
    assert_eq!(digests(&said), digests(&again));
    assert_eq!(said["pxe"], again["pxe"]);
    let plain = scene.path("again/plain");
    fs::write(&plain, section(&scene.path("again/node.efi"), ".initrd")).unwrap();
    let files = list(&scene.path("again"), "plain");
    assert!(
        !files.contains("virtio_net") && files.contains("nvme"),
        "{files}"
    );

    // An export without them takes them away.
    run(&mut scene.export("uki", "again"));
    for name in [
        "vmlinuz",
        "initrd.img",
        "boot.ipxe",
        "grub.cfg",
        "node-http.efi",
        "SHA256SUMS",
    ] {
        assert!(!scene.path("again").join(name).exists(), "{name}");
    }
}

#[test]
fn what_is_not_there_and_what_cannot_be_written() {
    // Firmware that starts nothing of it is no reason to refuse the rest.
    let scene = Scene::of(|tree| {
        connected(tree);
        without(STUB)(tree);
    });
    run(&mut scene.export("pxe", "out"));
    assert!(scene.path("out/boot.ipxe").exists());
    assert!(!scene.path("out/node-http.efi").exists());
    let sums = fs::read_to_string(scene.path("out/SHA256SUMS")).unwrap();
    assert!(!sums.contains(".efi"), "{sums}");

    let mut command = scene.export("pxe", "none");
    command.args(["--quiet", "--command-line", "quiet ${net0/mac}"]);
    assert_snapshot!(refused(&mut command, 2), @r"
    error: the word `${net0/mac}` for the kernel cannot be written into `boot.ipxe` and `grub.cfg`
    hint: words there have letters, digits and `!%()*+,-./:=?@[]^_~` alone
    ");
    let scene = Scene::of(|_| {});
    assert_snapshot!(refused(scene.export("pxe", "none").arg("--quiet"), 2), @r"
    error: the image's kernel has no module `loop`
    hint: Debian's linux-image-amd64 and linux-image-cloud-amd64 have it
    ");
    assert!(!scene.path("none/boot.ipxe").exists());
    // Where the root is can be said; then it is not looked for.
    let scene = Scene::of(connected);
    let mut command = scene.export("pxe", "out");
    run(command.args(["--command-line", "nodelith.root=http://10.0.0.1/root.erofs"]));
    let words = section(&scene.path("out/node-http.efi"), ".cmdline");
    let words = String::from_utf8(words).unwrap();
    assert!(!words.contains("nodelith.root=root.erofs"), "{words}");
}
