//! The configurations that the traps came from, and nodes of each era that are
//! well: everything that is said of them.
//!
//! The fixtures are roots with just the files that matter; programs are empty.

use insta::assert_snapshot;

use super::common::{nodelith, output};

/// What the command line prints, and its exit status.
fn said(arguments: &[&str]) -> String {
    let output = output(nodelith().arg("check").args(arguments));
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    format!(
        "status {}\n{}{}",
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr)
    )
}

fn fixture(name: &str, date: &str) -> String {
    said(&[&format!("tests/check/fixtures/{name}"), "--date", date])
}

#[test]
fn docker_package() {
    assert_snapshot!(fixture("docker-package", "2025-06-01"));
}

#[test]
fn kubeadm_node_of_2020() {
    assert_snapshot!(fixture("kubeadm-1.20", "2022-01-01"));
}

#[test]
fn moved_by_hand() {
    assert_snapshot!(fixture("moved-by-hand", "2022-07-01"));
}

/// Nothing is wrong with any of these; and years later, only their support is over.
#[test]
fn healthy_nodes() {
    for (name, date) in [
        ("healthy-1.20", "2021-12-01"),
        ("healthy-1.24", "2023-05-01"),
        ("healthy-1.30", "2025-01-01"),
        ("healthy-1.34", "2025-12-01"),
        ("healthy-1.36", "2026-06-01"),
    ] {
        let now = fixture(name, date);
        assert!(
            now.starts_with("status 0\n") && now.contains("\nnothing found\n"),
            "{name}:\n{now}"
        );
        let later = fixture(name, "2040-01-01");
        assert_eq!(later.matches("ND-PAIR-005 ").count(), 2, "{name}:\n{later}");
        assert!(later.contains("\n2 warnings; "), "{name}:\n{later}");
    }
}

#[test]
fn loose_files() {
    let root = "tests/check/fixtures/moved-by-hand";
    assert_snapshot!(said(&[
        "--containerd-config",
        &format!("{root}/etc/containerd/config.toml"),
        "--kubelet-flags",
        "--network-plugin=cni --cgroup-driver=cgroupfs --v=2",
        "--kubelet-config",
        &format!("{root}/var/lib/kubelet/config.yaml"),
        "--crictl-config",
        &format!("{root}/etc/crictl.yaml"),
        "--containerd-version",
        "2.1.4",
        "--kubernetes-version",
        "1.33",
        "--date",
        "2025-06-01",
    ]));
    // Loose files are no root: what is not among them is not missed.
    let crictl = format!("{root}/etc/crictl.yaml");
    let alone = said(&["--crictl-config", &crictl, "--crictl-version", "1.24"]);
    assert!(alone.starts_with("status 0\n"), "{alone}");
}

#[test]
fn exit_status_follows_severity() {
    let target = "tests/check/fixtures/healthy-1.36";
    let later = ["--date", "2040-01-01"];
    for (fail_on, status) in [("error", 0), ("warning", 1), ("note", 1), ("never", 0)] {
        let said = said(&[target, later[0], later[1], "--fail-on", fail_on]);
        assert!(
            said.starts_with(&format!("status {status}\n")),
            "{fail_on}: {said}"
        );
    }
    let errors = said(&["tests/check/fixtures/docker-package", "--fail-on", "never"]);
    assert!(errors.starts_with("status 0\n"));
}

#[test]
fn rules_are_explained() {
    assert_snapshot!(said(&["--explain", "nd-cri-001"]));
    assert_snapshot!(said(&["--explain", "ND-CRI-999"]));
    let list = said(&["--list"]);
    assert!(
        list.lines().count() > 80 && list.contains("ND-HYG-001"),
        "{list}"
    );
}

#[test]
fn baselines_accept_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("baseline.toml");
    let check = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let path = path.to_str().unwrap();
        let target = "tests/check/fixtures/docker-package";
        said(&[target, "--date", "2025-06-01", "--baseline", path]).replace(path, "baseline.toml")
    };
    let whole = check(
        "[[accept]]\nid = \"ND-CRI-001\"\nplace = \"/etc/containerd/*\"\nreason = \"replaced at boot\"\n\
         [[accept]]\nid = \"ND-HYG-010\"\nplace = \"/usr/bin/x\"\nreason = \"no more\"\n",
    );
    assert!(
        whole.starts_with("status 0\n") && whole.contains("1 accepted"),
        "{whole}"
    );
    assert!(
        whole.contains("the baseline's entry ND-HYG-010 at `/usr/bin/x` accepts nothing any more")
    );
    let elsewhere = check("[[accept]]\nid = \"ND-CRI-001\"\nplace = \"/opt/*\"\nreason = \"x\"\n");
    assert!(elsewhere.starts_with("status 1\n"), "{elsewhere}");
    for wrong in [
        "[[accept]]\nid = \"ND-CRI-001\"\n",
        "[[accept]]\nid = \"ND-CRI-001\"\nreason = \" \"\n",
        "[[accept]]\nid = \"ND-XYZ-001\"\nreason = \"x\"\n",
        "[[accept]]\nid = \"ND-CRI-001\"\nplace = \"[\"\nreason = \"x\"\n",
    ] {
        let said = check(wrong);
        assert!(
            said.starts_with("status 2\nerror: ") && said.contains("baseline.toml:"),
            "{said}"
        );
    }
}

/// docs/checks.md is what the program prints.
#[test]
fn the_catalogue_is_current() {
    let page = std::fs::read_to_string("docs/checks.md").unwrap();
    assert!(
        page == nodelith::check::catalogue::page(),
        "run: cargo run -- check --list --format markdown > docs/checks.md"
    );
}
