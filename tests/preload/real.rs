//! The images of a node imported by the node's own script into real containerd 1.6, 1.7
//! and 2.1, as its unit would, and seen through CRI as kubelet sees them.
//!
//! The daemons need root. containerd 1.7 is asked always, the others with
//! `NODELITH_TEST_ALL=1`.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::common::containerd::{Daemon, Suite};
use super::common::{self, output, run};
use super::node::{commands, publish, unpacked};
use super::{Stage, digest};

/// The sandbox image and others, by tag, by digest, by both, under two names, in
/// docker's format.
const IMAGES: &str = "
[pause]
image = \"REGISTRY/team/pause:3.10\"
preload = true
[[images]]
reference = \"REGISTRY/team/one:1\"
[[images]]
reference = \"REGISTRY/team/two:1\"
[[images]]
reference = \"r.example/again:1\"
source = \"REGISTRY/team/two:1\"
[[images]]
reference = \"REGISTRY/team/pause:3.10\"
source = \"oci:pause\"
[[images]]
reference = \"REGISTRY/team/one@DIGEST\"
[[images]]
reference = \"REGISTRY/team/other:1@DIGEST\"
source = \"oci:one\"
";

#[test]
fn containerd_1_7() {
    holds(Suite::Trixie, "1.7.24");
}

#[test]
fn containerd_1_6() {
    if common::all("containerd 1.6") {
        holds(Suite::Bookworm, "1.6.20");
    }
}

#[test]
fn containerd_2_1() {
    if common::all("containerd 2.1") {
        holds(Suite::Forky, "2.1.4");
    }
}

fn holds(suite: Suite, version: &'static str) {
    if !common::root("containerd runs as root") {
        return;
    }
    let stage = Stage::node(version, IMAGES);
    publish(&stage);
    stage.layout("pause", &["amd64"], "pause");
    let index = digest(&stage.scene.path("one"));
    let profile = fs::read_to_string(stage.scene.path("node.toml")).unwrap();
    stage
        .scene
        .write("node.toml", profile.replace("DIGEST", &index));
    let root = unpacked(&stage);
    // Nothing comes from there any more.
    let registry = stage.registry.host.clone();
    drop(stage.registry);

    let daemon = Daemon::start(suite, &suite.config()).unwrap_or_else(|log| panic!("{log}"));
    daemon.write(
        "etc/crictl.yaml",
        "runtime-endpoint: unix:///run/containerd/containerd.sock\n",
    );
    let node = Node { daemon };
    node.take(&root);
    let commands = commands(&root);
    assert!(commands[0][2].ends_with("/team/pause:3.10"), "{commands:?}");
    for command in &commands {
        assert_ne!(node.imports(command), "", "{command:?}");
        assert_eq!(node.imports(command), "", "it was there already");
    }
    let listed = node.crictl(&["images", "-o", "json"]);
    let images = listed["images"].as_array().unwrap();
    let names = |key: &str| -> Vec<&str> {
        let names = images.iter().filter_map(|image| image[key].as_array());
        names.flatten().filter_map(Value::as_str).collect()
    };
    let (tags, digests) = (names("repoTags"), names("repoDigests"));
    for tag in ["team/one:1", "team/two:1", "team/pause:3.10"] {
        let tag = format!("{registry}/{tag}");
        assert!(tags.contains(&&*tag), "{listed:#}");
    }
    assert!(tags.contains(&"r.example/again:1"), "{listed:#}");
    assert!(
        digests.contains(&&*format!("{registry}/team/one@{index}")),
        "{listed:#}"
    );

    // As pods name them.
    for reference in [
        "team/one:1".to_owned(),
        "team/two:1".to_owned(),
        format!("team/one@{index}"),
        format!("team/one:1@{index}"),
        format!("team/other:1@{index}"),
        format!("team/other@{index}"),
    ] {
        let reference = format!("{registry}/{reference}");
        let status = node.crictl(&["inspecti", &reference]);
        // containerd says so from 1.6.22 on.
        assert_eq!(
            status["status"]["pinned"],
            suite != Suite::Bookworm,
            "{status:#}"
        );
    }
    node.fails(&commands[1]);
}

struct Node {
    daemon: Daemon,
}

impl Node {
    /// Takes the node's own part of its root.
    fn take(&self, root: &Path) {
        for name in ["usr/lib/nodelith", "usr/share/nodelith/images"] {
            let target = self.daemon.test().join("root").join(name);
            fs::create_dir_all(&target).unwrap();
            run(Command::new("cp")
                .arg("-aT")
                .arg(root.join(name))
                .arg(target));
        }
    }

    /// A command of the unit, its paths where [`take`](Self::take) put them.
    fn command(&self, words: &[String]) -> Command {
        let place = |word: &String| match word.starts_with('/') {
            true => format!("/test/root{word}"),
            false => word.clone(),
        };
        let mut command = self.daemon.inside(&place(&words[0]));
        command.args(words[1..].iter().map(place));
        command
    }

    fn imports(&self, words: &[String]) -> String {
        String::from_utf8(run(&mut self.command(words))).unwrap()
    }

    fn crictl(&self, arguments: &[&str]) -> Value {
        let mut command = self.daemon.crictl();
        command.env("CRI_CONFIG_FILE", "/test/etc/crictl.yaml");
        serde_json::from_slice(&run(command.args(arguments))).unwrap()
    }

    /// An archive without its end, or without what it shares, fails the unit.
    fn fails(&self, words: &[String]) {
        let ctr = ["--namespace", "k8s.io", "images", "remove", "--sync"];
        let listed = self.crictl(&["images", "-o", "json"]);
        for image in listed["images"].as_array().unwrap() {
            for name in image["repoTags"].as_array().into_iter().flatten() {
                run(self
                    .daemon
                    .inside("ctr")
                    .args(ctr)
                    .arg(name.as_str().unwrap()));
            }
            for name in image["repoDigests"].as_array().into_iter().flatten() {
                output(
                    self.daemon
                        .inside("ctr")
                        .args(ctr)
                        .arg(name.as_str().unwrap()),
                );
            }
            let id = image["id"].as_str().unwrap();
            output(self.daemon.inside("ctr").args(ctr).arg(id));
        }
        let without = &words[..4];
        assert_ne!(words.len(), without.len(), "it shares something");
        let said = output(&mut self.command(without));
        assert_eq!(said.status.code(), Some(1), "{said:?}");
        let archive = self.daemon.test().join("root").join(&words[1][1..]);
        let whole = fs::read(&archive).unwrap();
        fs::write(&archive, &whole[..whole.len() / 2]).unwrap();
        let said = output(&mut self.command(words));
        assert_eq!(said.status.code(), Some(1), "{said:?}");
        fs::write(&archive, whole).unwrap();
        assert_ne!(self.imports(words), "");
    }
}
