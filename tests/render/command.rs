//! The command line: where files go to, and how values are given.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use insta::assert_snapshot;

use crate::common::{document, nodelith, refused, run};
use crate::fixture;

/// `nodelith render TEMPLATE bundle`, in a folder with a bundle.
fn render(folder: &Path, template: &str, more: &[&str]) -> Command {
    let mut command = nodelith();
    command
        .current_dir(folder)
        .args(["render", template, "bundle"]);
    command.args(more);
    command
}

fn scene() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fixture::bundle(folder.path());
    folder
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn one_file_is_printed_and_several_want_a_folder() {
    let folder = scene();
    let folder = folder.path();
    let printed = run(&mut render(
        folder,
        "pxe-ipxe",
        &["--set", "base_url=http://x"],
    ));
    assert!(printed.starts_with(b"#!ipxe\n") && printed.ends_with(b"\nreboot\n"));

    let said = refused(
        &mut render(folder, "matchbox", &["--set", "base_url=http://x"]),
        2,
    );
    assert_snapshot!(said, @r"
    error: this makes 2 files: `profile.json`, `group.json`
    hint: give a folder for them with `--output DIR`
    ");
    let out = ["--set", "base_url=http://x", "-o", "out/deep"];
    let said = run(&mut render(folder, "matchbox", &out));
    assert_eq!(said, b"out/deep/profile.json\nout/deep/group.json\n");
    let names = fs::read_dir(folder.join("out/deep")).unwrap().count();
    assert_eq!(names, 2, "something was left aside");
    assert_eq!(mode(&folder.join("out/deep/group.json")), 0o644);
    // Again, over what is there.
    run(&mut render(folder, "matchbox", &out));

    run(&mut render(
        folder,
        "gce",
        &[
            "--set",
            "project=clusters",
            "--set",
            "bucket=images",
            "--set",
            "machine_type=n2",
            "-o",
            "out",
        ],
    ));
    assert_eq!(mode(&folder.join("out/create-image.sh")), 0o755);

    fs::write(folder.join("file"), "").unwrap();
    let said = refused(
        &mut render(
            folder,
            "matchbox",
            &["--set", "base_url=http://x", "-o", "file"],
        ),
        2,
    );
    assert!(
        said.starts_with("error: `file` is a file, not a folder"),
        "{said}"
    );
}

#[test]
fn several_templates_share_values() {
    let folder = scene();
    let folder = folder.path();
    let values = [
        "--set",
        "base_url=http://x",
        "--set",
        "root=initrd",
        "-o",
        "out",
    ];
    run(&mut render(folder, "pxe-ipxe,matchbox", &values));
    assert_eq!(fs::read_dir(folder.join("out")).unwrap().count(), 3);
    let said = refused(
        &mut render(folder, "pxe-ipxe,matchbox", &["--set", "bas_url=http://x"]),
        2,
    );
    assert_snapshot!(said, @r"
    error: none of the templates `pxe-ipxe`, `matchbox` has a value `bas_url`
    hint: did you mean `base_url`?
    ");
    let values = ["--set", "base_url=http://x", "-o", "out"];
    let said = refused(&mut render(folder, "pxe-ipxe,pxe-ipxe", &values), 2);
    assert!(said.contains("both make `boot.ipxe`"), "{said}");
}

#[test]
fn values_come_from_files_and_later_ones_go_before() {
    let folder = scene();
    let folder = folder.path();
    fs::write(
        folder.join("a.toml"),
        "base_url = \"http://a\"\nmetadata = { a = \"1\", b = \"1\" }\n",
    )
    .unwrap();
    fs::write(
        folder.join("b.yaml"),
        "# b\nmetadata:\n  b: \"2\"\narguments: [x, y]\n",
    )
    .unwrap();
    fs::write(
        folder.join("c.json"),
        "{\"id\": \"c\", \"arguments\": [\"z\"]}",
    )
    .unwrap();
    let out = document(&run(&mut render(
        folder,
        "matchbox",
        &[
            "-f",
            "a.toml",
            "--values",
            "b.yaml",
            "-f",
            "c.json",
            "--set",
            "metadata.c.d=3",
            "--set",
            "id=d",
            "--json",
        ],
    )));
    let content = |at: usize| -> serde_json::Value {
        serde_json::from_str(out["files"][at]["content"].as_str().unwrap()).unwrap()
    };
    let group = content(1);
    assert_eq!(group["id"], "d");
    assert_eq!(group["metadata"]["a"], "1");
    assert_eq!(group["metadata"]["b"], "2");
    assert_eq!(group["metadata"]["c.d"], "3");
    let words = content(0)["boot"]["args"].clone();
    assert!(words.as_array().unwrap().contains(&"z".into()), "{words}");
    assert!(!words.as_array().unwrap().contains(&"x".into()), "{words}");
}

#[test]
fn wrong_values_are_told_with_their_place() {
    let folder = scene();
    let folder = folder.path();
    let with = |text: &str| {
        fs::write(folder.join("v.yaml"), text).unwrap();
        let mut command = render(folder, "pxe-grub", &["--set", "server=x", "-f", "v.yaml"]);
        refused(&mut command, 2)
    };
    assert_snapshot!(with("# x\ntimeout: \"3\"\n"), @r#"
    error: value `timeout` of template `pxe-grub` must be a whole number
     --> v.yaml:2:10
      |
    2 | timeout: "3"
      |          ^^^
    hint: write it like `--set timeout=…`
    "#);
    assert_snapshot!(with("titel: x\n"), @r"
    error: template `pxe-grub` has no value `titel`
     --> v.yaml:1:8
      |
    1 | titel: x
      |        ^
    hint: did you mean `title`?
    ");
    assert_snapshot!(with("- x\n"), @r"
    error: `v.yaml` is not a table of values by name
     --> v.yaml:1:1
      |
    1 | - x
      | ^^^
    ");
    assert!(with("timeout: -1\n").contains("must be at least 0"));
    assert!(with("arguments: x\n").contains("must be a list of strings"));
    assert!(with("arguments: [1]\n").contains("must be a list of strings"));
    assert!(with("root: nfs\n").contains("must be one of `http`, `initrd`"));
    assert!(with("title: null\n").contains("must be a string"));
    assert!(with("title: \"a\\nb\"\n").contains("must be one line"));
    assert!(with("title: \"\"\n").contains("must not be empty"));
    assert!(with("a: 1\n---\nb: 1\n").contains("has several documents"));
    assert!(with("a: [\n").starts_with("error: `v.yaml` cannot be read"));
    for (set, wanted) in [
        ("timeout=3x", "must be a whole number, and is `3x`"),
        ("title", "takes `NAME=VALUE`, and there is no `=`"),
        ("title.x=1", "is no map and has no entries"),
        ("root_sha256=abc", "must match `[0-9a-f]{64}`, and is `abc`"),
    ] {
        let said = refused(
            &mut render(folder, "pxe-grub", &["--set", "server=x", "--set", set]),
            2,
        );
        assert!(said.contains(wanted), "{said}");
    }
    let said = refused(&mut render(folder, "pxe-grb", &[]), 2);
    assert_snapshot!(said, @r"
    error: there is no template `pxe-grb`
    hint: did you mean `pxe-grub`?
    ");
    let mut elsewhere = nodelith();
    elsewhere
        .current_dir(folder)
        .args(["render", "pxe-grub", "nothing-there"]);
    assert!(refused(&mut elsewhere, 2).contains("nothing-there"));
}

#[test]
fn secrets_stay_out_of_sight() {
    let folder = scene();
    let folder = folder.path();
    let token = "abcdef.0123456789abcdef";
    fs::write(folder.join("token"), format!("{token}\n")).unwrap();
    let hash = format!("ca_cert_hashes=sha256:{}", "0".repeat(64));
    let rest = ["--set", "api_server=api:6443", "--set", &hash];
    let with = |more: &[&str]| render(folder, "kubeadm-join", &[&rest[..], more].concat());

    let printed = run(&mut with(&["--set-file", "token=token"]));
    assert!(String::from_utf8(printed).unwrap().contains(token));
    let mut command = with(&["--set-file", "token=token", "-o", "out"]);
    let ran = command.output().unwrap();
    assert!(ran.status.success());
    let said = [ran.stdout, ran.stderr].concat();
    assert!(
        !String::from_utf8(said)
            .unwrap()
            .contains("0123456789abcdef")
    );
    assert_eq!(mode(&folder.join("out/join.yaml")), 0o600);

    // Nor is the line of a file that has one, whatever is wrong with it.
    for (name, text, wanted) in [
        (
            "v.toml",
            format!("x = 1\ntoken = {token}\n"),
            "`v.toml` cannot be read",
        ),
        (
            "v.toml",
            format!("x = 1\ntoken = \"{token}\n"),
            "`v.toml` cannot be read",
        ),
        ("v.yaml", format!("\ntoken: [{token}\n"), "(line "),
        (
            "v.yaml",
            format!("\ntokn: {token}\n"),
            "has no value `tokn` (line 2 of `v.yaml`)\nhint: did you mean `token`?",
        ),
        (
            "v.json",
            format!("{{\"token\": \"{token}\", \"node_name\": 1}}"),
            "value `node_name` of template `kubeadm-join` must be a string (line 1 of `v.json`)",
        ),
    ] {
        fs::write(folder.join(name), text).unwrap();
        let said = refused(&mut with(&["-f", name]), 2);
        assert!(said.contains(wanted), "{said}");
        assert!(!said.contains("0123456789abcdef"), "{said}");
    }

    fs::write(folder.join("v.yaml"), format!("token: {token}x\n")).unwrap();
    fs::write(folder.join("wrong"), format!("{token}x")).unwrap();
    for wrong in [
        &["--set", "token=abcdef.0123456789abcdef"][..],
        &["--set-file", "token=wrong"],
        &["-f", "v.yaml"],
    ] {
        let said = refused(&mut with(wrong), 2);
        assert!(
            said.starts_with("error: value `token` of template `kubeadm-join` "),
            "{said}"
        );
        assert!(!said.contains("0123456789abcdef"), "{said}");
    }
}

/// Each value knows where it stands, and the text is held once.
#[test]
fn files_with_many_values_are_read() {
    let folder = scene();
    let folder = folder.path();
    let text: String = (0..20_000)
        .map(|number| format!("value_{number}: {number}\n"))
        .collect();
    fs::write(folder.join("v.yaml"), text).unwrap();
    let mut command = render(folder, "pxe-grub", &["--set", "server=x", "-f", "v.yaml"]);
    let said = refused(&mut command, 2);
    let wanted = "error: template `pxe-grub` has no value `value_0`\n --> v.yaml:1:";
    assert!(said.starts_with(wanted), "{said}");
}

#[test]
fn a_template_can_be_taken_out_and_changed() {
    let folder = scene();
    let folder = folder.path();
    let mut eject = nodelith();
    eject
        .current_dir(folder)
        .args(["render", "pxe-grub", "--eject", "mine"]);
    run(&mut eject);
    let said = refused(&mut eject, 2);
    assert!(
        said.starts_with("error: `mine/pxe-grub` exists already"),
        "{said}"
    );
    let set = ["--set", "server=x"];
    let before = run(&mut render(folder, "pxe-grub", &set));
    let mine = ["--set", "server=x", "--templates", "mine"];
    assert_eq!(run(&mut render(folder, "pxe-grub", &mine)), before);
    let path = folder.join("mine/pxe-grub/grub.cfg");
    fs::write(&path, "# mine\n").unwrap();
    assert_eq!(run(&mut render(folder, "pxe-grub", &mine)), b"# mine\n");
    let said = refused(
        &mut render(folder, "pxe-grub", &["--templates", "yours"]),
        2,
    );
    assert!(
        said.starts_with("error: `yours` is not a folder of templates"),
        "{said}"
    );
}

#[test]
fn images_of_a_layout_have_what_they_say_of_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let image = fixture::image(folder.path());
    let mut command = nodelith();
    command.args(["render", "kubeadm-join"]).arg(&image);
    command.args(["--set", "discovery_file=/etc/kubernetes/discovery.conf"]);
    let text = String::from_utf8(run(&mut command)).unwrap();
    assert!(
        text.contains("apiVersion: \"kubeadm.k8s.io/v1beta4\""),
        "{text}"
    );
    let index = fs::read_to_string(image.join("index.json")).unwrap();
    let index: serde_json::Value = serde_json::from_str(&index).unwrap();
    let digest = index["manifests"][0]["digest"].as_str().unwrap();
    assert!(text.contains(digest), "{text}");
}

/// What `nodelith export` writes is read, and its digests are those of its files.
#[test]
fn a_real_export_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let image = fixture::image(folder.path());
    let bundle = folder.path().join("bundle");
    let mut export = nodelith();
    export
        .arg("export")
        .arg(&image)
        .args(["--to", "tar,erofs", "--output"])
        .arg(&bundle);
    run(&mut export);
    let gce = |more: &[&str]| {
        let mut command = nodelith();
        command.args(["render", "gce"]).arg(&bundle);
        let values = ["project=clusters", "bucket=images", "machine_type=n2"];
        for value in values.iter().chain(more) {
            command.args(["--set", value]);
        }
        command
    };
    let text = String::from_utf8(run(&mut gce(&["file=root.tar"]))).unwrap();
    let tar = fs::read(bundle.join("root.tar")).unwrap();
    let digest = nodelith::digest::Digest::of(&tar).hex();
    assert!(
        text.contains(&digest) && text.contains("quickstart-1-"),
        "{text}"
    );
    // Of a format that was not made.
    let said = refused(&mut gce(&[]), 2);
    assert!(
        said.starts_with("error: value `checksum` of template `gce` is missing"),
        "{said}"
    );
    assert!(said.contains("the export does not have it"), "{said}");
}
