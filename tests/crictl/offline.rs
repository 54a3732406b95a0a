//! What goes wrong before a runtime is reached, and what is printed about it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use crate::common::{output, scratch};

fn folder(name: &str) -> PathBuf {
    let folder = scratch().join("crictl").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// The client, in an environment of its own and in `folder`.
fn crictl(folder: &PathBuf) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nodelith-crictl"));
    command.env_clear().current_dir(folder);
    command
}

/// Exit status, standard output and standard error, without the time.
fn told(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    let errors: Vec<_> = errors
        .lines()
        .map(|line| match line.split_once(" level=") {
            Some((_, rest)) => format!("level={rest}"),
            None => line.to_owned(),
        })
        .collect();
    format!(
        "status {}\n{}---\n{}",
        output.status.code().unwrap(),
        String::from_utf8_lossy(&output.stdout),
        errors.join("\n")
    )
}

fn tells(folder: &PathBuf, arguments: &[&str]) -> String {
    told(&output(crictl(folder).args(arguments)))
}

#[test]
fn no_runtime() {
    let folder = folder("no-runtime");
    let none = ["-r", "unix:///run/nodelith-test/none.sock"];
    insta::assert_snapshot!(tells(&folder, &[&none[..], &["version"]].concat()), @"");
    insta::assert_snapshot!(tells(&folder, &[&none[..], &["images"]].concat()), @"");
    insta::assert_snapshot!(tells(&folder, &["-r", "tcp://127.0.0.1:1", "pods"]), @"");
    insta::assert_snapshot!(tells(&folder, &["-r", "", "pods"]), @"");
    // The environment says the same, and a flag goes before it.
    let environment = |command: &mut Command| {
        command.env(
            "CONTAINER_RUNTIME_ENDPOINT",
            "unix:///run/nodelith-test/other.sock",
        );
        told(&output(command))
    };
    let said = environment(crictl(&folder).arg("ps"));
    assert!(said.contains("/run/nodelith-test/other.sock"), "{said}");
    let said = environment(crictl(&folder).args(none).arg("ps"));
    assert!(said.contains("/run/nodelith-test/none.sock"), "{said}");
    // Trying again takes its time: half a second, then one.
    let begun = std::time::Instant::now();
    let again = [&none[..], &["--max-retries", "2", "version"]].concat();
    assert!(tells(&folder, &again).starts_with("status 1"));
    assert!(begun.elapsed() >= std::time::Duration::from_millis(1500));
}

#[test]
fn configuration_files() {
    let folder = folder("configuration");
    let file = |text: &str| fs::write(folder.join("c.yaml"), text).unwrap();
    file("runtime-endpoint: unix:///run/nodelith-test/a.sock\ntimeout: 7\ndebug: false\n");
    insta::assert_snapshot!(tells(&folder, &["-c", "c.yaml", "config", "--list"]), @"");
    insta::assert_snapshot!(tells(&folder, &["-c", "c.yaml", "config", "--get", "timeout"]), @"");
    insta::assert_snapshot!(tells(&folder, &["-c", "c.yaml", "config", "--get", "other"]), @"");
    insta::assert_snapshot!(tells(&folder, &["-c", "c.yaml", "config", "debug", "true"]), @"");
    let mut pods = crictl(&folder);
    let said = told(&output(pods.env("CRI_CONFIG_FILE", "c.yaml").arg("pods")));
    assert!(said.contains("/run/nodelith-test/a.sock"), "{said}");

    file("runtime-endpoint: unix:///a.sock\nretries: 3\n");
    insta::assert_snapshot!(tells(&folder, &["-c", "c.yaml", "pods"]), @"");
    file("timeout: 2s\n");
    insta::assert_snapshot!(tells(&folder, &["-c", "c.yaml", "pods"]), @"");
    file("a: [\n");
    insta::assert_snapshot!(tells(&folder, &["-c", "c.yaml", "pods"]), @"");
    insta::assert_snapshot!(tells(&folder, &["-c", "none.yaml", "pods"]), @"");
}

#[test]
fn command_lines() {
    let folder = folder("command-lines");
    insta::assert_snapshot!(tells(&folder, &["--help"]));
    insta::assert_snapshot!(tells(&folder, &["exec"]), @"");
    insta::assert_snapshot!(tells(&folder, &["attach", "x"]), @"");
    insta::assert_snapshot!(tells(&folder, &["-t", "soon", "pods"]), @"");
    insta::assert_snapshot!(tells(&folder, &["pods", "-o", "xml"]), @"");
    assert!(tells(&folder, &["--version"]).starts_with("status 0\ncrictl 0."));
}
