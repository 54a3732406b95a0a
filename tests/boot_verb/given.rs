//! What a machine is given.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Stdio;

use insta::assert_snapshot;

use super::common::refused;
use super::scene::Scene;

#[test]
fn credentials_are_read_once_and_kept_where_nobody_else_reads() {
    let scene = Scene::new();
    let folder = scene.path("kept/0-kernel");
    for run in ["the folder is new", "it is there, and open to all"] {
        let mut command = scene.boot("good", &["image", "--keep", "kept"]);
        command.args(["--credential", "a=@/dev/stdin"]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(b"b").unwrap();
        drop(input);
        assert!(child.wait().unwrap().success(), "{run}");
        let said = fs::read_to_string(folder.join("credential-0")).unwrap();
        assert_eq!(said, "io.systemd.credential.binary:a=Yg==", "{run}");
        assert_eq!(folder.metadata().unwrap().mode() & 0o777, 0o700, "{run}");
        fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).unwrap();
    }
    scene.is_clean();
}

#[test]
fn what_was_given_one_machine_is_proof_of_no_image() {
    let scene = Scene::new();
    let given = ["image", "--attach", "--credential", "a=b"];
    assert_snapshot!(refused(&mut scene.boot("good", &given), 2), @r"
    error: `--attach` is for what is the same of every boot, and with `--credential` it is not
    hint: `--output FILE` stores the proof
    ");
    assert_eq!(scene.started(), [""; 0]);
}
