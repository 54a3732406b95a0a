//! Packages that are not there, do not go together, or are not what the archive says.

use std::fs;
use std::path::Path;
use std::process::Command;

use insta::assert_snapshot;

use super::common::mirror::{Mirror, Recipe, minimal_packages};
use super::common::run;
use super::scene::{HELLO, Scene, replace, text};

fn hello() -> Recipe<'static> {
    Recipe {
        name: "hello",
        files: &[("usr/share/hello", &[b'x'; 100_000])],
        ..Recipe::default()
    }
}

/// A scene with a lock, in whose archive the package was then changed.
fn changed(change: impl FnOnce(&mut Vec<u8>)) -> (Scene, Mirror) {
    let mirror = Mirror::of(&[hello()]);
    let scene = Scene::locked(HELLO, &mirror);
    let package = mirror.package("hello");
    let mut bytes = fs::read(&package).unwrap();
    change(&mut bytes);
    fs::write(package, bytes).unwrap();
    (scene, mirror)
}

#[test]
fn another_digest() {
    let (scene, mirror) = changed(|bytes| bytes[50_000] ^= 1);
    assert_snapshot!(scene.failing(4, &mut scene.build(&mirror)), @r"
    error: `hello 1.0` is not what was asked for: expected sha256:[DIGEST] ([MANY] bytes); [MIRROR]/pool/main/hello_1.0_all.deb: got sha256:[DIGEST]
    hint: the mirror may be broken or in the middle of an update: try again later, or another `--mirror`
    hint: if the file was replaced at its source, `nodelith lock --update` takes the new one
    ");
}

#[test]
fn too_short() {
    let (scene, mirror) = changed(|bytes| bytes.truncate(50_000));
    assert_snapshot!(scene.failing(4, &mut scene.build(&mirror)), @r"
    error: `hello 1.0` is not what was asked for: expected sha256:[DIGEST] ([MANY] bytes); [MIRROR]/pool/main/hello_1.0_all.deb: got [MANY] bytes, [MANY] too few
    hint: the mirror may be broken or in the middle of an update: try again later, or another `--mirror`
    hint: if the file was replaced at its source, `nodelith lock --update` takes the new one
    ");
}

#[test]
fn too_long() {
    let (scene, mirror) = changed(|bytes| bytes.extend([0; 1000]));
    assert_snapshot!(scene.failing(4, &mut scene.build(&mirror)), @r"
    error: `hello 1.0` is not what was asked for: expected sha256:[DIGEST] ([MANY] bytes); [MIRROR]/pool/main/hello_1.0_all.deb: got more than [MANY] bytes
    hint: the mirror may be broken or in the middle of an update: try again later, or another `--mirror`
    hint: if the file was replaced at its source, `nodelith lock --update` takes the new one
    ");
}

#[test]
fn superseded() {
    let (scene, mirror) = changed(|_| {});
    let package = mirror.package("hello");
    let old = mirror.path().join("old/pool/main");
    fs::create_dir_all(&old).unwrap();
    fs::rename(&package, old.join(package.file_name().unwrap())).unwrap();
    assert_snapshot!(scene.failing(5, &mut scene.build(&mirror)), @r"
    error: `hello 1.0` cannot be had: [MIRROR]/pool/main/hello_1.0_all.deb: no such file
    hint: a newer version may have replaced it: `nodelith lock --update` takes what the archive has now
    hint: to keep the locked version, name a snapshot of the archive as fallback mirror; `nodelith vendor` keeps a copy of all inputs for the next time
    ");

    // A mirror that keeps such packages is all that is needed.
    let fallback = format!("{}/old", mirror.url());
    let mut vendor = scene.with(&mirror, &["vendor", "node.toml"]);
    run(vendor.args(["--fallback-mirror", &fallback]));
}

#[test]
fn superseded_but_still_in_the_store() {
    let mirror = Mirror::of(&[hello()]);
    let scene = Scene::locked(HELLO, &mirror);
    run(&mut scene.with(&mirror, &["vendor", "node.toml"]));
    fs::remove_file(mirror.package("hello")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (name, fields) in [("hello", &["Version: 2.0"][..]), ("other", &[])] {
        let recipe = Recipe {
            name,
            fields,
            ..Recipe::default()
        };
        mirror.add(&recipe.make(folder.path()));
    }
    mirror.publish(None);
    // Another package is added: what is locked stays as it is.
    scene.write(
        "node.toml",
        HELLO.replace("[\"hello\"]", "[\"hello\", \"other\"]"),
    );
    let kept = run(&mut scene.lock(&mirror));
    assert_snapshot!(text(&kept), @r"
    NAME   BEFORE  AFTER
    other  -       1.0

    node.lock.toml
    ");
    let renewed = run(scene.lock(&mirror).arg("--update"));
    assert_snapshot!(text(&renewed), @r"
    NAME   BEFORE  AFTER
    hello  1.0     2.0

    node.lock.toml
    ");
}

#[test]
fn an_unknown_package() {
    let mirror = Mirror::of(&[hello()]);
    let scene = Scene::new(&HELLO.replace("[\"hello\"]", "[\"helo\"]"));
    assert_snapshot!(scene.failing(3, &mut scene.lock(&mirror)), @r"
       resolving 1 package in 1 suite in [SECONDS]
    error: no archive has a package `helo`
    hint: did you mean `hello`?
    ");
}

#[test]
fn a_dependency_that_cannot_be_had() {
    let depends = |name, fields| Recipe {
        name,
        fields,
        ..Recipe::default()
    };
    let mirror = Mirror::of(&[
        depends("hello", &["Depends: greeting"]),
        depends("greeting", &["Depends: words (>= 2), paper | parchment"]),
        depends("words", &[]),
    ]);
    let scene = Scene::new(HELLO);
    assert_snapshot!(scene.failing(3, &mut scene.lock(&mirror)), @r"
       resolving 3 packages in 1 suite in [SECONDS]
    error: `hello` needs `greeting`, which needs `words (>= 2)`, which exists only as `1.0`
    hint: add the suite that has such a version of `words`
    ");
}

#[test]
fn packages_that_exclude_each_other() {
    let mirror = Mirror::of(&[
        Recipe {
            name: "hello",
            fields: &["Depends: words"],
            ..Recipe::default()
        },
        Recipe {
            name: "words",
            ..Recipe::default()
        },
        Recipe {
            name: "silence",
            fields: &["Conflicts: words"],
            ..Recipe::default()
        },
    ]);
    let scene = Scene::new(&HELLO.replace("[\"hello\"]", "[\"hello\", \"silence\"]"));
    assert_snapshot!(scene.failing(3, &mut scene.lock(&mirror)), @r"
       resolving 3 packages in 1 suite in [SECONDS]
    error: `silence` conflicts with `words`, which `hello` needs
    hint: request only one of the two
    ");
}

/// A profile with one local package.
const LOCAL: &str = r#"
name = "hello"
version = "1"
architecture = "amd64"

[debian]
suite = "trixie"
packages = ["evil"]
debs = ["evil.deb"]
updates = false
security = false
"#;

/// Makes `evil.deb`, whose archive of files Python writes with these statements.
fn hostile(scene: &Scene, statements: &str) {
    let script = format!(
        r"
import io, tarfile

def archive(fill):
    kept = io.BytesIO()
    out = tarfile.open(fileobj=kept, mode='w')
    fill(out)
    out.close()
    return kept.getvalue()

def add(name, kind=tarfile.REGTYPE, link='', data=b'evil'):
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, link
    entry.size = len(data) if kind == tarfile.REGTYPE else 0
    current.addfile(entry, io.BytesIO(data))

def control(out):
    global current
    current = out
    add('./control', data=b'Package: evil\nVersion: 1\nArchitecture: all\nDescription: evil\n')

def files(out):
    global current
    current = out
{statements}

with open('evil.deb', 'wb') as out:
    out.write(b'!<arch>\n')
    members = [('debian-binary', b'2.0\n'), ('control.tar', archive(control)), ('data.tar', archive(files))]
    for name, data in members:
        out.write(b'%-16s%-12d%-6d%-6d%-8s%-10d`\n' % (name.encode(), 0, 0, 0, b'100644', len(data)))
        out.write(data + b'\n' * (len(data) % 2))
"
    );
    let mut python = Command::new("python3");
    run(python.args(["-c", &script]).current_dir(scene.path("")));
}

/// A locked scene with a hostile package, and the archive of a root around it.
fn with_hostile(statements: &str) -> (Scene, Mirror) {
    let mirror = Mirror::new(minimal_packages());
    let scene = Scene::new(LOCAL);
    hostile(&scene, statements);
    run(&mut scene.lock(&mirror));
    (scene, mirror)
}

#[test]
fn a_hostile_package_that_climbs_out() {
    let path = "../../../../../../../../../../tmp/nodelith-climbed";
    let (scene, mirror) = with_hostile(&format!("    add('{path}')"));
    assert_snapshot!(scene.failing(4, &mut scene.build(&mirror)), @r"
        fetching [MANY] packages in [SECONDS]
            root reading packages in [SECONDS]
            root unpacking in [SECONDS]
    error: unpacking package `evil`: malformed tar archive: `../../../../../../../../../../tmp/nodelith-climbed` leads out of the root
    ");
    assert!(!Path::new("/tmp/nodelith-climbed").exists());
}

#[test]
fn a_hostile_package_that_leads_out_by_a_link() {
    let link = "    add('./way', tarfile.SYMTYPE, '/tmp')\n    add('./way/nodelith-led')";
    let (scene, mirror) = with_hostile(link);
    // Such a link is allowed: it is followed within the root, as on the node itself.
    run(&mut scene.build(&mirror));
    assert!(!Path::new("/tmp/nodelith-led").exists());
    scene.assert_nothing_under_way();
}

#[test]
fn a_hostile_package_that_links_to_the_outside() {
    let link = "    add('./shadow', tarfile.LNKTYPE, '../../../etc/shadow')";
    let (scene, mirror) = with_hostile(link);
    assert_snapshot!(scene.failing(4, &mut scene.build(&mirror)), @r"
        fetching [MANY] packages in [SECONDS]
            root reading packages in [SECONDS]
            root unpacking in [SECONDS]
    error: unpacking package `evil`: malformed tar archive: `../../../etc/shadow` leads out of the root
    ");
}

#[test]
fn a_local_package_that_is_none() {
    let mirror = Mirror::of(&[hello()]);
    let scene = Scene::new(LOCAL);
    scene.write("evil.deb", "this is no package\n");
    assert_snapshot!(scene.failing(4, &mut scene.lock(&mirror)), @r"
       resolving 1 package in 1 suite in [SECONDS]
    error: reading `evil.deb`: reading `store/blobs/sha256/[DIGEST]`: malformed .deb: it does not begin as an `ar` archive
    ");
}

#[test]
fn a_local_package_that_is_missing() {
    let mirror = Mirror::of(&[hello()]);
    let scene = Scene::new(LOCAL);
    assert_snapshot!(scene.failing(3, &mut scene.lock(&mirror)), @r"
       resolving 1 package in 1 suite in [SECONDS]
    error: the profile names `evil.deb`: No such file or directory
    hint: it was looked for at `[SCENE]/evil.deb`
    ");
}

#[test]
fn a_local_package_that_was_changed_after_locking() {
    let mirror = Mirror::of(&[hello()]);
    let scene = Scene::new(LOCAL);
    hostile(&scene, "    add('./a')");
    run(&mut scene.lock(&mirror));
    hostile(&scene, "    add('./b')");
    let mut build = scene.build(&mirror);
    assert_snapshot!(scene.failing(3, build.arg("--locked")), @r"
    error: the lock `node.lock.toml` is not what the profile asks for, and `--locked` forbids to change it
    hint: run `nodelith lock` and keep the lock with the profile
    ");
}

#[test]
fn the_stores_copy_of_a_package_was_changed() {
    let mirror = Mirror::of(&[hello()]);
    let scene = Scene::locked(HELLO, &mirror);
    run(&mut scene.with(&mirror, &["vendor", "node.toml"]));
    let blob = super::stores::blob(&scene, &fs::read(mirror.package("hello")).unwrap());
    for damage in [
        &b"short"[..],
        &vec![b'y'; blob.metadata().unwrap().len() as usize],
    ] {
        replace(&blob, damage);
        fs::remove_dir_all(scene.path("vendor")).unwrap();
        run(&mut scene.with(&mirror, &["vendor", "node.toml"]));
        let kept = scene.path("vendor/pool/debian/pool/main/hello_1.0_all.deb");
        assert_eq!(
            fs::read(kept).unwrap(),
            fs::read(mirror.package("hello")).unwrap()
        );
    }
}
