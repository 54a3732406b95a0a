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

/// Runs each and writes down what comes of it.
fn transcript(folder: &PathBuf, lines: &[&[&str]]) -> String {
    let told = |line: &&[&str]| {
        let told = told(&output(crictl(folder).args(*line)));
        format!("$ crictl {}\n{told}\n", line.join(" "))
    };
    lines.iter().map(told).collect::<Vec<_>>().join("\n")
}

const NONE: &str = "unix:///run/nodelith-test/none.sock";

#[test]
fn no_runtime() {
    let folder = folder("no-runtime");
    let lines = [
        &["-r", NONE, "version"][..],
        &["-r", NONE, "images"],
        &["-r", NONE, "rmi", "a"],
        &["-i", NONE, "images"],
        &["-r", "tcp://127.0.0.1:1", "pods"],
        &["-r", "", "pods"],
        &["-r", "/etc", "pods"],
    ];
    insta::assert_snapshot!(transcript(&folder, &lines));
    // The environment says the same, and a flag goes before it.
    let environment = |arguments: &[&str]| {
        let mut command = crictl(&folder);
        let other = "unix:///run/nodelith-test/other.sock";
        command.env("CONTAINER_RUNTIME_ENDPOINT", other);
        told(&output(command.args(arguments)))
    };
    let said = environment(&["ps"]);
    assert!(said.contains("/run/nodelith-test/other.sock"), "{said}");
    let said = environment(&["-r", NONE, "ps"]);
    assert!(said.contains("/run/nodelith-test/none.sock"), "{said}");
    // Trying again takes its time: half a second, then one.
    let begun = std::time::Instant::now();
    let again = ["-r", NONE, "--max-retries", "2", "version"];
    assert!(transcript(&folder, &[&again]).contains("status 1"));
    assert!(begun.elapsed() >= std::time::Duration::from_millis(1500));
}

/// A socket that nothing answers at: it is waited for as long as was said.
#[test]
fn no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let _listens = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let mut pods = crictl(&folder.path().to_owned());
    let endpoint = format!("unix://{}", socket.display());
    pods.args(["-r", endpoint.as_str(), "-t", "300ms", "pods"]);
    let begun = std::time::Instant::now();
    let said = told(&output(&mut pods));
    assert!(said.contains("code = DeadlineExceeded"), "{said}");
    assert!(
        said.contains("hint: wait longer with `--timeout`"),
        "{said}"
    );
    let took = begun.elapsed().as_millis();
    assert!(took >= 300, "{took}");
}

#[test]
fn configuration_files() {
    let folder = folder("configuration");
    let file = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    let endpoint = "runtime-endpoint: unix:///run/nodelith-test/a.sock\n";
    file(
        "good.yaml",
        &format!("# A comment\n{endpoint}timeout: 7\ndebug: false\n"),
    );
    file("key.yaml", "runtime-endpoint: unix:///a.sock\nretries: 3\n");
    file("seconds.yaml", "timeout: 2s\n");
    file("syntax.yaml", "a: [\n");
    file("list.yaml", "- timeout\n");
    let lines = [
        &["-c", "good.yaml", "config", "--list"][..],
        &["-c", "good.yaml", "config", "--get", "timeout"],
        &["-c", "good.yaml", "config", "--get", "other"],
        &["-c", "good.yaml", "config", "debug", "true"],
        &["-c", "good.yaml", "pods"],
        &["-c", "key.yaml", "pods"],
        &["-c", "seconds.yaml", "pods"],
        &["-c", "syntax.yaml", "pods"],
        &["-c", "list.yaml", "pods"],
        &["-c", "none.yaml", "pods"],
    ];
    insta::assert_snapshot!(transcript(&folder, &lines));
    let mut pods = crictl(&folder);
    let said = told(&output(
        pods.env("CRI_CONFIG_FILE", "good.yaml").arg("pods"),
    ));
    assert!(said.contains("/run/nodelith-test/a.sock"), "{said}");
}

#[test]
fn command_lines() {
    let folder = folder("command-lines");
    let lines = [
        &["--help"][..],
        &["exec"],
        &["stop"],
        &["attach", "x"],
        &["-t", "soon", "pods"],
        &["pods", "-o", "xml"],
    ];
    insta::assert_snapshot!(transcript(&folder, &lines));
    assert!(transcript(&folder, &[&["--version"]]).contains("status 0\ncrictl 0."));
}
