//! Whether containerd serves CRI, and reads what its configuration says.

use std::collections::BTreeSet;

use super::Rule;
use crate::check::document::{Node, Value};
use crate::check::facts::Facts;
use crate::check::facts::containerd::{CRI, File, IMAGES, OLD_ID, RUNTIME};
use crate::check::rule::{Found, Severity};
use crate::compat::containerd::{self, Kind, Reading};
use crate::compat::{Version, companions};

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
        title: "`systemd_cgroup` with a runc shim",
        why: "The key belongs to a runtime that is gone. With runc's shims the CRI plug-in of 1.3 to \
              1.7 fails to load.",
        fix: "set `SystemdCgroup = true` in the runtime's `options` instead",
        sources: &[
            "trap T15",
            "containerd v1.7.34: pkg/cri/config/config.go (ValidatePluginConfig)",
        ],
        check: systemd_cgroup_key,
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

fn disabled(facts: &Facts<'_>, found: &mut Found<'_>) {
    for item in facts.containerd.listed("disabled_plugins") {
        let Some(name) = item.text() else { continue };
        if [OLD_ID, CRI, IMAGES, RUNTIME].contains(&name) {
            found.at_value(item, format!("`disabled_plugins` has `{name}`"));
        }
    }
}

fn version(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    let Some(version) = config.version else {
        return;
    };
    let Some(row) = containerd::line(version) else {
        return;
    };
    for file in &config.files {
        let (Some(said), Some(root)) = (file.said, file.parsed.root()) else {
            continue;
        };
        let Some(node) = root.get("version") else {
            continue;
        };
        match row
            .row
            .accepts(version, u8::try_from(said).unwrap_or(u8::MAX))
        {
            Ok(true) => {}
            Ok(false) => found.at_value(
                node,
                format!("version {said}: containerd {version} passes over what is new in it"),
            ),
            Err(highest) => found.at_value(
                node,
                format!(
                    "version {said}: containerd {version} reads up to {highest}, and does not start"
                ),
            ),
        }
    }
}

fn broken(facts: &Facts<'_>, found: &mut Found<'_>) {
    for file in &facts.containerd.files {
        if let Err(broken) = &file.parsed.node {
            found.in_text(file.parsed.text, broken.span.start, broken.why.clone());
        }
    }
}

fn short_names(facts: &Facts<'_>, found: &mut Found<'_>) {
    for file in &facts.containerd.files {
        let Some(root) = file.parsed.root() else {
            continue;
        };
        if file.said.unwrap_or(1) < 2 {
            continue;
        }
        for key in ["disabled_plugins", "required_plugins"] {
            for item in root.get(key).map(Node::items).unwrap_or_default() {
                let name = item.text().unwrap_or_default();
                if name.split('.').count() < 4 {
                    found.at_value(
                        item,
                        format!("`{key}` has `{name}`, which is no plug-in's whole id"),
                    );
                }
            }
        }
    }
}

/// Whether a table of settings has anything in it.
fn filled(node: &Node) -> bool {
    node.entries().next().is_some()
}

fn table_names(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    for (file, id, node) in config.cri_tables() {
        let version = config.version_of(file);
        let old_containerd = config.before(2, 0);
        let what = match (version, id) {
            (2.., OLD_ID) => format!(
                "`plugins.{OLD_ID}` is a name of version 1, and this file has version {version}"
            ),
            (..=1, CRI | IMAGES | RUNTIME) => format!(
                "`plugins.\"{id}\"` is not looked for in a file of version 1, which this is by having no other `version`"
            ),
            (2, IMAGES | RUNTIME) => match config.version {
                Some(version) if old_containerd => {
                    format!("containerd {version} has no plug-in `{id}`")
                }
                _ => format!("`{id}` is not looked for in a file of version 2"),
            },
            (3.., IMAGES | RUNTIME) if old_containerd => {
                let version = config.version.map(|version| version.to_string());
                format!(
                    "containerd {} has no plug-in `{id}`",
                    version.unwrap_or_default()
                )
            }
            _ => continue,
        };
        if filled(node) {
            found.at(node, what);
        }
    }
}

