//! Whether containerd serves CRI, and reads what its configuration says.

mod imports;
mod keys;
mod runtime;
mod versions;

use self::imports::{higher_drop_in, mixed_versions, relative_imports, replaced, strays};
use self::keys::{keys_of_the_old_runtime, types, unknown_keys};
use self::runtime::{
    all_devices, cdi, default_runtime, deprecated, local_pull, needed_plugins, no_file, nri,
    old_kernel, removed_runtimes, required, snapshotter, streaming, streaming_tls,
};
use self::versions::{
    broken, disabled, lost_version_1, short_names, streaming_table, table_names, version,
};
use super::Rule;
use crate::check::rule::Severity;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "ND-CRI-001",
        severity: Severity::Error,
        title: "CRI is turned off",
        why: "kubelet talks to containerd through its CRI plug-in. The configuration in Docker's \
              containerd.io package turns it off, as Docker has no use for it; the node then never \
              becomes ready.",
        fix: "take the entry out of `disabled_plugins`, or replace the file as a whole",
        sources: &[
            "trap T12",
            "docker/containerd-packaging: common/containerd.toml",
            "containerd release/1.7: services/server/config/config.go (V1DisabledFilter, V2DisabledFilter)",
        ],
        check: disabled,
    },
    Rule {
        id: "ND-CRI-002",
        severity: Severity::Error,
        title: "containerd does not read this version of configuration",
        why: "containerd refuses to start on a configuration of a version that it does not know. \
              Releases before 1.6.32 and 1.7.17 start, and pass over all that is new in it.",
        fix: "write version 2 for containerd up to 1.7, version 3 from 2.0 on",
        sources: &[
            "traps T9, T10",
            "containerd commits 38607b59c, 00347b7fa",
            "containerd release/2.2: cmd/containerd/server/config/config.go (ValidateVersion)",
        ],
        check: version,
    },
    Rule {
        id: "ND-CRI-003",
        severity: Severity::Error,
        title: "containerd's configuration is not TOML",
        why: "containerd does not start on a file that it cannot parse.",
        fix: "correct the file at the place named",
        sources: &["containerd release/1.7: services/server/config/config.go (loadConfigFile)"],
        check: broken,
    },
    Rule {
        id: "ND-CRI-004",
        severity: Severity::Error,
        title: "a short plug-in name in a file of version 2 or later",
        why: "From version 2 on, `disabled_plugins` and `required_plugins` name plug-ins by their \
              whole id. containerd does not start on a short one.",
        fix: "write the whole id, like `io.containerd.grpc.v1.cri`, or take it out",
        sources: &[
            "trap T11",
            "containerd: TestLoadConfigWithDefaultConfigVersion",
        ],
        check: short_names,
    },
    Rule {
        id: "ND-CRI-005",
        severity: Severity::Error,
        title: "a plug-in's table has another version's name",
        why: "Version 1 calls the table `plugins.cri`, later ones by the plug-in's id. A table of \
              the other name is passed over without a word, so that all settings in it are \
              containerd's defaults: a sandbox image from the internet, the wrong cgroup driver, no \
              mirrors. Guides to leaving Docker mixed the two.",
        fix: "rename the table, or change `version` at the top of the file",
        sources: &[
            "containerd release/1.7: services/server/config/config.go (Decode)",
            "trap T8",
        ],
        check: table_names,
    },
    Rule {
        id: "ND-CRI-006",
        severity: Severity::Error,
        title: "containerd 2.0 to 2.2 lose the settings of a version 1 file",
        why: "They rename `plugins.cri` and call the result version 3 before the plug-ins move \
              their settings, which are then in a place where nothing looks for them. 2.3 is free \
              of it.",
        fix: "write the file in version 3",
        sources: &[
            "trap T6",
            "containerd release/2.2: cmd/containerd/server/config/config.go (LoadConfig)",
        ],
        check: lost_version_1,
    },
    Rule {
        id: "ND-CRI-007",
        severity: Severity::Warning,
        title: "settings of CRI in the streaming server's table",
        why: "In files of version 3, `io.containerd.grpc.v1.cri` is the streaming server alone. \
              containerd 2.0 to 2.2 ignore anything else there; 2.3 migrates the file and lets it \
              win over the images' and runtimes' own tables.",
        fix: "move the settings to `io.containerd.cri.v1.images` and `io.containerd.cri.v1.runtime`",
        sources: &[
            "trap T7",
            "containerd release/2.2 and 2.3: plugins/cri/images/plugin.go (configMigration)",
        ],
        check: streaming_table,
    },
    Rule {
        id: "ND-CRI-008",
        severity: Severity::Warning,
        title: "containerd does not read this key",
        why: "Keys that a release does not know are passed over: silently up to 1.7, with a line in \
              the log from 2.0 on.",
        fix: "take the key out, or write what has taken its place",
        sources: &[
            "src/compat/containerd/settings",
            "containerd release/2.2: cmd/containerd/server/config/config.go (Decode)",
        ],
        check: unknown_keys,
    },
    Rule {
        id: "ND-CRI-009",
        severity: Severity::Error,
        title: "a key of an old runtime with a runc shim",
        why: "`systemd_cgroup`, `no_pivot`, `runtime_engine` and `runtime_root` belong to the runtime \
              `io.containerd.runtime.v1.linux`. With runc's shims the CRI plug-in of 1.3 to 1.7 fails \
              to load: the first two count for the default runtime, the others for their own.",
        fix: "set `SystemdCgroup`, `NoPivotRoot`, `BinaryName` or `Root` in the runtime's `options` \
              instead",
        sources: &[
            "trap T15",
            "containerd v1.7.34: pkg/cri/config/config.go (ValidatePluginConfig)",
        ],
        check: keys_of_the_old_runtime,
    },
    Rule {
        id: "ND-CRI-010",
        severity: Severity::Error,
        title: "a drop-in's version is higher than the root file's",
        why: "containerd 2.3.0 to 2.3.4 do not start then. The check was taken back after 2.3.4.",
        fix: "give all files the same `version`",
        sources: &[
            "trap T5",
            "containerd commits 21248d007, 1125b053f, a8ed54668",
        ],
        check: higher_drop_in,
    },
    Rule {
        id: "ND-CRI-011",
        severity: Severity::Error,
        title: "files of version 2 and 3 are mixed",
        why: "containerd 2.0 to 2.2 take the whole configuration for that of the last version said, \
              so that the settings of CRI in the version 2 file are never moved to where they are \
              looked for.",
        fix: "give all files the same `version`",
        sources: &["trap T30", "containerd commit 21248d007 (message)"],
        check: mixed_versions,
    },
    Rule {
        id: "ND-CRI-012",
        severity: Severity::Warning,
        title: "a drop-in replaces CRI's whole table",
        why: "Up to containerd 1.7, an imported file's table of a plug-in takes the place of the \
              whole table in the file that imports it: settings that only the latter has are lost.",
        fix: "write all of CRI's settings in one file",
        sources: &[
            "trap T13",
            "containerd release/1.7: services/server/config/config.go (mergeConfig)",
        ],
        check: replaced,
    },
    Rule {
        id: "ND-CRI-013",
        severity: Severity::Warning,
        title: "a drop-in is not loaded",
        why: "containerd follows only the `imports` of files that it reads. The folder conf.d is \
              named by the configuration that `containerd config default` of 2.2 and later prints, \
              and by nothing else.",
        fix: "add `imports = [\"/etc/containerd/conf.d/*.toml\"]` to config.toml",
        sources: &[
            "trap T14",
            "containerd release/2.3: cmd/containerd/server/config/config.go (LoadConfigWithPlugins)",
        ],
        check: strays,
    },
    Rule {
        id: "ND-CRI-014",
        severity: Severity::Warning,
        title: "a relative import of an old containerd",
        why: "Before 1.6.29 and 1.7.16, a relative pattern of `imports` is looked for in the folder \
              that containerd was started in, which is `/` under systemd.",
        fix: "write absolute paths",
        sources: &["containerd commits 0f2068a70, 62e9535f2"],
        check: relative_imports,
    },
    Rule {
        id: "ND-CRI-015",
        severity: Severity::Error,
        title: "the default runtime is not set up",
        why: "`default_runtime_name` must name one of the `runtimes`; else the CRI plug-in does not \
              load.",
        fix: "name a runtime that is there, or add its table",
        sources: &["containerd v1.7.34: pkg/cri/config/config.go (ValidatePluginConfig)"],
        check: default_runtime,
    },
    Rule {
        id: "ND-CRI-016",
        severity: Severity::Error,
        title: "a runtime that containerd 2 does not have any more",
        why: "The shims of `io.containerd.runtime.v1.linux` and `io.containerd.runc.v1` were removed \
              in 2.0: no pod starts.",
        fix: "set `runtime_type = \"io.containerd.runc.v2\"`",
        sources: &["trap T22", "containerd RELEASES.md (deprecations)"],
        check: removed_runtimes,
    },
    Rule {
        id: "ND-CRI-017",
        severity: Severity::Warning,
        title: "a snapshotter that containerd does not have",
        why: "CRI does not load, or no container starts, without its snapshotter. aufs was removed \
              in 2.0; one that is not built in must be declared in `proxy_plugins`.",
        fix: "use `overlayfs`, or declare the snapshotter",
        sources: &[
            "containerd RELEASES.md (aufs)",
            "containerd release/2.3: plugins/cri/images/plugin.go",
        ],
        check: snapshotter,
    },
    Rule {
        id: "ND-CRI-018",
        severity: Severity::Warning,
        title: "a plug-in that CRI needs is turned off",
        why: "CRI does not work without its snapshotter, and from 2.1 on pulls images through the \
              transfer service.",
        fix: "take the entry out of `disabled_plugins`",
        sources: &["containerd release/2.3: plugins/cri/images/plugin.go"],
        check: needed_plugins,
    },
    Rule {
        id: "ND-CRI-019",
        severity: Severity::Note,
        title: "containerd may run without CRI",
        why: "When the CRI plug-in fails to load, containerd goes on without it, and only kubelet \
              complains. With the plug-in in `required_plugins` containerd exits, and its unit shows \
              why.",
        fix: "add `required_plugins = [\"io.containerd.grpc.v1.cri\"]`",
        sources: &["containerd release/1.7: services/server/server.go (RequiredPlugins)"],
        check: required,
    },
    Rule {
        id: "ND-CRI-020",
        severity: Severity::Warning,
        title: "containerd's defaults need a newer kernel",
        why: "containerd 2 turns unprivileged ports and ICMP on, which a kernel before 4.11 cannot do: \
              the CRI plug-in does not load.",
        fix: "set `enable_unprivileged_ports` and `enable_unprivileged_icmp` to false",
        sources: &[
            "trap T27",
            "containerd v2.3.4: internal/cri/config/config_kernel_linux.go",
        ],
        check: old_kernel,
    },
    Rule {
        id: "ND-CRI-021",
        severity: Severity::Note,
        title: "a setting turns the transfer service off",
        why: "From 2.1 on images are pulled through the transfer service, unless a setting is found \
              that it does not have: then containerd falls back to pulling by itself, with a warning \
              in its log, and settings of the transfer service have no effect.",
        fix: "take the setting out, or say `use_local_image_pull = true`",
        sources: &[
            "trap T24",
            "containerd release/2.3: internal/cri/config/config.go (CheckLocalImagePullConfigs)",
        ],
        check: local_pull,
    },
    Rule {
        id: "ND-CRI-022",
        severity: Severity::Error,
        title: "containerd has no configuration",
        why: "Without a file containerd runs on its defaults: cgroups not by systemd, which kubelet \
              and systemd expect, and its own sandbox image, which is seldom the one that the \
              Kubernetes release expects.",
        fix: "write /etc/containerd/config.toml",
        sources: &["containerd v2.3.4: internal/cri/config/config_unix.go"],
        check: no_file,
    },
    Rule {
        id: "ND-CRI-023",
        severity: Severity::Warning,
        title: "the streaming server is open to the network",
        why: "The server through which `kubectl exec` streams has no authentication but an \
              unguessable address, and kubelet reaches it on the node itself.",
        fix: "leave `stream_server_address` at 127.0.0.1, or turn `enable_tls_streaming` on",
        sources: &["containerd release/2.3: docs/cri/config.md"],
        check: streaming,
    },
    Rule {
        id: "ND-CRI-024",
        severity: Severity::Error,
        title: "TLS of the streaming server has no key",
        why: "With `enable_tls_streaming` and one of certificate and key, the CRI plug-in does not \
              load.",
        fix: "give both `tls_cert_file` and `tls_key_file`, or neither",
        sources: &[
            "containerd v1.7.34: pkg/cri/streaming/streaming.go, pkg/cri/server/streaming.go",
        ],
        check: streaming_tls,
    },
    Rule {
        id: "ND-CRI-025",
        severity: Severity::Note,
        title: "CDI is off",
        why: "Device drivers of Kubernetes 1.26 and later (DRA) and GPU operators hand devices to \
              containers by CDI, which containerd 1.7 has turned off by default.",
        fix: "set `enable_cdi = true`",
        sources: &["containerd v1.7.0: pkg/cri/config/config_unix.go"],
        check: cdi,
    },
    Rule {
        id: "ND-CRI-026",
        severity: Severity::Note,
        title: "a deprecated setting",
        why: "It still works, and is planned to go with a later containerd.",
        fix: "write what takes its place",
        sources: &["containerd RELEASES.md (deprecations)"],
        check: deprecated,
    },
    Rule {
        id: "ND-CRI-027",
        severity: Severity::Error,
        title: "`privileged_without_host_devices_all_devices_allowed` by itself",
        why: "containerd 1.7 and later refuse it without `privileged_without_host_devices`.",
        fix: "set both, or take it out",
        sources: &["containerd v1.7.34: pkg/cri/config/config.go (ValidatePluginConfig)"],
        check: all_devices,
    },
    Rule {
        id: "ND-CRI-029",
        severity: Severity::Error,
        title: "a value of another type than containerd expects",
        why: "containerd does not start on a file, or does not load the plug-in, whose values it \
              cannot decode.",
        fix: "write a value of the type named",
        sources: &[
            "src/compat/containerd/settings",
            "containerd release/2.2: cmd/containerd/server/config/config.go (Decode)",
        ],
        check: types,
    },
    Rule {
        id: "ND-CRI-028",
        severity: Severity::Note,
        title: "an NRI plug-in that nothing starts",
        why: "containerd 1.7 has NRI turned off by default; plug-ins in the image then do nothing.",
        fix: "set `disable = false` in `plugins.\"io.containerd.nri.v1.nri\"`",
        sources: &["containerd release/1.7: pkg/nri/config.go"],
        check: nri,
    },
];
