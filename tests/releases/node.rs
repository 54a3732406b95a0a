//! The shipped profiles `worker` and `control-plane`, with made-up programs in the
//! publishers' place, on the real root that they ask for.
//!
//! Run as root.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::common::{self, nodelith, run, scratch};
use super::judge;
use super::upstream::Upstream;

/// A folder of this test's own, with a profile over the shipped one.
struct Case {
    folder: PathBuf,
    upstream: Upstream,
}

impl Case {
    fn new(name: &str) -> Self {
        let folder = scratch().join("releases").join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let upstream = Upstream::start();
        let mut table = upstream.table();
        // A newer kubelet than the other releases: the newest is chosen.
        let newer = upstream.publish("kubelet", "1.36.5", "amd64");
        table += &format!("[kubelet.sha256.\"1.36.5\"]\namd64 = \"{}\"\n", newer.hex());
        fs::write(folder.join("releases.toml"), table).unwrap();
        Self { folder, upstream }
    }

    /// Writes a profile that extends a shipped one.
    fn profile(&self, base: &str, settings: &str) -> PathBuf {
        let base = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("profiles/{base}.toml"));
        let text = format!(
            "name = \"node\"\nextends = \"{}\"\n{settings}",
            base.display()
        );
        common::profile(&self.folder, &text)
    }

    fn build(&self, profile: &Path, output: &str, arguments: &[&str]) -> Value {
        let mut command = nodelith();
        command
            .args([
                "build",
                "--ignore-valid-until",
                "--json",
                "--output",
                output,
            ])
            .args(["--lock", "lock.toml", "--releases", "releases.toml"])
            .args(arguments)
            .arg(profile)
            .current_dir(&self.folder);
        serde_json::from_slice(&run(&mut command)).unwrap()
    }

    /// Unpacks the image in `output`.
    fn unpacked(&self, output: &str) -> PathBuf {
        let bundle = self.folder.join(format!("{output}-bundle"));
        let mut umoci = Command::new("umoci");
        let image = format!("{}:1", self.folder.join(output).display());
        run(umoci.args(["unpack", "--image", &image]).arg(&bundle));
        bundle.join("rootfs")
    }

    fn show(&self, output: &str) -> Value {
        let mut command = nodelith();
        command
            .args(["show", "--json", output])
            .current_dir(&self.folder);
        serde_json::from_slice(&run(&mut command)).unwrap()
    }
}

/// What stands in the node, with its mode; all is root's.
fn programs(node: &Path, paths: &[&str]) {
    for path in paths {
        let file = fs::symlink_metadata(node.join(path)).unwrap();
        assert!(file.is_file(), "{path}");
        assert_eq!(file.permissions().mode() & 0o7777, 0o755, "{path}");
        assert_eq!((file.uid(), file.gid()), (0, 0), "{path}");
        assert_eq!(file.mtime(), nodelith::tree::FIXED_TIME, "{path}");
        let text = fs::read_to_string(node.join(path)).unwrap();
        assert!(text.starts_with("#!/bin/sh\necho "), "{path}: {text}");
    }
}

const WORKER: [&str; 11] = [
    "usr/bin/kubelet",
    "usr/bin/kubeadm",
    "usr/bin/crictl",
    "usr/bin/containerd",
    "usr/bin/containerd-shim-runc-v2",
    "usr/bin/ctr",
    "usr/sbin/runc",
    "usr/lib/cni/bridge",
    "usr/lib/cni/host-local",
    "usr/lib/cni/loopback",
    // Through the link.
    "usr/lib/cni/../cni/loopback",
];

const UNITS: [&str; 3] = ["multi-user.target", "containerd.service", "kubelet.service"];

