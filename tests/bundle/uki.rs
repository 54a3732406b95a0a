//! `export --to uki,disk` of an image with made-up parts: what is in the files, and what
//! is missing. Judges: `objdump`, mtools, `cpio`.
//! That a machine boots it is shown by `tests/boot.rs`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use insta::assert_snapshot;
use nodelith::bundle::update;
use nodelith::layer::Compression;
use nodelith::tree::{Node, Tree, TreePath};
use serde_json::Value;

use crate::common::{json, refused, run};
use crate::images::{export, ours};
use crate::pxe::list;
use crate::sample;

pub const RELEASE: &str = "6.1.0-test";
pub const STUB: &str = "usr/lib/systemd/boot/efi/linuxx64.efi.stub";
pub const LOADER: &str = "usr/lib/systemd/boot/efi/systemd-bootx64.efi";

/// A small PE program with room for more sections, made by the machine's own tools.
pub fn program(folder: &Path, name: &str) -> Vec<u8> {
    let (source, object) = (folder.join("a.s"), folder.join("a.o"));
    let file = folder.join(name);
    let text = format!(".globl _start\n.text\n_start: ret\n.data\n.ascii \"{name}\"\n");
    fs::write(&source, text).unwrap();
    run(Command::new("as").arg(&source).arg("-o").arg(&object));
    run(Command::new("ld")
        .args([
            "-m",
            "i386pep",
            "--oformat",
            "pei-x86-64",
            "--subsystem",
            "10",
        ])
        // Stripped, as stubs are: there is nothing between sections.
        .args(["--no-insert-timestamp", "-s", "--entry", "_start", "-o"])
        .arg(&file)
        .arg(&object));
    fs::read(&file).unwrap()
}

/// The sample's tree with what a machine boots.
pub fn bootable(folder: &Path) -> Tree {
    let mut tree = sample::tree();
    let modules = format!("usr/lib/modules/{RELEASE}");
    let mut add = |path: &str, bytes: Vec<u8>| {
        let mut folder = TreePath::from(path);
        while let Some(parent) = folder.parent() {
            let new = || sample::entry(Node::Directory, 0o755, "kernel");
            tree.entries.entry(parent.clone()).or_insert_with(new);
            folder = parent;
        }
        let entry = sample::entry(sample::inline(bytes), 0o644, "kernel");
        tree.entries.insert(TreePath::from(path), entry);
    };
    let dep = "kernel/erofs.ko:\nkernel/overlay.ko:\nkernel/dm-verity.ko: kernel/dm-mod.ko\nkernel/dm-mod.ko:\nkernel/nvme.ko:\n";
    add(&format!("{modules}/modules.dep"), dep.into());
    add(
        &format!("{modules}/modules.alias"),
        b"alias pci:*bc01sc08* nvme\n".to_vec(),
    );
    add(
        &format!("{modules}/modules.builtin"),
        b"kernel/fs/ext4.ko\n".to_vec(),
    );
    for name in ["erofs", "overlay", "dm-verity", "dm-mod", "nvme"] {
        add(&format!("{modules}/kernel/{name}.ko"), name.into());
    }
    add(
        &format!("boot/vmlinuz-{RELEASE}"),
        b"the kernel".repeat(1000),
    );
    add("usr/lib/kernel/cmdline", b"console=ttyS0\n".to_vec());
    let about = "ID=debian\nIMAGE_ID=node\nIMAGE_VERSION=\"7\"\n";
    add("usr/lib/os-release", about.into());
    add(STUB, program(folder, "stub"));
    add(LOADER, program(folder, "loader"));
    for tool in [
        update::BLESS,
        update::MKFS[0],
        update::REPART,
        update::SYSUPDATE,
    ] {
        add(tool, Vec::new());
    }
    tree
}

/// A folder with an image `image` that boots.
pub struct Scene(pub tempfile::TempDir);

