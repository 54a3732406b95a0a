//! A bundle and the image that it is said to be of.

use std::fs::{self, File};
use std::path::Path;

use insta::assert_snapshot;
use nodelith::bundle::disk::layout::{Disk, Parts, Sizes, Wanted, disk};
use nodelith::bundle::disk::{qcow2, raw, vhd};
use nodelith::bundle::output::Target;
use nodelith::digest::Digest;

use super::common::{manifest_digest, refused, run, skip};
use super::images::{export, layer, theirs};
use super::scene::Scene;

const MIB: u64 = 1 << 20;

/// A bundle `name` that says of itself that it was made from `image`, with the root of
/// `root` on its disk.
fn bundle(scene: &Scene, name: &str, image: &Path, root: &Path, form: &str) {
    let exported = scene.path("exported");
    run(&mut export(root, "erofs", &exported));
    let path = exported.join("root.erofs");
    let file = File::open(&path).unwrap();
    let size = file.metadata().unwrap().len();
    let wanted = Wanted {
        esp: Some(40 * MIB),
        slot: Some(8 * MIB),
        disk: Some(64 * MIB),
    };
    let target = Target {
        file: &file,
        path: &path,
    };
    let parts = Parts {
        architecture: "amd64",
        esp: [("EFI/Linux/a.efi".to_owned(), b"kernel".to_vec())].into(),
        root: (target, size),
        verity: vec![0; 4096],
        root_hash: [7; 32],
        name: "node_1".into(),
    };
    let made = disk(parts, &Sizes::of(wanted, size).unwrap()).unwrap();
    let folder = scene.path(name);
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("made");
    write(&made, form, &path);
    describe(&folder, image, form, &fs::read(&path).unwrap());
    fs::remove_file(path).unwrap();
}

/// Puts a disk and its description into the folder of a bundle.
fn describe(folder: &Path, image: &Path, form: &str, bytes: &[u8]) {
    let file = match form {
        "disk" => "disk.raw".to_owned(),
        _ => format!("disk.{form}"),
    };
    fs::write(folder.join(&file), bytes).unwrap();
    let about = serde_json::json!({
        "schema": "nodelith.export", "version": 1, "architecture": "amd64",
        "image": manifest_digest(image),
        "files": [{"name": file, "format": form, "size": bytes.len(), "digest": Digest::of(bytes)}],
    });
    fs::write(folder.join("export.json"), about.to_string()).unwrap();
}

fn write(disk: &Disk<'_>, form: &str, path: &Path) {
    let mut options = File::options();
    let file = options
        .read(true)
        .write(true)
        .create_new(true)
        .open(path)
        .unwrap();
    let target = Target { file: &file, path };
    let written = match form {
        "disk" => raw::write(&disk.content, target, &|_| {}),
        "qcow2" => qcow2::write(&disk.content, target, &|_| {}),
        _ => vhd::write(&disk.content, &[1; 16], target, &|_| {}),
    };
    written.unwrap();
}

/// Another image than the scene's.
fn other(scene: &Scene) -> std::path::PathBuf {
    let made = layer(&[("etc/other", b'0', "other")]);
    theirs(&scene.path("bin"), &[made])
}

#[test]
fn the_root_must_be_the_images() {
    if !Path::new("/usr/share/OVMF/OVMF_CODE_4M.fd").is_file() {
        return skip("a bundle of another image (no OVMF)");
    }
    let scene = Scene::new();
    let image = scene.path("image");
    let other = other(&scene);
    for form in ["disk", "qcow2"] {
        let (good, bad) = (format!("good-{form}"), format!("bad-{form}"));
        bundle(&scene, &good, &image, &image, form);
        run(&mut scene.boot("good", &[&good, "--image", "image"]));
        run(&mut scene.boot("good", &[&good, "--image", "image", "--attach"]));
        // Its description is right, and its digests are, and it is another's root.
        bundle(&scene, &bad, &image, &other, form);
        run(&mut scene.boot("good", &[&bad]));
        let started = scene.started().len();
        let said = refused(&mut scene.boot("good", &[&bad, "--image", "image"]), 4);
        assert!(said.contains("is not that of `image`"), "{said}");
        assert_eq!(scene.started().len(), started);
    }
    // A disk that is read in another way than it is booted.
    let qcow2 = fs::read(scene.path("good-qcow2/disk.qcow2")).unwrap();
    describe(&scene.path("bad-disk"), &image, "disk", &qcow2);
    let said = refused(
        &mut scene.boot("good", &["bad-disk", "--image", "image"]),
        4,
    );
    assert!(said.contains("is not that of `image`"), "{said}");

    bundle(&scene, "vhd", &image, &image, "vhd");
    let vhd = refused(&mut scene.boot("good", &["vhd", "--image", "image"]), 2);
    let said = "error: booting `vhd`: a disk as VHD, as `vhd/disk.vhd`, cannot be compared with an image\nhint: export it as `disk` or `qcow2`";
    assert!(vhd.trim_end().ends_with(said), "{vhd}");
    scene.is_clean();
}

#[test]
fn a_proof_of_a_bundle_needs_its_image() {
    if !Path::new("/usr/share/OVMF/OVMF_CODE_4M.fd").is_file() {
        return skip("attaching the proof of a bundle (no OVMF)");
    }
    let scene = Scene::new();
    let image = scene.path("image");
    bundle(&scene, "bundle", &image, &image, "disk");
    let said = ["--attach", "--attach=localhost/a:1"]
        .map(|attach| refused(&mut scene.boot("good", &["bundle", attach]), 2));
    assert_eq!(said[0], said[1]);
    assert_snapshot!(said[0], @r"
    error: `--attach` of a bundle needs the image that it was made from
    hint: name it with `--image`
    ");
    assert_eq!(scene.started(), [""; 0]);
}