fn lost_version_1(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    let (Some(version), Some(_)) = (config.version, config.has("version-1-loses-cri")) else {
        return;
    };
    for (file, id, node) in config.cri_tables() {
        if file.said.unwrap_or(1) == 1 && id == OLD_ID && filled(node) {
            found.at(
                node,
                format!("containerd {version} loses what is in `plugins.cri`"),
            );
        }
    }
}

/// What containerd makes of the key at a path of a file.
fn reading(facts: &Facts<'_>, file: &File, path: &[&str]) -> Reading {
    let config = &facts.containerd;
    let version = config.version_of(file).clamp(1, 255);
    let judged = config.judged_by(version);
    containerd::reading(path, judged, u8::try_from(version).unwrap_or(u8::MAX))
}

fn streaming_table(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    for (file, id, node) in config.cri_tables() {
        if id != CRI || config.version_of(file) < 3 || config.before(2, 0) {
            continue;
        }
        let newest = Version {
            major: 2,
            minor: 2,
            patch: 0,
        };
        for (key, value) in node.entries() {
            let streaming = containerd::reading(&["plugins", CRI, key], newest, 3);
            if matches!(
                streaming,
                Reading::Read(_) | Reading::Deprecated { .. } | Reading::Table
            ) {
                continue;
            }
            let what = match config.from(2, 3) && config.version_of(file) == 3 {
                true => "wins over the plug-in's own table",
                false => "is not read",
            };
            found.at(
                value,
                format!("`{key}` stands in the streaming server's table and {what}"),
            );
        }
    }
}

/// Calls `each` for every key of a file whose table is one that containerd looks
/// for; other rules speak of those that it does not.
fn keys(facts: &Facts<'_>, mut each: impl FnMut(&File, &[&str], &Node, Reading)) {
    let config = &facts.containerd;
    for file in &config.files {
        let Some(root) = file.parsed.root() else {
            continue;
        };
        let version = config.version_of(file);
        let misplaced = |id: &str| match version {
            ..=1 => {
                config.has("version-1-loses-cri").is_some() && id == OLD_ID
                    || [CRI, IMAGES, RUNTIME].contains(&id)
            }
            2 => [OLD_ID, IMAGES, RUNTIME].contains(&id),
            _ => {
                id == OLD_ID
                    || (id == CRI && !config.before(2, 0))
                    || ([IMAGES, RUNTIME].contains(&id) && config.before(2, 0))
            }
        };
        walk(root, &mut Vec::new(), &mut |path, node| {
            if let ["plugins", id] = path
                && misplaced(id)
            {
                return false;
            }
            let reading = reading(facts, file, path);
            let deeper = matches!(reading, Reading::Table);
            each(file, path, node, reading);
            deeper
        });
    }
}

fn unknown_keys(facts: &Facts<'_>, found: &mut Found<'_>) {
    let known = facts.containerd.version.is_some();
    keys(facts, |file, path, node, reading| {
        let key = path.last().copied().unwrap_or_default();
        let or = |instead: Option<&str>| {
            instead
                .map(|instead| format!(": {instead}"))
                .unwrap_or_default()
        };
        let message = match reading {
            Reading::Elsewhere(_, Some(place)) => {
                format!("`{key}` is looked for at `{}`", shown(&place.path))
            }
            Reading::Elsewhere(_, None) => format!("`{key}` is not looked for here"),
            Reading::Later(version) if known => format!("`{key}` came with containerd {version}"),
            Reading::Gone { since, instead } if known => {
                format!("`{key}` is gone since containerd {since}{}", or(instead))
            }
            Reading::Unknown => {
                let version = facts.containerd.version_of(file).clamp(1, 255);
                let siblings = containerd::siblings(
                    path,
                    facts.containerd.judged_by(version),
                    u8::try_from(version).unwrap_or(u8::MAX),
                );
                let near = super::nearest(key, siblings.into_iter());
                let near = near
                    .map(|near| format!("; did you mean `{near}`?"))
                    .unwrap_or_default();
                format!("there is no key `{key}`{near}")
            }
            _ => return,
        };
        found.at(node, message);
    });
    options(facts, found);
}