fn layers(built: &Value) -> Vec<(String, String)> {
    let layers = built["images"][0]["layers"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    layers
        .map(|layer| (text(&layer["id"]), text(&layer["digest"])))
        .collect()
}

/// The ids of layers that only the second image has.
fn new_layers(before: &Value, after: &Value) -> Vec<String> {
    let known = layers(before);
    let new = layers(after).into_iter();
    new.filter(|layer| !known.contains(layer))
        .map(|(id, _)| id)
        .collect()
}

#[test]
fn worker() {
    if !common::root("a worker of releases") {
        return;
    }
    let case = Case::new("worker");
    let plain = ["--compression", "none"];
    let first = case.build(&case.profile("worker", ""), "first", &plain);
    let ids: Vec<String> = layers(&first).into_iter().map(|(id, _)| id).collect();
    let own: Vec<&String> = ids.iter().filter(|id| id.starts_with("release:")).collect();
    let names = [
        "cni-plugins",
        "containerd",
        "crictl",
        "kubeadm",
        "kubelet",
        "runc",
    ];
    assert_eq!(own, names.map(|name| format!("release:{name}")).each_ref());
    assert_eq!(ids.last().unwrap(), "configuration");

    let node = case.unpacked("first");
    judge::prepare(&node);
    programs(&node, &WORKER);
    for gone in [
        "usr/bin/containerd-stress",
        "usr/lib/cni/LICENSE",
        "usr/bin/kubectl",
    ] {
        assert!(!node.join(gone).exists(), "{gone}");
    }
    judge::is_program(&node, "/opt/cni/bin/loopback");
    judge::units(&node, &UNITS);
    judge::state(&node);
    for unit in ["containerd.service", "kubelet.service"] {
        let link = node
            .join("etc/systemd/system/multi-user.target.wants")
            .join(unit);
        assert!(fs::symlink_metadata(link).unwrap().is_symlink(), "{unit}");
    }
    // Configured for the releases that were locked, not for their lines.
    let config = fs::read_to_string(node.join("etc/containerd/config.toml")).unwrap();
    assert!(config.contains("for containerd 2.3.") && config.contains("version = 3"));
    let drop_in = fs::read_to_string(node.join(judge::KUBELET_DROP_IN)).unwrap();
    assert!(drop_in.contains("kubelet 1.36.") && drop_in.contains("ExecStart=/usr/bin/kubelet"));

    // The check of the profile knows what is in the releases.
    let check = |profile: &Path| {
        let mut check = nodelith();
        check
            .args(["check", "--lock", "lock.toml", "--json"])
            .arg(profile)
            .current_dir(&case.folder);
        String::from_utf8(common::output(&mut check).stdout).unwrap()
    };
    let said = check(&case.profile("worker", "[cni]\nplugins = [\"loopback\"]\n"));
    assert!(
        said.contains("nodelith.") && !said.contains("ND-CNI-001"),
        "{said}"
    );

    let shown = case.show("first");
    let components = shown["components"].as_array().unwrap();
    assert_eq!(components.len(), names.len());
    assert_eq!(
        (&components[4]["name"], &components[4]["version"]),
        (&"kubelet".into(), &"1.36.5".into())
    );
    assert!(shown["annotations"].get("io.nodelith.crictl").is_none());

    // One flag: one layer. One release: its own, and what says of it.
    let flag = "[kubelet.flags]\nmax-pods = 50\n";
    let arguments = ["--compression", "none", "--locked"];
    let second = case.build(&case.profile("worker", flag), "second", &arguments);
    assert_eq!(new_layers(&first, &second), ["configuration"]);
    let version = "[kubelet]\nversion = \"1.36.4\"\n";
    let third = case.build(&case.profile("worker", version), "third", &plain);
    assert_eq!(
        new_layers(&first, &third),
        ["release:kubelet", "configuration"]
    );

    // Fewer plug-ins.
    let plugins = "[cni]\nplugins = [\"loopback\", \"bridge\"]\n";
    let fourth = case.build(&case.profile("worker", plugins), "fourth", &plain);
    let node = case.unpacked("fourth");
    for folder in ["usr/lib/cni", "opt/cni/bin"] {
        let names = fs::read_dir(node.join(folder)).unwrap();
        let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["bridge", "loopback"], "{folder}");
    }
    assert!(new_layers(&first, &fourth).contains(&"release:cni-plugins".to_owned()));
}

