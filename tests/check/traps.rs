//! Each trap T1 to T30: the combination that breaks is found, at its place, and the
//! fixed one is not.

use super::scene::{Scene, root, scene};

const CRI: &str = "[plugins.\"io.containerd.grpc.v1.cri\"]\n";
const IMAGES: &str = "[plugins.\"io.containerd.cri.v1.images\"]\n";
const RUNTIME: &str = "[plugins.\"io.containerd.cri.v1.runtime\"]\n";

fn two(rest: &str) -> String {
    format!("version = 2\n{CRI}{rest}")
}

fn three(rest: &str) -> String {
    format!("version = 3\n{rest}")
}

/// The rule finds something wrong with the first, and nothing with the others.
fn trap(id: &str, bad: &Scene, fixed: &[Scene]) {
    assert!(bad.finds(id), "{id} is not found among {:?}", bad.ids());
    for (number, fixed) in fixed.iter().enumerate() {
        assert!(
            !fixed.finds(id),
            "{id} is found in fixed {number}:\n{}",
            fixed.told()
        );
    }
}

#[test]
fn t01_several_registry_directories() {
    let config = |path: &str| {
        three(&format!(
            "{IMAGES}[plugins.\"io.containerd.cri.v1.images\".registry]\nconfig_path = \"{path}\"\n"
        ))
    };
    let joined = "/etc/containerd/certs.d:/etc/docker/certs.d";
    let hosts = |scene: Scene| {
        scene.file(
            "etc/containerd/certs.d/docker.io/hosts.toml",
            "server = \"https://mirror.example\"\n",
        )
    };
    trap(
        "ND-REG-001",
        &scene().containerd("2.2.1").config(&config(joined)),
        &[
            scene()
                .containerd("2.2.1")
                .config(&config("/etc/containerd/certs.d")),
            scene().containerd("2.0.5").config(&config(joined)),
            scene().containerd("2.2.1").config(
                &config(&joined.replace("\n", ""))
                    .replace("\n[", "\nuse_local_image_pull = true\n["),
            ),
        ],
    );
    // The default of 2.2 is such a list.
    trap(
        "ND-REG-001",
        &hosts(scene()).containerd("2.3.4").config("version = 3\n"),
        &[
            hosts(scene()).containerd("2.1.4").config("version = 3\n"),
            scene().containerd("2.3.4").config("version = 3\n"),
        ],
    );
}

fn sandbox(image: &str) -> String {
    three(&format!("{IMAGES}pinned_images.sandbox = \"{image}\"\n"))
}

#[test]
fn t02_sandbox_image_with_digest() {
    let digest = format!("registry.k8s.io/pause:3.10@sha256:{}", "a".repeat(64));
    let with = |version: &str, image: &str| scene().containerd(version).config(&sandbox(image));
    trap(
        "ND-SBX-002",
        &with("2.3.3", &digest),
        &[
            with("2.3.4", &digest),
            with("2.2.2", &digest),
            with("2.3.3", "registry.k8s.io/pause:3.10"),
        ],
    );
}

#[test]
fn t03_short_sandbox_image() {
    let with = |version: &str, image: &str| scene().containerd(version).config(&sandbox(image));
    let short = "localhost/kubernetes/pause";
    trap(
        "ND-SBX-001",
        &with("2.3.0", short),
        &[
            with("2.3.4", short),
            with("2.3.0", "localhost/kubernetes/pause:1"),
        ],
    );
    trap(
        "ND-SBX-008",
        &with("2.3.4", short),
        &[with("2.3.4", "localhost/kubernetes/pause:1")],
    );
    for image in ["pause:3.9", "kubernetes/pause:3.9", "pause"] {
        assert!(
            with("1.7.24", image).ids().len()
                >= with("1.7.24", "registry.k8s.io/pause:3.9").ids().len()
        );
    }
}

