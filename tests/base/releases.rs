//! The main use: programs of releases over somebody else's image.

use serde_json::Value;

use super::common;
use super::fixture::{Base, PROFILE, Scene, small};
use super::upstream::Upstream;

const ALL: &str = r#"
[kubernetes]
version = "1.36"

[containerd]
source = "release"
version = "2.3"

[runc]
source = "release"
version = "1.4.3"

[cni]
source = "release"
version = "1.9"

[crictl]
source = "release"

[kubelet]
source = "release"

[units]
enable = ["containerd.service", "kubelet.service"]
"#;

fn stage() -> (Scene, Upstream, Vec<String>) {
    let upstream = Upstream::start();
    let (scene, base) = Scene::on(&format!("{PROFILE}{ALL}"), &small());
    scene.write("releases.toml", upstream.table());
    (scene, upstream, base)
}

#[test]
fn releases_are_installed_over_a_base() {
    let (scene, _upstream, base) = stage();
    let built = scene.built(&["--releases", "releases.toml", "--compression", "gzip"]);
    let layers = scene.layers();
    assert_eq!(layers[..2], base);
    let ids = built["images"][0]["layers"].as_array().unwrap();
    let ids: Vec<_> = ids
        .iter()
        .map(|layer| layer["id"].as_str().unwrap())
        .collect();
    let ours = [
        "release:cni-plugins",
        "release:containerd",
        "release:crictl",
        "release:kubeadm",
        "release:kubelet",
        "release:runc",
        "configuration",
    ];
    assert_eq!(ids[2..], ours);
    let root = scene.unpacked();
    for path in [
        "usr/bin/containerd",
        "usr/bin/kubelet",
        "usr/bin/crictl",
        "etc/containerd/config.toml",
        "etc/systemd/system/multi-user.target.wants/kubelet.service",
    ] {
        assert!(root.join(path).symlink_metadata().is_ok(), "{path}");
    }
    // One flag more: one small layer.
    let before = scene.layers();
    scene.write(
        "node.toml",
        format!("{PROFILE}{ALL}[sysctl]\nvm.panic_on_oom = 0\n").trim_start(),
    );
    let built = scene.built(&["--releases", "releases.toml", "--compression", "gzip"]);
    let made = built["images"][0]["layers"].as_array().unwrap();
    let made: Vec<&Value> = made
        .iter()
        .filter(|layer| layer["reused"] == false)
        .collect();
    assert_eq!(made.len(), 1, "{made:#?}");
    assert_eq!(
        scene.layers()[..before.len() - 1],
        before[..before.len() - 1]
    );
}

/// No program of the root is run, so that nothing needs emulation.
#[test]
fn of_another_architecture_than_this_machine() {
    let upstream = Upstream::start();
    let base = Base {
        architecture: OTHER,
        ..small()
    };
    let profile = format!("{PROFILE}{ALL}").replace("\"amd64\"", &format!("\"{OTHER}\""));
    let (scene, layers) = Scene::on(&profile, &base);
    scene.write("releases.toml", upstream.table());
    scene.built(&["--releases", "releases.toml", "--compression", "gzip"]);
    assert_eq!(scene.layers()[..2], layers);
    let [_, config] = scene.documents();
    assert_eq!(config["architecture"], OTHER);
    // The made-up programs say what they are for.
    for program in ["containerd", "kubelet", "crictl"] {
        let path = scene.unpacked().join("usr/bin").join(program);
        let text = std::fs::read(path).unwrap();
        let text = String::from_utf8_lossy(&text);
        assert!(text.contains(OTHER), "{program}: {text}");
    }
}

/// Not this machine's.
const OTHER: &str = match cfg!(target_arch = "aarch64") {
    true => "amd64",
    false => "arm64",
};

#[test]
fn all_of_it_can_be_vendored() {
    let (scene, upstream, base) = stage();
    let build = ["--releases", "releases.toml"];
    let first = scene.built(&build);
    let mut vendor = scene.nodelith(&[
        "vendor",
        "node.toml",
        "--output",
        "vendor",
        "--releases",
        "releases.toml",
    ]);
    common::json(&mut vendor);
    drop(upstream);
    std::fs::remove_dir_all(scene.path("store")).unwrap();
    std::fs::remove_dir_all(scene.path("base")).unwrap();
    let again = scene.built(&[
        "--releases",
        "releases.toml",
        "--vendor",
        "vendor",
        "--locked",
    ]);
    assert_eq!(again["digest"], first["digest"]);
    assert_eq!(scene.layers()[..2], base);
    // Without the folder it is said what is missing.
    std::fs::remove_dir_all(scene.path("store")).unwrap();
    let mut offline = scene.build(&["--releases", "releases.toml", "--offline", "--locked"]);
    let said = scene.failing(2, &mut offline);
    assert!(said.contains("base"), "{said}");
}

/// The profile of docs/base.md, with the shipped parts that it extends.
#[test]
fn shipped_parts_go_over_a_base() {
    let upstream = Upstream::start();
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/profiles/base");
    let extends = format!("extends = [\"{shipped}/settings.toml\", \"{shipped}/releases.toml\"]\n");
    let (scene, base) = Scene::on(&format!("{extends}{PROFILE}"), &small());
    scene.write("releases.toml", upstream.table());
    scene.built(&["--releases", "releases.toml", "--compression", "gzip"]);
    assert_eq!(scene.layers()[..2], base);
    let root = scene.unpacked();
    let text = std::fs::read_to_string(root.join("usr/lib/sysctl.d/90-nodelith.conf")).unwrap();
    assert!(text.contains("net.ipv4.ip_forward = 1\n"));
    assert!(root.join("usr/bin/kubelet").exists());
    // A pause image that the root cannot give comes from elsewhere.
    let preload = format!("{extends}{PROFILE}[pause]\npreload = true\n");
    scene.write("node.toml", preload.trim_start());
    let said = scene.failing(2, &mut scene.build(&["--releases", "releases.toml"]));
    let what = "and the base has no `/usr/bin/catatonit`";
    assert!(said.contains(what), "{said}");
    assert!(said.contains("in `[[images]]`"), "{said}");
}
