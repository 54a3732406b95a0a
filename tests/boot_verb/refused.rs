//! What cannot be booted, and why.

use std::fs;

use insta::assert_snapshot;

use super::common::{refused, run};
use super::images::export;
use super::scene::Scene;

#[test]
fn wrong_arguments() {
    let scene = Scene::new();
    let said = |arguments: &[&str]| refused(&mut scene.boot("good", arguments), 2);
    assert_snapshot!(said(&["image", "--damage"]), @"error: `--damage` changes an exported root: it goes with `--way disk` and `--way ipxe`");
    assert_snapshot!(said(&["image", "--image", "image"]), @"error: `--image` says what a bundle was made from, and there is no bundle");
    assert_snapshot!(said(&["nowhere"]), @r"
    error: booting `nowhere`: there is no image `nowhere`
    hint: name one as oci:DIR[:TAG], oci-archive:FILE, or a path that exists
    ");
    assert_snapshot!(said(&["image", "image", "--attach=localhost/a:1"]), @"error: `--attach=REF` is for one image, and there are several");
    assert_eq!(scene.started(), [""; 0]);
    scene.is_clean();
}

#[test]
fn missing_tools_are_all_told_of() {
    let scene = Scene::new();
    let mut command = scene.boot("good", &["image"]);
    command.env("PATH", scene.path("tmp"));
    assert_snapshot!(refused(&mut command, 2), @r"
    error: what booting needs is not there: `qemu-system-x86_64`
    hint: on Debian: apt-get install qemu-system-x86
    ");
}

#[test]
fn bundles_that_are_none() {
    let scene = Scene::new();
    let said = |arguments: &[&str]| refused(&mut scene.boot("good", arguments), 2);
    let bundle = scene.path("bundle");
    run(&mut export(scene.path("image"), "erofs", &bundle));
    let way = ["bundle", "--way", "kernel", "--quiet"];
    assert_snapshot!(said(&way), @r"
    error: booting `bundle`: opening bundle `bundle`: it has no disk that QEMU boots
    hint: make one: `nodelith export IMAGE --to disk --output DIR`
    ");

    // As if it were a disk.
    let path = bundle.join("export.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"erofs\"", "\"disk\"")).unwrap();
    fs::rename(bundle.join("root.erofs"), bundle.join("disk.raw")).unwrap();
    assert_snapshot!(said(&way), @"error: booting `bundle`: a bundle's disk boots by `--way disk`, and not by `--way kernel`");

    fs::write(bundle.join("disk.raw"), "other").unwrap();
    let changed = refused(&mut scene.boot("good", &way), 4);
    assert!(
        changed.contains("`bundle/disk.raw` is not what export.json says"),
        "{changed}"
    );
    scene.is_clean();
}
