//! The images that a node carries, imported for real: the root's own containerd
//! runs, and what the unit starts is started by hand.

use std::fs;
use std::path::Path;

use super::common::run;
use super::daemon::Daemon;

const UNIT: &str = "usr/lib/systemd/system/nodelith-images.service";
const PINNED: &str = "io.cri-containerd.pinned=pinned";

/// What `ctr` says of images.
impl Daemon {
    fn ctr(&self, words: &[&str]) -> String {
        let before = ["ctr", "--namespace", "k8s.io", "images"];
        let said = run(&mut self.command(&[&before[..], words].concat()));
        String::from_utf8(said).unwrap()
    }

    /// What `ctr images list` says of an image.
    fn listed(&self, reference: &str) -> String {
        let list = self.ctr(&["list"]);
        let mut lines = list.lines();
        let line = lines.find(|line| line.starts_with(&format!("{reference} ")));
        line.unwrap_or_default().to_owned()
    }
}

/// The node's containerd has the sandbox image after the unit has run, and keeps it.
pub fn imports(root: &Path, reference: &str) {
    let unit = fs::read_to_string(root.join(UNIT)).unwrap();
    let start = unit
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart="));
    let words: Vec<&str> = start.unwrap().split(' ').collect();
    let [_, archive, named, digest] = words[..] else {
        panic!("{words:?}");
    };
    assert_eq!(named, reference, "containerd compares it word for word");

    let daemon = Daemon::start(root);
    assert_eq!(daemon.listed(reference), "");
    let kept = |daemon: &Daemon| {
        let line = daemon.listed(reference);
        line.contains(digest) && line.contains(PINNED)
    };
    let import = |daemon: &Daemon| String::from_utf8(run(&mut daemon.command(&words))).unwrap();
    assert!(!import(&daemon).is_empty() && kept(&daemon));
    assert_eq!(import(&daemon), "", "it was there already");
    let check = daemon.ctr(&["check", &format!("name=={reference}")]);
    assert!(
        check.contains("complete (2/2)") && check.contains("true"),
        "{check}"
    );

    // Another boot: the same state, another daemon.
    drop(daemon);
    let daemon = Daemon::start(root);
    assert_eq!(import(&daemon), "");
    assert!(kept(&daemon));

    // What was changed meanwhile is put right: a pin that is gone (which containerd
    // itself may put back, from 1.7 on), an image that is gone.
    daemon.ctr(&["label", reference, "io.cri-containerd.pinned="]);
    import(&daemon);
    assert!(kept(&daemon));
    daemon.ctr(&["remove", reference]);
    assert!(!kept(&daemon));
    import(&daemon);
    assert!(kept(&daemon));
    fails(&daemon, &words, archive, reference);

    // A snapshotter that is not the default one has the image unpacked too.
    let script = root.join(words[0].trim_start_matches('/'));
    let text = fs::read_to_string(&script).unwrap();
    let other = text.replace("--snapshotter overlayfs", "--snapshotter native");
    assert_ne!(text, other);
    fs::write(&script, other).unwrap();
    daemon.ctr(&["remove", "--sync", reference]);
    import(&daemon);
    let listed = [
        "ctr",
        "--namespace",
        "k8s.io",
        "snapshots",
        "--snapshotter",
        "native",
        "list",
    ];
    let listed = String::from_utf8(run(&mut daemon.command(&listed))).unwrap();
    assert!(listed.contains("Committed"), "{listed}");
    fs::write(&script, text).unwrap();
}

/// An archive that does not hold what it should fails the unit.
fn fails(daemon: &Daemon, words: &[&str], archive: &str, reference: &str) {
    let nothing = format!("sha256:{}", "0".repeat(64));
    for wrong in [
        [archive, reference, &nothing],
        [archive, "r.example/other:1", words[3]],
        ["/etc/os-release", reference, &nothing],
        ["/nowhere.tar", reference, &nothing],
    ] {
        let said = daemon.output(&[&words[..1], &wrong].concat());
        assert_eq!(said.status.code(), Some(1), "{wrong:?}: {said:?}");
        assert!(!said.stderr.is_empty());
    }
}