#[test]
fn t04_mirrors_and_config_path() {
    let mirrors = "[plugins.\"io.containerd.cri.v1.images\".registry.mirrors.\"docker.io\"]\nendpoint = [\"https://mirror.example\"]\n";
    let path = "[plugins.\"io.containerd.cri.v1.images\".registry]\nconfig_path = \"/etc/containerd/certs.d\"\n";
    let with = |version: &str, rest: &str| scene().containerd(version).config(&three(rest));
    trap(
        "ND-REG-002",
        &with("2.2.1", mirrors),
        &[with("2.2.2", mirrors), with("2.2.1", path)],
    );
    trap(
        "ND-REG-002",
        &with("2.3.4", &format!("{path}{mirrors}")),
        &[with("2.3.4", mirrors)],
    );
    let old = two(
        "registry.config_path = \"/etc/containerd/certs.d\"\nregistry.mirrors.\"docker.io\".endpoint = [\"https://x\"]\n",
    );
    trap(
        "ND-REG-002",
        &scene().containerd("1.6.20").config(&old),
        &[scene()
            .containerd("1.6.20")
            .config(&old.replace("registry.config_path", "#"))],
    );
    let tls = old.replace(
        "registry.mirrors.\"docker.io\".endpoint = [\"https://x\"]",
        "registry.configs.\"r.example\".tls.ca_file = \"/x\"",
    );
    trap(
        "ND-REG-003",
        &scene().containerd("1.7.20").config(&tls),
        &[scene().containerd("1.7.20").config(&old)],
    );
}

const IMPORTS: &str = "imports = [\"/etc/containerd/conf.d/*.toml\"]\n";

fn dropped(version: &str, root_file: &str, drop_in: &str) -> Scene {
    scene()
        .containerd(version)
        .config(root_file)
        .file("etc/containerd/conf.d/10-x.toml", drop_in)
}

#[test]
fn t05_drop_in_of_a_higher_version() {
    let root_file = format!("version = 2\n{IMPORTS}");
    trap(
        "ND-CRI-010",
        &dropped("2.3.4", &root_file, "version = 3\n"),
        &[
            dropped("2.2.2", &root_file, "version = 3\n"),
            dropped("2.3.4", &root_file, "version = 2\n"),
        ],
    );
}

#[test]
fn t06_version_1_loses_cri() {
    let config = "[plugins.cri]\nsandbox_image = \"registry.k8s.io/pause:3.9\"\n";
    let with = |version: &str| scene().containerd(version).config(config);
    trap(
        "ND-CRI-006",
        &with("2.1.4"),
        &[
            with("2.3.0"),
            with("1.7.24"),
            scene()
                .containerd("2.1.4")
                .config(&two("sandbox_image = \"registry.k8s.io/pause:3.9\"\n")),
        ],
    );
    // The setting itself is not seen any more.
    assert!(with("2.1.4").finds("ND-SBX-007") && !with("2.3.0").finds("ND-SBX-007"));
}

#[test]
fn t07_cri_settings_in_the_streaming_table() {
    let config = three(&format!(
        "{CRI}sandbox_image = \"registry.k8s.io/pause:3.9\"\n"
    ));
    let with = |version: &str| scene().containerd(version).config(&config);
    let streaming = three(&format!("{CRI}stream_server_port = \"10010\"\n"));
    trap(
        "ND-CRI-007",
        &with("2.2.0"),
        &[scene().containerd("2.2.0").config(&streaming)],
    );
    assert!(with("2.2.0").told().contains("is not read"));
    assert!(with("2.3.0").told().contains("wins over"));
}

#[test]
fn t08_keys_of_version_3_in_version_2() {
    let config = format!("version = 2\n{IMAGES}snapshotter = \"native\"\n");
    let with = |version: &str| scene().containerd(version).config(&config);
    trap(
        "ND-CRI-005",
        &with("1.7.24"),
        &[scene()
            .containerd("2.0.0")
            .config(&config.replace("= 2", "= 3"))],
    );
}

