//! Traps of what runs pods: cgroup drivers, runtimes, CNI, the versions of CRI.

use tonic::Code;

use super::super::common::containerd::{PAUSE, Suite};
use super::super::node::{Node, Running, node};

const CRI: &str = "[plugins.\"io.containerd.grpc.v1.cri\"]\n";
const IMAGES: &str = "[plugins.\"io.containerd.cri.v1.images\"]\n";
const RUNTIME: &str = "[plugins.\"io.containerd.cri.v1.runtime\"]\n";

/// T15: keys that no shim of runc goes with; gone in 2.0.
pub fn systemd_cgroup(suite: Suite) {
    let with = |kind: &str, key: &str| {
        node(&format!(
            "version = 2\n{CRI}containerd.runtimes.runc.runtime_type = \"{kind}\"\n{key}\n"
        ))
    };
    for (name, key) in [
        ("systemd_cgroup", "systemd_cgroup = true"),
        ("no_pivot", "containerd.no_pivot = true"),
        (
            "runtime_engine",
            "containerd.runtimes.runc.runtime_engine = \"/x\"",
        ),
        (
            "runtime_root",
            "containerd.runtimes.runc.runtime_root = \"/x\"",
        ),
    ] {
        let bad = with("io.containerd.runc.v2", key);
        let running = bad.runs(suite);
        let log = running.0.log();
        if suite == Suite::Forky {
            bad.is_told(suite, "ND-CRI-008").passes(suite, "ND-CRI-009");
            assert!(
                log.contains("Ignoring unknown key") && log.contains(name),
                "{log}"
            );
        } else {
            bad.is_told(suite, "ND-CRI-009").passes(suite, "ND-CRI-008");
            assert!(
                running
                    .refuses(&["version"])
                    .contains("code = Unimplemented")
            );
            assert!(
                log.contains(&format!("`{name}` only works for runtime")),
                "{log}"
            );
            // The runtime that they belong to takes them, and is as old.
            let old = with("io.containerd.runtime.v1.linux", key);
            old.passes(suite, "ND-CRI-009").runs(suite).config();
        }
    }
    let fixed = node(&driver(suite, true));
    fixed
        .passes(suite, "ND-CRI-008")
        .passes(suite, "ND-CRI-009");
    let config = fixed.runs(suite).config();
    let runc = &config["containerd"]["runtimes"]["runc"];
    assert_eq!(runc["options"]["SystemdCgroup"], true, "{config:#}");
}

/// A config.toml that says who makes cgroups.
fn driver(suite: Suite, systemd: bool) -> String {
    let (version, table) = match suite {
        Suite::Forky => (3, RUNTIME),
        _ => (2, CRI),
    };
    format!(
        "version = {version}\n{table}containerd.runtimes.runc.runtime_type = \"io.containerd.runc.v2\"\n\
         containerd.runtimes.runc.options.SystemdCgroup = {systemd}\n"
    )
}

const KUBELET: &str = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\ncgroupDriver: systemd\n";
const KUBELET_FILE: &str = "var/lib/kubelet/config.yaml";
/// With which it is a node that systemd runs.
const UNIT: (&str, &str) = (
    "usr/lib/systemd/system/containerd.service",
    "[Service]\nExecStart=/usr/bin/containerd\n",
);

/// A node whose kubelet leaves cgroups to systemd, and one whose containerd does, too.
fn drivers(suite: Suite) -> [Node; 2] {
    [false, true].map(|systemd| {
        node(&driver(suite, systemd))
            .file(KUBELET_FILE, KUBELET)
            .file(UNIT.0, UNIT.1)
            .kubernetes("1.33")
    })
}

/// T16: containerd 2 tells its kubelet, which takes that over its own configuration.
pub fn driver_told(suite: Suite) {
    let [bad, fixed] = drivers(suite);
    bad.is_told(suite, "ND-KUB-005");
    let told = bad.runs(suite).says(&["runtime-config"]);
    assert_eq!(told, "cgroup driver:   CGROUPFS\n");
    fixed.passes(suite, "ND-KUB-005");
    let told = fixed.runs(suite).says(&["runtime-config"]);
    assert_eq!(told, "cgroup driver:   SYSTEMD\n");
}

/// T17: containerd 1.x tells nothing, so that a difference goes unseen.
pub fn driver_untold(suite: Suite) {
    let [bad, fixed] = drivers(suite);
    bad.is_told(suite, "ND-KUB-004");
    fixed.passes(suite, "ND-KUB-004");
    for (node, systemd) in [(bad, false), (fixed, true)] {
        let running = node.runs(suite);
        let said = running.refuses(&["runtime-config"]);
        assert!(said.contains("code = Unimplemented"), "{said}");
        let config = running.config();
        let runc = &config["containerd"]["runtimes"]["runc"];
        assert_eq!(runc["options"]["SystemdCgroup"], systemd);
    }
}

