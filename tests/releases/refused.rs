//! What cannot be done, and what is said of it.

use insta::assert_snapshot;

use super::common::run;
use super::upstream::{path, release, tar};
use super::{ALL, CRICTL, Stage};

fn locked(profile: &str) -> Stage {
    let stage = Stage::new(profile);
    run(&mut stage.command(&["lock", "node.toml"]));
    stage
}

#[test]
fn a_release_that_is_not_there() {
    let stage = locked(CRICTL);
    stage.upstream.remove(&path("crictl", "1.36.0", "amd64"));
    let mut build = stage.command(&["build", "node.toml"]);
    assert_snapshot!(stage.failing(3, &mut build), @r"
    error: `crictl 1.36.0` cannot be had: [UPSTREAM]/github.com/kubernetes-sigs/cri-tools/releases/download/v1.36.0/crictl-v1.36.0-linux-amd64.tar.gz: 404 Not Found
    hint: check the version, and that the publisher has it for this architecture
    hint: `--component NAME=FILE` takes a local file in its place; `--releases FILE` names an internal mirror
    ");
}

#[test]
fn a_release_that_was_replaced() {
    let stage = locked(CRICTL);
    stage
        .upstream
        .put(&path("crictl", "1.36.0", "amd64"), b"other".to_vec());
    let mut build = stage.command(&["build", "node.toml"]);
    assert_snapshot!(stage.failing(4, &mut build), @r"
    error: `crictl 1.36.0` is not what was asked for: expected sha256:[DIGEST]; [UPSTREAM]/github.com/kubernetes-sigs/cri-tools/releases/download/v1.36.0/crictl-v1.36.0-linux-amd64.tar.gz: got sha256:[DIGEST]
    hint: if the publisher replaced it, find out why before you take the new one with `nodelith lock --update NAME`
    hint: `--component NAME=FILE` takes a local file in its place; `--releases FILE` names an internal mirror
    ");
}

#[test]
fn a_publisher_that_cannot_be_reached() {
    let stage = locked(CRICTL);
    stage.scene.write(
        "releases.toml",
        "[mirror]\n\"github.com\" = \"http://127.0.0.1:1\"\n",
    );
    let mut build = stage.command(&["build", "node.toml"]);
    assert_snapshot!(stage.failing(5, &mut build), @r"
    trying `crictl 1.36.0` again in [SECONDS]: Connection refused (os error 111)
    trying `crictl 1.36.0` again in [SECONDS]: Connection refused (os error 111)
    trying `crictl 1.36.0` again in [SECONDS]: Connection refused (os error 111)
    trying `crictl 1.36.0` again in [SECONDS]: Connection refused (os error 111)
    error: `crictl 1.36.0` cannot be had: http://127.0.0.1:1/kubernetes-sigs/cri-tools/releases/download/v1.36.0/crictl-v1.36.0-linux-amd64.tar.gz: Connection refused
    hint: `--component NAME=FILE` takes a local file in its place; `--releases FILE` names an internal mirror
    ");
    let mut offline = stage.command(&["build", "node.toml", "--offline"]);
    assert_snapshot!(stage.failing(5, &mut offline), @r"
    error: `crictl 1.36.0` is not in the store, and the network is not to be used
    hint: run once without `--offline`, or `nodelith vendor` where there is a network
    hint: `--component NAME=FILE` takes a local file in its place; `--releases FILE` names an internal mirror
    ");
}

/// Names and passwords of mirrors are used, and neither shown nor kept.
#[test]
fn passwords_are_not_told() {
    let stage = locked(CRICTL);
    let secret = stage.upstream.url.replace("http://", "http://me:hunter2@");
    let table = || stage.upstream.table().replace(&stage.upstream.url, &secret);
    stage.scene.write("releases.toml", table());
    stage.upstream.remove(&path("crictl", "1.36.0", "amd64"));
    let told = |said: String| {
        assert!(said.contains("[UPSTREAM]/github.com"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    };
    let mut build = stage.command(&["build", "node.toml"]);
    told(stage.failing(3, &mut build));
    stage.scene.write(
        "node.toml",
        CRICTL.replace("[crictl]\n", "[crictl]\nversion = \"1.36.99\"\n"),
    );
    told(stage.failing(3, &mut stage.command(&["lock", "node.toml"])));
    stage.upstream.publish("crictl", "1.36.99", "amd64");
    run(&mut stage.command(&["lock", "node.toml"]));
    let lock = std::fs::read_to_string(stage.scene.path("node.lock.toml")).unwrap();
    assert!(!lock.contains("hunter2"), "{lock}");
    let wrong = "[kubelet]\nurl = \"https://me:hunter2@x/{verison}\"\n";
    stage.scene.write("releases.toml", wrong);
    assert_snapshot!(stage.failing(2, &mut stage.command(&["lock", "node.toml"])), @r"
    error: `https://x/{verison}` has the placeholder `{verison}`, which means nothing
     --> releases.toml:1:2
      |
    1 | [kubelet]
      |  ^^^^^^^
    hint: write it like `https://mirror.example/v{version}/kubelet-{arch}`
    ");
}

#[test]
fn digests_that_cannot_be_had() {
    let version = |version: &str| {
        CRICTL.replace(
            "[crictl]\n",
            &format!("[crictl]\nversion = \"{version}\"\n"),
        )
    };
    let stage = Stage::new(&version("1.36.99"));
    let mut lock = stage.command(&["lock", "node.toml"]);
    assert_snapshot!(stage.failing(3, &mut lock), @r"
    error: asking for the digest of `crictl 1.36.99` for amd64, which the table of releases does not have: [UPSTREAM]/github.com/kubernetes-sigs/cri-tools/releases/download/v1.36.99/crictl-v1.36.99-linux-amd64.tar.gz.sha256: 404 Not Found
    hint: check the version: the publisher has no `crictl 1.36.99` for amd64
    hint: `--component crictl=FILE` takes a local file in its place; `--releases FILE` names an internal mirror
    ");
    let checksum = format!("{}.sha256", path("crictl", "1.36.99", "amd64"));
    stage
        .upstream
        .put(&checksum, b"<html>sign in</html>".to_vec());
    let mut lock = stage.command(&["lock", "node.toml"]);
    assert_snapshot!(stage.failing(4, &mut lock), @r"
    error: asking for the digest of `crictl 1.36.99` for amd64, which the table of releases does not have: `[UPSTREAM]/github.com/kubernetes-sigs/cri-tools/releases/download/v1.36.99/crictl-v1.36.99-linux-amd64.tar.gz.sha256` gives no digest of `crictl-v1.36.99-linux-amd64.tar.gz`
    hint: `--component crictl=FILE` takes a local file in its place; `--releases FILE` names an internal mirror
    ");
    let mut lock = stage.command(&["lock", "node.toml"]);
    stage.scene.write(
        "releases.toml",
        "[mirror]\n\"github.com\" = \"http://127.0.0.1:1\"\n",
    );
    assert_snapshot!(stage.failing(5, &mut lock), @r"
    error: asking for the digest of `crictl 1.36.99` for amd64, which the table of releases does not have: http://127.0.0.1:1/kubernetes-sigs/cri-tools/releases/download/v1.36.99/crictl-v1.36.99-linux-amd64.tar.gz.sha256: Connection refused
    hint: `--component crictl=FILE` takes a local file in its place; `--releases FILE` names an internal mirror
    ");
}

#[test]
fn lines_that_nobody_knows() {
    let stage = Stage::new(&ALL.replace("\"1.36\"", "\"1.33\""));
    assert_snapshot!(stage.failing(3, &mut stage.command(&["lock", "node.toml"])), @r#"
    error: no release of kubelet 1.33 is known
      --> node.toml:12:11
       |
    12 | version = "1.33"
       |           ^^^^^^
    hint: write a whole version in `[kubelet]`, like `version = "1.33.0"`: its digest is then the publisher's
    hint: known are 1.34, 1.35, 1.36; `--releases FILE` adds others
    "#);
    stage
        .scene
        .write("node.toml", ALL.replace("\"2.3\"", "\"2.9\"").trim_start());
    assert_snapshot!(stage.failing(3, &mut stage.command(&["lock", "node.toml"])), @r#"
    error: no release of containerd 2.9 is known
      --> node.toml:16:11
       |
    16 | version = "2.9"
       |           ^^^^^
    hint: write a whole version in `[containerd]`, like `version = "2.9.0"`: its digest is then the publisher's
    hint: known are 1.7, 2.0, 2.1, 2.2, 2.3; `--releases FILE` adds others
    "#);
    stage.scene.write(
        "node.toml",
        CRICTL.replace("\"1.36\"", "\"1.20\"").trim_start(),
    );
    assert_snapshot!(stage.failing(3, &mut stage.command(&["lock", "node.toml"])), @r#"
    error: no release of crictl 1.20 is known
      --> node.toml:12:11
       |
    12 | version = "1.20"
       |           ^^^^^^
    hint: write a whole version in `[crictl]`, like `version = "1.20.0"`: its digest is then the publisher's
    hint: known are 1.33, 1.34, 1.35, 1.36; `--releases FILE` adds others
    "#);
}

/// A right digest makes no archive good.
#[test]
fn an_archive_whose_names_lead_out() {
    let stage = Stage::new(CRICTL);
    let folder = stage.scene.path("evil");
    std::fs::create_dir_all(folder.join("in")).unwrap();
    std::fs::write(folder.join("crictl"), "evil").unwrap();
    let mut command = std::process::Command::new("tar");
    command
        .args(["-czf", "../evil.tgz", "-P", "../crictl"])
        .current_dir(folder.join("in"));
    run(&mut command);
    let bytes = std::fs::read(stage.scene.path("evil/evil.tgz")).unwrap();
    let hex = nodelith::digest::Digest::of(&bytes).hex();
    stage
        .upstream
        .put(&path("crictl", "1.36.5", "amd64"), bytes);
    let table = stage.upstream.table();
    stage.scene.write(
        "releases.toml",
        format!("{table}[crictl.sha256.\"1.36.5\"]\namd64 = \"{hex}\"\n"),
    );
    run(&mut stage.command(&["lock", "node.toml"]));
    let mut build = stage.command(&["build", "node.toml"]);
    assert_snapshot!(stage.failing(4, &mut build), @r"
        fetching 1 release in [SECONDS]
    error: unpacking `crictl 1.36.5`: the archive is malformed: the name `../crictl` leads out of the root
    ");
}

#[test]
fn programs_for_another_machine() {
    let stage = Stage::new(CRICTL);
    let elf = "\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\u{3e}\0\0\0";
    let file = tar(&[("crictl", elf)], &[]);
    stage.scene.write("own.tgz", file);
    stage.scene.write(
        "node.toml",
        CRICTL
            .replace("\"amd64\"", "\"arm64\"")
            .replace("[crictl]\n", "[crictl]\nversion = \"1.36.0-site.1\"\n"),
    );
    let component = ["--component", "crictl=own.tgz"];
    run(stage.command(&["lock", "node.toml"]).args(component));
    let mut build = stage.command(&["build", "node.toml"]);
    assert_snapshot!(stage.failing(4, &mut build), @"error: `crictl` of `crictl 1.36.0-site.1` is a program for amd64, and the image is for arm64");
}

#[test]
fn local_files_that_are_not_what_they_should_be() {
    let stage = Stage::new(CRICTL);
    stage.scene.write("other.tgz", "other");
    let component = ["--component", "crictl=other.tgz"];
    let mut lock = stage.command(&["lock", "node.toml"]);
    assert_snapshot!(stage.failing(4, lock.args(component)), @r#"
    error: `other.tgz` is not `crictl 1.36.0` for amd64: it has digest sha256:[DIGEST], and the table of releases says sha256:[DIGEST]
    hint: a build of your own needs a version of its own, which the table does not have: set `version`, like "1.36.4-site.1"
    "#);
    run(&mut stage.command(&["lock", "node.toml"]));
    for verb in ["lock", "build", "vendor"] {
        let mut command = stage.command(&[verb, "node.toml"]);
        let said = stage.failing(4, command.args(component));
        if verb == "build" {
            assert_snapshot!(said, @r"
            error: `other.tgz` has digest sha256:[DIGEST], and the lock says sha256:[DIGEST] of `crictl 1.36.0` for amd64
            hint: if the change is meant, renew the lock with `nodelith lock --update crictl`
            ");
        }
    }
    let mut missing = stage.command(&["build", "node.toml", "--component", "crictl=nowhere.tgz"]);
    assert_snapshot!(stage.failing(2, &mut missing), @"error: reading `nowhere.tgz`, which `--component` names: No such file or directory");
}

#[test]
fn arguments_that_mean_nothing() {
    let stage = Stage::new(ALL);
    for (argument, expected) in [
        ("kubelt=x", 0),
        ("helm=x", 1),
        ("kubelet=x", 2),
        ("kubelet", 3),
    ] {
        let mut lock = stage.command(&["lock", "node.toml", "--component", argument]);
        let said = stage.failing(2, &mut lock);
        assert_snapshot!(format!("argument-{expected}"), said);
    }
    let mut lock = stage.command(&["lock", "node.toml"]);
    lock.args(["--update", "kubectl"]);
    run(&mut stage.command(&["lock", "node.toml"]));
    assert_snapshot!(stage.failing(2, &mut lock), @r"
       resolving 1 package in 1 suite in [SECONDS]
    error: `kubectl` is not in the lock
    hint: `nodelith lock --update` without names renews everything
    ");
}

/// Versions that do not go together are told before anything is fetched.
#[test]
fn a_pair_that_does_not_go_together() {
    let profile = ALL
        .replace("\"1.36\"", "\"1.22.1\"")
        .replace("[crictl]\n", "[crictl]\nversion = \"1.36\"\n");
    let stage = Stage::new(&profile);
    for name in ["kubelet", "kubeadm"] {
        for architecture in ["amd64", "arm64"] {
            stage.upstream.publish(name, "1.22.1", architecture);
        }
    }
    run(&mut stage.command(&["lock", "node.toml"]));
    stage.upstream.asked();
    let mut build = stage.command(&["build", "node.toml", "--arch", "amd64"]);
    assert_snapshot!(stage.failing(2, &mut build), @r#"
    error: containerd 2.3.4 and Kubernetes 1.22 do not go together: kubelet speaks CRI v1alpha2, containerd v1
      --> node.toml:12:11
       |
    12 | version = "1.22.1"
       |           ^^^^^^^^
    hint: containerd 1.6, 1.7 would do; set that as `version` in `[containerd]`, or another Kubernetes version
    "#);
    assert!(stage.upstream.asked().is_empty());
}

#[test]
fn too_few_layers() {
    let stage = locked(&format!("{ALL}\n[image]\nlayers = 7\n"));
    let mut build = stage.command(&["build", "node.toml", "--arch", "amd64"]);
    assert_snapshot!(stage.failing(2, &mut build), @r"
    error: 7 layers are too few for this image, which needs 8
      --> node.toml:33:10
       |
    33 | layers = 7
       |          ^
    hint: each program that is no package has a layer of its own, and so have images, beside the root and the configuration
    ");
}

#[test]
fn a_local_file_that_is_gone() {
    let stage =
        Stage::new(&CRICTL.replace("[crictl]\n", "[crictl]\nversion = \"1.36.0-site.1\"\n"));
    stage
        .scene
        .write("own.tgz", release("crictl", "1.36.0", "amd64"));
    let mut lock = stage.command(&["lock", "node.toml"]);
    run(lock.args(["--component", "crictl=own.tgz"]));
    let mut build = stage.command(&["build", "node.toml"]);
    assert_snapshot!(stage.failing_anyhow(3, build.args(["--store", "other"])), @r"
    error: the lock has a local file (sha256:[DIGEST]) as `crictl 1.36.0-site.1` for amd64, and the store does not have it
    hint: name the file with `--component crictl=FILE`
    ");
}
