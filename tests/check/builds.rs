//! `build` holds what it has made against the rules, and a profile can be looked at
//! before it is built.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::common::{document, json, nodelith, output, refused, run, scratch};

/// A folder with a profile over the shipped quickstart.
fn folder(name: &str, settings: &str) -> PathBuf {
    let folder = scratch().join("check").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles/quickstart.toml");
    let text = format!(
        "name = \"node\"\nextends = \"{}\"\n{settings}",
        base.display()
    );
    super::common::profile(&folder, &text);
    folder
}

fn build(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = nodelith();
    command
        .args([
            "build",
            "node.toml",
            "--ignore-valid-until",
            "--output",
            "out",
            "--compression",
            "none",
        ])
        .args(arguments)
        .current_dir(folder);
    command
}

/// The findings of a target, each as id and message.
fn findings(folder: &Path, target: &str) -> Vec<String> {
    let mut command = nodelith();
    command
        .args(["check", target, "--json", "--date", "2025-06-01"])
        .current_dir(folder);
    let value = document(&output(&mut command).stdout);
    let findings = value["findings"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    findings
        .iter()
        .map(|finding| {
            format!(
                "{} {} {}",
                text(&finding["id"]),
                finding["place"],
                text(&finding["message"])
            )
        })
        .collect()
}

#[test]
fn a_build_refuses_errors_unless_they_are_accepted() {
    let swap =
        "[[files]]\npath = \"/etc/fstab\"\ntext = \"\"\"\n/dev/vda none swap sw 0 0\n\"\"\"\n";
    let folder = folder("refused", swap);
    let said = refused(&mut build(&folder, &[]), 1);
    assert!(
        said.contains("ND-NODE-004 swap is on: `/dev/vda none swap sw 0 0` (/etc/fstab:1:1)"),
        "{said}"
    );
    assert!(
        said.contains("hint: ") && said.contains("--accept-findings"),
        "{said}"
    );
    assert!(
        !folder.join("out").exists(),
        "nothing is left of a build that is refused"
    );
    // Not even of one whose layers are all there.
    refused(&mut build(&folder, &[]), 1);

    let built = json(&mut build(
        &folder,
        &["--accept-findings", "kubelet is told so by the cluster"],
    ));
    let shown = json(nodelith().args(["show", "out"]).current_dir(&folder));
    assert_eq!(
        shown["annotations"]["io.nodelith.accepted-findings"],
        "kubelet is told so by the cluster"
    );
    assert!(built["digest"].is_string());
    refused(&mut build(&folder, &["--accept-findings", ""]), 2);
    // What was accepted once is not accepted by itself.
    refused(&mut build(&folder, &[]), 1);
}

/// What a node is given at boot is refused in its image, wherever a profile puts it.
#[test]
fn a_build_refuses_what_one_node_is_given() {
    const TOKEN: &str = "abcdef.0123456789abcdef";
    let planted = format!(
        "[[files]]\npath = \"/etc/site/bootstrap\"\nsource = \"bootstrap\"\n\
         [[files]]\npath = \"/etc/kubeadm/join.yaml\"\n\
         text = \"kind: JoinConfiguration\\ntlsBootstrapToken: {TOKEN}\\n\"\n\
         [[files]]\npath = \"/usr/local/share/login.json\"\n\
         text = '{{\"auths\": {{\"r.example\": {{\"auth\": \"dXNlcjpwYXNz\"}}}}}}'\n\
         [[files]]\npath = \"/etc/site.conf\"\n\
         text = \"-----BEGIN PRIVATE KEY-----\\nMC4=\\n\"\n"
    );
    let folder = folder("planted", &planted);
    let kubeconfig =
        format!("clusters:\n- name: a\nusers:\n- name: b\n  user:\n    token: {TOKEN}\n");
    fs::write(folder.join("bootstrap"), kubeconfig).unwrap();
    let said = refused(&mut build(&folder, &[]), 1);
    for (path, what) in [
        ("/etc/site/bootstrap", "`nodelith.bootstrap-kubeconfig`"),
        ("/etc/kubeadm/join.yaml", "`nodelith.kubeadm-join`"),
        ("/usr/local/share/login.json", "`nodelith.registry-auth`"),
        ("/etc/site.conf", "`tmpfiles.extra`"),
    ] {
        let told = |line: &str| line.contains(&format!("({path})")) && line.contains(what);
        assert!(said.lines().any(told), "{path}:\n{said}");
    }
    assert!(
        !said.contains(TOKEN) && !folder.join("out").exists(),
        "{said}"
    );
    // The same once the root is known, without a build; and in the image of who insists.
    let found = |target: &str| {
        let found = findings(&folder, target).into_iter();
        found
            .filter(|one| one.starts_with("ND-HYG-"))
            .collect::<Vec<_>>()
    };
    assert_eq!(found("node.toml").len(), 4);
    json(&mut build(&folder, &["--accept-findings", "planted"]));
    assert_eq!(found("out"), found("node.toml"));
}

#[test]
fn what_is_well_is_built_without_a_word() {
    let folder = folder("well", "");
    let output = output(&mut build(&folder, &["--accept-findings", "in vain"]));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("ND-"), "{said}");
    let shown = json(nodelith().args(["show", "out"]).current_dir(&folder));
    assert!(
        shown["annotations"]
            .get("io.nodelith.accepted-findings")
            .is_none()
    );
    // Once there is a root, the profile says what its image says.
    let image = findings(&folder, "out");
    let errors = image
        .iter()
        .filter(|finding| !finding.starts_with("ND-NODE-013"));
    assert_eq!(errors.collect::<Vec<_>>(), Vec::<&String>::new());
    assert_eq!(findings(&folder, "node.toml"), image);

    // Warnings are told, and do not stop it. The store may know what an earlier run made.
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    let hostname = format!("golden-{now}");
    let settings = format!("[[files]]\npath = \"/etc/hostname\"\ntext = \"{hostname}\\n\"\n");
    let base = fs::read_to_string(folder.join("node.toml")).unwrap();
    fs::write(folder.join("node.toml"), format!("{base}{settings}")).unwrap();
    let output = super::common::output(&mut build(&folder, &[]));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let told = format!("warning: ND-HYG-005 a hostname in the image: `{hostname}` (/etc/hostname)");
    assert!(said.contains(&told), "{said}");
    assert!(
        findings(&folder, "node.toml")
            .concat()
            .contains("ND-HYG-005")
    );
}

/// A profile that nothing was locked or built for is looked at as far as it goes.
#[test]
fn profiles_alone() {
    let folder = folder(
        "alone",
        "[kubernetes]\nversion = \"1.24\"\n[kubelet.flags]\nv = 2\n",
    );
    let mut command = nodelith();
    command
        .args([
            "check",
            "node.toml",
            "--containerd-version",
            "1.7.24",
            "--date",
            "2025-06-01",
        ])
        .current_dir(&folder);
    let output = output(&mut command);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("there is no lock"), "{said}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("ND-PAIR-005") && !text.contains("ND-NODE"),
        "{text}"
    );
    let wrong = "[debian]\nsuite = 3\n";
    fs::write(folder.join("node.toml"), wrong).unwrap();
    refused(
        nodelith().args(["check", "node.toml"]).current_dir(&folder),
        2,
    );
    run(nodelith().args(["check", "--list"]));
}
