//! containerd, crictl and the CNI plug-ins: what is generated for each version.

use insta::assert_snapshot;

use super::{configured, configured_beside, configured_on, refused, shown};
use crate::node::Configuration;
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

pub(super) const CONTAINERD: &str = "[containerd]\nsource = \"package\"\n";

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
selinux-categories = 512
device-ownership = true
unprivileged-ports = false
unprivileged-icmp = true
open-files = 65536
rlimits = { nofile = \"1024:524288\", memlock = \"unlimited\", nproc = 4096 }
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
max-conf = 2
ip-preference = \"ipv6\"
[pause]
image = \"registry.example:5000/pause:3.9\"
";

const NEWER: &str = "\
[containerd]
cdi = true
cdi-directories = [\"/etc/cdi\", \"/run/cdi\"]
nri = false
pull-progress-timeout = \"90s\"
";

pub(super) fn text(configuration: &Configuration, path: &str) -> String {
    let entry = configuration.entries.get(path.as_bytes());
    match &entry.unwrap_or_else(|| panic!("no `{path}`")).node {
        Node::File {
            content: Content::Inline(bytes),
            ..
        } => String::from_utf8(bytes.to_vec()).unwrap(),
        other => panic!("{other:?}"),
    }
}

pub(super) fn with(rest: &str, containerd: &str) -> Configuration {
    configured(rest, &[("package:containerd", containerd)])
        .unwrap_or_else(|error| panic!("{containerd}: {error}"))
}

pub(super) fn refused_with(rest: &str, containerd: &str) -> String {
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
        if line >= "2" {
            all = all.replace("[containerd]\n", "[containerd]\ndrop-ins = true\n");
        }
        let name = format!("containerd-{line}-all");
        let made = with(&all, release);
        assert_snapshot!(name, text(&made, "etc/containerd/config.toml"));
        if line == "2.3" {
            assert_snapshot!("base-spec", text(&made, "etc/containerd/base-spec.json"));
        }
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

/// Pods are given a copy of it, so there must be one.
#[test]
fn hosts_where_there_are_none() {
    let containerd = ("package:containerd", "2.1.9");
    let made = with(CONTAINERD, "2.1.9");
    assert!(text(&made, "etc/hosts").starts_with("127.0.0.1\tlocalhost\n"));
    let theirs = configured(CONTAINERD, &[containerd, ("etc/hosts", "")]).unwrap();
    assert!(!theirs.entries.contains_key(&b"etc/hosts"[..]));
    let own = format!("{CONTAINERD}[[files]]\npath = \"/etc/hosts\"\ntext = \"::1 node\\n\"\n");
    let root = [
        containerd,
        ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
        ("etc/group", "root:x:0:\n"),
    ];
    let own = configured(&own, &root).unwrap();
    assert_eq!(text(&own, "etc/hosts"), "::1 node\n");
    // What is taken out of the root is not there either.
    let base = "[base.image]\nreference = \"registry.example/a:1\"\nremove = [\"/etc/hosts\"]\n";
    let root = [containerd, ("etc/hosts", "10.0.0.1 theirs\n")];
    let removed = configured_on(base, "", &root, &[]).unwrap();
    assert!(text(&removed, "etc/hosts").starts_with("127.0.0.1\tlocalhost\n"));
    assert!(!removed.removed.contains(&b"etc/hosts"[..]));
    let without = configured("", &[]).unwrap();
    assert!(!without.entries.contains_key(&b"etc/hosts"[..]));
}

#[test]
fn crictl_of_every_age() {
    let keys = "[crictl]\nsource = \"release\"\ntimeout = 3\npull-image-on-create = true\ndisable-pull-on-run = true\n";
    let rest = format!("{CONTAINERD}[kubernetes]\nversion = \"1.33\"\n{keys}");
    assert_snapshot!(text(&with(&rest, "2.1.9"), "etc/crictl.yaml"), @r#"
    disable-pull-on-run: true
    image-endpoint: "unix:///run/containerd/containerd.sock"
    pull-image-on-create: true
    runtime-endpoint: "unix:///run/containerd/containerd.sock"
    timeout: 3
    "#);
    let old = rest.replace("1.33", "1.18");
    assert_snapshot!(refused_with(&old, "1.7.24"), @r"
    this crictl has no setting `pull-image-on-create`
    13:24: true
    hint: it came with upstream's 1.19.0
    ");
    let new = format!("{rest}max-retries = 5\n");
    assert_snapshot!(refused_with(&new, "2.1.9"), @r"
    this crictl has no setting `max-retries`
    15:15: 5
    hint: it came with upstream's 1.37.0
    ");
    let ours = rest.replace("\"release\"", "\"builtin\"");
    assert_snapshot!(refused_with(&ours, "2.1.9"), @r"
    this crictl has no setting `pull-image-on-create`
    13:24: true
    hint: it came with upstream's 1.19.0
    ");
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
    After=network.target dbus.service

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
