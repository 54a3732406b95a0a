//! `nodelith versions`: what goes with what, as a person and as a program reads it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::process::Command;

use insta_cmd::{assert_cmd_snapshot, get_cargo_bin};
use serde_json::Value;

fn versions(arguments: &[&str]) -> Command {
    let mut command = Command::new(get_cargo_bin("nodelith"));
    command.env_clear().arg("versions").args(arguments);
    command
}

fn json(arguments: &[&str]) -> Value {
    let output = versions(arguments).arg("--json").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn of_everything() {
    assert_cmd_snapshot!(versions(&[]));
}

#[test]
fn of_one_kubernetes() {
    assert_cmd_snapshot!("kubernetes-1.20", versions(&["1.20.15"]));
    assert_cmd_snapshot!("kubernetes-1.35", versions(&["v1.35"]));
}

#[test]
fn of_one_containerd() {
    assert_cmd_snapshot!("containerd-2.2.1", versions(&["--containerd", "2.2.1"]));
    assert_cmd_snapshot!(
        "kubernetes-1.33-containerd-1.7-on-a-day",
        versions(&["1.33", "--containerd", "1.7", "--date", "2026-05-01"])
    );
}

#[test]
fn what_is_not_known() {
    assert_cmd_snapshot!(versions(&["1.12"]), @r"
    success: false
    exit_code: 2
    ----- stdout -----

    ----- stderr -----
    error: Kubernetes 1.12 is older than all that are known
    hint: the oldest is 1.18
    ");
    assert_cmd_snapshot!(versions(&["2.1"]), @r"
    success: false
    exit_code: 2
    ----- stdout -----

    ----- stderr -----
    error: there is no Kubernetes 2.1
    hint: write it like `1.34`
    ");
    assert_cmd_snapshot!(versions(&["newest"]), @r"
    success: false
    exit_code: 2
    ----- stdout -----

    ----- stderr -----
    error: `newest` is not a version
    hint: write it like `1.34`
    ");
    assert_cmd_snapshot!(versions(&["--containerd", "1.2.14"]), @r"
    success: false
    exit_code: 2
    ----- stdout -----

    ----- stderr -----
    error: containerd 1.2.14 is older than all that are known
    hint: the oldest line is 1.3
    ");
    assert_cmd_snapshot!(versions(&["--date", "tomorrow"]), @r"
    success: false
    exit_code: 2
    ----- stdout -----

    ----- stderr -----
    error: `tomorrow` is not a day
    hint: write it like `2026-11-25`
    ");
    // Newer ones are taken for the newest that are known, and a warning says so.
    assert_cmd_snapshot!(versions(&["1.99", "--containerd", "3.0.1"]), @r"
    success: true
    exit_code: 0
    ----- stdout -----
    KUBERNETES       1.37
    supported        from 2026-08-26
    pause            registry.k8s.io/pause:3.10.2
    CRI              v1
    cgroup driver    containerd's from 2.0 on, else kubelet's own setting
    cgroup v1        refused unless `failCgroupV1` is false
    config drop-ins  --config-dir
    crictl           1.37
    CNI plug-ins     kubelet's package asks for 1.2.0 or later
    API server       of the same minor, or up to 3 newer
    notes            1.38 is planned to refuse containerd 1.x

    CONTAINERD  NEWEST  CONFIG   CRI  OWN PAUSE  RUNC   OPEN FILES  SUPPORTED
    3.0.1       2.3.4   1 2 3 4  v1   3.10.2     1.4.3  -           2026-04-30 to 2028-04-30

    CONTAINERD  FIT    FROM   WHY
    2.3         later  2.3.0  kubelet takes its cgroup driver from containerd; needs loopback 1.0.0

    To know of containerd 3.0.1:
    - several directories in `config_path`, joined by `:`, are taken for the name of one: hosts.toml and certificates are passed over without a word
      name exactly one directory
    - the default of `config_path` is two directories, which pulls take for the name of one
      set `config_path` to one directory
    - containerd does not start where an imported file has a higher `version` than the file that imports it
      give both the same `version`
    - `cni.bin_dir` beside a `cni.bin_dirs` of one's own stops the CRI plug-in
      use `bin_dirs` alone
    - some settings of images turn the transfer service off, with a warning
      set downloads in `io.containerd.transfer.v1.local`, mirrors in hosts.toml, and leave the others
    - the defaults of `enable_unprivileged_ports` and `enable_unprivileged_icmp` stop the CRI plug-in on kernels before 4.11
      set both to false there
    - the shims `io.containerd.runtime.v1.linux` and `io.containerd.runc.v1` are gone
      use `io.containerd.runc.v2`
    - the unit sets no LimitNOFILE: containers have what systemd gives, with systemd before 240 just 4096
      with such a systemd set `LimitNOFILE=1024:524288`

    ----- stderr -----
    warning: Kubernetes 1.99 is newer than all that are known: 1.37 stands for it
    warning: containerd 3.0.1 is newer than all that are known: 2.3 stands for it
    ");
}

#[test]
fn for_programs() {
    let all = json(&[]);
    assert_eq!(
        (&all["schema"], &all["version"], &all["date"]),
        (&"nodelith.versions".into(), &1.into(), &Value::Null)
    );
    assert_eq!(all["kubernetes"].as_array().unwrap().len(), 20);
    assert_eq!(all["containerd"].as_array().unwrap().len(), 9);
    for minor in all["kubernetes"].as_array().unwrap() {
        let pairs = minor["containerd"].as_array().unwrap();
        assert_eq!(pairs.len(), 9);
        assert!(
            pairs.iter().any(|pair| pair["fit"] == "published"),
            "{minor}"
        );
        assert!(!minor["source"].as_str().unwrap().is_empty());
    }
    let one = json(&["1.34", "--containerd", "2.3.1", "--date", "2026-11-25"]);
    insta::assert_json_snapshot!(one);
}
