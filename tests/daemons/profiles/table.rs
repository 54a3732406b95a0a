//! The profiles, and what each asks of containerd.

use super::super::common::containerd::Suite::{self, Bookworm, Forky, Trixie};

/// A profile beside what every node has.
#[derive(Clone, Copy)]
pub struct Profile {
    pub name: &'static str,
    pub started: Started,
    pub suites: &'static [Suite],
    /// Its sections, as one writes them.
    pub text: &'static str,
    /// What they ask for: a setting of the tables, and its value as TOML.
    pub asks: &'static [(&'static str, &'static str)],
    /// Settings that have no key of their own in a profile. They go where the version
    /// has them, into `containerd.extra` or the handler [`NAME`].
    pub further: &'static [(&'static str, &'static str)],
}

/// Whether a daemon can be started with a profile on any machine. Where it cannot,
/// `containerd config dump` says what one would have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Started {
    Always,
    /// On a machine with cgroup v2.
    OnCgroup2,
    /// And why not.
    Never(&'static str),
}

/// What stands for any name in the place of a setting.
pub const NAME: &str = "one";

const ALL: &[Suite] = &[Forky, Trixie, Bookworm];
const SINCE_1_7: &[Suite] = &[Forky, Trixie];
const BEFORE_2_0: &[Suite] = &[Trixie, Bookworm];

