//! Traps of the files beside config.toml: drop-ins, and hosts.toml of registries.

use std::process::Command;
use std::time::{Duration, Instant};

use super::super::common::containerd::Suite;
use super::super::common::{image, output, run};
use super::super::node::{Node, Running, node};

const CRI: &str = "[plugins.\"io.containerd.grpc.v1.cri\"]\n";
const SANDBOX: &str = "sandbox_image = \"nodelith.test/other:1\"\n";
const IMPORTS: &str = "imports = [\"/etc/containerd/conf.d/*.toml\"]\n";
const DROP_IN: &str = "etc/containerd/conf.d/10-site.toml";

/// What CRI takes for sandboxes, and the longest line of a log.
fn effective(node: &Node, suite: Suite) -> (String, i64) {
    let running = node.runs(suite);
    let dump = running.dump().table;
    let plugin = |id: &str| dump["plugins"][id].clone();
    let (image, limit) = match suite {
        Suite::Forky => (
            plugin("io.containerd.cri.v1.images")["pinned_images"]["sandbox"].clone(),
            plugin("io.containerd.cri.v1.runtime")["max_container_log_line_size"].clone(),
        ),
        _ => {
            let cri = plugin("io.containerd.grpc.v1.cri");
            let image = cri["sandbox_image"].clone();
            assert_eq!(running.config()["sandboxImage"].as_str(), image.as_str());
            (image, cri["max_container_log_line_size"].clone())
        }
    };
    (
        image.as_str().unwrap().to_owned(),
        limit.as_integer().unwrap(),
    )
}

/// What containerd takes where nothing is said.
fn default_sandbox(suite: Suite) -> String {
    let tag = match suite {
        Suite::Bookworm => "3.6",
        Suite::Trixie => "3.8",
        Suite::Forky => "3.10",
    };
    format!("registry.k8s.io/pause:{tag}")
}

/// T13: before 2.0, a drop-in that names CRI takes the place of all that is said of it.
pub fn replacing_drop_in(suite: Suite) {
    let config = node(&format!("version = 2\n{IMPORTS}{CRI}{SANDBOX}"));
    let limit = "max_container_log_line_size = 7\n";
    let bad = config
        .clone()
        .file(DROP_IN, &format!("version = 2\n{CRI}{limit}"));
    if suite == Suite::Forky {
        bad.passes(suite, "ND-CRI-012");
        assert_eq!(
            effective(&bad, suite),
            ("nodelith.test/other:1".to_owned(), 7)
        );
    } else {
        bad.is_told(suite, "ND-CRI-012");
        assert_eq!(effective(&bad, suite), (default_sandbox(suite), 7));
    }
    let whole = config.file(
        DROP_IN,
        "version = 2\n[metrics]\naddress = \"127.0.0.1:1338\"\n",
    );
    whole.passes(suite, "ND-CRI-012");
    assert_eq!(effective(&whole, suite).0, "nodelith.test/other:1");
}

/// T14: a folder of drop-ins that nothing imports.
pub fn stray_drop_in(suite: Suite) {
    let drop_in =
        "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\"]\nmax_container_log_line_size = 7\n";
    let bad = node("version = 2\n").file(DROP_IN, drop_in);
    bad.is_told(suite, "ND-CRI-013");
    assert_eq!(effective(&bad, suite).1, 16384);
    let fixed = node(&format!("version = 2\n{IMPORTS}")).file(DROP_IN, drop_in);
    fixed.passes(suite, "ND-CRI-013");
    assert_eq!(effective(&fixed, suite).1, 7);
}

/// T30: one file of version 3 makes 2.0 to 2.2 take all of them for that.
pub fn mixed_versions(suite: Suite) {
    let config = node(&format!("version = 2\n{IMPORTS}{CRI}{SANDBOX}"));
    let bad = config.clone().file(DROP_IN, "version = 3\n");
    bad.is_told(suite, "ND-CRI-011");
    assert_eq!(effective(&bad, suite).0, default_sandbox(suite));
    let fixed = config.file(DROP_IN, "version = 2\n");
    fixed.passes(suite, "ND-CRI-011");
    assert_eq!(effective(&fixed, suite).0, "nodelith.test/other:1");
}

/// A name that leads nowhere but through hosts.toml.
const HOST: &str = "registry.nodelith.test";
const REGISTRY: &str = "127.0.0.1:5000";
const HOSTS: &str = "etc/containerd/certs.d/registry.nodelith.test/hosts.toml";
const MIRROR: &str = "server = \"http://127.0.0.1:5000\"\n\
    [host.\"http://127.0.0.1:5000\"]\ncapabilities = [\"pull\", \"resolve\"]\n";

