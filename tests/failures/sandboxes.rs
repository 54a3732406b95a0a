//! Package scripts that fail, and machines that cannot run them.

use std::fs;
use std::process::Command;

use insta::assert_snapshot;

use super::common::mirror::{MINIMAL, Mirror, Recipe, minimal_packages};
use super::common::{output, run, skip};
use super::scene::{HELLO, Scene};

const WITH_BROKEN: &str = "packages = [\"broken\"]\n";

/// The archive of the minimal root, with a package of this script.
fn archive(script: &str, text: &str) -> Mirror {
    let mirror = Mirror::new(minimal_packages());
    let folder = tempfile::tempdir().unwrap();
    let package = Recipe {
        name: "broken",
        scripts: &[(script, text)],
        ..Recipe::default()
    };
    mirror.add(&package.make(folder.path()));
    mirror.publish(None);
    mirror
}

#[test]
fn a_script_that_fails_after_unpacking() {
    let mirror = archive(
        "postinst",
        "#!/bin/sh\necho looking for the lost key\necho there is none >&2\nexit 3\n",
    );
    let scene = Scene::locked(&format!("{MINIMAL}{WITH_BROKEN}"), &mirror);
    assert_snapshot!(scene.failing(6, &mut scene.build(&mirror)), @r"
        fetching [MANY] packages in [SECONDS]
            root reading packages in [SECONDS]
            root unpacking in [SECONDS]
            root configuring essential packages in [SECONDS]
            root configuring packages in [SECONDS]
    error: configuring packages: `dpkg --force-unsafe-io --force-confdef --force-confold --configure --pending` failed with status 1, for package `broken`
             Setting up broken (1.0) ...
             looking for the lost key
             there is none
             dpkg: error processing package broken (--configure):
              installed broken package post-installation script subprocess returned error exit status 3
             Errors were encountered while processing:
              broken
    hint: the whole output is in `store/scripts.log`
    ");
    let log = fs::read_to_string(scene.path("store/scripts.log")).unwrap();
    assert!(
        log.contains("looking for the lost key\nthere is none\n"),
        "{log}"
    );
}

#[test]
fn a_script_that_fails_before_unpacking() {
    let mirror = archive("preinst", "#!/bin/sh\necho not on a Tuesday\nexit 1\n");
    let scene = Scene::locked(&format!("{MINIMAL}{WITH_BROKEN}"), &mirror);
    assert_snapshot!(scene.failing(6, &mut scene.build(&mirror)), @r"
        fetching [MANY] packages in [SECONDS]
            root reading packages in [SECONDS]
            root unpacking in [SECONDS]
            root configuring essential packages in [SECONDS]
            root unpacking after preinsts in [SECONDS]
    error: running the preinst of package `broken`: `/var/lib/dpkg/tmp.ci/preinst install` failed with status 1
             not on a Tuesday
    hint: the whole output is in `store/scripts.log`
    ");
    let log = fs::read_to_string(scene.path("store/scripts.log")).unwrap();
    assert!(log.contains("not on a Tuesday"), "{log}");
}

fn hello() -> Mirror {
    Mirror::of(&[Recipe {
        name: "hello",
        ..Recipe::default()
    }])
}

/// A locked scene whose store belongs to nobody, the user without rights.
pub fn of_nobody(mirror: &Mirror) -> Option<Scene> {
    let probe = output(Command::new("unshare").args(["--mount", "true"]));
    if !rustix::process::getuid().is_root() || !probe.status.success() {
        skip("users without rights (needs root and the right to mount)");
        return None;
    }
    let scene = Scene::locked(HELLO, mirror);
    run(Command::new("chown")
        .args(["-R", "65534:65534"])
        .arg(scene.path("")));
    Some(scene)
}

/// The same command as nobody, with these commands before it in a mount namespace.
pub fn as_nobody(command: &Command, before: &str) -> Command {
    // By their paths, since the command's own PATH may lead nowhere.
    let mut changed = Command::new("/usr/bin/unshare");
    changed.args(["--mount", "/bin/sh", "-c"]);
    changed.arg(format!(
        "{before}\nexec /usr/bin/setpriv --reuid 65534 --regid 65534 --clear-groups \"$@\""
    ));
    changed
        .arg("sh")
        .arg(command.get_program())
        .args(command.get_args());
    changed.current_dir(command.get_current_dir().unwrap());
    changed.env_clear();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            changed.env(name, value);
        }
    }
    changed
}

