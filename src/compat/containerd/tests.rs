//! The tables of containerd answer as containerd would.

use std::collections::BTreeSet;

use super::*;

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

#[test]
fn lines_are_whole() {
    assert!(TABLE.line.is_sorted_by_key(|row| row.line));
    assert_eq!(TABLE.line.len(), 9);
    for row in &TABLE.line {
        assert!(!row.source.is_empty() && row.supported[0] < row.supported[1]);
        assert!(row.reads.contains(&row.config) && row.reads.contains(&row.default_config));
        assert!(row.sandbox.is_sorted_by_key(|row| row.from));
        assert_eq!(row.sandbox[0].from, row.line.first());
        assert_eq!(row.newest.line(), row.line);
        if let Some(extended) = &row.extended {
            assert!(row.supported[1] < extended.until && !extended.r#for.is_empty());
        }
    }
}

#[test]
fn settings_are_whole() {
    let names: BTreeSet<_> = settings().iter().map(|row| &row.name).collect();
    assert_eq!(names.len(), settings().len());
    for setting in settings() {
        let name = &setting.name;
        assert!(!setting.source.is_empty(), "{name}");
        let first = setting.first().unwrap();
        for row in [version("1.3.0"), version("2.3.4")] {
            if let Some(default) = setting.default(row) {
                assert!(setting.kind.fits(default), "{name}");
            }
        }
        // Wherever it is read, it is found again.
        let newest = lines().iter().map(|row| row.newest);
        for release in newest.filter(|release| *release >= first) {
            for config in 1..=4 {
                for place in setting.places(release, config) {
                    let path: Vec<_> = place.path.iter().map(String::as_str).collect();
                    let read = reading(&path, release, config);
                    let found = match (&read, setting.kind) {
                        (Reading::Table, Kind::Group) => continue,
                        (Reading::Read(found), _) => found,
                        (Reading::Deprecated { setting, .. }, _) => setting,
                        _ => panic!("{name} in {release}, {config}: {read:?}"),
                    };
                    assert_eq!(&found.name, name, "{path:?}");
                }
            }
        }
    }
}

#[test]
fn lines_by_version() {
    assert_eq!(line(version("1.7.24")).unwrap().row.config, 2);
    assert_eq!(line(version("2.1.9")).unwrap().row.config, 3);
    let newer = line(version("2.9.0")).unwrap();
    assert!(newer.newer && newer.row.line == Line(2, 3));
    assert!(line(version("1.2.14")).is_none());
}

#[test]
fn sandbox_images_by_release() {
    let image = |text| {
        let version = version(text);
        line(version).unwrap().row.sandbox_image(version)
    };
    assert_eq!(image("1.5.13"), "k8s.gcr.io/pause:3.5");
    assert_eq!(image("1.5.14"), "registry.k8s.io/pause:3.5");
    assert_eq!(image("1.7.24"), "registry.k8s.io/pause:3.8");
    assert_eq!(image("2.9.0"), "registry.k8s.io/pause:3.10.2");
    let pins = |text| line(version(text)).unwrap().row.pins(version(text));
    assert!(!pins("1.5.18") && !pins("1.6.21") && pins("1.6.22") && pins("2.3.0"));
}

#[test]
fn versions_of_the_file() {
    let accepts = |text, config| {
        let version = version(text);
        line(version).unwrap().row.accepts(version, config)
    };
    assert_eq!(accepts("1.7.16", 3), Ok(false));
    assert_eq!(accepts("1.7.17", 3), Err(2));
    assert_eq!(accepts("1.5.18", 4), Ok(false));
    assert_eq!(accepts("2.2.7", 4), Err(3));
    assert_eq!(accepts("2.3.0", 4), Ok(true));
    assert_eq!(accepts("2.3.0", 1), Ok(true));
}

#[test]
fn support_has_an_end() {
    let support = |text, on| line(version(text)).unwrap().row.support(day(on));
    assert_eq!(support("1.7.30", "2026-03-10"), Support::Supported);
    assert_eq!(support("1.7.30", "2026-03-11"), Support::Extended);
    assert_eq!(support("1.7.30", "2026-10-01"), Support::Over);
    assert_eq!(support("2.3.0", "2026-04-29"), Support::Before);
    assert_eq!(support("1.6.39", "2025-08-24"), Support::Over);
}

#[test]
fn settings_move() {
    let at = |setting, text| location(setting, version(text)).unwrap();
    assert_eq!(
        at("sandbox-image", "1.7.24").path.join("/"),
        "plugins/io.containerd.grpc.v1.cri/sandbox_image"
    );
    assert_eq!(
        at("sandbox-image", "2.0.0").path.join("/"),
        "plugins/io.containerd.cri.v1.images/pinned_images/sandbox"
    );
    assert_eq!(
        at("streaming.port", "2.3.0").path.join("/"),
        "plugins/io.containerd.grpc.v1.cri/stream_server_port"
    );
    assert_eq!(at("grpc.uid", "2.2.0").path.join("/"), "grpc/uid");
    assert!(!at("cni.bin-dir", "2.0.9").list);
    assert!(at("cni.bin-dir", "2.1.0").list);
    let missing = |setting, text| location(setting, version(text)).unwrap_err();
    assert_eq!(missing("cdi", "1.6.20"), Some(version("1.7.0")));
    assert_eq!(missing("criu", "2.3.1"), Some(version("2.3.4")));
    assert_eq!(missing("cri-systemd-cgroup", "2.0.0"), None);
    assert_eq!(missing("nonsense", "1.6.20"), None);
}

/// What is made of a key, in few words.
fn read_as(path: &str, text: &str, config: u8) -> String {
    let path: Vec<_> = path.split('/').collect();
    match reading(&path, version(text), config) {
        Reading::Read(setting) => format!("read as {}", setting.name),
        Reading::Deprecated { since, .. } => format!("deprecated since {since}"),
        Reading::Table => "table".to_owned(),
        Reading::Elsewhere(_, Some(place)) => format!("read at {}", place.path[1..].join("/")),
        Reading::Elsewhere(_, None) => "not read".to_owned(),
        Reading::Later(from) => format!("from {from}"),
        Reading::Gone { since, .. } => format!("gone since {since}"),
        Reading::Unknown => "unknown".to_owned(),
        Reading::Unchecked => "unchecked".to_owned(),
    }
}

#[test]
fn keys_are_read_or_passed_over() {
    let cri = "plugins/io.containerd.grpc.v1.cri";
    let images = "plugins/io.containerd.cri.v1.images";
    let runtime = "plugins/io.containerd.cri.v1.runtime";
    let cases = [
        (
            format!("{cri}/sandbox_image"),
            "1.7.24",
            2,
            "read as sandbox-image",
        ),
        (
            format!("{cri}/sandbox_image"),
            "2.2.0",
            2,
            "read as sandbox-image",
        ),
        (
            format!("{cri}/sandbox_image"),
            "2.2.0",
            3,
            "read at io.containerd.cri.v1.images/pinned_images/sandbox",
        ),
        // 2.3 migrates version 3 too.
        (
            format!("{cri}/sandbox_image"),
            "2.3.0",
            3,
            "read as sandbox-image",
        ),
        (
            format!("{cri}/sandbox_image"),
            "2.3.0",
            4,
            "read at io.containerd.cri.v1.images/pinned_images/sandbox",
        ),
        (
            "plugins/cri/sandbox_image".into(),
            "1.7.24",
            1,
            "read as sandbox-image",
        ),
        ("plugins/cri/sandbox_image".into(), "2.2.0", 1, "not read"),
        (
            "plugins/cri/sandbox_image".into(),
            "2.3.0",
            1,
            "read as sandbox-image",
        ),
        // The guide of 2021.
        ("plugins/cri/cni/bin_dir".into(), "1.6.20", 2, "unchecked"),
        (
            format!("{cri}/stream_server_port"),
            "2.2.0",
            3,
            "read as streaming.port",
        ),
        (format!("{images}/snapshotter"), "1.7.24", 2, "from 2.0.0"),
        (
            format!("{images}/snapshotter"),
            "2.0.0",
            3,
            "read as snapshotter",
        ),
        (
            format!("{images}/pinned_images/other"),
            "2.0.0",
            3,
            "read as pinned-images",
        ),
        (format!("{images}/sandbox_image"), "2.0.0", 3, "unknown"),
        (images.to_owned(), "2.0.0", 3, "table"),
        (
            format!("{runtime}/containerd/runtimes"),
            "2.0.0",
            3,
            "table",
        ),
        (
            format!("{runtime}/containerd/runtimes/kata/options/Anything"),
            "2.0.0",
            3,
            "read as runtime.options",
        ),
        (
            format!("{runtime}/containerd/runtimes/kata/typ"),
            "2.0.0",
            3,
            "unknown",
        ),
        (
            format!("{runtime}/containerd/runtimes/kata/cgroup_writable"),
            "2.0.0",
            3,
            "from 2.1.0",
        ),
        (
            format!("{cri}/systemd_cgroup"),
            "1.7.24",
            2,
            "deprecated since 1.3.0",
        ),
        (
            format!("{cri}/systemd_cgroup"),
            "2.1.0",
            2,
            "gone since 2.0.0",
        ),
        (format!("{cri}/enable_cdi"), "1.6.20", 2, "from 1.7.0"),
        (
            format!("{cri}/ignore_deprecation_warnings"),
            "1.7.13",
            2,
            "from 1.7.14",
        ),
        (
            format!("{runtime}/cni/bin_dir"),
            "2.0.0",
            3,
            "read as cni.bin-dir",
        ),
        (
            format!("{runtime}/cni/bin_dir"),
            "2.1.0",
            3,
            "deprecated since 2.1.0",
        ),
        (
            format!("{images}/registry/mirrors/x/endpoint"),
            "2.1.0",
            3,
            "deprecated since 1.5.0",
        ),
        (
            "plugins/io.containerd.nri.v1.nri/disable".into(),
            "1.6.20",
            2,
            "from 1.7.0",
        ),
        (
            "plugins/io.containerd.runtime.v1.linux/shim".into(),
            "2.0.0",
            3,
            "gone since 2.0.0",
        ),
        ("plugins/vendor.example/x".into(), "2.0.0", 3, "unchecked"),
        ("oom_score".into(), "1.3.0", 1, "read as oom-score"),
        ("oom_scor".into(), "2.3.0", 3, "unknown"),
        ("grpc/address".into(), "2.3.0", 3, "read as grpc.address"),
        (
            "grpc/address".into(),
            "2.3.0",
            4,
            "read at io.containerd.server.v1.grpc/address",
        ),
        ("plugin_dir".into(), "2.1.0", 3, "gone since 2.1.0"),
    ];
    for (path, release, config, expected) in cases {
        let read = read_as(&path, release, config);
        assert_eq!(read, expected, "{path} in {release}, version {config}");
    }
}

#[test]
fn values_are_found_wherever_they_stand() {
    let value = |name: &str, release, text: &str| {
        let file: toml::Table = text.parse().unwrap();
        let value = setting(name).unwrap().value(&file, version(release));
        value.map(ToString::to_string)
    };
    let old = "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".cni]\nbin_dir = \"/a\"\n";
    assert_eq!(
        value("cni.bin-dir", "1.6.20", old).as_deref(),
        Some("\"/a\"")
    );
    assert_eq!(
        value("cni.bin-dir", "2.2.0", old).as_deref(),
        Some("\"/a\"")
    );
    let new = "version = 3\n[plugins.\"io.containerd.cri.v1.runtime\".cni]\nbin_dirs = [\"/b\"]\n";
    assert_eq!(
        value("cni.bin-dir", "2.2.0", new).as_deref(),
        Some("\"/b\"")
    );
    assert_eq!(value("cni.bin-dir", "2.0.0", new), None);
    assert_eq!(value("cni.bin-dir", "1.7.0", new), None);
    let first = "[plugins.cri]\nsandbox_image = \"x\"\n";
    assert_eq!(
        value("sandbox-image", "1.7.0", first).as_deref(),
        Some("\"x\"")
    );
    assert_eq!(value("sandbox-image", "2.1.0", first), None);
}

#[test]
fn defaults_by_release() {
    let default = |name: &str, text| {
        let default = setting(name).unwrap().default(version(text));
        default.map(ToString::to_string)
    };
    assert_eq!(default("cdi", "1.7.0").as_deref(), Some("false"));
    assert_eq!(default("cdi", "2.0.0").as_deref(), Some("true"));
    assert_eq!(default("cdi", "1.6.0"), None);
    assert_eq!(
        default("pull-progress-timeout", "1.7.9").as_deref(),
        Some("\"1m0s\"")
    );
}

#[test]
fn names_that_could_have_been_meant() {
    let path = ["plugins", "io.containerd.cri.v1.runtime", "cni", "bin_dirz"];
    let names = siblings(&path, version("2.1.0"), 3);
    assert!(
        names.contains(&"bin_dirs") && names.contains(&"conf_dir"),
        "{names:?}"
    );
    assert!(siblings(&["oom_scor"], version("1.6.0"), 2).contains(&"oom_score"));
}