/// A config.toml that names the folders of hosts.toml files.
fn folders(suite: Suite, path: &str) -> Node {
    let (version, plugin) = match suite {
        Suite::Forky => (3, "io.containerd.cri.v1.images"),
        _ => (2, "io.containerd.grpc.v1.cri"),
    };
    node(&format!(
        "version = {version}\n[plugins.\"{plugin}\".registry]\nconfig_path = \"{path}\"\n"
    ))
}

/// T1: containerd 2.1 takes several folders for the name of one.
pub fn several_registry_directories(suite: Suite) {
    let joined = "/etc/containerd/certs.d:/etc/docker/certs.d";
    let bad = folders(suite, joined).file(HOSTS, MIRROR);
    let mut running = bad.runs(suite);
    if suite == Suite::Forky {
        bad.is_told(suite, "ND-REG-001");
        pulls(&mut running, Err("lookup registry.nodelith.test"));
    } else {
        bad.passes(suite, "ND-REG-001");
        pulls(&mut running, Ok(()));
    }
    drop(running);
    let fixed = folders(suite, "/etc/containerd/certs.d").file(HOSTS, MIRROR);
    fixed.passes(suite, "ND-REG-001");
    pulls(&mut fixed.runs(suite), Ok(()));
    if suite == Suite::Forky {
        let config = "version = 3\n[plugins.\"io.containerd.cri.v1.images\"]\nuse_local_image_pull = true\n\
            registry.config_path = \"/etc/containerd/certs.d:/etc/docker/certs.d\"\n";
        let local = node(config).file(HOSTS, MIRROR);
        local.passes(suite, "ND-REG-001");
        pulls(&mut local.runs(suite), Ok(()));
    }
}

/// T26: a hosts.toml with a mistake is passed over as a whole.
pub fn broken_hosts(suite: Suite) {
    let one = folders(suite, "/etc/containerd/certs.d");
    for broken in [
        MIRROR.replace("\"resolve\"", "\"fetch\""),
        // A capability that only 2.2 and later know.
        MIRROR.replace("\"resolve\"", "\"resolve\", \"referrers\""),
        format!("{MIRROR}skip_verify = \"yes\"\n"),
        format!("{MIRROR}server = \n"),
    ] {
        let bad = one.clone().file(HOSTS, &broken);
        bad.is_told(suite, "ND-REG-004");
        pulls(&mut bad.runs(suite), Err("lookup registry.nodelith.test"));
    }
    let fixed = one.file(HOSTS, MIRROR);
    fixed.passes(suite, "ND-REG-004");
    pulls(&mut fixed.runs(suite), Ok(()));
}

/// Whether an image comes from the mirror, and otherwise why not.
#[track_caller]
fn pulls(running: &mut Running, expected: Result<(), &str>) {
    serve(running);
    let name = format!("{HOST}/test/pause:2");
    match expected {
        Ok(()) => {
            let said = running.says(&["pull", &name]);
            assert!(said.starts_with("Image is up to date for "), "{said}");
        }
        Err(why) => {
            let said = running.refuses(&["pull", &name]);
            assert!(said.contains(why), "{said}");
        }
    }
}

/// Debian's registry in the daemon's network, with an image.
fn serve(running: &mut Running) {
    let daemon = &mut running.0;
    let test = daemon.test();
    let config = format!(
        "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: {REGISTRY}}}\n",
        test.join("registry").display()
    );
    daemon.write("registry.yml", config);
    let archive = test.join("pause.tar");
    let program = daemon.program("usr/bin/catatonit");
    image::archive(
        &archive,
        "pause:2",
        &program,
        &[],
        &["/bin/catatonit", "-P"],
    );
    let mut registry = daemon.beside("docker-registry");
    registry.arg("serve").arg(test.join("registry.yml"));
    daemon.spawn("registry", &mut registry);
    let copy = || -> Command {
        let mut copy = daemon.beside("skopeo");
        copy.args(["copy", "--insecure-policy", "--dest-tls-verify=false"])
            .arg(format!("oci-archive:{}", archive.display()))
            .arg(format!("docker://{REGISTRY}/test/pause:2"));
        copy
    };
    let begun = Instant::now();
    while !output(&mut copy()).status.success() {
        if begun.elapsed() > Duration::from_secs(30) {
            run(&mut copy());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