/// A path of keys as TOML writes it.
fn shown(path: &[String]) -> String {
    let bare = |key: &String| {
        key.chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    };
    let keys = path.iter().map(|key| match bare(key) || key == "*" {
        true => key.clone(),
        false => format!("\"{key}\""),
    });
    keys.collect::<Vec<_>>().join(".")
}

/// Options of runc's shim.
fn options(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    for name in config.runtimes() {
        if !config.is_runc(name) {
            continue;
        }
        let tables = config.all("runtimes");
        let options = tables
            .iter()
            .filter_map(|table| table.at(&[name, "options"]));
        for (key, node) in options.flat_map(Node::entries) {
            match (companions::option(key), config.line()) {
                (Some(option), Some(line)) if !option.is_in(line) => {
                    let instead = option
                        .instead
                        .as_deref()
                        .map(|instead| format!(": {instead}"));
                    let instead = instead.unwrap_or_default();
                    found.at(
                        node,
                        format!("containerd {line} has no option `{key}` for runc{instead}"),
                    );
                }
                (Some(_), _) => {}
                (None, _) => {
                    let known = companions::options()
                        .iter()
                        .map(|option| option.name.as_str());
                    let near = super::nearest(key, known);
                    let near = near
                        .map(|near| format!("; did you mean `{near}`?"))
                        .unwrap_or_default();
                    found.at(node, format!("runc has no option `{key}`{near}"));
                }
            }
        }
    }
}

/// A value of another type keeps containerd from reading the file, or the plug-in
/// from loading.
fn types(facts: &Facts<'_>, found: &mut Found<'_>) {
    keys(facts, |_, path, node, reading| {
        let (Reading::Read(setting) | Reading::Deprecated { setting, .. }) = reading else {
            return;
        };
        let fits = match setting.kind {
            Kind::Text => node.text().is_some(),
            Kind::Integer => node.integer().is_some(),
            Kind::Boolean => matches!(node.value, Value::Boolean(_)),
            Kind::Texts => {
                matches!(&node.value, Value::List(items) if items.iter().all(|item| item.text().is_some()))
            }
            Kind::Table | Kind::Group => matches!(node.value, Value::Table(_)),
            Kind::Tables => matches!(&node.value, Value::List(_)),
        };
        // A setting that is one item of a list is described as that item.
        let listed = matches!(node.value, Value::List(_)) && setting.kind == Kind::Text;
        if !fits && !listed {
            let key = path.last().copied().unwrap_or_default();
            found.at_value(node, format!("`{key}` should be {}", setting.kind.name()));
        }
    });
}

/// Calls `each` for every key, and goes below those for which it says so.
fn walk<'n>(node: &'n Node, path: &mut Vec<&'n str>, each: &mut dyn FnMut(&[&str], &Node) -> bool) {
    for (key, value) in node.entries() {
        path.push(key);
        if each(path, value) {
            walk(value, path, each);
        }
        path.pop();
    }
}

fn systemd_cgroup_key(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    if config.version.is_some() && config.has("cri-systemd-cgroup").is_none() {
        return;
    }
    for (_, id, node) in config.cri_tables() {
        let linux = config.runtimes().iter().all(|name| {
            let kind = config
                .within("runtimes", &[name, "runtime_type"])
                .and_then(Node::text);
            kind == Some("io.containerd.runtime.v1.linux")
        });
        if let Some(key) = node.get("systemd_cgroup").filter(|key| key.is(true))
            && !linux
            && [OLD_ID, CRI].contains(&id)
        {
            found.at(key, "`systemd_cgroup` keeps the CRI plug-in from loading");
        }
    }
}