#[test]
fn t09_version_3_on_1_7() {
    let with = |version: &str| scene().containerd(version).config("version = 3\n");
    trap(
        "ND-CRI-002",
        &with("1.7.17"),
        &[
            with("2.0.0"),
            scene().containerd("1.7.17").config("version = 2\n"),
        ],
    );
    assert!(with("1.7.17").told().contains("does not start"));
    assert!(with("1.7.16").told().contains("passes over"));
    assert!(
        with("1.6.31").told().contains("passes over")
            && with("1.6.32").told().contains("does not start")
    );
}

#[test]
fn t10_version_4_before_2_3() {
    let with = |version: &str| scene().containerd(version).config("version = 4\n");
    trap("ND-CRI-002", &with("2.2.5"), &[with("2.3.0")]);
}

#[test]
fn t11_short_names_of_plugins() {
    let with = |text: &str| scene().containerd("1.7.24").config(text);
    trap(
        "ND-CRI-004",
        &with("version = 2\ndisabled_plugins = [\"cri\"]\n"),
        &[
            with("disabled_plugins = [\"aufs\"]\n"),
            with("version = 2\ndisabled_plugins = [\"io.containerd.internal.v1.tracing\"]\n"),
        ],
    );
}

#[test]
fn t12_cri_is_disabled() {
    for config in [
        "disabled_plugins = [\"cri\"]\n",
        "version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n",
        "version = 3\ndisabled_plugins = [\"io.containerd.cri.v1.images\"]\n",
        "version = 3\ndisabled_plugins = [\"io.containerd.cri.v1.runtime\"]\n",
    ] {
        trap(
            "ND-CRI-001",
            &scene().config(config),
            &[scene().config("version = 2\ndisabled_plugins = []\n")],
        );
    }
    // In a file that is imported, too.
    let imported = dropped(
        "2.1.4",
        &format!("version = 3\n{IMPORTS}"),
        "version = 3\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n",
    );
    assert!(
        imported
            .told()
            .contains("/etc/containerd/conf.d/10-x.toml:2:21"),
        "{}",
        imported.told()
    );
}

#[test]
fn t13_drop_in_replaces_cri() {
    let root_file = format!(
        "{IMPORTS}{}",
        two("sandbox_image = \"registry.k8s.io/pause:3.9\"\n")
    );
    let drop_in = two("registry.config_path = \"/etc/containerd/certs.d\"\n");
    trap(
        "ND-CRI-012",
        &dropped("1.7.24", &root_file, &drop_in),
        &[
            dropped("2.1.4", &root_file, &drop_in),
            dropped(
                "1.7.24",
                &root_file,
                "version = 2\n[metrics]\naddress = \"127.0.0.1:1338\"\n",
            ),
        ],
    );
    // What the root file says of the sandbox image is lost.
    assert!(dropped("1.7.24", &root_file, &drop_in).finds("ND-SBX-007"));
    assert!(!dropped("2.1.4", &root_file, &drop_in).finds("ND-SBX-007"));
}

#[test]
fn t14_drop_ins_that_are_not_imported() {
    trap(
        "ND-CRI-013",
        &dropped("2.2.0", "version = 3\n", "version = 3\n"),
        &[dropped(
            "2.2.0",
            &format!("version = 3\n{IMPORTS}"),
            "version = 3\n",
        )],
    );
    let without = scene()
        .containerd("2.2.0")
        .file("etc/containerd/conf.d/10-x.toml", "version = 3\n");
    assert!(without.finds("ND-CRI-013"));
}