/// T18: containerd 2 serves CRI v1 alone, which no kubelet before 1.23 speaks.
pub fn served(suite: Suite) {
    let node = node("version = 2\n");
    let running = node.runs(suite);
    let old = suite != Suite::Forky;
    assert!(serves(&running, "runtime.v1"));
    assert_eq!(serves(&running, "runtime.v1alpha2"), old);
    let (before, after) = (node.clone().kubernetes("1.22"), node.kubernetes("1.23"));
    match old {
        true => before.passes(suite, "ND-PAIR-001"),
        false => before.is_told(suite, "ND-PAIR-001"),
    };
    after.passes(suite, "ND-PAIR-001");
}

/// Whether it answers that version of CRI.
fn serves(running: &Running, package: &str) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let path = format!("/{package}.RuntimeService/Version");
    let answer = runtime.block_on(async {
        let socket = format!("unix://{}", running.0.socket().display());
        let channel = tonic::transport::Endpoint::from_shared(socket).unwrap();
        let mut grpc = tonic::client::Grpc::new(channel.connect().await.unwrap());
        grpc.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<(), ()>::default();
        let request = tonic::Request::new(());
        grpc.unary(request, path.parse().unwrap(), codec).await
    });
    match answer {
        Ok(_) => true,
        Err(status) => {
            assert_eq!(status.code(), Code::Unimplemented, "{status}");
            false
        }
    }
}

/// T22: shims that 2.0 does not have any more.
pub fn removed(suite: Suite) {
    let config = |kind: &str| {
        node(&format!(
            "version = 2\n{CRI}sandbox_image = \"{PAUSE}\"\nrestrict_oom_score_adj = true\n\
             containerd.runtimes.runc.runtime_type = \"{kind}\"\n"
        ))
    };
    for kind in ["io.containerd.runtime.v1.linux", "io.containerd.runc.v1"] {
        let bad = config(kind);
        if suite == Suite::Forky {
            bad.is_told(suite, "ND-CRI-016");
            let running = bad.runs(suite);
            running.pause();
            let said = running.runs_no_pod();
            assert!(said.contains(kind), "{said}");
        } else {
            bad.passes(suite, "ND-CRI-016");
        }
    }
    if suite != Suite::Forky {
        let running = config("io.containerd.runc.v1").runs(suite);
        running.pause();
        running.runs_a_pod();
    }
    let fixed = config("io.containerd.runc.v2");
    fixed.passes(suite, "ND-CRI-016");
    let running = fixed.runs(suite);
    running.pause();
    running.runs_a_pod();
}

/// T23: the old and the new name of the plug-ins' folders together.
pub fn both_directories(suite: Suite) {
    let new = "cni.bin_dirs = [\"/var/lib/cni/bin\"]\n";
    let bad = node(&format!(
        "version = 3\n{RUNTIME}{new}cni.bin_dir = \"/opt/cni/bin\"\n"
    ));
    let running = bad.is_told(suite, "ND-CNI-003").runs(suite);
    assert!(
        running
            .refuses(&["version"])
            .contains("code = Unimplemented")
    );
    let log = running.0.log();
    assert!(
        log.contains("`cni.bin_dir` and `cni.bin_dirs` cannot be set at the same time"),
        "{log}"
    );
    let fixed = node(&format!("version = 3\n{RUNTIME}{new}"));
    let config = fixed.passes(suite, "ND-CNI-003").runs(suite).config();
    assert_eq!(
        config["cni"]["binDirs"],
        serde_json::json!(["/var/lib/cni/bin"])
    );
}

/// T24: settings that turn the transfer service off.
pub fn local_pull(suite: Suite) {
    for setting in [
        "max_concurrent_downloads = 5",
        "discard_unpacked_layers = true",
        "disable_snapshot_annotations = false",
        "image_pull_with_sync_fs = true",
        "registry.mirrors.\"docker.io\".endpoint = [\"https://x\"]",
        "registry.configs.\"r\".auth.username = \"u\"",
        "registry.auths.\"https://r\".username = \"u\"",
    ] {
        let bad = node(&format!("version = 3\n{IMAGES}{setting}\n"));
        let log = bad.is_told(suite, "ND-CRI-021").runs(suite).0.log();
        assert!(
            log.contains("Falling back to local image pull"),
            "{setting}:\n{log}"
        );
    }
    let transfer = "[plugins.\"io.containerd.transfer.v1.local\"]\nmax_concurrent_downloads = 5\n";
    for fixed in [
        format!("version = 3\n{IMAGES}max_concurrent_downloads = 3\n"),
        format!("version = 3\n{transfer}"),
    ] {
        let fixed = node(&fixed);
        let log = fixed.passes(suite, "ND-CRI-021").runs(suite).0.log();
        assert!(!log.contains("Falling back to local image pull"), "{log}");
    }
}
