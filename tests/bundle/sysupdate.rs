//! `export --to sysupdate`: the files of an update, and what keeps an image from being
//! updated. Judges: `sha256sum`, `gzip`, mtools. That systemd-sysupdate takes them, and that
//! a node falls back, is shown by `tests/update`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use insta::assert_snapshot;
use nodelith::bundle::update::{BLESS, MKFS, REPART, SYSUPDATE};
use nodelith::tree::{Tree, TreePath};

use crate::common::{json, output, refused, run};
use crate::sample;
use crate::uki::{Scene, without};

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

#[test]
fn an_update_is_the_root_and_what_boots_it() {
    let scene = Scene::of(|_| {});
    let said = json(&mut scene.export("sysupdate,verity,uki", "out"));
    let hash = said["root"]["root-hash"].as_str().unwrap();
    let (first, second) = hash.split_at(32);
    let root = format!("node_7.root-{first}.raw.gz");
    let verity = format!("node_7.root-verity-{second}.raw.gz");
    let update = [&*root, &*verity, "node_7.efi", "SHA256SUMS"];
    let others = ["export.json", "node.efi", "root.erofs", "root.verity"];
    let all = update.iter().chain(&others).map(|name| (*name).to_owned());
    assert_eq!(names(&scene.path("out")), all.collect());
    let read = |name: &str| fs::read(scene.path("out").join(name)).unwrap();
    for (packed, plain) in [(&root, "root.erofs"), (&verity, "root.verity")] {
        let packed = scene.path("out").join(packed);
        let unpacked = run(Command::new("gzip").arg("-dc").arg(packed));
        assert!(unpacked == read(plain), "{plain}");
    }
    assert!(read("node_7.efi") == read("node.efi"));
    let check = || {
        let mut sums = Command::new("sha256sum");
        sums.args(["--check", "--strict", "--quiet", "SHA256SUMS"]);
        output(sums.current_dir(scene.path("out"))).status.success()
    };
    assert!(check());
    // All but itself and the description, which says it too.
    let lines = String::from_utf8(read("SHA256SUMS")).unwrap();
    assert_eq!(lines.lines().count(), 6, "{lines}");

    // Once more, elsewhere and by less.
    let mut again = scene.export("sysupdate", "again");
    run(again.args(["--threads", "1"]).env("TZ", "Asia/Tokyo"));
    for name in [&*root, &*verity, "node_7.efi"] {
        let again = fs::read(scene.path("again").join(name)).unwrap();
        assert!(again == read(name), "{name}");
    }
    fs::write(scene.path("out/node_7.efi"), "changed").unwrap();
    assert!(!check());

    // Another export in its place takes it away, and nothing that is somebody else's.
    fs::write(scene.path("out/SHA256SUMS.gpg"), "signed").unwrap();
    run(&mut scene.export("erofs", "out"));
    let left = ["SHA256SUMS.gpg", "export.json", "root.erofs"];
    assert_eq!(names(&scene.path("out")), left.map(String::from).into());
}

/// The names of files are not taken on trust.
#[test]
fn a_description_leads_nowhere_else() {
    let scene = Scene::of(|_| {});
    fs::create_dir(scene.path("out")).unwrap();
    fs::write(scene.path("other"), "").unwrap();
    fs::write(scene.path("out/old"), "").unwrap();
    let text = r#"{"schema": "nodelith.export", "files": [
        {"name": "../other"}, {"name": ".."}, {"name": ""}, {"name": 7}, {"name": "old"}]}"#;
    fs::write(scene.path("out/export.json"), text).unwrap();
    run(&mut scene.export("erofs", "out"));
    assert!(scene.path("other").exists());
    assert_eq!(
        names(&scene.path("out")),
        ["export.json", "root.erofs"].map(String::from).into()
    );
}

/// Warnings of an export.
fn warnings(scene: &Scene, formats: &str) -> String {
    let done = output(&mut scene.export(formats, "out"));
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{said}");
    let lines = said.lines().filter(|line| line.starts_with("warning"));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn what_an_image_lacks_for_updates_is_said() {
    let scene = Scene::of(|_| {});
    assert_eq!(warnings(&scene, "disk,sysupdate"), "");
    let scene = Scene::of(|tree| {
        [BLESS, REPART, SYSUPDATE]
            .map(without)
            .into_iter()
            .for_each(|take| take(tree));
    });
    assert_snapshot!(warnings(&scene, "disk"), @r"
    warning: the image has no `systemd-repart` (in Debian from systemd-repart): its disk gets no second slot and no `/var`
    warning: the image has no `systemd-bless-boot` (in Debian from systemd-boot): no version is marked as good, so one that does not come up is tried for ever
    ");
    let image = format!("{}@@1M", scene.path("out/disk.raw").display());
    let ukis = run(Command::new("mdir").args(["-b", "-i", &image, "::EFI/Linux"]));
    assert_eq!(ukis, b"::/EFI/Linux/node_7.efi\n");
    assert_snapshot!(warnings(&scene, "sysupdate"), @r"
    warning: the image has no `systemd-bless-boot` (in Debian from systemd-boot): no version is marked as good, so one that does not come up is tried for ever
    warning: the image has no `systemd-sysupdate` (in Debian from systemd-container): a node that runs this version takes no newer one
    ");
    let scene = Scene::of(without(MKFS[0]));
    assert_snapshot!(warnings(&scene, "disk"), @"warning: the image has no `mkfs.ext4` (in Debian from e2fsprogs): its disk gets no second slot, and its `/var` is in memory");
    // Nothing of it matters to a root image alone.
    assert_eq!(warnings(&scene, "erofs"), "");
}

#[test]
fn names_that_no_update_can_have() {
    let named = |id: &str, version: &str| {
        let text = format!("IMAGE_ID={id}\nIMAGE_VERSION={version}\n");
        Scene::of(|tree: &mut Tree| {
            let path = TreePath::from("usr/lib/os-release");
            tree.entries.get_mut(&path).unwrap().node = sample::inline(text.into_bytes());
        })
    };
    let scene = named("node", "1~rc1");
    assert_snapshot!(refused(scene.export("sysupdate", "out").arg("-q"), 2), @r"
    error: systemd-sysupdate knows no version with `~`, as in `1~rc1`
    hint: choose another `version` for the image
    ");
    assert_snapshot!(warnings(&scene, "disk"), @"warning: this disk will not be updated: systemd-sysupdate knows no version with `~`, as in `1~rc1`");
    let scene = named("a-node-with-a-name-that-is-long", "2026.11");
    assert_snapshot!(refused(scene.export("sysupdate", "out").arg("-q"), 2), @r"
    error: `a-node-with-a-name-that-is-long_2026.11` is too long for the name of a partition: it has 39 characters
    hint: `name` and `version` of an image that is updated have 35 at most
    ");
}