#[test]
fn t15_systemd_cgroup() {
    let config = two("systemd_cgroup = true\n");
    trap(
        "ND-CRI-009",
        &scene().containerd("1.6.20").config(&config),
        &[scene()
            .containerd("1.6.20")
            .config(&config.replace("true", "false"))],
    );
    // Others that belong to the same runtime.
    for key in [
        "containerd.no_pivot = true",
        "containerd.runtimes.runc.runtime_engine = \"/usr/bin/other\"",
        "containerd.runtimes.runc.runtime_root = \"/run/other\"",
    ] {
        let with = |kind: &str| {
            scene().containerd("1.7.24").config(&two(&format!(
                "containerd.runtimes.runc.runtime_type = \"{kind}\"\n{key}\n"
            )))
        };
        trap(
            "ND-CRI-009",
            &with("io.containerd.runc.v2"),
            &[with("io.containerd.runtime.v1.linux")],
        );
    }
    // Gone in 2.0.
    let gone = scene().containerd("2.0.0").config(&config);
    assert!(
        gone.finds("ND-CRI-008") && !gone.finds("ND-CRI-009"),
        "{}",
        gone.told()
    );
}

fn driver(systemd: bool) -> String {
    two(&format!(
        "containerd.runtimes.runc.runtime_type = \"io.containerd.runc.v2\"\ncontainerd.runtimes.runc.options.SystemdCgroup = {systemd}\n"
    ))
}

#[test]
fn t16_cgroupfs_wins_silently() {
    let config = |systemd| {
        three(&format!(
            "{RUNTIME}containerd.runtimes.runc.runtime_type = \"io.containerd.runc.v2\"\ncontainerd.runtimes.runc.options.SystemdCgroup = {systemd}\n"
        ))
    };
    let with = |systemd| {
        scene()
            .containerd("2.1.4")
            .kubernetes("1.33")
            .config(&config(systemd))
            .kubelet("cgroupDriver: systemd\n")
    };
    trap("ND-KUB-005", &with(false), &[with(true)]);
    // The two do not even count as different: kubelet takes containerd's.
    assert!(!with(false).finds("ND-KUB-004"));
}

#[test]
fn t17_different_cgroup_drivers() {
    let with = |systemd, kubelet: &str| {
        scene()
            .containerd("1.7.24")
            .kubernetes("1.33")
            .config(&driver(systemd))
            .kubelet(kubelet)
    };
    trap(
        "ND-KUB-004",
        &with(false, "cgroupDriver: systemd\n"),
        &[
            with(true, "cgroupDriver: systemd\n"),
            with(false, "cgroupDriver: cgroupfs\n"),
        ],
    );
    assert!(
        with(true, "maxPods: 50\n").finds("ND-KUB-004"),
        "kubelet's default is cgroupfs"
    );
    let flags = scene()
        .containerd("1.7.24")
        .kubernetes("1.22")
        .config(&driver(true))
        .flags("--cgroup-driver=cgroupfs");
    assert!(flags.finds("ND-KUB-004"));
}

#[test]
fn t18_old_kubelet_and_containerd_2() {
    let with =
        |containerd: &str, kubernetes: &str| scene().containerd(containerd).kubernetes(kubernetes);
    trap(
        "ND-PAIR-001",
        &with("2.0.0", "1.22"),
        &[with("2.0.0", "1.23"), with("1.7.24", "1.22")],
    );
}

#[test]
fn t19_old_containerd_and_new_kubelet() {
    let with =
        |containerd: &str, kubernetes: &str| scene().containerd(containerd).kubernetes(kubernetes);
    trap(
        "ND-PAIR-001",
        &with("1.5.18", "1.26"),
        &[with("1.6.15", "1.26"), with("1.5.18", "1.25")],
    );
}

#[test]
fn t20_flags_that_are_gone() {
    let with = |kubernetes: &str, flag: &str| {
        scene()
            .kubernetes(kubernetes)
            .flags(&format!("KUBELET_KUBEADM_ARGS=\"--v=2 {flag}\"\n"))
    };
    for (flag, last, gone) in [
        (
            "--pod-infra-container-image=registry.k8s.io/pause:3.9",
            "1.34",
            "1.35",
        ),
        ("--container-runtime=remote", "1.26", "1.27"),
        ("--network-plugin=cni", "1.23", "1.24"),
        ("--cni-bin-dir=/opt/cni/bin", "1.23", "1.24"),
        (
            "--docker-endpoint=unix:///var/run/docker.sock",
            "1.23",
            "1.24",
        ),
    ] {
        trap(
            "ND-KUB-001",
            &with(gone, flag),
            &[with(last, flag), with(gone, "")],
        );
    }
    let told = with("1.24", "--network-plugin=cni").told();
    assert!(told.contains("kubeadm-flags.env:1:29"), "{told}");
}

