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

fn with(rest: &str, containerd: &str) -> Configuration {
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
    let without = configured("", &[]).unwrap();
    assert!(!without.entries.contains_key(&b"etc/hosts"[..]));
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
fn registries_with_everything() {
    let rest = "\
[containerd]
source = \"package\"
[containerd.registries.\"docker.io\"]
mirrors = [\"https://a.example\", \"https://b.example\"]
capabilities = [\"pull\", \"referrers\"]
client-certificate = \"/etc/pki/client.crt\"
client-key = \"/etc/pki/client.key\"
headers = { X-Site = \"north\", \"X-Number\" = 7 }
dial-timeout = \"5s\"
skip-verify = true
[containerd.registries.\"registry.k8s.io\"]
mirrors = [\"https://m.example\"]
only-mirrors = true
headers = { X-Site = \"south\" }
";
    let made = with(rest, "2.3.4");
    let hosts = |host| text(&made, &format!("etc/containerd/certs.d/{host}/hosts.toml"));
    for host in ["docker.io", "registry.k8s.io"] {
        let parsed: toml::Table = hosts(host).parse().unwrap();
        for (key, value) in &parsed {
            let key = crate::compat::hosts::key(key).unwrap();
            assert!(key.fits(&serde_json::to_value(value).unwrap()));
        }
    }
    assert_snapshot!(hosts("docker.io"));
    assert_snapshot!(hosts("registry.k8s.io"));
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
    assert_snapshot!(one("mirrors = [\"https://m\"]\ndial-timeout = \"5s\""), @r#"
    containerd 1.7.24 has no setting for `dial-timeout`
    10:16: "5s"
    hint: it came with 2.0.7: take it out, or use that
    "#);
    assert_snapshot!(one("mirrors = [\"https://m\"]\ncapabilities = [\"pull\", \"referrers\"]"), @r#"
    containerd 1.7.24 passes over a file with the capability `referrers`
    10:25: "referrers"
    hint: it came with 2.2.0: take it out, or use that
    "#);
    assert_snapshot!(one("mirrors = [\"https://m\"]\ncapabilities = []"), @r"
    the mirrors of `r.example` are asked for nothing
    10:16: []
    hint: name `pull`, or take it out
    ");
    assert_snapshot!(one("client-key = \"/k\""), @r#"
    a client of `r.example` needs a certificate and its key
    8:1: [containerd.registries."r.example"]
    hint: set both `client-certificate` and `client-key`, or neither
    "#);
    assert_snapshot!(one("headers = { Authorization = \"Basic eA==\" }"), @r"
    the header `Authorization` would hold a secret, which everyone who has the image could read
    9:13: Authorization
    hint: give pods a pull secret
    ");
    assert_snapshot!(one("server = \"https://me:secret@r.example\""), @r#"
    the address of a registry for `r.example` holds a password, which everyone who has the image could read
    9:10: "https://me:secret@r.example"
    hint: give pods a pull secret
    "#);
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