/// The root file and the files that it imports, if any of them says its version.
fn root_and_imports<'f>(facts: &'f Facts<'_>) -> Option<(&'f File, &'f [File])> {
    facts.containerd.files.split_first()
}

fn higher_drop_in(facts: &Facts<'_>, found: &mut Found<'_>) {
    let (Some(version), Some((root, imports))) =
        (facts.containerd.version, root_and_imports(facts))
    else {
        return;
    };
    let affected = facts.containerd.has("newer-import").is_some();
    let of_root = root.said.unwrap_or(1);
    for file in imports {
        if let Some(said) = file.said.filter(|said| affected && *said > of_root)
            && let Some(node) = file.parsed.root().and_then(|root| root.get("version"))
        {
            found.at_value(node, format!("version {said}, and the file that imports it has {of_root}: containerd {version} does not start"));
        }
    }
}

fn mixed_versions(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    let Some((root, imports)) = root_and_imports(facts) else {
        return;
    };
    if config.has("mixed-imports").is_none() || root.said != Some(2) {
        return;
    }
    let has_cri = root.plugins().any(|(id, node)| id == CRI && filled(node));
    for file in imports.iter().filter(|_| has_cri) {
        if let Some(said) = file.said.filter(|said| *said >= 3)
            && let Some(node) = file.parsed.root().and_then(|root| root.get("version"))
        {
            found.at_value(node, format!("version {said} here makes containerd ignore CRI's settings in the file of version 2 that imports it"));
        }
    }
}

fn replaced(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    if config.version.is_some() && config.has("imports-replace-plugins").is_none() {
        return;
    }
    for (number, file) in config.files.iter().enumerate() {
        for (id, node) in file.plugins() {
            if [OLD_ID, CRI].contains(&id) && filled(node) && config.is_replaced(number, id) {
                let later = config.files[number + 1..].iter().rev();
                let by = later
                    .flat_map(File::plugins)
                    .find(|(other, _)| *other == id);
                if let Some((_, by)) = by {
                    let shown = &facts.subject.texts[file.parsed.text].shown;
                    found.at(
                        by,
                        format!("this table takes the place of the whole one in {shown}"),
                    );
                }
            }
        }
    }
}

fn strays(facts: &Facts<'_>, found: &mut Found<'_>) {
    for &text in &facts.containerd.strays {
        found.text(text, "no file that containerd reads imports this one");
    }
}

fn relative_imports(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    let Some(version) = config.version else {
        return;
    };
    let old = config.has("relative-imports").is_some();
    for item in config.listed("imports").iter().filter(|_| old) {
        let pattern = item.text().unwrap_or_default();
        if !pattern.starts_with('/') {
            found.at_value(
                item,
                format!(
                    "containerd {version} looks for `{pattern}` in the folder it was started in"
                ),
            );
        }
    }
}

fn default_runtime(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    let name = config.default_runtime();
    if let Some(node) = config.one("default-runtime")
        && !config.runtimes().contains(name)
        && name != "runc"
    {
        found.at_value(node, format!("there is no runtime `{name}`"));
    }
}

fn removed_runtimes(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    let Some(line) = config.line() else { return };
    for name in config.runtimes() {
        let Some(node) = config.within("runtimes", &[name, "runtime_type"]) else {
            continue;
        };
        let kind = node.text().unwrap_or_default();
        if companions::runtime(kind).is_some_and(|runtime| !runtime.is_in(line)) {
            found.at_value(
                node,
                format!("runtime `{name}` is `{kind}`, which containerd {line} does not have"),
            );
        }
    }
}

