//! kubelet: what is generated for each minor, and what is refused.

use insta::assert_snapshot;

use super::runtime::{CONTAINERD, refused_with, text};
use super::{configured, configured_beside, refused, shown};

/// kubelet's files of a minor, on a containerd that goes with it.
fn kubelet(minor: u32, rest: &str) -> String {
    let containerd = if minor < 23 { "1.6.20~ds1" } else { "2.2.2" };
    let rest = format!("[kubernetes]\nversion = \"1.{minor}\"\n{rest}\n{CONTAINERD}");
    let root = [
        ("package:containerd", containerd),
        (
            "etc/systemd/system/sysinit.target.wants/systemd-resolved.service",
            "-> /x",
        ),
    ];
    let mut made = configured(&rest, &root).unwrap_or_else(|error| panic!("{minor}: {error}"));
    made.entries
        .retain(|path, _| path.to_string().contains("kubelet"));
    shown(&made)
}

#[test]
fn kubelet_of_several_ages() {
    for minor in [20, 23, 27, 29, 30, 36] {
        assert_snapshot!(format!("kubelet-1.{minor}"), kubelet(minor, ""));
    }
}

#[test]
fn kubelet_of_a_profile() {
    let flags = "[kubelet.flags]\nmax-pods = 50\nnode-labels = \"a=b%c\"\nresolv-conf = \"/etc/resolv.conf\"\n";
    assert_snapshot!("kubelet-1.20-flags", kubelet(20, flags));
    let config = "role = \"control-plane\"\n[kubelet]\nflags = { v = 4 }\n[kubelet.config]\nmaxPods = 50\n\
                  clusterDNS = [\"10.96.0.10\"]\nevictionHard = { \"memory.available\" = \"5%\" }\n";
    assert_snapshot!("kubelet-1.34-config", kubelet(34, config));
}

#[test]
fn a_kubelet_that_the_image_carries() {
    let rest = "[kubernetes]\nversion = \"1.34.2\"\n[kubelet]\nsource = \"file\"\nfile = \"kubelet\"\n\
                [units]\nenable = [\"kubelet.service\"]\n";
    let made = configured_beside(rest, &[], &[("kubelet", b"\x7fELF")]).unwrap();
    assert_eq!(&*made.entries[&b"usr/bin/kubelet"[..]].component, "kubelet");
    assert_snapshot!(shown(&made));
    let rest = "[kubelet]\nsource = \"package\"\n";
    let made = configured(rest, &[("package:kubelet", "1.36.4-1.1")]).unwrap();
    let drop_in = text(
        &made,
        "usr/lib/systemd/system/kubelet.service.d/20-nodelith.conf",
    );
    assert!(drop_in.contains("kubelet 1.36") && drop_in.contains("\nExecStart=\n"));
    assert!(
        !made
            .entries
            .contains_key(&b"usr/lib/systemd/system/kubelet.service"[..])
    );
}

#[test]
fn kubelet_settings_that_a_minor_does_not_have() {
    let with = |minor: u32, keys: &str| {
        let rest = format!("[kubernetes]\nversion = \"1.{minor}\"\n{keys}\n{CONTAINERD}");
        let containerd = if minor < 23 { "1.6.20~ds1" } else { "2.2.2" };
        refused_with(&rest, containerd)
    };
    assert_snapshot!(with(33, "[kubelet.flags]\nnetwork-plugin = \"cni\""), @r#"
    kubelet 1.33 has no flag `network-plugin`: it was removed by 1.24
    9:18: "cni"
    hint: take it out: containerd always uses CNI
    "#);
    assert_snapshot!(with(20, "[kubelet.flags]\nseccomp-default = true"), @r"
    kubelet 1.20 has no flag `seccomp-default`: it came with 1.22
    9:19: true
    hint: take it out: nothing takes its place
    ");
    assert_snapshot!(with(33, "[kubelet.flags]\nnode-labels = \"a b\""), @r#"
    the value of kubelet's flag `node-labels` has blanks or quotes
    9:15: "a b"
    hint: a unit's command line would split it; use the field of `[kubelet.config]`
    "#);
    assert_snapshot!(with(20, "[kubelet.config]\nmaxPods = 5"), @r"
    kubelet 1.20 merges no drop-ins into its configuration
    9:11: 5
    hint: set the flag `max-pods` in `[kubelet.flags]`, which means the same
    ");
    assert_snapshot!(with(33, "[kubelet.config]\nmaxpods = 5"), @r"
    kubelet 1.33 has no field `maxpods`
    9:11: 5
    hint: did you mean `maxPods`?
    ");
    assert_snapshot!(with(33, "[kubelet.config]\ntlsCurvePreferences = []"), @r"
    kubelet 1.33 has no field `tlsCurvePreferences`: it came with 1.36
    9:23: []
    hint: take it out
    ");
    assert_snapshot!(with(33, "[kubelet.config]\nmaxPods = \"5\""), @r#"
    `maxPods` must be a whole number
    9:11: "5"
    "#);
    assert_snapshot!(with(33, "[kubelet.config]\ncgroupDriver = \"cgroupfs\""), @r#"
    kubelet has the cgroup driver `cgroupfs`, and containerd `systemd`
    9:16: "cgroupfs"
    hint: take it out: it follows from `systemd-cgroup` in `[containerd]`
    "#);
    assert_snapshot!(with(20, "[kubelet.flags]\ncgroup-driver = \"cgroupfs\""), @r#"
    kubelet has the cgroup driver `cgroupfs`, and containerd `systemd`
    9:17: "cgroupfs"
    hint: take it out: it follows from `systemd-cgroup` in `[containerd]`
    "#);
    let legacy = "[kernel]\ncommand-line = [\"systemd.unified_cgroup_hierarchy=0\"]";
    assert_snapshot!(with(35, legacy), @r#"
    kubelet 1.35 does not start on cgroup v1
    9:17: "systemd.unified_cgroup_hierarchy=0"
    hint: take the argument out, or set `failCgroupV1 = false` in `[kubelet.config]`
    "#);
    assert_snapshot!(refused("[kubelet.flags]\nv = 2\n", &[]), @r#"
    kubelet is configured, but its version is not known
    6:2: kubelet
    hint: set `version` in `[kubernetes]`, like "1.34"
    "#);
}

#[test]
fn a_flag_that_nobody_knows_is_passed_on() {
    let rest =
        format!("[kubernetes]\nversion = \"1.33\"\n[kubelet.flags]\nmax-pod = 5\n{CONTAINERD}");
    let made = configured(&rest, &[("package:containerd", "2.1.9")]).unwrap();
    assert_eq!(made.settings["kubelet.flag.max-pod"], "5");
    assert_snapshot!(made.warnings.first().unwrap(), @"kubelet's flag `max-pod` is not known here (did you mean `max-pods`?): kubelet 1.33 exits if it does not know it");
}