impl Scene {
    pub fn of(change: impl FnOnce(&mut Tree)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut tree = bootable(folder.path());
        change(&mut tree);
        let image = ours(folder.path(), &tree, Compression::ZSTD, 8);
        fs::rename(image, folder.path().join("image")).unwrap();
        Self(folder)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn export(&self, formats: &str, to: &str) -> Command {
        let mut command = export("image", formats, Path::new(to));
        command
            .current_dir(self.0.path())
            .args(["--esp-size", "64M"]);
        command
    }
}

/// The contents of a section.
pub fn section(file: &Path, name: &str) -> Vec<u8> {
    let to = file.with_extension("section");
    run(Command::new("objcopy")
        .args(["-O", "binary", "--only-section", name])
        .arg(file)
        .arg(&to));
    fs::read(to).unwrap()
}

#[test]
fn what_is_in_the_unified_kernel_image_and_on_the_disk() {
    let scene = Scene::of(|_| {});
    let said = json(
        scene
            .export("uki,disk,verity", "out")
            .args(["--command-line", "debug"]),
    );
    let hash = said["root"]["root-hash"].as_str().unwrap().to_owned();
    let words = format!("console=ttyS0 debug roothash={hash} systemd.verity=no panic=10");
    assert_eq!(said["boot"]["command-line"], words);
    let uki = scene.path("out/node.efi");
    assert_eq!(section(&uki, ".cmdline"), words.as_bytes());
    assert_eq!(section(&uki, ".uname"), RELEASE.as_bytes());
    assert!(section(&uki, ".linux") == b"the kernel".repeat(1000));
    assert!(section(&uki, ".osrel").starts_with(b"ID=debian\n"));
    let headers = run(Command::new("objdump").arg("-h").arg(&uki));
    let headers = String::from_utf8(headers).unwrap();
    let names: Vec<&str> = headers
        .lines()
        .filter_map(|line| line.split_whitespace().nth(1))
        .collect();
    let ours = names.iter().position(|name| *name == ".osrel").unwrap();
    assert_eq!(
        names[ours..]
            .iter()
            .filter(|name| name.starts_with('.'))
            .count(),
        5,
        "{headers}"
    );

    // The initrd.
    fs::write(scene.path("initrd.zst"), section(&uki, ".initrd")).unwrap();
    assert_snapshot!(list(scene.0.path(), "initrd.zst"), @r"
    init
    etc
    etc/initrd-release
    modules
    modules/order
    modules/alias
    modules/dm_mod.ko
    modules/dm_verity.ko
    modules/erofs.ko
    modules/nvme.ko
    modules/overlay.ko
    ");

    // The disk: the same root in its partition, the same program in the other.
    let disk = scene.path("out/disk.raw");
    let table = run(Command::new("/sbin/sfdisk").arg("--json").arg(&disk));
    let table: Value = serde_json::from_slice(&table).unwrap();
    let partitions = table["partitiontable"]["partitions"].as_array().unwrap();
    assert_eq!(partitions[1]["name"], "node_7");
    let uuids = [&partitions[1], &partitions[2]].map(|one| one["uuid"].as_str().unwrap());
    let halves = uuids.concat().replace('-', "").to_lowercase();
    assert_eq!(halves, hash);
    let bytes = fs::read(&disk).unwrap();
    for (number, file) in [(1, "root.erofs"), (2, "root.verity")] {
        let start = partitions[number]["start"].as_u64().unwrap() as usize * 512;
        let whole = fs::read(scene.path("out").join(file)).unwrap();
        assert!(bytes[start..start + whole.len()] == whole, "{file}");
    }
    let in_esp = |name: &str| {
        let image = format!("{}@@1M", disk.display());
        run(Command::new("mtype")
            .args(["-i", &image])
            .arg(format!("::{name}")))
    };
    assert!(in_esp("EFI/Linux/node_7+3.efi") == fs::read(&uki).unwrap());
    assert!(in_esp("EFI/BOOT/BOOTX64.EFI") == fs::read(scene.path("loader")).unwrap());
    assert_eq!(in_esp("loader/loader.conf"), b"timeout 0\neditor no\n");

    // Once more, elsewhere and by less.
    let mut again = scene.export("disk,uki", "again");
    run(again
        .args(["--command-line", "debug", "--threads", "1"])
        .env("TZ", "Asia/Tokyo"));
    for name in ["node.efi", "disk.raw"] {
        let again = fs::read(scene.path("again").join(name)).unwrap();
        assert!(
            again == fs::read(scene.path("out").join(name)).unwrap(),
            "{name}"
        );
    }
    assert!(!scene.path("again/root.erofs").exists());
}

/// Takes away what begins so.
pub fn without(path: &'static str) -> impl Fn(&mut Tree) {
    move |tree| {
        let gone = |name: &TreePath| name.as_bytes().starts_with(path.as_bytes());
        tree.entries.retain(|name, _| !gone(name));
    }
}

#[test]
fn what_an_image_lacks_is_said() {
    let said = |change: &dyn Fn(&mut Tree), arguments: &[&str]| {
        let scene = Scene::of(|tree| change(tree));
        let said = refused(
            scene.export("disk", "out").arg("--quiet").args(arguments),
            2,
        );
        assert!(
            !scene.path("out").exists() || fs::read_dir(scene.path("out")).unwrap().count() == 0
        );
        said
    };
    let lacks = |path: &'static str| said(&|tree| without(path)(tree), &[]);
    assert_snapshot!(lacks("usr/lib/modules"), @r"
    error: the image cannot be booted: it lacks a kernel
    hint: in Debian it comes from linux-image-amd64 or linux-image-cloud-amd64
    ");
    assert_snapshot!(lacks("boot/vmlinuz"), @r"
    error: the image cannot be booted: it lacks the kernel of its modules, 6.1.0-test
    hint: in Debian it comes from linux-image-6.1.0-test
    ");
    assert_snapshot!(lacks("usr/lib/systemd/boot/efi/linux"), @r"
    error: the image cannot be booted: it lacks `/usr/lib/systemd/boot/efi/linuxx64.efi.stub`
    hint: in Debian it comes from systemd-boot-efi
    ");
    assert_snapshot!(lacks("usr/lib/systemd/boot/efi/systemd-boot"), @r"
    error: the image cannot be booted: it lacks `/usr/lib/systemd/boot/efi/systemd-bootx64.efi`
    hint: in Debian it comes from systemd-boot-efi
    ");
    assert_snapshot!(lacks("usr/lib/os-release"), @r"
    error: the image cannot be booted: it lacks `/usr/lib/os-release`
    hint: in Debian it comes from base-files
    ");
    assert_snapshot!(lacks("usr/lib/modules/6.1.0-test/modules.builtin"), @r"
    error: the image's kernel has no module `ext4`
    hint: Debian's linux-image-amd64 and linux-image-cloud-amd64 have it
    ");
    let nothing = |_: &mut Tree| {};
    assert_snapshot!(said(&nothing, &["--init", "image"]), @r"
    error: reading `image`: Is a directory
    hint: name that for amd64 with `--init FILE`
    ");
    assert_snapshot!(said(&nothing, &["--init", "image/index.json"]), @r"
    error: `image/index.json` is no program for an initrd
    hint: name that for amd64 with `--init FILE`
    ");
    assert_snapshot!(said(&nothing, &["--disk-size", "70M"]), @r"
    error: the disk of 70.00 MiB is too small for all of its partitions: 131.00 MiB
    hint: make it larger with `--disk-size`
    ");
    assert_snapshot!(said(&nothing, &["--disk-size", "much"]), @r"
    error: invalid value 'much' for '--disk-size <SIZE>': write it like `512M` or `8G`

    For more information, try '--help'.
    ");
    let sizes = [
        (["--disk-size", "0"], "it goes from one byte to `2T`"),
        (["--disk-size", "3T"], "it goes from one byte to `2T`"),
        (
            ["--slot-size", "99999999999999999999"],
            "write it like `512M` or `8G`",
        ),
        (
            ["--slot-size", "16777216T"],
            "it goes from one byte to `2T`",
        ),
        (["--disk-size", "8.5G"], "write it like `512M` or `8G`"),
        (
            ["--slot-size", "2T"],
            "the disk would have 2.02 TiB, and 2.00 TiB is the most",
        ),
    ];
    for (arguments, why) in sizes {
        let said = said(&nothing, &arguments);
        assert!(said.contains(why), "{arguments:?}: {said}");
    }
    let large = |tree: &mut Tree| {
        let kernel = sample::inline(vec![7; 70 << 20]);
        let entry = sample::entry(kernel, 0o644, "kernel");
        tree.entries
            .insert(TreePath::from("boot/vmlinuz-6.1.0-test"), entry);
    };
    let said = said(&large, &[]);
    let begin = "error: the EFI system partition is too small: its files need 7";
    assert!(said.starts_with(begin), "{said}");
    let end = "64.00 MiB has room for 62.98 MiB\nhint: make it larger with `--esp-size`\n";
    assert!(said.ends_with(end), "{said}");
    let scene = Scene::of(|_| {});
    let mut gce = scene.export("gce", "out");
    gce.args(["--disk-size", "1500M", "--quiet"]);
    assert_snapshot!(refused(&mut gce, 2), @r"
    error: Google Cloud takes disks of whole GiB alone
    hint: give `--disk-size 2G`, or leave it out
    ");
}
