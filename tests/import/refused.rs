//! What cannot be imported is said clearly.

use std::fs;
use std::path::Path;
use std::process::Command;

use insta::assert_snapshot;

use super::common::{nodelith, refused, run};

fn said(arguments: &[&str], status: i32) -> String {
    refused(nodelith().arg("import").args(arguments), status)
}

#[test]
fn nothing_and_nobody() {
    assert_snapshot!(said(&[], 2), @r"
    error: there is nothing to import
    hint: name a node's root directory or an archive of it; `nodelith import --collect` prints a script that makes one
    hint: or single files: --docker-config, --containerd-config, --kubelet-flags, --kubelet-config, --crictl-config, --images, --node-object
    ");
    assert_snapshot!(said(&["no-such-node"], 2), @r"
    error: there is no `no-such-node`
    hint: name a node's root directory, or an archive of it
    ");
    assert_snapshot!(said(&["tests/check/fixtures/docker-package/opt"], 2), @r"
    error: the node does not say which Kubernetes it has
    hint: give the version of the new node with `--kubernetes`
    ");
    assert_snapshot!(
        said(&["tests/import/fixtures/kops-1.27", "--suite", "sarge"], 2), @r"
    error: `sarge` is no suite that profiles are made for
    hint: there are trixie, forky, bookworm
    "
    );
}

/// A profile that is there is left alone.
#[test]
fn a_profile_that_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let profile = folder.path().join("node.toml");
    fs::write(&profile, "mine").unwrap();
    let mut import = nodelith();
    import.arg("import").arg("tests/import/fixtures/kops-1.27");
    import.arg("--output").arg(&profile);
    let told = refused(&mut import, 2).replace(folder.path().to_str().unwrap(), "FOLDER");
    assert_snapshot!(told, @r"
    error: `FOLDER/node.toml` exists already
    hint: give another name, or `--force` to replace it
    ");
    assert_eq!(fs::read_to_string(&profile).unwrap(), "mine");
    run(import.arg("--force"));
    assert!(
        fs::read_to_string(&profile)
            .unwrap()
            .starts_with("# Made by")
    );
}

/// Broken files are counted as lost, and the rest is imported.
/// The report of an import whose profile goes into `folder`.
fn report(folder: &Path, import: &mut Command) -> String {
    import.args(["--kubernetes", "1.33", "--output"]);
    let said = String::from_utf8(run(import.arg(folder.join("node.toml")))).unwrap();
    said.replace(folder.to_str().unwrap(), "FOLDER")
}

#[test]
fn broken_files() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = folder.path().join("daemon.json");
    fs::write(&daemon, "{ \"bip\": ").unwrap();
    let containerd = folder.path().join("config.toml");
    fs::write(&containerd, "version = ").unwrap();
    let mut import = nodelith();
    import.arg("import").arg("--docker-config").arg(&daemon);
    import.arg("--containerd-config").arg(&containerd);
    assert_snapshot!(report(folder.path(), &mut import), @r"
    carried over (0)

    changed in meaning (0)

    cannot be carried (2)
      containerd configuration  [FOLDER/config.toml:1]
        it cannot be read: string values must be quoted, expected literal string
      docker daemon.json  [FOLDER/daemon.json:1]
        it cannot be read: while parsing a node, did not find expected node content
    ");
}

/// Lists and objects that are none are counted as lost.
#[test]
fn lists_of_images_and_nodes_that_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images.txt");
    fs::write(&images, "Cannot connect to the Docker daemon\n").unwrap();
    let object = folder.path().join("node.yaml");
    let two = "kind: NodeList\nitems:\n- metadata: {name: a}\n- metadata: {name: b}\n";
    fs::write(&object, two).unwrap();
    let mut import = nodelith();
    import.arg("import").arg("--images").arg(&images);
    import.arg("--node-object").arg(&object);
    assert_snapshot!(report(folder.path(), &mut import), @r"
    carried over (0)

    changed in meaning (0)

    cannot be carried (2)
      image list  [FOLDER/images.txt:1]
        it cannot be read: it is no list that `docker images` or `crictl images` prints
      node object  [FOLDER/node.yaml:1]
        several nodes are in it, and none has this one's name: give one alone
    ");
}

/// The version of Kubernetes is the Node object's where nothing else says one.
#[test]
fn a_node_object_alone() {
    let folder = tempfile::tempdir().unwrap();
    let object = folder.path().join("node.yaml");
    let node = "kind: Node\nmetadata: {name: a}\nspec:\n  taints:\n  - {key: site.example/dedicated, effect: NoSchedule}\nstatus:\n  nodeInfo: {kubeletVersion: v1.33.4-gke.1, containerRuntimeVersion: 'docker://24.0.7'}\n  capacity: {cpu: '4', memory: 16Gi, pods: '250'}\n  allocatable: {cpu: 3800m, memory: 15Gi, pods: '250'}\n";
    fs::write(&object, node).unwrap();
    let profile = folder.path().join("node.toml");
    let mut import = nodelith();
    import.arg("import").arg("--node-object").arg(&object);
    run(import.arg("--output").arg(&profile));
    let profile: toml::Table = fs::read_to_string(profile).unwrap().parse().unwrap();
    assert_eq!(profile["kubernetes"]["version"].as_str(), Some("1.33"));
    let config = profile["kubelet"]["config"].to_string();
    assert_snapshot!(config, @r#"{ maxPods = 250, registerWithTaints = [{ effect = "NoSchedule", key = "site.example/dedicated" }], systemReserved = { cpu = "200m", memory = "946176Ki" } }"#);
}

/// Huge pages are no memory that was kept back: kubelet takes them off by itself.
#[test]
fn huge_pages_are_not_kept_back_twice() {
    let folder = tempfile::tempdir().unwrap();
    let object = folder.path().join("node.yaml");
    for (left, wanted) in [("12Gi", Some("946176Ki")), ("13529088Ki", None)] {
        let node = format!(
            "kind: Node\nmetadata: {{name: a}}\nstatus:\n  nodeInfo: {{kubeletVersion: v1.33.4}}\n  capacity: {{memory: 16Gi, hugepages-2Mi: 1Gi, hugepages-1Gi: 2Gi}}\n  allocatable: {{memory: {left}}}\n"
        );
        fs::write(&object, node).unwrap();
        let profile = folder.path().join("node.toml");
        let mut import = nodelith();
        import.arg("import").arg("--node-object").arg(&object);
        run(import.arg("--output").arg(&profile));
        let text = fs::read_to_string(&profile).unwrap();
        fs::remove_file(&profile).unwrap();
        let profile: toml::Table = text.parse().unwrap();
        let config = profile
            .get("kubelet")
            .and_then(|kubelet| kubelet.get("config"));
        let kept = config.and_then(|config| config.get("systemReserved")?.get("memory")?.as_str());
        assert_eq!(kept, wanted, "{left}");
    }
}

/// Networks written by hand are carried whatever they are called; those whose plug-ins not
/// every suite has are not.
#[test]
fn networks_by_hand_that_are_called_as_add_ons_call_theirs() {
    for (name, plugin, part) in [
        ("cbr0", "bridge", "changed in meaning (1)"),
        ("k8s-pod-network", "ptp", "changed in meaning (1)"),
        ("weave", "macvlan", "changed in meaning (1)"),
        ("lab", "dummy", "cannot be carried (1)"),
        ("lab", "tap", "cannot be carried (1)"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let networks = folder.path().join("node/etc/cni/net.d");
        fs::create_dir_all(&networks).unwrap();
        let text = format!(
            r#"{{"cniVersion": "1.0.0", "name": "{name}", "plugins": [{{"type": "{plugin}", "ipam": {{"type": "dhcp"}}}}]}}"#
        );
        fs::write(networks.join("10-lab.conflist"), text).unwrap();
        let profile = folder.path().join("node.toml");
        let mut import = nodelith();
        import.arg("import").arg(folder.path().join("node"));
        import.args(["--kubernetes", "1.33", "--output"]);
        let said = String::from_utf8(run(import.arg(&profile))).unwrap();
        assert!(said.contains(part), "{name}, {plugin}: {said}");
        let profile = fs::read_to_string(profile).unwrap();
        let carried = profile.contains("/etc/cni/net.d/10-lab.conflist");
        assert_eq!(carried, part.starts_with("changed"), "{name}, {plugin}");
    }
}