#[test]
fn t21_cgroup_v1() {
    let with = |kubernetes: &str, kubelet: &str| {
        scene()
            .kubernetes(kubernetes)
            .file(
                "usr/lib/kernel/cmdline",
                "quiet systemd.unified_cgroup_hierarchy=0\n",
            )
            .kubelet(kubelet)
    };
    trap(
        "ND-KUB-006",
        &with("1.35", ""),
        &[
            with("1.34", ""),
            with("1.35", "failCgroupV1: false\n"),
            scene()
                .kubernetes("1.35")
                .file("usr/lib/kernel/cmdline", "quiet\n"),
        ],
    );
}

#[test]
fn t22_removed_runtimes() {
    for kind in ["io.containerd.runtime.v1.linux", "io.containerd.runc.v1"] {
        let config = |kind: &str| {
            two(&format!(
                "containerd.runtimes.runc.runtime_type = \"{kind}\"\n"
            ))
        };
        trap(
            "ND-CRI-016",
            &scene().containerd("2.0.0").config(&config(kind)),
            &[
                scene().containerd("1.7.24").config(&config(kind)),
                scene()
                    .containerd("2.0.0")
                    .config(&config("io.containerd.runc.v2")),
            ],
        );
    }
}

#[test]
fn t23_both_cni_directories() {
    let config = |rest: &str| {
        three(&format!(
            "{RUNTIME}cni.bin_dirs = [\"/var/lib/cni/bin\"]\n{rest}"
        ))
    };
    let with = |version: &str, rest: &str| scene().containerd(version).config(&config(rest));
    trap(
        "ND-CNI-003",
        &with("2.1.0", "cni.bin_dir = \"/opt/cni/bin\"\n"),
        &[with("2.1.0", "")],
    );
}

#[test]
fn t24_local_pull() {
    let config = |rest: &str| three(&format!("{IMAGES}{rest}\n"));
    for setting in [
        "max_concurrent_downloads = 5",
        "discard_unpacked_layers = true",
        "disable_snapshot_annotations = false",
        "image_pull_with_sync_fs = true",
        "registry.mirrors.\"docker.io\".endpoint = [\"https://x\"]",
        "registry.configs.\"r\".auth.username = \"u\"",
    ] {
        let with = |version: &str, rest: &str| scene().containerd(version).config(&config(rest));
        trap(
            "ND-CRI-021",
            &with("2.1.0", setting),
            &[
                with("2.0.0", setting),
                with("2.1.0", "max_concurrent_downloads = 3"),
            ],
        );
    }
    let chosen = config("use_local_image_pull = true\nmax_concurrent_downloads = 5");
    assert!(
        !scene()
            .containerd("2.1.0")
            .config(&chosen)
            .finds("ND-CRI-021")
    );
}

#[test]
fn t25_keys_of_crictl() {
    let file = |text: &str| scene().file("etc/crictl.yaml", text);
    let good = "runtime-endpoint: unix:///run/containerd/containerd.sock\n";
    let new = format!("{good}max-retries: 3\n");
    trap(
        "ND-CTL-001",
        &file(&new).crictl("1.36.0"),
        &[file(good).crictl("1.36.0"), file(&new).crictl("1.18.0")],
    );
}