#[test]
fn a_user_without_subordinate_ids() {
    let mirror = hello();
    let Some(scene) = of_nobody(&mirror) else {
        return;
    };
    let mut build = as_nobody(
        &scene.build(&mirror),
        "mount --bind /dev/null /etc/subuid && mount --bind /dev/null /etc/subgid",
    );
    assert_snapshot!(scene.failing(6, &mut build), @r"
    error: no way to run package scripts here:
             userns: no subordinate ids for `nobody` in /etc/subuid; no subordinate ids for `nobody` in /etc/subgid
             mountns: needs root
             chroot: needs root
    hint: as root: usermod --add-subuids [RANGE] --add-subgids [RANGE] nobody (or a line of your own in /etc/subuid and /etc/subgid)
    ");
}

#[test]
fn a_machine_without_newuidmap() {
    let mirror = hello();
    let Some(scene) = of_nobody(&mirror) else {
        return;
    };
    let ids = scene.write("ids", "nobody:100000:65536\n");
    let ids = ids.display();
    let mut before = format!("mount --bind {ids} /etc/subuid && mount --bind {ids} /etc/subgid");
    // Programs are looked for in the usual places, whatever PATH says.
    for folder in ["/usr/bin", "/usr/sbin", "/bin", "/sbin"] {
        for program in ["newuidmap", "newgidmap"] {
            let path = format!("{folder}/{program}");
            before += &format!("\ntest ! -e {path} || mount --bind {ids} {path}");
        }
    }
    let mut build = scene.build(&mirror);
    build.env("PATH", "/usr/bin:/bin");
    let mut build = as_nobody(&build, &before);
    assert_snapshot!(scene.failing(6, &mut build), @r"
    error: no way to run package scripts here:
             userns: `newuidmap` is not in PATH; `newgidmap` is not in PATH
             mountns: needs root
             chroot: needs root
    hint: install newuidmap and newgidmap: package `uidmap` on Debian and Ubuntu, `shadow-utils` on Fedora
    ");
}

#[test]
fn a_mode_that_is_impossible() {
    let mirror = hello();
    let Some(scene) = of_nobody(&mirror) else {
        return;
    };
    let mut build = scene.build(&mirror);
    build.args(["--sandbox", "mountns"]);
    assert_snapshot!(scene.failing(6, &mut as_nobody(&build, "")), @r"
    error: sandbox mode `mountns` is not possible here: needs root
    hint: `--sandbox auto` takes the best mode that works here
    ");
}

#[test]
fn a_foreign_architecture_without_emulator() {
    if cfg!(not(target_arch = "x86_64")) || !rustix::process::getuid().is_root() {
        skip("a foreign architecture without emulator (needs root on x86-64)");
        return;
    }
    let mirror = hello();
    let profile = HELLO.replace("amd64", "arm64");
    let scene = Scene::locked(&profile, &mirror);
    let build = scene.build(&mirror);
    let mut wrapped = Command::new("unshare");
    wrapped.args(["--mount", "sh", "-c"]);
    let formats = "/proc/sys/fs/binfmt_misc";
    wrapped.arg(format!(
        "test -e {formats}/status || mount -t binfmt_misc none {formats} || exit 99\n\
         test -e {formats}/qemu-aarch64 && exit 99\nexec \"$@\""
    ));
    wrapped
        .arg("sh")
        .arg(build.get_program())
        .args(build.get_args());
    wrapped.current_dir(scene.path(""));
    let probe = output(
        Command::new("unshare")
            .args(["--mount", "sh", "-c"])
            .arg(format!(
                "test -e {formats}/status || mount -t binfmt_misc none {formats} || exit 99\n\
         test ! -e {formats}/qemu-aarch64"
            )),
    );
    if !probe.status.success() {
        skip("a foreign architecture without emulator (no binfmt_misc here, or an emulator)");
        return;
    }
    assert_snapshot!(scene.failing(6, &mut wrapped), @r"
    error: `arm64` programs do not run on this `amd64` machine: `qemu-aarch64` is not registered with binfmt_misc
    hint: install an emulator on the machine itself: package `qemu-user-binfmt` (Debian 13, Ubuntu 25.04 and later) or `qemu-user-static`
    ");
    assert!(!scene.path("out").exists());
}