fn snapshotter(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    let mut nodes = config.all("snapshotter");
    for name in config.runtimes() {
        nodes.extend(config.within("runtimes", &[name, "snapshotter"]));
    }
    for node in nodes {
        let Some(name) = node.text().filter(|name| !name.is_empty()) else {
            continue;
        };
        if config.top(&["proxy_plugins", name]).is_some() {
            continue;
        }
        match (companions::snapshotter(name), config.line()) {
            (Some(known), Some(line)) if !known.is_in(line) => {
                found.at_value(
                    node,
                    format!("containerd {line} has no snapshotter `{name}`"),
                );
            }
            (Some(_), _) => {}
            (None, _) => {
                found.at_value(node, format!("no snapshotter `{name}` is built in, and `proxy_plugins` does not declare it"));
            }
        }
    }
}

fn needed_plugins(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    let snapshotter = config
        .one("snapshotter")
        .and_then(Node::text)
        .unwrap_or("overlayfs");
    for item in config.listed("disabled_plugins") {
        let name = item.text().unwrap_or_default();
        if name == format!("io.containerd.snapshotter.v1.{snapshotter}") {
            found.at_value(
                item,
                format!("CRI uses the snapshotter `{snapshotter}`, which is turned off"),
            );
        } else if name == "io.containerd.transfer.v1.local" && config.from(2, 1) {
            found.at_value(
                item,
                "images are pulled through the transfer service, which is turned off",
            );
        }
    }
}

fn required(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    let Some(root) = config
        .files
        .first()
        .filter(|file| file.parsed.root().is_some())
    else {
        return;
    };
    let required = config.listed("required_plugins");
    if !required
        .iter()
        .any(|item| item.text() == Some(CRI) || item.text() == Some(OLD_ID))
    {
        found.text(root.parsed.text, "`required_plugins` does not name CRI");
    }
}

fn old_kernel(facts: &Facts<'_>, found: &mut Found<'_>) {
    if facts
        .containerd
        .has("unprivileged-on-old-kernels")
        .is_none()
    {
        return;
    }
    let off = ["unprivileged-ports", "unprivileged-icmp"]
        .iter()
        .all(|name| {
            facts
                .containerd
                .one(name)
                .is_some_and(|node| node.is(false))
        });
    for kernel in facts.subject.kernels() {
        let numbers: Vec<u32> = kernel
            .split(['.', '-'])
            .take(2)
            .flat_map(str::parse)
            .collect();
        if let [major, minor] = numbers[..]
            && (major, minor) < (4, 11)
            && !off
        {
            found.at_path(
                format!("usr/lib/modules/{kernel}"),
                format!("the kernel is {major}.{minor}"),
            );
        }
    }
}

fn local_pull(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    if config.has("falls-back-to-local-pull").is_none() {
        return;
    }
    let chosen =
        |file: &File, path: &[&str]| file.parsed.root().and_then(|root| root.at(path).cloned());
    for file in &config.files {
        // Tables of older versions are moved here.
        let (images, registry) = match config.version_of(file) {
            3.. => (vec!["plugins", IMAGES], vec!["plugins", IMAGES, "registry"]),
            2 => (vec!["plugins", CRI], vec!["plugins", CRI, "registry"]),
            _ => continue,
        };
        let Some(table) = chosen(file, &images) else {
            continue;
        };
        if table
            .get("use_local_image_pull")
            .is_some_and(|node| node.is(true))
        {
            continue;
        }
        let containerd = table.get("containerd").unwrap_or(&table);
        let mut say = |node: Option<&Node>, why: &str| {
            if let Some(node) = node {
                found.at(node, why);
            }
        };
        let number = table.get("max_concurrent_downloads");
        say(
            number.filter(|node| node.integer().is_some_and(|number| number != 3)),
            "a number other than 3 turns the transfer service off; set it in `io.containerd.transfer.v1.local`",
        );
        for key in ["discard_unpacked_layers", "image_pull_with_sync_fs"] {
            let node = containerd.get(key).or_else(|| table.get(key));
            say(
                node.filter(|node| node.is(true)),
                &format!("`{key}` turns the transfer service off"),
            );
        }
        let annotations = containerd.get("disable_snapshot_annotations");
        say(
            annotations.filter(|node| node.is(false)),
            "`disable_snapshot_annotations = false` turns the transfer service off",
        );
        if let Some(registry) = chosen(file, &registry) {
            for key in ["mirrors", "configs", "auths"] {
                let node = registry.get(key).filter(|node| filled(node));
                say(
                    node,
                    &format!("`registry.{key}` turns the transfer service off"),
                );
            }
        }
    }
}

