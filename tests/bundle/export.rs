//! `nodelith export`, on images of ours and of others.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use insta::assert_snapshot;
use nodelith::bundle::export::hex;
use nodelith::layer::Compression;
use nodelith::tree::TreePath;
use serde_json::Value;

use crate::common::{document, json, output, root, run};
use crate::images::{export, layer, ours, theirs};
use crate::judge::{self, Leaves, assert_is};
use crate::{memory, sample};

fn folder() -> tempfile::TempDir {
    // buildah and umoci take no capital letters in paths.
    let folder = tempfile::Builder::new().prefix("bundle-").tempdir();
    folder.unwrap()
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

/// Name to digest of the files that a description names, which are there as it says.
fn described(folder: &Path, description: &Value) -> BTreeMap<String, String> {
    let files = description["files"].as_array().unwrap().iter();
    files
        .map(|file| {
            let name = file["name"].as_str().unwrap();
            let bytes = fs::read(folder.join(name)).unwrap();
            assert_eq!(file["size"], bytes.len());
            let digest = nodelith::digest::Digest::of(&bytes).to_string();
            assert_eq!(file["digest"], digest);
            (name.to_owned(), digest)
        })
        .collect()
}

/// However an image is cut into layers and compressed, and whoever exports it.
#[test]
fn bytes_depend_on_the_tree_alone() {
    let folder = folder();
    let tree = sample::tree();
    let root_hash = hex(&memory::hash(&tree).hashes.root());
    let mut all: Vec<BTreeMap<String, String>> = Vec::new();
    for (compression, layers, threads) in [
        (Compression::ZSTD, 64, "1"),
        (Compression::GZIP, 4, "2"),
        (Compression::None, 1, "7"),
    ] {
        let image = ours(folder.path(), &tree, compression, layers);
        let out = folder.path().join("out");
        let mut command = export(&image, "tar,verity", &out);
        let said = json(command.args(["--threads", threads]).env("TZ", "Asia/Tokyo"));
        let written = document(&fs::read(out.join("export.json")).unwrap());
        assert_eq!(said, written);
        assert_eq!(said["root"]["root-hash"], root_hash);
        assert_eq!(said["architecture"], "amd64");
        all.push(described(&out, &said));
        let verify = [out.join("root.erofs"), out.join("root.verity")];
        run(Command::new("veritysetup")
            .arg("verify")
            .args(verify)
            .arg(&root_hash));
        fs::remove_dir_all(&out).unwrap();
    }
    assert_eq!(all[0].len(), 3);
    assert!(all.iter().all(|one| *one == all[0]), "{all:#?}");

    // An archive of the layout, and another user with another umask.
    let image = folder.path().join("zstd-3-64");
    let archive = folder.path().join("image.tar");
    run(Command::new("tar")
        .arg("-cf")
        .arg(&archive)
        .arg("-C")
        .arg(&image)
        .arg("."));
    if !root("an export by another user") {
        return;
    }
    let place = tempfile::Builder::new()
        .prefix("bundle-user-")
        .tempdir_in("/tmp")
        .unwrap();
    let program = place.path().join("nodelith");
    fs::copy(env!("CARGO_BIN_EXE_nodelith"), &program).unwrap();
    fs::copy(&archive, place.path().join("image.tar")).unwrap();
    fs::set_permissions(place.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let script = "umask 077; exec \"$0\" --json export image.tar --to tar,verity -o out";
    let said = run(Command::new("setpriv")
        .args([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "sh",
            "-c",
            script,
        ])
        .arg(&program)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", "/nonexistent")
        .current_dir(place.path()));
    let out = place.path().join("out");
    assert_eq!(described(&out, &document(&said)), all[0]);
    for name in names(&out) {
        let mode = fs::metadata(out.join(&name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o644, "{name}");
    }
}

/// The tar of the root is what a layer of all of it is, and GNU tar unpacks the root.
#[test]
fn the_tar_is_the_root() {
    let folder = folder();
    let tree = sample::tree();
    let image = ours(folder.path(), &tree, Compression::None, 1);
    let out = folder.path().join("out");
    run(&mut export(&image, "tar", &out));
    let whole = fs::read(out.join("root.tar")).unwrap();
    let layer = fs::read(crate::images::largest_blob(&image)).unwrap();
    assert!(whole == layer);
    assert_eq!(
        names(&out),
        ["export.json", "root.tar"].map(String::from).into()
    );
    if !root("unpacking a root") {
        return;
    }
    let unpacked = folder.path().join("unpacked");
    fs::create_dir(&unpacked).unwrap();
    run(Command::new("tar")
        .args([
            "-xp",
            "--numeric-owner",
            "--xattrs",
            "--xattrs-include=*",
            "-f",
        ])
        .arg(out.join("root.tar"))
        .arg("-C")
        .arg(&unpacked));
    assert_is(&unpacked, &tree, Leaves::default());
}

#[test]
fn squashfs_is_the_root_but_for_acls() {
    let folder = folder();
    let mut tree = sample::tree();
    // Its times are without a sign.
    tree.entries.remove(&TreePath::from("etc/old"));
    let image = ours(folder.path(), &tree, Compression::ZSTD, 64);
    let out = folder.path().join("out");
    let done = output(&mut export(&image, "squashfs", &out));
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{said}");
    let warnings: Vec<_> = said
        .lines()
        .filter(|line| line.starts_with("warning"))
        .collect();
    assert_eq!(
        warnings,
        ["warning: squashfs has no access control lists: 1 entry loses theirs"]
    );
    assert_eq!(
        names(&out),
        ["export.json", "root.squashfs"].map(String::from).into()
    );
    let again = folder.path().join("again");
    run(export(&image, "squashfs,tar", &again).env("SOURCE_DATE_EPOCH", "1"));
    let bytes = |folder: &Path| fs::read(folder.join("root.squashfs")).unwrap();
    assert!(bytes(&out) == bytes(&again));
    if !root("unpacking a root") {
        return;
    }
    let unpacked = folder.path().join("unpacked");
    run(Command::new("unsquashfs")
        .args(["-quiet", "-no-progress", "-dest"])
        .arg(&unpacked)
        .arg(out.join("root.squashfs")));
    let acl = tree.entries.get_mut(&TreePath::from("etc/shared")).unwrap();
    acl.xattrs.remove("system.posix_acl_access");
    let leaves = Leaves {
        root_time: true,
        ..Leaves::default()
    };
    assert_is(&unpacked, &tree, leaves);
}

/// Whiteouts, names that come again, links in another layer.
#[test]
fn layers_of_others_are_put_on_top_of_one_another() {
    let folder = folder();
    let lower = layer(&[
        ("./", b'5', ""),
        ("./a", b'0', "first"),
        ("./b", b'1', "a"),
        ("./a", b'0', "other"),
        ("./gone", b'0', "x"),
        ("./old/below/x", b'0', "x"),
        ("./kept/y", b'0', "y"),
    ]);
    let upper = layer(&[
        ("old", b'5', ""),
        ("old/.wh..wh..opq", b'0', ""),
        (".wh.gone", b'0', ""),
        ("c", b'1', "b"),
        ("kept/z", b'2', "y"),
    ]);
    let image = theirs(folder.path(), &[lower, upper]);
    let flat = folder.path().join("flat");
    fs::create_dir(&flat).unwrap();
    let one = layer(&[
        ("./", b'5', ""),
        ("a", b'0', "other"),
        ("b", b'0', "first"),
        ("c", b'1', "b"),
        ("kept/y", b'0', "y"),
        ("kept/z", b'2', "y"),
        ("old", b'5', ""),
    ]);
    let flat = theirs(&flat, &[one]);
    let said = json(
        crate::common::nodelith()
            .arg("same-root")
            .args([&image, &flat]),
    );
    assert_eq!(said["same"], true, "{said:#}");
    let out = folder.path().join("out");
    run(&mut export(&image, "tar", &out));
    let text = |name: &str| {
        let bytes = run(Command::new("tar")
            .arg("-xOf")
            .arg(out.join("root.tar"))
            .arg(name));
        String::from_utf8(bytes).unwrap()
    };
    assert_eq!((text("a"), text("b")), ("other".into(), "first".into()));
}

/// An image of ours that umoci has changed.
#[test]
fn images_that_umoci_wrote() {
    let folder = folder();
    let mut tree = sample::tree();
    let image = ours(folder.path(), &tree, Compression::GZIP, 64);
    let file = folder.path().join("new");
    fs::write(&file, "new").unwrap();
    fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).unwrap();
    run(Command::new("touch").args(["-d", "@1600000000"]).arg(&file));
    let name = format!("{}:1", image.display());
    let insert = || {
        let mut command = Command::new("umoci");
        command.args(["insert", "--image", &name]);
        command
    };
    run(insert().arg(&file).arg("/etc/new"));
    run(insert().args(["--whiteout", "/long"]));
    let mut new = sample::entry(sample::inline(&b"new"[..]), 0o640, "x");
    new.mtime = 1_600_000_000;
    tree.entries.insert("etc/new".into(), new);
    tree.entries.retain(|path, _| !path.is_within(b"long"));
    let out = folder.path().join("out");
    let reference = format!("oci:{name}");
    let said = json(&mut export(&reference, "erofs", &out));
    let expected = hex(&memory::hash(&tree).hashes.root());
    assert_eq!(said["root"]["root-hash"], expected);
    judge::kernel(&out.join("root.erofs"), &tree);
}

/// What an earlier export left goes away, others' files stay.
#[test]
fn an_export_replaces_the_one_before() {
    let folder = folder();
    let image = ours(folder.path(), &sample::tree(), Compression::ZSTD, 64);
    let out = folder.path().join("out");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("root.squashfs"), "someone's own").unwrap();
    fs::write(out.join(".new-killed"), "half").unwrap();
    run(&mut export(&image, "tar,verity", &out));
    let expected = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect();
    let all: BTreeSet<String> = expected(&[
        "export.json",
        "root.erofs",
        "root.squashfs",
        "root.tar",
        "root.verity",
    ]);
    assert_eq!(names(&out), all);
    run(&mut export(&image, "erofs", &out));
    let left: BTreeSet<String> = expected(&["export.json", "root.erofs", "root.squashfs"]);
    assert_eq!(names(&out), left);
}

#[test]
fn what_is_said() {
    let folder = folder();
    let mut tree = sample::tree();
    tree.entries
        .retain(|path, _| path.as_bytes().is_empty() || path.is_within(b"etc"));
    let image = ours(folder.path(), &tree, Compression::ZSTD, 64);
    fs::rename(image, folder.path().join("image")).unwrap();
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"in \d+\.\d s(, [0-9.]+ \w+/s)?", "in [SECONDS]");
    settings.add_filter("[0-9a-f]{64}", "[HEX]");
    let _bound = settings.bind_to_scope();
    let run = |arguments: &[&str]| {
        let mut command = export("image", "erofs,verity,tar", Path::new("out"));
        let done = output(command.args(arguments).current_dir(folder.path()));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        format!("{}-----\n{}", text(&done.stdout), text(&done.stderr))
    };
    assert_snapshot!(run(&[]), @r"
    FILE                  SIZE  DIGEST
    out/root.tar     10.50 KiB  sha256:[HEX]
    out/root.erofs    8.00 KiB  sha256:[HEX]
    out/root.verity   8.00 KiB  sha256:[HEX]

    root hash [HEX]
    -----
         reading 8 entries of 4 layers in [SECONDS]
         writing 5 files in [SECONDS]
         hashing 3 files in [SECONDS]
    ");
    assert_snapshot!(run(&["--quiet"]), @r"
    [HEX]
    -----
    ");
}
