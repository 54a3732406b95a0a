//! Archives that are not to be trusted, or not to be reached.

use std::fs;

use insta::assert_snapshot;

use super::common::mirror::{Mirror, Publish, Recipe};
use super::common::run;
use super::scene::{HELLO, Scene, text};

fn archive() -> Mirror {
    Mirror::of(&[hello()])
}

fn hello() -> Recipe<'static> {
    Recipe {
        name: "hello",
        files: &[("usr/share/hello", b"hello")],
        ..Recipe::default()
    }
}

#[test]
fn a_changed_release_file() {
    let (scene, mirror) = (Scene::new(HELLO), archive());
    let signed = fs::read_to_string(mirror.in_release()).unwrap();
    let changed = signed.replace("Components: main", "Components: main contrib");
    assert_ne!(signed, changed);
    fs::write(mirror.in_release(), changed).unwrap();
    assert_snapshot!(scene.failing(4, &mut scene.build(&mirror)), @r"
    error: verifying the archive `debian trixie`: `InRelease` has no good signature: the signature of key [KEY] does not match the text
    hint: it was changed or damaged after it was signed: try again later, or another `--mirror`
    ");
}

#[test]
fn a_release_file_signed_by_another_key() {
    let (scene, mirror, other) = (Scene::new(HELLO), archive(), archive());
    let mut build = scene.nodelith(&["build", "node.toml", "--mirror", &mirror.url()]);
    let build = build.arg("--keyring").arg(other.keyring());
    assert_snapshot!(scene.failing(4, build), @r"
    error: verifying the archive `debian trixie`: `InRelease` has no good signature: key [KEY] is not in the keyring
    hint: the keys are from `[MIRROR]/keyring.gpg`: install a newer `debian-archive-keyring`, or name the right keys with `--keyring`
    ");
}

#[test]
fn a_release_file_without_signature() {
    let (scene, mirror) = (Scene::new(HELLO), archive());
    fs::copy(mirror.path().join("Release"), mirror.in_release()).unwrap();
    assert_snapshot!(scene.failing(4, &mut scene.build(&mirror)), @r"
    error: verifying the archive `debian trixie`: `InRelease` is not properly signed: it does not begin with `-----BEGIN PGP SIGNED MESSAGE-----`
    hint: the mirror may be broken, or something between here and there answers in its place
    ");
}

#[test]
fn a_release_file_whose_signature_is_cut_off() {
    let (scene, mirror) = (Scene::new(HELLO), archive());
    let signed = fs::read_to_string(mirror.in_release()).unwrap();
    let end = signed.find("-----BEGIN PGP SIGNATURE").unwrap();
    fs::write(mirror.in_release(), &signed[..end]).unwrap();
    assert_snapshot!(scene.failing(4, &mut scene.build(&mirror)), @r"
    error: verifying the archive `debian trixie`: `InRelease` is not properly signed: its signature is missing
    hint: the mirror may be broken, or something between here and there answers in its place
    ");
}

#[test]
fn an_expired_key() {
    let folder = tempfile::tempdir().unwrap();
    let package = hello().make(folder.path());
    let mirror = Mirror::with_key(&[package], "1y", Some("20200101T000000!"));
    let scene = Scene::new(HELLO);
    assert_snapshot!(scene.failing(4, &mut scene.build(&mirror)), @r"
    error: verifying the archive `debian trixie`: `InRelease` has no good signature: key [KEY] expired at [TIME]
    hint: the keys are from `[MIRROR]/keyring.gpg`: install a newer `debian-archive-keyring`, or name the right keys with `--keyring`
    ");
}

#[test]
fn a_release_past_its_end() {
    let (scene, mirror) = (Scene::new(HELLO), archive());
    mirror.publish_as(&Publish {
        valid_until: Some("Sat, 01 Jan 2022 00:00:00 UTC"),
        ..Publish::default()
    });
    assert_snapshot!(scene.failing(4, &mut scene.lock(&mirror)), @r"
    error: verifying the archive `debian trixie`: the release was valid until [TIME], and now is [TIME]
    hint: the mirror may be out of date: try another `--mirror`; is this machine's clock right?
    hint: `--ignore-valid-until` takes it all the same (it may lack security fixes)
    ");

    let accepted = super::common::output(scene.lock(&mirror).arg("--ignore-valid-until"));
    assert!(accepted.status.success());
    assert_snapshot!(scene.named(&accepted.stderr), @r"
    warning: the release of `debian trixie` is past its end ([TIME]), and is taken all the same
       resolving 1 package in 1 suite in [SECONDS]
    wrote the lock `node.lock.toml`
    ");
    let lock = fs::read_to_string(scene.path("node.lock.toml")).unwrap();
    assert!(lock.contains("valid-until-ignored = true"), "{lock}");

    // A release in its time leaves no such mark.
    mirror.publish(None);
    run(scene
        .lock(&mirror)
        .args(["--update", "--ignore-valid-until"]));
    let lock = fs::read_to_string(scene.path("node.lock.toml")).unwrap();
    assert!(!lock.contains("valid-until-ignored"), "{lock}");
}

#[test]
fn another_suite_in_place_of_the_one_asked_for() {
    let mirror = archive();
    let scene = Scene::new(&HELLO.replace("trixie", "bookworm"));
    let dists = mirror.path().join("dists");
    fs::create_dir(dists.join("bookworm")).unwrap();
    fs::copy(mirror.in_release(), dists.join("bookworm/InRelease")).unwrap();
    assert_snapshot!(scene.failing(4, &mut scene.lock(&mirror)), @r"
    error: verifying the archive `debian bookworm`: asked for suite `bookworm`, got `stable`, `trixie`
    hint: the mirror answers with another suite: try another `--mirror`
    ");
}

#[test]
fn a_suite_that_is_not_there() {
    let (scene, mirror) = (Scene::new(&HELLO.replace("trixie", "trixy")), archive());
    assert_snapshot!(scene.failing(5, &mut scene.lock(&mirror)), @r"
    error: fetching the release file of `debian trixy`: [MIRROR]/dists/trixy/InRelease: no such file
    hint: check that the mirror has it, and that its name is spelt right
    ");
}

#[test]
fn a_component_that_is_not_there() {
    let profile = format!("{HELLO}components = [\"main\", \"contrib\"]\n");
    let (scene, mirror) = (Scene::new(&profile), archive());
    assert_snapshot!(scene.failing(3, &mut scene.lock(&mirror)), @r"
    error: suite `trixie` of `debian` has no component `contrib`
    hint: it has main
    ");
}

#[test]
fn a_missing_keyring() {
    let (scene, mirror) = (Scene::new(HELLO), archive());
    let mut lock = scene.nodelith(&["lock", "node.toml", "--keyring", "keys.gpg"]);
    let lock = lock.args(["--mirror", &mirror.url()]);
    assert_snapshot!(scene.failing(4, lock), @r"
    error: reading keyring `keys.gpg`: No such file or directory
    hint: install `debian-archive-keyring`, or name another file with `--keyring`
    ");
}

#[test]
fn a_keyring_without_keys() {
    let (scene, mirror) = (Scene::new(HELLO), archive());
    scene.write("keys.gpg", "these are no keys\n");
    let mut lock = scene.nodelith(&["lock", "node.toml", "--keyring", "keys.gpg"]);
    let lock = lock.args(["--mirror", &mirror.url()]);
    assert_snapshot!(scene.failing(4, lock), @r"
    error: `keys.gpg` is not a keyring: it holds no public key
    hint: OpenPGP public keys are wanted, binary or armored; a newer keybox file (`.kbx`) needs `gpg --export`
    ");
}

#[test]
fn a_list_of_packages_that_is_not_the_signed_one() {
    let (scene, mirror) = (Scene::new(HELLO), archive());
    let list = mirror
        .path()
        .join("dists/trixie/main/binary-amd64/Packages.xz");
    let mut bytes = fs::read(&list).unwrap();
    bytes[20] ^= 1;
    fs::write(&list, bytes).unwrap();
    assert_snapshot!(scene.failing(4, &mut scene.lock(&mirror)), @r"
    error: `debian trixie main/binary-amd64/Packages.xz` is not what was asked for: expected sha256:[DIGEST] ([MANY] bytes); [MIRROR]/dists/trixie/main/binary-amd64/Packages.xz: got sha256:[DIGEST]
    hint: the mirror may be broken or in the middle of an update: try again later, or another `--mirror`
    hint: if the file was replaced at its source, `nodelith lock --update` takes the new one
    ");
}

#[test]
fn an_unreachable_mirror() {
    let (scene, mirror) = (Scene::new(HELLO), archive());
    let mut lock = scene.nodelith(&["lock", "node.toml", "--mirror", "http://127.0.0.1:1/debian"]);
    let lock = lock.arg("--keyring").arg(mirror.keyring());
    assert_snapshot!(scene.failing(5, lock), @r"
    error: fetching the release file of `debian trixie`: http://127.0.0.1:1/debian/dists/trixie/InRelease: Connection refused
    hint: check the network, the proxy settings and the mirror
    ");
}

#[test]
fn an_address_of_no_known_sort() {
    let (scene, mirror) = (Scene::new(HELLO), archive());
    let mut lock = scene.nodelith(&[
        "lock",
        "node.toml",
        "--mirror",
        "ftp://mirror.example/debian",
    ]);
    let lock = lock.arg("--keyring").arg(mirror.keyring());
    assert_snapshot!(scene.failing(2, lock), @r"
    error: fetching the release file of `debian trixie`: `ftp://mirror.example/debian/dists/trixie/InRelease` is not a usable address: no support for `ftp:`
    hint: http:, https: and file: addresses and absolute paths are understood
    ");
}

#[test]
fn no_network_and_nothing_in_the_store() {
    let mirror = archive();
    let scene = Scene::locked(HELLO, &mirror);
    let mut build = scene.nodelith(&["build", "node.toml", "--offline"]);
    let build = build.args(["--mirror", "http://127.0.0.1:1/debian"]);
    assert_snapshot!(scene.failing(5, build), @r"
    error: `hello 1.0` is not in the store, and the network is not to be used
    hint: run once without `--offline`, or `nodelith vendor` where there is a network
    ");
}

#[test]
fn a_vendor_folder_that_lacks_a_package() {
    let mirror = archive();
    let scene = Scene::locked(HELLO, &mirror);
    fs::create_dir(scene.path("vendor")).unwrap();
    let mut build = scene.nodelith(&["build", "node.toml", "--vendor", "vendor"]);
    assert_snapshot!(scene.failing(5, &mut build), @r"
    error: `hello 1.0` cannot be had: [SCENE]/vendor/pool/debian/pool/main/hello_1.0_all.deb: no such file
    hint: fill the folder again with `nodelith vendor`, where there is a network
    ");
}

#[test]
fn what_went_wrong_before_does_no_harm_afterwards() {
    let (scene, mirror) = (Scene::new(HELLO), archive());
    let signed = fs::read(mirror.in_release()).unwrap();
    fs::write(mirror.in_release(), text(&signed).replace("main", "niam")).unwrap();
    scene.failing(4, &mut scene.lock(&mirror));
    fs::write(mirror.in_release(), signed).unwrap();
    run(&mut scene.lock(&mirror));
    assert!(scene.path("node.lock.toml").exists());
}