#[test]
fn t26_broken_hosts_files() {
    let config = three(&format!(
        "{IMAGES}registry.config_path = \"/etc/containerd/certs.d\"\n"
    ));
    let with = |version: &str, hosts: &str| {
        scene()
            .containerd(version)
            .config(&config)
            .file("etc/containerd/certs.d/docker.io/hosts.toml", hosts)
    };
    let good = "server = \"https://registry-1.docker.io\"\n[host.\"https://mirror.example\"]\ncapabilities = [\"pull\", \"resolve\"]\nca = \"ca.crt\"\n";
    for bad in [
        "server = \"https://x\n",
        "[host.\"https://mirror.example\"]\ncapabilities = [\"pull\", \"fetch\"]\n",
        "[host.\"https://mirror.example\"]\ncapabilities = \"pull\"\n",
        "[host.\"https://mirror.example\"]\nskip_verify = \"yes\"\n",
    ] {
        trap("ND-REG-004", &with("2.1.0", bad), &[with("2.1.0", good)]);
    }
    let referrers = "[host.\"https://mirror.example\"]\ncapabilities = [\"pull\", \"referrers\"]\n";
    trap(
        "ND-REG-004",
        &with("2.1.0", referrers),
        &[with("2.2.0", referrers)],
    );
}

#[test]
fn t27_old_kernels() {
    let with = |kernel: &str, rest: &str| {
        root()
            .containerd("2.1.0")
            .config(&three(&format!("{RUNTIME}{rest}")))
            .file(&format!("usr/lib/modules/{kernel}/modules.dep"), "")
    };
    trap(
        "ND-CRI-020",
        &with("4.9.0-19-amd64", ""),
        &[
            with("4.19.0-27-amd64", ""),
            with(
                "4.9.0-19-amd64",
                "enable_unprivileged_ports = false\nenable_unprivileged_icmp = false\n",
            ),
        ],
    );
}

#[test]
fn t28_old_network_plugins() {
    let with = |containerd: &str, cni: &str| {
        scene()
            .containerd(containerd)
            .package("kubernetes-cni", cni)
    };
    trap(
        "ND-CNI-002",
        &with("1.6.20", "0.8.7-00"),
        &[with("1.6.20", "1.1.1-00"), with("1.5.5", "0.8.7-00")],
    );
    let conf = |containerd: &str, text: &str| {
        scene()
            .containerd(containerd)
            .file("etc/cni/net.d/10-a.conflist", text)
    };
    trap(
        "ND-CNI-005",
        &conf("1.6.3", "{\"name\": \"a\", \"plugins\": []}"),
        &[
            conf("1.6.4", "{\"name\": \"a\", \"plugins\": []}"),
            conf("1.6.3", "{\"cniVersion\": \"0.4.0\", \"plugins\": []}"),
        ],
    );
}

#[test]
fn t29_open_files() {
    let unit = "[Service]\nExecStart=/usr/bin/containerd\nDelegate=yes\nKillMode=process\n";
    let with = |systemd: &str, rest: &str| {
        root().containerd("2.0.0").package("systemd", systemd).file(
            "usr/lib/systemd/system/containerd.service",
            &format!("{unit}{rest}"),
        )
    };
    trap(
        "ND-NODE-012",
        &with("237-3ubuntu10", ""),
        &[
            with("252.1", ""),
            with("237-3ubuntu10", "LimitNOFILE=1024:524288\n"),
        ],
    );
    trap(
        "ND-NODE-012",
        &with("252", "LimitNOFILE=4096\n"),
        &[with("252", "LimitNOFILE=infinity\n")],
    );
    trap(
        "ND-NODE-013",
        &with("252", "LimitNOFILE=infinity\n"),
        &[with("252", "LimitNOFILE=1048576\n")],
    );
}

#[test]
fn t30_mixed_versions() {
    let root_file = format!(
        "{IMPORTS}{}",
        two("sandbox_image = \"registry.k8s.io/pause:3.9\"\n")
    );
    trap(
        "ND-CRI-011",
        &dropped("2.1.0", &root_file, "version = 3\n"),
        &[
            dropped("2.1.0", &root_file, "version = 2\n"),
            dropped("2.3.0", &root_file, "version = 3\n"),
        ],
    );
}