pub const PROFILES: &[Profile] = &[
    Profile {
        name: "defaults",
        started: Started::Always,
        suites: ALL,
        text: "",
        asks: &[
            ("required-plugins", "[\"io.containerd.grpc.v1.cri\"]"),
            ("default-runtime", "\"runc\""),
            ("snapshotter", "\"overlayfs\""),
            ("streaming.address", "\"127.0.0.1\""),
            ("streaming.port", "\"0\""),
            ("cni.bin-dir", "\"/opt/cni/bin\""),
            ("cni.conf-dir", "\"/etc/cni/net.d\""),
            ("registry-directory", "\"/etc/containerd/certs.d\""),
            ("opt-directory", "\"/var/lib/containerd/opt\""),
        ],
        further: &[],
    },
    Profile {
        name: "sandbox",
        started: Started::Always,
        suites: ALL,
        text: "[pause]\nimage = \"registry.example/team/pause:9\"\n",
        asks: &[("sandbox-image", "\"registry.example/team/pause:9\"")],
        further: &[("pinned-images", "{ agent = \"registry.example/agent:1\" }")],
    },
    Profile {
        name: "handlers",
        started: Started::Always,
        suites: ALL,
        text: "[containerd]\ndefault-runtime = \"one\"\nrlimits = { nofile = 1024 }\n\
            [containerd.runtimes.one]\nruntime_type = \"io.containerd.kata.v2\"\n",
        asks: &[
            ("default-runtime", "\"one\""),
            ("runtime.type", "\"io.containerd.kata.v2\""),
        ],
        further: &[
            (
                "runtime.base-runtime-spec",
                "\"/etc/containerd/base-spec.json\"",
            ),
            ("runtime.cni-conf-dir", "\"/etc/cni/one\""),
            ("runtime.cni-max-conf-num", "2"),
            ("runtime.container-annotations", "[\"example.org/c\"]"),
            (
                "runtime.pod-annotations",
                "[\"example.org/p\", \"example.org/q\"]",
            ),
            ("runtime.io-type", "\"streaming\""),
            ("runtime.options", "{ ConfigPath = \"/etc/kata.toml\" }"),
            ("runtime.privileged-without-host-devices", "true"),
            (
                "runtime.privileged-without-host-devices-all-devices-allowed",
                "true",
            ),
            ("runtime.path", "\"/usr/bin/containerd-shim-kata-v2\""),
            ("runtime.sandbox-mode", "\"shim\""),
            ("runtime.snapshotter", "\"native\""),
        ],
    },
    Profile {
        name: "options-of-runc",
        started: Started::Always,
        suites: ALL,
        text: "[containerd]\nsystemd-cgroup = false\n",
        asks: &[],
        further: &[(
            "runtime.options",
            "{ BinaryName = \"/usr/sbin/crun\", CriuImagePath = \"/c\", CriuWorkPath = \"/w\", IoGid = 7, \
             IoUid = 8, NoNewKeyring = true, Root = \"/run/crun\", ShimCgroup = \"/shims\", SystemdCgroup = false }",
        )],
    },
    Profile {
        name: "options-of-old",
        started: Started::Always,
        suites: BEFORE_2_0,
        text: "",
        asks: &[],
        further: &[
            (
                "runtime.options",
                "{ NoPivotRoot = true, SystemdCgroup = true }",
            ),
            ("disable-cgroup", "true"),
        ],
    },
    Profile {
        name: "old-runtime",
        started: Started::Always,
        suites: BEFORE_2_0,
        text: "[containerd]\ndefault-runtime = \"one\"\n\
            [containerd.runtimes.one]\nruntime_type = \"io.containerd.runtime.v1.linux\"\n",
        asks: &[
            ("default-runtime", "\"one\""),
            ("runtime.type", "\"io.containerd.runtime.v1.linux\""),
        ],
        further: &[("no-pivot", "true")],
    },
    Profile {
        name: "limits",
        started: Started::Always,
        suites: ALL,
        text: "[containerd]\nlog-line-size = 32768\nopen-files = 65536\n\
            rlimits = { nofile = \"1024:524288\", core = 0, memlock = \"unlimited\" }\n",
        asks: &[
            ("log-line-size", "32768"),
            (
                "runtimes",
                "{ runc = { base_runtime_spec = \"/etc/containerd/base-spec.json\" } }",
            ),
        ],
        further: &[],
    },
    Profile {
        name: "images",
        started: Started::Always,
        suites: ALL,
        text: "[containerd]\nsnapshotter = \"native\"\n",
        asks: &[("snapshotter", "\"native\"")],
        further: &[
            ("disable-snapshot-annotations", "false"),
            ("discard-unpacked-layers", "true"),
            ("image-decryption.key-model", "\"\""),
            ("image-pull-with-sync-fs", "true"),
            ("image-stats-period", "20"),
            ("use-local-image-pull", "true"),
            ("concurrent-layer-fetch-buffer", "1048576"),
            ("runtime-platforms.platform", "\"linux/amd64\""),
            ("runtime-platforms.snapshotter", "\"overlayfs\""),
        ],
    },
    Profile {
        name: "downloads",
        started: Started::Always,
        suites: ALL,
        text: "[containerd]\nconcurrent-downloads = 5\n",
        asks: &[("concurrent-downloads", "5")],
        further: &[],
    },
    Profile {
        name: "transfer",
        started: Started::Always,
        suites: SINCE_1_7,
        text: "[containerd]\npull-progress-timeout = \"1m30s\"\n",
        asks: &[("pull-progress-timeout", "\"1m30s\"")],
        further: &[
            ("transfer.max-concurrent-downloads", "4"),
            ("transfer.max-concurrent-uploaded-layers", "5"),
            ("transfer.config-path", "\"/etc/containerd/certs.d\""),
            (
                "transfer.unpack-config",
                "[{ platform = \"linux/amd64\", snapshotter = \"native\" }]",
            ),
            ("transfer.check-platform-supported", "true"),
            ("transfer.concurrent-layer-fetch-buffer", "1048576"),
        ],
    },
    Profile {
        name: "networks",
        started: Started::Always,
        suites: ALL,
        text: "[cni]\nbin-dir = \"/var/lib/cni/bin\"\nconf-dir = \"/etc/cni/other\"\nmax-conf = 2\nip-preference = \"ipv6\"\n",
        asks: &[
            ("cni.bin-dir", "\"/var/lib/cni/bin\""),
            ("cni.conf-dir", "\"/etc/cni/other\""),
            ("cni.max-conf", "2"),
            ("cni.ip-preference", "\"ipv6\""),
        ],
        further: &[
            ("cni.conf-template", "\"/etc/cni/template\""),
            ("cni.setup-serially", "true"),
            ("cni.use-internal-loopback", "true"),
        ],
    },
    Profile {
        name: "streaming",
        started: Started::Always,
        suites: ALL,
        text: "[containerd]\nstreaming = { address = \"127.0.0.2\", port = 10010, idle-timeout = \"1h0m0s\" }\n",
        asks: &[
            ("streaming.address", "\"127.0.0.2\""),
            ("streaming.port", "\"10010\""),
            ("streaming.idle-timeout", "\"1h0m0s\""),
        ],
        further: &[("streaming.only-unix", "false")],
    },
    Profile {
        name: "streaming-tls",
        started: Started::Always,
        suites: ALL,
        text: "[containerd]\nstreaming = { tls-certificate = \"/etc/tls/server.crt\", tls-key = \"/etc/tls/server.key\" }\n",
        asks: &[
            ("streaming.tls", "true"),
            ("streaming.tls-certificate", "\"/etc/tls/server.crt\""),
            ("streaming.tls-key", "\"/etc/tls/server.key\""),
        ],
        further: &[],
    },
    Profile {
        name: "registries",
        started: Started::Always,
        suites: ALL,
        text: "[containerd.registries.\"registry.nodelith.test\"]\nmirrors = [\"http://127.0.0.1:5000\"]\n\
            only-mirrors = true\nheaders = { X-Site = \"north\" }\n",
        asks: &[("registry-directory", "\"/etc/containerd/certs.d\"")],
        further: &[("registry.headers", "{ X-Node = [\"one\"] }")],
    },
    Profile {
        name: "security",
        started: Started::Always,
        suites: ALL,
        text: "[containerd]\nselinux = true\nselinux-categories = 512\ndevice-ownership = true\n\
            unprivileged-ports = true\nunprivileged-icmp = true\n",
        asks: &[
            ("selinux", "true"),
            ("selinux-categories", "512"),
            ("device-ownership", "true"),
            ("unprivileged-ports", "true"),
            ("unprivileged-icmp", "true"),
        ],
        further: &[
            ("disable-apparmor", "true"),
            ("disable-proc-mount", "true"),
            ("ignore-image-defined-volumes", "true"),
            ("restrict-oom-score-adj", "true"),
            ("unset-seccomp-profile", "\"runtime/default\""),
        ],
    },
    Profile {
        name: "privileges",
        started: Started::Always,
        suites: ALL,
        text: "[containerd]\nunprivileged-ports = false\nunprivileged-icmp = false\n",
        asks: &[
            ("unprivileged-ports", "false"),
            ("unprivileged-icmp", "false"),
        ],
        further: &[
            ("disable-hugetlb-controller", "false"),
            ("tolerate-missing-hugetlb-controller", "false"),
            ("netns-mounts-under-state-dir", "true"),
            ("drain-exec-sync-io-timeout", "\"10s\""),
            ("ignore-rdt-not-enabled-errors", "true"),
            ("ignore-blockio-not-enabled-errors", "true"),
            (
                "ignore-deprecation-warnings",
                "[\"io.containerd.deprecation/cri-registry-auths\"]",
            ),
        ],
    },
    Profile {
        name: "devices-off",
        started: Started::Always,
        suites: SINCE_1_7,
        text: "[containerd]\ncdi = false\nnri = false\n",
        asks: &[("cdi", "false"), ("nri-disabled", "true")],
        further: &[],
    },
    Profile {
        name: "devices",
        started: Started::Always,
        suites: SINCE_1_7,
        text: "[containerd]\ncdi = true\ncdi-directories = [\"/etc/cdi\", \"/opt/cdi\"]\nnri = true\n",
        asks: &[
            ("cdi", "true"),
            ("cdi-directories", "[\"/etc/cdi\", \"/opt/cdi\"]"),
            ("nri-disabled", "false"),
        ],
        further: &[
            ("nri.disable-connections", "true"),
            ("nri.plugin-config-path", "\"/etc/nri/other\""),
            ("nri.plugin-path", "\"/usr/lib/nri\""),
            ("nri.plugin-registration-timeout", "\"7s\""),
            ("nri.plugin-request-timeout", "\"3s\""),
            ("nri.socket-path", "\"/run/nri/other.sock\""),
        ],
    },
    Profile {
        name: "daemon",
        started: Started::Always,
        suites: ALL,
        text: "",
        asks: &[],
        further: &[
            ("root", "\"/var/lib/containerd/other\""),
            ("state", "\"/run/containerd/other\""),
            ("temp", "\"/run/containerd-temporary\""),
            ("oom-score", "-1"),
            (
                "disabled-plugins",
                "[\"io.containerd.internal.v1.tracing\"]",
            ),
            (
                "timeouts",
                "{ \"io.containerd.timeout.shim.load\" = \"6s\" }",
            ),
            ("grpc.address", "\"/run/containerd/containerd.sock\""),
            ("grpc.uid", "1"),
            ("grpc.gid", "2"),
            ("grpc.max-receive", "16777215"),
            ("grpc.max-send", "16777214"),
            ("grpc.tcp-address", "\"127.0.0.1:10011\""),
            ("grpc.tcp-tls-ca", "\"/etc/tls/server.crt\""),
            ("grpc.tcp-tls-certificate", "\"/etc/tls/server.crt\""),
            ("grpc.tcp-tls-key", "\"/etc/tls/server.key\""),
            ("ttrpc.address", "\"/run/containerd/other.ttrpc\""),
            ("ttrpc.uid", "3"),
            ("ttrpc.gid", "4"),
            ("debug.address", "\"/run/containerd/debug.sock\""),
            ("debug.uid", "5"),
            ("debug.gid", "6"),
            ("debug.level", "\"debug\""),
            ("debug.format", "\"json\""),
            ("metrics.address", "\"127.0.0.1:1338\""),
            ("metrics.grpc-histogram", "true"),
        ],
    },
    Profile {
        name: "programs-beside",
        started: Started::Always,
        suites: ALL,
        text: "",
        asks: &[],
        further: &[
            ("proxy-plugin.type", "\"snapshot\""),
            ("proxy-plugin.address", "\"/run/one.sock\""),
            ("proxy-plugin.platform", "\"linux/amd64\""),
            ("proxy-plugin.exports", "{ root = \"/var/lib/one\" }"),
            ("proxy-plugin.capabilities", "[\"rebase\"]"),
            ("stream-processor.accepts", "[\"application/one\"]"),
            (
                "stream-processor.returns",
                "\"application/vnd.oci.image.layer.v1.tar\"",
            ),
            ("stream-processor.path", "\"/usr/bin/one\""),
            ("stream-processor.args", "[\"--fast\"]"),
            ("stream-processor.env", "[\"A=b\"]"),
        ],
    },
    Profile {
        name: "snapshotters",
        started: Started::Always,
        suites: ALL,
        text: "",
        asks: &[],
        further: &[
            ("overlayfs.root-path", "\"/var/lib/containerd/snapshots\""),
            ("overlayfs.upperdir-label", "true"),
            ("overlayfs.sync-remove", "true"),
            ("overlayfs.mount-options", "[\"index=off\"]"),
            ("overlayfs.slow-chown", "true"),
        ],
    },
    Profile {
        name: "device-mapper",
        started: Started::Never("containerd 2.1 does not start without the pool"),
        suites: ALL,
        text: "",
        asks: &[],
        further: &[
            ("devmapper.root-path", "\"/var/lib/containerd/devmapper\""),
            ("devmapper.pool-name", "\"nodelith-none\""),
            ("devmapper.base-image-size", "\"1GB\""),
            ("devmapper.async-remove", "true"),
            ("devmapper.discard-blocks", "true"),
            ("devmapper.fs-type", "\"ext4\""),
            ("devmapper.fs-options", "\"-q\""),
        ],
    },
    Profile {
        name: "cgroup-of-its-own",
        started: Started::Never("the daemon would leave the cgroup that the test removes"),
        suites: ALL,
        text: "",
        asks: &[],
        further: &[("cgroup.path", "\"/containerd.slice\"")],
    },
    Profile {
        name: "writable-cgroups",
        started: Started::OnCgroup2,
        suites: &[Forky],
        text: "[containerd.runtimes.one]\n",
        asks: &[("runtime.type", "\"io.containerd.runc.v2\"")],
        further: &[("runtime.cgroup-writable", "true")],
    },
    Profile {
        name: "drop-ins",
        started: Started::Always,
        suites: &[Forky],
        text: "[containerd]\ndrop-ins = true\n[[files]]\npath = \"/etc/containerd/conf.d/10-site.toml\"\n\
            text = \"\"\"\nversion = 3\n[plugins.'io.containerd.cri.v1.runtime']\nmax_container_log_line_size = 7\n\"\"\"\n",
        asks: &[
            ("imports", "[\"/etc/containerd/conf.d/*.toml\"]"),
            ("log-line-size", "7"),
            ("default-runtime", "\"runc\""),
        ],
        further: &[],
    },
    Profile {
        name: "imports",
        started: Started::Always,
        suites: BEFORE_2_0,
        text: "[[files]]\npath = \"/etc/containerd/site.toml\"\ntext = \"\"\"\nversion = 2\n[metrics]\naddress = \"127.0.0.1:1339\"\n\"\"\"\n\
            [containerd.extra]\nimports = [\"/etc/containerd/site.toml\"]\n",
        asks: &[
            ("imports", "[\"/etc/containerd/site.toml\"]"),
            ("metrics.address", "\"127.0.0.1:1339\""),
            ("registry-directory", "\"/etc/containerd/certs.d\""),
        ],
        further: &[],
    },
];

/// Settings that no profile sets, by the beginning of their names.
pub const LEFT_OUT: [(&str, &str); 8] = [
    ("version", "the generator chooses it, and refuses another"),
    (
        "registry.mirrors.",
        "deprecated: hosts.toml takes its place, and excludes it",
    ),
    (
        "registry.configs.",
        "deprecated, and passwords have no place in an image",
    ),
    (
        "registry.auths.",
        "deprecated, and passwords have no place in an image",
    ),
    (
        "plugin-dir",
        "deprecated: proxies and programs take the place of plug-ins as libraries",
    ),
    (
        "cri-systemd-cgroup",
        "deprecated: the options of each runtime take its place",
    ),
    (
        "runtime.engine",
        "deprecated: the options of the runtime take its place",
    ),
    (
        "runtime.root",
        "deprecated: the options of the runtime take its place",
    ),
];

/// Settings whose other value cannot be tried.
pub const AS_BY_DEFAULT: [(&str, &str); 1] =
    [("grpc.address", "kubelet and crictl look for it there")];
