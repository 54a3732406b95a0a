//! containerd, crictl and kubelet: what is generated for each version, and what
//! is refused.

use insta::assert_snapshot;

use super::{configured, configured_beside, refused, shown};
use crate::node::{Configuration, der};
use crate::tree::{Content, Node};

/// A release of each line, as Debian's packages write versions.
const RELEASES: [(&str, &str); 6] = [
    ("1.6", "1.6.20~ds1-1+deb12u3"),
    ("1.7", "1.7.24~ds1-6+deb13u1"),
    ("2.0", "2.0.4-1"),
    ("2.1", "2.1.9+ds1-1"),
    ("2.2", "2.2.2-1"),
    ("2.3", "2.3.4-1"),
];

const CONTAINERD: &str = "[containerd]\nsource = \"package\"\n";

/// Everything that a line has a setting for.
const ALL: &str = "\
[containerd]
source = \"package\"
snapshotter = \"native\"
systemd-cgroup = false
default-runtime = \"kata\"
log-line-size = 32768
concurrent-downloads = 5
selinux = true
device-ownership = true
unprivileged-ports = false
unprivileged-icmp = true
open-files = 65536
streaming = { address = \"10.0.0.1\", port = 10010, idle-timeout = \"1h\", tls-certificate = \"/etc/s.crt\", tls-key = \"/etc/s.key\" }
[containerd.runtimes.kata]
runtime_type = \"io.containerd.kata.v2\"
[containerd.runtimes.gpu]
options = { BinaryName = \"/usr/bin/nvidia-container-runtime\" }
[containerd.extra]
oom_score = -998
[containerd.extra.plugins.\"io.containerd.grpc.v1.cri\"]
stream_server_port = \"10011\"
[cni]
bin-dir = \"/usr/lib/cni\"
conf-dir = \"/etc/cni/other\"
[pause]
image = \"registry.example:5000/pause:3.9\"
";

const NEWER: &str = "\
[containerd]
cdi = true
nri = false
pull-progress-timeout = \"90s\"
";

fn text(configuration: &Configuration, path: &str) -> String {
    let entry = configuration.entries.get(path.as_bytes());
    match &entry.unwrap_or_else(|| panic!("no `{path}`")).node {
        Node::File {
            content: Content::Inline(bytes),
            ..
        } => String::from_utf8(bytes.to_vec()).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn with(rest: &str, containerd: &str) -> Configuration {
    configured(rest, &[("package:containerd", containerd)])
        .unwrap_or_else(|error| panic!("{containerd}: {error}"))
}

fn refused_with(rest: &str, containerd: &str) -> String {
    refused(rest, &[("package:containerd", containerd)])
}

#[test]
fn containerd_of_every_line() {
    for (line, release) in RELEASES {
        let made = with(CONTAINERD, release);
        let name = format!("containerd-{line}");
        assert_snapshot!(name, text(&made, "etc/containerd/config.toml"));
        let mut all = ALL.to_owned();
        if line != "1.6" {
            all = all.replace("[containerd]\n", NEWER);
        }
        let name = format!("containerd-{line}-all");
        assert_snapshot!(
            name,
            text(&with(&all, release), "etc/containerd/config.toml")
        );
    }
}

#[test]
fn every_configuration_is_toml_of_its_version() {
    for (line, release) in RELEASES {
        let made = with(CONTAINERD, release);
        let table: toml::Table = text(&made, "etc/containerd/config.toml").parse().unwrap();
        let version = if line < "2" { 2 } else { 3 };
        assert_eq!(table["version"].as_integer(), Some(version), "{line}");
    }
}

#[test]
fn what_lies_beside_containerd() {
    let made = configured(
        "[containerd]\nsource = \"package\"\nopen-files = 1048576\n[crictl]\ntimeout = 10\ndebug = true\n",
        &[
            ("package:containerd", "1.7.24~ds1"),
            ("usr/lib/cni/bridge", "x"),
            ("usr/lib/cni/loopback", "x"),
            ("opt/cni/bin/loopback", "their own"),
        ],
    )
    .unwrap();
    let mut rest = made.clone();
    rest.entries.remove(&b"etc/containerd/config.toml"[..]);
    assert_snapshot!(shown(&rest));
    assert_snapshot!(format!("{:#?}", made.settings));
}

#[test]
fn registries() {
    let rest = "\
[containerd]
source = \"package\"
[containerd.registries.\"docker.io\"]
mirrors = [\"https://z.example\", \"http://a.example:5000/v2/hub\"]
override-path = true
[containerd.registries.\"registry.k8s.io\"]
mirrors = [\"https://m.example\"]
only-mirrors = true
ca = \"ca.pem\"
[containerd.registries.\"own.example:5000\"]
server = \"http://own.example:5000\"
skip-verify = true
[containerd.registries._default]
";
    // A certificate's outline: number, algorithm, issuer, validity, subject.
    let outline = [48, 13, 48, 11, 2, 1, 1, 48, 0, 48, 0, 48, 0, 48, 0];
    let pem = der::pem(&outline);
    let root = [("package:containerd", "1.7.24~ds1")];
    let made = configured_beside(rest, &root, &[("ca.pem", pem.as_bytes())]).unwrap();
    let mut rest = made.clone();
    rest.entries
        .retain(|path, _| path.to_string().contains("certs.d"));
    assert_snapshot!(shown(&rest));
}

#[test]
fn registries_that_cannot_be() {
    let one = |keys: &str| {
        let rest = format!("{CONTAINERD}[containerd.registries.\"r.example\"]\n{keys}\n");
        refused_with(&rest, "1.7.24~ds1")
    };
    assert_snapshot!(one("only-mirrors = true"), @r"
    `r.example` is reached by its mirrors alone, and has none
    9:16: true
    hint: set `mirrors`
    ");
    assert_snapshot!(one("mirrors = [\"file:///srv\"]"), @r#"
    `file:///srv` is not a registry
    9:12: "file:///srv"
    hint: write it like `https://mirror.example`
    "#);
    assert_snapshot!(one("server = \"https://me:secret@r.example\""), @r#"
    the address of a registry for `r.example` holds a password, which everyone who has the image could read
    9:10: "https://me:secret@r.example"
    hint: give pods a pull secret
    "#);
}

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
fn docker_beside_containerd() {
    let rest = format!("packages = [\"docker.io\"]\n{CONTAINERD}");
    let root = [
        ("package:containerd", "1.7.24~ds1"),
        ("usr/lib/systemd/system/docker.service", "[Install]\n"),
    ];
    assert_snapshot!(refused(&rest, &root), @r#"
    the node has the Docker daemon, beside containerd that runs its pods
    6:13: "docker.io"
    hint: take its package out: kubelet has no use for it from 1.24 on, and both rewrite iptables
    "#);
    // Whoever runs no pods may have it.
    assert!(configured("packages = [\"docker.io\"]\n", &root[1..]).is_ok());
}

#[test]
fn containerd_that_is_not_there() {
    assert_snapshot!(refused("[containerd]\nselinux = true\n", &[]), @r#"
    containerd is configured, but it is not in the node
    6:1: [containerd]
    hint: set `source = "package"` in `[containerd]`, or take the settings out
    "#);
    let made = configured("[kubernetes]\nversion = \"1.33\"\n", &[]).unwrap();
    assert!(
        !made
            .entries
            .contains_key(&b"etc/containerd/config.toml"[..])
    );
    assert!(!made.entries.contains_key(&b"etc/crictl.yaml"[..]));
}

/// Plug-ins of a package and of a release are chosen alike.
#[test]
fn cni_plugins_are_chosen() {
    let root = [
        ("package:containerd", "1.7.24~ds1"),
        ("usr/lib/cni/bridge", "x"),
        ("usr/lib/cni/loopback", "x"),
        ("usr/lib/cni/vlan", "x"),
    ];
    let cni = |plugins: &str| format!("{CONTAINERD}[cni]\nplugins = {plugins}\n");
    let made = configured(&cni("[\"loopback\"]"), &root).unwrap();
    let removed: Vec<_> = made.removed.iter().map(ToString::to_string).collect();
    assert_eq!(removed, ["usr/lib/cni/bridge", "usr/lib/cni/vlan"]);
    let links = made.entries.keys().map(ToString::to_string);
    let links: Vec<_> = links.filter(|path| path.starts_with("opt/")).collect();
    assert_eq!(links, ["opt/cni/bin/loopback"]);
    assert!(made.warnings.is_empty());
    let without = configured(&cni("[\"bridge\"]"), &root).unwrap();
    assert_snapshot!(without.warnings.first().unwrap(), @"containerd calls the CNI plug-in `loopback` for every pod, and `plugins` in `[cni]` leaves it out");
    assert_snapshot!(refused(&cni("[\"brigde\"]"), &root), @r#"
    the node has no CNI plug-in `brigde`
    9:12: "brigde"
    hint: did you mean `bridge`?
    "#);
    assert_snapshot!(refused(&cni("[\"bridge\"]"), &root[..1]), @r#"
    the node has no CNI plug-in `bridge`
    9:12: "bridge"
    hint: set `source` in `[cni]` to "package" or "release"
    "#);
}

#[test]
fn crictl_may_be_a_file() {
    let beside = |source: &str| {
        let rest = format!("[crictl]\n{source}\n");
        configured_beside(&rest, &[], &[("own", b"#!/bin/sh\n")]).unwrap()
    };
    let file = beside("source = \"file\"\nfile = \"own\"");
    let entry = &file.entries[&b"usr/bin/crictl"[..]];
    assert_eq!((&*entry.component, entry.mode), ("crictl", 0o755));
    assert!(
        beside("source = \"none\"")
            .entries
            .keys()
            .all(|path| !path.to_string().contains("crictl"))
    );
}

#[test]
fn units_of_releases() {
    let rest = |containerd: &str| {
        format!(
            "[kubernetes]\nversion = \"1.34\"\n[containerd]\nsource = \"release\"\nversion = \"{containerd}\"\n\
             [kubelet]\nsource = \"release\"\n"
        )
    };
    let made = configured(&rest("2.3.4"), &[]).unwrap();
    let unit = text(&made, "usr/lib/systemd/system/containerd.service");
    assert_snapshot!(unit, @r"
    [Unit]
    Description=containerd, the container runtime
    Documentation=https://containerd.io
    After=network.target local-fs.target dbus.service

    [Service]
    Type=notify
    ExecStartPre=-/usr/sbin/modprobe overlay
    ExecStart=/usr/bin/containerd
    Restart=always
    RestartSec=5
    # Containers go on while it is started again.
    KillMode=process
    Delegate=yes
    LimitNPROC=infinity
    LimitCORE=infinity
    TasksMax=infinity
    OOMScoreAdjust=-999

    [Install]
    WantedBy=multi-user.target
    ");
    assert!(
        made.entries
            .contains_key(&b"usr/lib/systemd/system/kubelet.service"[..])
    );
    let older = configured(&rest("1.7.34"), &[]).unwrap();
    let unit = text(&older, "usr/lib/systemd/system/containerd.service");
    assert!(unit.contains("\nLimitNOFILE=infinity\n"));
    // A package has its own.
    let packaged = with(CONTAINERD, "1.7.24~ds1");
    assert!(
        !packaged
            .entries
            .contains_key(&b"usr/lib/systemd/system/containerd.service"[..])
    );
}