/// An image with the built-in crictl says so wherever one may look.
#[test]
fn worker_with_the_built_in_crictl() {
    if !common::root("a worker with the built-in crictl") {
        return;
    }
    let case = Case::new("builtin");
    fs::write(case.folder.join("own"), "#!/bin/sh\necho own\n").unwrap();
    let profile = case.profile("worker", "[crictl]\nsource = \"builtin\"\n");
    let arguments = ["--compression", "none", "--component", "crictl=own"];
    let built = case.build(&profile, "image", &arguments);
    let ids: Vec<String> = layers(&built).into_iter().map(|(id, _)| id).collect();
    assert!(ids.contains(&"builtin:crictl".to_owned()), "{ids:?}");
    let node = case.unpacked("image");
    programs(&node, &["usr/bin/crictl"]);
    let about = fs::read_to_string(node.join("usr/share/doc/nodelith-crictl/README")).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert!(about.starts_with(&format!("/usr/bin/crictl is nodelith-crictl {version},")));
    let shown = case.show("image");
    assert_eq!(shown["annotations"]["io.nodelith.crictl"], "builtin");
    let settings = node.join("usr/share/nodelith/settings.json");
    let settings: Value = serde_json::from_slice(&fs::read(settings).unwrap()).unwrap();
    let said = settings["builtin crictl"].as_str().unwrap();
    assert!(said.starts_with(&format!("{version} sha256:")), "{said}");
}

#[test]
fn control_plane() {
    if !common::root("a control plane of releases") {
        return;
    }
    let case = Case::new("control-plane");
    let plain = ["--compression", "none"];
    let built = case.build(&case.profile("control-plane", ""), "first", &plain);
    let node = case.unpacked("first");
    judge::prepare(&node);
    programs(&node, &WORKER);
    programs(&node, &["usr/bin/kubectl"]);
    judge::units(&node, &UNITS);
    judge::state(&node);
    let etcd = fs::metadata(node.join("var/lib/etcd")).unwrap();
    assert_eq!(etcd.permissions().mode() & 0o7777, 0o700);
    let config = node.join("usr/lib/kubernetes/kubelet.conf.d/20-nodelith.conf");
    let config = fs::read_to_string(config).unwrap();
    assert!(
        config.contains("staticPodPath: /etc/kubernetes/manifests"),
        "{config}"
    );

    // containerd 1.7 has the limit in its unit, and the static build has the same place.
    let older =
        "[containerd]\nversion = \"1.7.34\"\nstatic = true\n[kubernetes]\nversion = \"1.34\"\n";
    let table = fs::read_to_string(case.folder.join("releases.toml")).unwrap();
    let mut table = table;
    for (name, version) in [
        ("containerd-static", "1.7.34"),
        ("kubelet", "1.34.11"),
        ("kubeadm", "1.34.11"),
        ("kubectl", "1.34.11"),
        ("crictl", "1.34.0"),
    ] {
        let digest = case.upstream.publish(name, version, "amd64");
        table += &format!(
            "[{name}.sha256.\"{version}\"]\namd64 = \"{}\"\n",
            digest.hex()
        );
    }
    fs::write(case.folder.join("releases.toml"), table).unwrap();
    let second = case.build(&case.profile("control-plane", older), "second", &plain);
    assert!(new_layers(&built, &second).contains(&"release:containerd-static".to_owned()));
    let node = case.unpacked("second");
    judge::prepare(&node);
    judge::units(&node, &UNITS);
    programs(&node, &["usr/bin/containerd"]);
    let unit = node.join("usr/lib/systemd/system/containerd.service");
    let unit = fs::read_to_string(unit).unwrap();
    assert!(unit.contains("LimitNOFILE=infinity"), "{unit}");
}