fn no_file(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    if facts.subject.whole && config.present && config.files.is_empty() {
        found.at_path(&config.path, "there is no such file");
    }
}

fn streaming(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    let tls = config
        .one("streaming.tls")
        .is_some_and(|node| node.is(true));
    if let Some(node) = config.one("streaming.address")
        && let Some(address) = node.text()
        && !tls
        && !["127.0.0.1", "localhost", "::1", "[::1]"].contains(&address)
        && !address.starts_with("127.")
    {
        let address = if address.is_empty() {
            "every address"
        } else {
            address
        };
        found.at_value(node, format!("it listens on {address}, without TLS"));
    }
}

fn streaming_tls(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    let Some(tls) = config.one("streaming.tls").filter(|node| node.is(true)) else {
        return;
    };
    let said = |name: &str| {
        config
            .one(name)
            .and_then(Node::text)
            .is_some_and(|path| !path.is_empty())
    };
    let (certificate, key) = (said("streaming.tls-certificate"), said("streaming.tls-key"));
    if certificate != key {
        let missing = if certificate { "key" } else { "certificate" };
        found.at(tls, format!("TLS is on, and there is no {missing}"));
    }
}

fn cdi(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    let said = config.one("cdi");
    let off_by_default = config.from(1, 7) && config.before(2, 0) && said.is_none();
    let specs = ["etc/cdi", "usr/share/cdi"]
        .iter()
        .any(|folder| facts.subject.below(folder).next().is_some());
    match said {
        Some(node) if node.is(false) => found.at(node, "`enable_cdi` is false"),
        None if off_by_default && specs => found.nowhere(
            "CDI is off by default in containerd 1.7, and the node has CDI specifications",
        ),
        _ => {}
    }
}

fn deprecated(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    let mut seen = BTreeSet::new();
    if config.version.is_some() {
        keys(facts, |_, path, node, reading| {
            let Reading::Deprecated {
                setting,
                since,
                instead,
            } = reading
            else {
                return;
            };
            // One word for all hosts of a registry's table.
            if seen.insert((node.text, setting.name.clone())) {
                let instead = instead
                    .map(|instead| format!(": {instead}"))
                    .unwrap_or_default();
                let key = path[path.len().saturating_sub(2)..].join(".");
                found.at(node, format!("`{key}`, since containerd {since}{instead}"));
            }
        });
    }
    for file in &config.files {
        if config.from(1, 5) && file.said.unwrap_or(1) < 2 && file.parsed.root().is_some_and(filled)
        {
            found.text(
                file.parsed.text,
                "a file of version 1: write version 2 or later",
            );
        }
    }
}

fn all_devices(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    if config.before(1, 7) {
        return;
    }
    for name in config.runtimes() {
        let key = |key: &str| config.within("runtimes", &[name, key]);
        if let Some(node) =
            key("privileged_without_host_devices_all_devices_allowed").filter(|node| node.is(true))
            && !key("privileged_without_host_devices").is_some_and(|node| node.is(true))
        {
            found.at(
                node,
                format!("runtime `{name}` has it without `privileged_without_host_devices`"),
            );
        }
    }
}

fn nri(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    let off = match config.one("nri-disabled") {
        Some(node) => node.value == Value::Boolean(true),
        None => config.from(1, 7) && config.before(2, 0),
    };
    if let Some((name, _)) = facts.subject.below("opt/nri/plugins").next()
        && off
    {
        let name = String::from_utf8_lossy(name);
        found.at_path(format!("opt/nri/plugins/{name}"), "NRI is off");
    }
}
