//! How boots end, and what is said of it.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::common::{output, run, skip};
use super::scene::{Scene, names, said};

#[test]
fn a_node_passes_and_the_proof_is_beside_the_layout() {
    let scene = Scene::new();
    let output = output(&mut scene.boot("good", &["image"]));
    let (table, messages) = said(&output);
    assert!(output.status.success(), "{table}{messages}");
    assert!(table.contains("passed: 16 checks"), "{table}");
    assert!(
        messages.contains("the proof is in `image.boot.json`"),
        "{messages}"
    );
    let stored: serde_json::Value =
        serde_json::from_slice(&fs::read(scene.path("image.boot.json")).unwrap()).unwrap();
    let (printed, _) = scene.json("good", &["image"], 0);
    // What was measured stands apart; all else is the same each time.
    let same = |document: &serde_json::Value| {
        let mut proof = document["images"][0].clone();
        proof["measured"] = serde_json::Value::Null;
        proof
    };
    assert_eq!(same(&stored), same(&printed));
    let proof = &printed["images"][0];
    assert_eq!(proof["node"]["containerd"], "1.7.24~ds1");
    assert_eq!(proof["node"]["kubelet"]["version"], "v1.34.1");
    assert_eq!(proof["node"]["kubelet"]["flags"][1], "--v=2");
    assert_eq!(proof["measured"]["accelerator"], "TCG");
    scene.is_clean();
}

#[test]
fn a_kvm_that_dies_is_left_for_tcg() {
    if fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/kvm")
        .is_err()
    {
        return skip("a KVM that dies (/dev/kvm cannot be opened)");
    }
    for (mode, why) in [
        ("good-dies", "KVM internal error. Suberror: 1"),
        ("good-aborts", "signal: 6"),
        ("good-silent", "no sign of life for 2 s"),
    ] {
        let scene = Scene::new();
        let arguments = ["image", "--accel", "auto", "--deadline", "6"];
        let (document, messages) = scene.json(mode, &arguments, 0);
        assert_eq!(scene.started(), ["kvm", "tcg"], "{mode}");
        assert!(messages.contains(why), "{messages}");
        assert!(messages.contains("booting again by TCG"), "{messages}");
        assert_eq!(document["images"][0]["measured"]["accelerator"], "TCG");
        scene.is_clean();
    }
    // Where it is to be KVM, that is what fails.
    let scene = Scene::new();
    let (document, _) = scene.json("good-dies", &["image", "--accel", "kvm"], 1);
    assert_eq!(scene.started(), ["kvm"]);
    let why = "KVM died in it (KVM internal error. Suberror: 1), before the test began";
    assert_eq!(document["images"][0]["checks"][0]["message"], why);
    scene.is_clean();
}

#[test]
fn a_boot_that_does_not_end_is_explained() {
    let scene = Scene::new();
    let (document, _) = scene.json("hangs", &["image", "--deadline", "1"], 1);
    let proof = &document["images"][0];
    let why = "it was ended at the deadline of 1 s, while at `info`";
    assert_eq!(proof["checks"][0]["message"], why);
    assert_eq!(proof["console"], "first line\nlast line");
    let (table, _) = said(&output(
        &mut scene.boot("hangs", &["image", "--deadline", "1"]),
    ));
    assert!(
        table.contains("the console's end:\nfirst line\nlast line"),
        "{table}"
    );
    assert!(
        table.contains("hint: a slow machine may need more time: `--deadline SECONDS`"),
        "{table}"
    );

    // Before its deadline, and little of it is held.
    let (document, _) = scene.json("floods", &["image"], 1);
    let why = "it was ended, since it wrote more than 64 MiB on its console, before the test began";
    assert_eq!(document["images"][0]["checks"][0]["message"], why);

    let (document, _) = scene.json("panics", &["image"], 1);
    let why = "it was ended, since the console says `Kernel panic`, before the test began";
    assert_eq!(document["images"][0]["checks"][0]["message"], why);
    scene.is_clean();
}

#[test]
fn a_guest_does_not_write_to_the_terminal() {
    let scene = Scene::new();
    let (table, _) = said(&output(&mut scene.boot("colours", &["image"])));
    assert!(table.contains("in the image: red\n"), "{table}");
    let (document, _) = scene.json("colours", &["image"], 1);
    assert!(
        document
            .to_string()
            .contains("in the image: \\u001b[31mred")
    );
}

#[test]
fn a_qemu_that_does_not_start_is_no_finding() {
    let scene = Scene::new();
    let output = output(&mut scene.boot("broken", &["image"]));
    let (_, messages) = said(&output);
    assert_eq!(output.status.code(), Some(7), "{messages}");
    assert!(
        messages.contains("booting `image`: QEMU failed: exit status: 1: no such machine"),
        "{messages}"
    );
    assert!(!scene.path("image.boot.json").exists());
    scene.is_clean();
}

#[test]
fn a_signal_leaves_no_machine_and_no_files() {
    for signal in [libc::SIGINT, libc::SIGTERM] {
        let scene = Scene::new();
        let mut command = scene.boot("hangs", &["image"]);
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while scene.started().is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(60));
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(names(&scene.path("tmp")).len(), 1);
        run(Command::new("kill").args([format!("-{signal}"), child.id().to_string()]));
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), Some(signal));
        scene.is_clean();
        assert!(!scene.path("image.boot.json").exists());
    }
}

#[test]
fn junit_is_well_formed() {
    let scene = Scene::new();
    let script = "import sys, xml.etree.ElementTree as tree
suites = tree.fromstring(sys.stdin.buffer.read())
suite = suites.find('testsuite')
failed = [case.get('name') for case in suite.iter('testcase') if case.find('failure') is not None]
assert suites.get('failures') == suite.get('failures') == str(len(failed))
print(suite.get('name'), suite.get('tests'), failed)";
    for (mode, status, wanted) in [
        ("good", 0, "image, way kernel 16 []\n"),
        (
            "unique",
            1,
            "image, way kernel 16 ['nothing unique (first)']\n",
        ),
    ] {
        let output = output(&mut scene.boot(mode, &["image", "--format", "junit"]));
        assert_eq!(output.status.code(), Some(status));
        let mut python = Command::new("python3")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = python.stdin.take().unwrap();
        std::io::Write::write_all(&mut input, &output.stdout).unwrap();
        drop(input);
        let judged = python.wait_with_output().unwrap();
        assert!(judged.status.success());
        assert_eq!(String::from_utf8_lossy(&judged.stdout), wanted);
    }
}
