//! Same profile, lock and format: same digest, whoever builds it where and how.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use crate::common::{all, manifest_digest, nodelith, output, root, run};
use crate::user::User;
use crate::{Image, dynamic, quickstart, small};

/// One way to build it: its name, and what it does with a store of packages only.
type Way = (&'static str, fn(&Image, &Path, &str) -> String);

/// Those that need root themselves say so.
const WAYS: [Way; 7] = [
    ("one-thread", |image, store, name| {
        image.rebuild(store, name, &["--threads", "1"])
    }),
    ("two-threads", |image, store, name| {
        image.rebuild(store, name, &["--threads", "2"])
    }),
    ("mountns", |image, store, name| {
        sandbox(image, store, name, "mountns")
    }),
    ("userns", |image, store, name| {
        sandbox(image, store, name, "userns")
    }),
    ("chroot", |image, store, name| {
        sandbox(image, store, name, "chroot")
    }),
    ("surroundings", surroundings),
    ("clock", clock),
];

#[test]
fn the_small_image_is_the_same_however_it_is_built() {
    assert_eq!(differing(small()), Vec::<String>::new());
}

#[test]
fn the_quickstart_image_is_the_same_however_it_is_built() {
    if all("the quickstart image in every way") && root("the quickstart image in every way") {
        assert_eq!(differing(quickstart()), Vec::<String>::new());
        other_user(quickstart());
    }
}

#[test]
fn a_user_with_subordinate_ids_builds_the_same() {
    if root("making an account") {
        other_user(small());
    }
}

#[test]
fn a_full_store_gives_the_same_and_says_that_nothing_changed() {
    let image = small();
    let store = crate::common::shared_store();
    assert_eq!(image.rebuild(&store, "full-store", &[]), image.digest);
    let said = run(&mut image.command(&store, &image.folder.join("full-store")));
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains("is up to date"), "{said}");
}

#[test]
fn other_content_is_another_digest() {
    let other = small().variant("other-content", "hello", "goodbye").build();
    assert_ne!(other.digest, small().digest);
}

/// The ways that did not come to the same digest.
fn differing(image: &Image) -> Vec<String> {
    let is_root = root("userns, mountns and chroot as root");
    let mut differing = Vec::new();
    for (name, build) in WAYS {
        if !is_root && matches!(name, "mountns" | "userns" | "chroot") {
            continue;
        }
        let store = image.packages_only(&format!("store-{name}"));
        let layout = format!("out-{name}");
        let digest = build(image, &store, &layout);
        if digest == image.digest {
            fs::remove_dir_all(&store).unwrap();
        } else {
            // What differs, for whoever reads the failure.
            let told = output(
                nodelith()
                    .arg("diff")
                    .arg(&image.layout)
                    .arg(image.folder.join(layout)),
            );
            eprintln!("{name}: {}", String::from_utf8_lossy(&told.stdout));
            differing.push(format!("{name}: {digest} and not {}", image.digest));
        }
    }
    differing
}

fn sandbox(image: &Image, store: &Path, name: &str, mode: &str) -> String {
    image.rebuild(store, name, &["--sandbox", mode])
}

/// Another umask, time zone, language, home and working folder.
fn surroundings(image: &Image, store: &Path, name: &str) -> String {
    let layout = image.folder.join(name);
    let mut command = Command::new("sh");
    command
        .args(["-c", "umask 077; exec \"$@\"", "sh"])
        .arg(env!("CARGO_BIN_EXE_nodelith"))
        .args(image.arguments(store, &layout))
        .env("TZ", "Pacific/Kiritimati")
        .env("LANG", "tr_TR.UTF-8")
        .env("LC_ALL", "de_DE.UTF-8")
        .env("LANGUAGE", "de")
        .env("SOURCE_DATE_EPOCH", "1")
        .env("HOME", "/nonexistent")
        .current_dir("/");
    run(&mut command);
    // The umask must not keep others from reading the image either.
    let others = |path: &Path| {
        let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(path).unwrap());
        assert_eq!(mode & 0o004, 0o004, "{}", path.display());
    };
    others(&layout);
    others(&layout.join("index.json"));
    for blob in fs::read_dir(layout.join("blobs/sha256")).unwrap() {
        others(&blob.unwrap().path());
    }
    manifest_digest(&layout)
}

/// The program believes that it is 400 days later. Package scripts, which get
/// no environment of ours, still see the machine's clock.
fn clock(image: &Image, store: &Path, name: &str) -> String {
    let layout = image.folder.join(name);
    run(Command::new("faketime")
        .args(["-f", "+400d"])
        .arg(dynamic::program())
        .args(image.arguments(store, &layout)));
    // It did believe so: it marks records with the time of their use.
    let roots = fs::read_dir(store.join("records/roots")).unwrap();
    let later = SystemTime::now() + Duration::from_secs(300 * 24 * 60 * 60);
    for record in roots {
        let marked = record.unwrap().metadata().unwrap().modified().unwrap();
        assert!(marked > later, "{marked:?} is not the time of libfaketime");
    }
    manifest_digest(&layout)
}

/// As a user of no rights, from a store of copies.
fn other_user(image: &Image) {
    let user = User::new();
    let program = user.give(Path::new(env!("CARGO_BIN_EXE_nodelith")));
    let lock = user.give(&image.lock);
    let profile = if image.profile.ends_with("quickstart.toml") {
        let folder = image.profile.parent().unwrap();
        run(Command::new("cp").arg("-r").arg(folder).arg(user.folder()));
        user.folder().join("profiles/quickstart.toml")
    } else {
        user.give(&image.profile)
    };
    let store = user.folder().join("store");
    let blobs = store.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    for hex in image.input_digests() {
        let from = crate::common::shared_store()
            .join("blobs/sha256")
            .join(&hex);
        fs::copy(from, blobs.join(hex)).unwrap();
    }
    user.own(user.folder());
    let layout = user.folder().join("out");
    let mut command = user.command(program);
    command
        .args(["build", "--locked", "--offline", "--store"])
        .arg(&store)
        .arg("--lock")
        .arg(lock)
        .arg("--output")
        .arg(&layout)
        .arg(profile);
    run(&mut command);
    let digest = manifest_digest(&layout);
    if digest != image.digest {
        run(nodelith().arg("diff").arg(&image.layout).arg(&layout));
    }
    assert_eq!(digest, image.digest);
    let left: Vec<_> = fs::read_dir(store.join("scratch")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}
