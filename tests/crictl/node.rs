//! A containerd with two images, and the client asking it from inside.

use serde_json::{Value, json};

use crate::common::containerd::{Daemon, PAUSE, Suite};
use crate::common::{self, image, run, scratch};

pub const SOCKET: &str = "/run/containerd/containerd.sock";
/// The image that containers are made from.
pub const BUSYBOX: &str = "nodelith.test/busybox:1";

pub struct Node {
    pub daemon: Daemon,
    pub suite: Suite,
}

impl Node {
    pub fn start(suite: Suite) -> Self {
        let daemon = Daemon::start(suite, &suite.config()).unwrap_or_else(|log| panic!("{log}"));
        let node = Self { daemon, suite };
        let settings = format!("runtime-endpoint: unix://{SOCKET}\ntimeout: 60\n");
        node.daemon.write("etc/crictl.yaml", settings);
        let cni = json!({
            "cniVersion": "0.4.0", "name": "test",
            "plugins": [{
                "type": "bridge", "bridge": "cni0", "isGateway": true,
                "ipam": {"type": "host-local", "subnet": "10.88.0.0/24"},
            }],
        });
        node.daemon
            .write("etc/cni/10-test.conflist", cni.to_string());

        let folder = tempfile::tempdir_in(scratch()).unwrap();
        let pause = folder.path().join("pause.tar");
        let catatonit = node.daemon.program("usr/bin/catatonit");
        image::archive(&pause, PAUSE, &catatonit, &[], &["/bin/catatonit", "-P"]);
        node.daemon.import(&pause);
        let busybox = folder.path().join("busybox.tar");
        let program = node.daemon.program("usr/bin/busybox");
        let names = ["sh", "sleep", "cat", "echo", "true", "false", "ls", "stty"];
        image::archive(&busybox, BUSYBOX, &program, &names, &["/bin/sh"]);
        node.daemon.import(&busybox);
        node
    }

    /// The client with its arguments.
    pub fn crictl(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = self.daemon.crictl();
        command
            .env("CRI_CONFIG_FILE", "/test/etc/crictl.yaml")
            .args(arguments);
        command
    }

    /// What it prints.
    pub fn says(&self, arguments: &[&str]) -> String {
        String::from_utf8(run(&mut self.crictl(arguments))).unwrap()
    }

    /// The one line that it prints.
    pub fn line(&self, arguments: &[&str]) -> String {
        let said = self.says(arguments);
        assert_eq!(said.lines().count(), 1, "{arguments:?}: {said}");
        said.trim_end().to_owned()
    }

    /// What it prints, as JSON.
    pub fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.says(arguments)).unwrap()
    }

    /// What it says on standard error as it fails.
    pub fn fails(&self, arguments: &[&str]) -> String {
        common::refused(&mut self.crictl(arguments), 1)
    }

    /// A pod's configuration in /test/NAME.json.
    pub fn pod_config(&self, name: &str, more: &Value) -> String {
        let mut config = json!({
            "metadata": {"name": name, "namespace": "default", "uid": format!("uid-{name}")},
            "log_directory": format!("/test/pods/{name}"),
            "labels": {"app": name, "number": 1},
            "annotations": {"note": "of a test"},
            "linux": {"cgroup_parent": self.daemon.cgroup()},
        });
        merge(&mut config, more);
        self.daemon
            .write(&format!("{name}.json"), config.to_string());
        format!("/test/{name}.json")
    }

    /// A container's configuration in /test/NAME.json.
    pub fn container_config(&self, name: &str, more: &Value) -> String {
        let mut config = json!({
            "metadata": {"name": name},
            "image": {"image": BUSYBOX},
            "command": ["/bin/sleep", "1000"],
            "log_path": format!("{name}/0.log"),
            "labels": {"io.kubernetes.pod.name": "one", "io.kubernetes.pod.namespace": "default"},
            "linux": {},
        });
        merge(&mut config, more);
        self.daemon
            .write(&format!("{name}.json"), config.to_string());
        format!("/test/{name}.json")
    }
}

/// Sets what `more` says, table by table.
fn merge(into: &mut Value, more: &Value) {
    let Some(map) = more.as_object() else { return };
    for (key, value) in map {
        match value.is_object() && into[key].is_object() {
            true => merge(&mut into[key], value),
            false => into[key] = value.clone(),
        }
    }
}
