//! Versions and settings that do not go together, and what is said of those that do.

use insta::assert_snapshot;

use super::configured;
use super::runtime::{CONTAINERD, refused_with, with};

#[test]
fn versions_that_do_not_go_together() {
    let pair = |minor: &str, containerd| {
        let rest = format!("[kubernetes]\nversion = \"{minor}\"\n{CONTAINERD}");
        refused_with(&rest, containerd)
    };
    assert_snapshot!(pair("1.22", "2.1.9"), @r#"
    containerd 2.1.9 and Kubernetes 1.22 do not go together: kubelet speaks CRI v1alpha2, containerd v1
    7:11: "1.22"
    hint: containerd 1.6, 1.7 would do; choose a suite that has it, or another Kubernetes version
    "#);
    assert_snapshot!(pair("1.33", "1.4.13~ds1"), @r"
    containerd 1.4.13 is too old: 1.6 is the oldest line that can be configured
    8:1: [containerd]
    hint: choose a newer suite, or give containerd's package from another repository
    ");
}

#[test]
fn what_is_said_without_stopping() {
    let said = |minor: &str, containerd| {
        let rest = format!("[kubernetes]\nversion = \"{minor}\"\n{CONTAINERD}");
        let warnings = with(&rest, containerd).warnings;
        warnings.into_iter().collect::<Vec<_>>().join("\n")
    };
    assert_eq!(said("1.33", "1.7.24~ds1"), "");
    assert_snapshot!(said("1.36", "1.7.24~ds1"), @"containerd 1.7.24 is not among those published to go with Kubernetes 1.36: 2.2.0, 2.3.0 and later of each line");
    assert_snapshot!(said("1.41", "2.6.0"), @r"
    Kubernetes 1.41 is newer than all that are known: the node is made as for 1.37
    containerd 2.6.0 is newer than all that are known: it is configured like 2.3
    ");
}

#[test]
fn settings_that_a_version_does_not_have() {
    let with = |keys: &str, containerd| {
        let rest = format!("[containerd]\nsource = \"package\"\n{keys}\n");
        refused_with(&rest, containerd)
    };
    assert_snapshot!(with("cdi = true", "1.6.20~ds1"), @r"
    containerd 1.6.20 has no setting for `containerd.cdi`
    8:7: true
    hint: it came with 1.7.0: take it out, or use that
    ");
    assert_snapshot!(with("default-runtime = \"kata\"", "1.7.24"), @r#"
    there is no runtime handler `kata`
    8:19: "kata"
    hint: add a table `[containerd.runtimes.kata]`, or choose from `runc`
    "#);
    assert_snapshot!(with("streaming = { tls-key = \"/k\" }", "1.7.24"), @r#"
    TLS of the streaming server needs a certificate and its key
    8:13: { tls-key = "/k" }
    hint: set both `tls-certificate` and `tls-key`, or neither
    "#);
    assert_snapshot!(with("extra = { version = 3 }", "1.7.24"), @r"
    the version of containerd's configuration cannot be chosen
    8:11: version
    hint: it is 2 for containerd 1.7
    ");
    assert_snapshot!(with("extra = { disabled_plugins = [\"cri\"] }", "1.7.24"), @r#"
    without the plug-in `cri` containerd serves no pods
    8:31: "cri"
    hint: take it out of `disabled_plugins`
    "#);
    let plugin = "[containerd.extra.plugins.\"io.containerd.cri.v1.images\"]\nx = 1";
    assert_snapshot!(with(plugin, "1.7.24"), @r#"
    containerd 1.7.24 does not know `plugins.io.containerd.cri.v1.images`
    8:27: "io.containerd.cri.v1.images"
    hint: it came with 2.0.0
    "#);
    let plugin = "[containerd.extra.plugins.\"io.containerd.grpc.v1.cri\"]\nsandbox_image = \"x\"";
    assert_snapshot!(with(plugin, "2.1.9"), @r"
    containerd 2.1 does not read `plugins.io.containerd.grpc.v1.cri.sandbox_image`
    9:1: sandbox_image
    hint: it reads that at `plugins.io.containerd.cri.v1.images.pinned_images.sandbox`
    ");
    let digest = format!(
        "[pause]\nimage = \"r.example/pause:3.10@sha256:{}\"",
        "0".repeat(64)
    );
    assert_snapshot!(with(&digest, "2.3.1"), @r#"
    containerd 2.3.1 does not find a sandbox image that has tag and digest
    9:9: "r.example/pause:3.10@sha256:0000000000000000000000000000000000000000000000000000000000000000"
    hint: take the digest out, or use containerd 2.3.4
    "#);
}

#[test]
fn what_a_line_does_not_have() {
    let with = |keys: &str, containerd| {
        let rest = format!("[containerd]\nsource = \"package\"\n{keys}\n");
        refused_with(&rest, containerd)
    };
    assert_snapshot!(with("drop-ins = true", "1.7.24"), @r"
    a drop-in for containerd 1.7 would take the place of all settings of CRI
    8:12: true
    hint: 2.0 is the first that merges them key by key: use `extra`
    ");
    assert_snapshot!(with("snapshotter = \"aufs\"", "2.1.9"), @r#"
    containerd 2.1 has no snapshotter `aufs`
    8:15: "aufs"
    hint: use `overlayfs`
    "#);
    assert_snapshot!(with("snapshotter = \"erofs\"", "2.0.4"), @r#"
    containerd 2.0 has no snapshotter `erofs`
    8:15: "erofs"
    hint: it came with 2.1
    "#);
    assert_snapshot!(with("snapshotter = \"stargz\"", "2.0.4"), @r#"
    containerd has no snapshotter `stargz` of its own
    8:15: "stargz"
    hint: name the program that serves it: `[containerd.extra.proxy_plugins.stargz]` with `type = "snapshot"` and `address`
    "#);
    assert_snapshot!(with("rlimits = { nofile = \"2:1\" }", "2.0.4"), @r#"
    `2:1` is not a limit
    8:22: "2:1"
    hint: write a number, two joined by a colon of which the second is no smaller, or "unlimited"
    "#);
    assert_snapshot!(with("runtimes.x.runtime_type = \"io.containerd.runc.v1\"", "2.0.4"), @r#"
    containerd 2.0 has no runtime of the type `io.containerd.runc.v1`
    8:27: "io.containerd.runc.v1"
    hint: use `io.containerd.runc.v2`
    "#);
    assert_snapshot!(with("runtimes.x.cgroup_writable = true", "2.0.4"), @r"
    containerd 2.0.4 does not know `plugins.io.containerd.cri.v1.runtime.containerd.runtimes.x.cgroup_writable`
    8:12: cgroup_writable
    hint: it came with 2.1.0
    ");
    assert_snapshot!(with("runtimes.x.snapshotter = \"native\"", "1.6.20"), @r"
    containerd 1.6.20 does not know `plugins.io.containerd.grpc.v1.cri.containerd.runtimes.x.snapshotter`
    8:12: snapshotter
    hint: it came with 1.7.0
    ");
    assert_snapshot!(with("runtimes.x.runtime_typ = \"y\"", "2.0.4"), @r"
    containerd 2.0 does not know `plugins.io.containerd.cri.v1.runtime.containerd.runtimes.x.runtime_typ`
    8:12: runtime_typ
    hint: did you mean `runtime_type`?
    ");
    assert_snapshot!(with("runtimes.x.options.NoPivotRoot = true", "2.0.4"), @r"
    containerd 2.0 has no option `NoPivotRoot` for runc
    8:20: NoPivotRoot
    hint: take it out
    ");
    assert_snapshot!(with("runtimes.x.options.SystemdCgroup = false", "2.0.4"), @r"
    all runtime handlers must manage cgroups alike
    8:20: SystemdCgroup
    hint: set `systemd-cgroup` in `[containerd]` for all of them
    ");
    assert_snapshot!(with("runtimes.x.options.BinaryName = 5", "2.0.4"), @r"
    `BinaryName` must be a text
    8:20: BinaryName
    ");
    assert_snapshot!(with("extra.oom_scor = 5", "2.0.4"), @r"
    containerd 2.0 does not know `oom_scor`
    8:7: oom_scor
    hint: did you mean `oom_score`?
    ");
    assert_snapshot!(with("extra.oom_score = \"5\"", "2.0.4"), @r"
    `oom_score` must be a whole number
    8:7: oom_score
    ");
    assert_snapshot!(with("extra.plugin_dir = \"/x\"", "2.1.9"), @r"
    containerd 2.1 does not read `plugin_dir` any more
    8:7: plugin_dir
    hint: it is gone since 2.1.0: external plug-ins, as proxy or program
    ");
    assert_snapshot!(with("extra.debug.log_trace_id = true", "2.1.9"), @r"
    containerd 2.1.9 does not know `debug.log_trace_id`
    8:13: log_trace_id
    hint: it came with 2.3.0
    ");
    let proxy = "snapshotter = \"stargz\"\n[containerd.extra.proxy_plugins.stargz]\ntype = \"snapshot\"\naddress = \"/run/s.sock\"";
    assert!(
        configured(
            &format!("{CONTAINERD}{proxy}\n"),
            &[("package:containerd", "2.1.9")]
        )
        .is_ok()
    );
}

#[test]
fn what_is_deprecated_is_said() {
    let said = |keys: &str, containerd| {
        let made = with(&format!("{CONTAINERD}{keys}\n"), containerd);
        made.warnings.into_iter().collect::<Vec<_>>().join("\n")
    };
    let bin_dir = "[containerd.extra.plugins.\"io.containerd.cri.v1.images\".registry.configs.x.auth]\nusername = \"u\"";
    assert_snapshot!(said(bin_dir, "2.1.9"), @"containerd 2.1 deprecates `plugins.io.containerd.cri.v1.images.registry.configs.x.auth.username`: use pull secrets of pods");
    assert_snapshot!(said("systemd-cgroup = false", "2.1.9"), @"systemd and containerd both manage cgroups: leave `systemd-cgroup` out of `[containerd]`");
}
