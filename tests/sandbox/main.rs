//! The sandbox for real: every mode, as root, as a user, as in a plain container.
//!
//! Has no harness: the tested program starts itself as a worker, which must
//! happen before any thread is there, so this program is its own test runner.
//! It needs root (and `useradd`, `setpriv`, `ldd`, `perl`), and says so when it
//! is not root. `cargo test --test sandbox -- WORD` runs those that contain WORD.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test runner speaks for itself, and a test may panic"
)]

mod jobs;
mod place;
mod scenes;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, ExitCode};

use place::Place;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [nodelith::sandbox::VERB, mode] => {
            return nodelith::sandbox::worker_main(mode, jobs::work);
        }
        // A scene played in another process, as someone else.
        ["--scene", name, folder] => {
            scenes::play(name, folder.as_ref());
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let words: Vec<&String> = arguments
        .iter()
        .filter(|word| !word.starts_with('-'))
        .collect();
    let chosen: Vec<_> = TESTS
        .iter()
        .filter(|(name, _)| words.iter().all(|word| name.contains(word.as_str())))
        .collect();
    if arguments.iter().any(|word| word == "--list") {
        for (name, _) in chosen {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    if !rustix::process::geteuid().is_root() {
        println!("NOT RUN: the {} sandbox tests need root", chosen.len());
        return ExitCode::SUCCESS;
    }
    let mut failed = 0;
    for (name, test) in chosen {
        let place = Place::new();
        let good = catch_unwind(AssertUnwindSafe(|| test(&place))).is_ok();
        println!("test {name} ... {}", if good { "ok" } else { "FAILED" });
        failed += usize::from(!good);
    }
    println!("{failed} failed");
    ExitCode::from(u8::from(failed > 0))
}

type Test = fn(&Place);

/// By what they show.
const TESTS: &[(&str, Test)] = &[
    ("mountns_keeps_apart", |place| {
        scenes::play("apart mountns", place.path());
    }),
    ("userns_of_root_keeps_apart", |place| {
        scenes::play("apart userns", place.path());
    }),
    ("userns_of_a_user_keeps_apart", |place| {
        as_user(place, "apart userns");
    }),
    ("auto_for_a_user_is_userns", |place| {
        as_user(place, "auto userns");
    }),
    ("auto_for_root_is_mountns", |place| {
        scenes::play("auto mountns", place.path());
    }),
    ("auto_without_sys_admin_is_userns", |place| {
        without_sys_admin(place, "auto userns");
    }),
    ("auto_in_a_container_is_chroot", |place| {
        without_sys_admin(place, "contained auto chroot");
    }),
    ("chroot_in_a_container_works", |place| {
        without_sys_admin(place, "contained scripts chroot");
    }),
    ("a_user_may_not_ask_for_mountns", |place| {
        as_user(place, "refused mountns");
    }),
    ("scripts_in_mountns", |place| {
        scenes::play("scripts mountns", place.path());
    }),
    ("scripts_in_userns_of_root", |place| {
        scenes::play("scripts userns", place.path());
    }),
    ("scripts_in_userns_of_a_user", |place| {
        as_user(place, "scripts userns");
    }),
    ("scripts_in_chroot", |place| {
        scenes::play("scripts chroot", place.path());
    }),
    ("scripts_where_proc_is_masked", proc_is_masked),
    ("every_mode_leaves_the_same_tree", same_tree),
    ("owners_are_mapped", owners),
    ("what_a_user_cannot_remove_is_removed", |place| {
        as_user(place, "remove userns");
    }),
    ("deaths_are_told", |place| {
        for mode in MODES {
            scenes::play(&format!("deaths {mode}"), place.path());
        }
    }),
    ("devices_need_a_device_file_system", nodev),
    ("nothing_outlives_the_parent", outlive),
];

const MODES: [&str; 3] = ["mountns", "userns", "chroot"];

fn as_user(place: &Place, scene: &str) {
    let user = place.user();
    play_through(
        Command::new("setpriv")
            .args([
                "--reuid",
                &user.name,
                "--regid",
                &user.name,
                "--init-groups",
                "--",
            ])
            .arg(place.program()),
        scene,
        place,
    );
}

fn without_sys_admin(place: &Place, scene: &str) {
    play_through(
        Command::new("setpriv")
            .args([
                "--bounding-set",
                "-sys_admin",
                "--inh-caps",
                "-sys_admin",
                "--",
            ])
            .arg(place.program()),
        scene,
        place,
    );
}

fn play_through(command: &mut Command, scene: &str, place: &Place) {
    let status = command
        .args(["--scene", scene])
        .arg(place.path())
        .status()
        .unwrap();
    assert!(status.success(), "scene `{scene}`: {status}");
}

/// As containers do it: parts of /proc are covered, so that the kernel refuses a
/// fresh procfs to user namespaces inside.
fn proc_is_masked(place: &Place) {
    let script = "mount -t tmpfs none /proc/scsi 2>/dev/null || mount -t tmpfs none /proc/bus\n\
        exec setpriv --reuid \"$1\" --regid \"$1\" --init-groups -- \"$2\" --scene 'scripts userns' \"$3\"";
    let user = place.user();
    let status = Command::new("unshare")
        .args(["--mount", "sh", "-c", script, "sh", &user.name])
        .args([&place.program(), place.path()])
        .status()
        .unwrap();
    assert!(status.success());
}

fn same_tree(place: &Place) {
    let mut trees = Vec::new();
    for mode in MODES {
        let folder = place.folder(mode);
        scenes::play(&format!("scripts {mode}"), &folder);
        trees.push(std::fs::read_to_string(folder.join("listing")).unwrap());
    }
    assert!(trees[0].contains("usr/bin/perl"), "{}", trees[0]);
    assert!(trees[0].contains("made-by-script"), "{}", trees[0]);
    assert_eq!(trees[0], trees[1], "mountns and userns");
    assert_eq!(trees[0], trees[2], "mountns and chroot");
}

fn owners(place: &Place) {
    use std::os::unix::fs::MetadataExt;
    as_user(place, "owners userns");
    let user = place.user();
    for (name, owner) in [
        ("id-0", user.uid),
        ("id-1", user.subuid),
        ("id-1000", user.subuid + 999),
        ("id-65534", user.subuid + 65_533),
    ] {
        let metadata = std::fs::metadata(place.path().join(name)).unwrap();
        assert_eq!(metadata.uid(), owner, "{name}");
    }
}

fn nodev(place: &Place) {
    let script = "mount -t tmpfs -o nodev none \"$2\" && exec \"$1\" --scene 'nodev chroot' \"$2\"";
    let status = Command::new("unshare")
        .args(["--mount", "sh", "-c", script, "sh"])
        .args([&place.program(), &place.folder("nodev")])
        .status()
        .unwrap();
    assert!(status.success());
}

fn outlive(place: &Place) {
    for mode in MODES {
        for signal in [rustix::process::Signal::KILL, rustix::process::Signal::INT] {
            place.outlive(mode, signal, None);
        }
    }
    let user = place.user();
    place.outlive("userns", rustix::process::Signal::KILL, Some(&user.name));
}
