//! Containers: their life, their logs, commands in them.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use serde_json::json;

use crate::common;
use crate::node::{BUSYBOX, Node};
use crate::pods::Pods;

pub fn life(node: &Node, pods: &Pods) {
    let config = node.container_config("life", &json!({"envs": [{"key": "A", "value": "b"}]}));
    let create = ["create", &pods.host, &config, &pods.host_config];
    let id = node.line(&create);
    assert_eq!(id.len(), 64);
    assert_eq!(node.says(&["ps", "-q"]), "");
    let created = node.json(&["ps", "-a", "-o", "json"]);
    let container = &created["containers"][0];
    assert_eq!(container["id"], id.as_str());
    assert_eq!(container["state"], "CONTAINER_CREATED");
    assert_eq!(container["podSandboxId"], pods.host.as_str());
    assert_eq!(container["metadata"], json!({"name": "life", "attempt": 0}));
    // What was asked for, or its digest: as the runtime has it.
    assert!(container["image"]["image"].is_string(), "{container:#}");
    assert!(
        container["imageRef"]
            .as_str()
            .unwrap()
            .starts_with("sha256:")
    );
    let status = node.json(&["inspect", &id]);
    assert_eq!(status["status"]["startedAt"], "0001-01-01T00:00:00Z");

    assert_eq!(node.line(&["start", &id]), id);
    let table = node.says(&["ps"]);
    let head: Vec<_> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(
        head.join(" "),
        "CONTAINER IMAGE CREATED STATE NAME ATTEMPT POD ID POD NAMESPACE"
    );
    let row = table.lines().nth(1).unwrap();
    for cell in [
        &id[..13],
        "Running",
        "life",
        &pods.host[..13],
        "one",
        "default",
    ] {
        assert!(row.contains(cell), "{table}");
    }
    assert!(node.says(&["ps", "-r"]).contains(BUSYBOX));
    assert!(node.says(&["ps", "--no-trunc"]).contains(&id));
    let verbose = node.says(&["ps", "-v"]);
    assert!(verbose.contains("State: Running\n"), "{verbose}");

    let status = node.json(&["inspect", &id]);
    let inner = &status["status"];
    assert_eq!(inner["state"], "CONTAINER_RUNNING");
    assert_eq!(inner["finishedAt"], "0001-01-01T00:00:00Z");
    assert!(inner["startedAt"].as_str().unwrap().starts_with("20"));
    assert_eq!(inner["logPath"], "/test/pods/one/life/0.log");
    assert_eq!(inner["image"]["image"], BUSYBOX);
    assert_eq!(inner["exitCode"], 0);
    assert_eq!(inner["mounts"], json!([]));
    assert!(status["info"]["pid"].is_number() || status["info"]["pid"].is_string());
    let process = &status["info"]["runtimeSpec"]["process"];
    assert!(process["env"].as_array().unwrap().contains(&"A=b".into()));
    let table = node.says(&["inspect", "-o", "table", "-q", &id]);
    assert!(table.contains("State: CONTAINER_RUNNING\n"), "{table}");

    let count = |arguments: &[&str]| {
        node.says(&[&["ps", "-q"], arguments].concat())
            .lines()
            .count()
    };
    for arguments in [
        &["--name", "^life$"][..],
        &["--pod", &pods.host],
        &["-p", &pods.host[..12]],
        &["--image", BUSYBOX],
        &["--state", "running"],
        &["--label", "io.kubernetes.pod.name=one"],
        &["--namespace", "default"],
        &["--latest"],
        &["-n", "1"],
        &["--id", &id],
    ] {
        assert_eq!(count(arguments), 1, "{arguments:?}");
    }
    for arguments in [
        &["--name", "other"][..],
        &["--pod", &pods.own],
        &["--image", "nodelith.test/pause:1"],
        &["--image", "none"],
        &["--state", "exited"],
        &["--namespace", "kube"],
    ] {
        assert_eq!(count(arguments), 0, "{arguments:?}");
    }

    let said = node.fails(&["rm", &id]);
    assert!(said.contains("is running, please stop it first"), "{said}");
    assert_eq!(node.line(&["stop", "-t", "1", &id]), id);
    let status = node.json(&["inspect", "-q", &id]);
    assert_eq!(status["status"]["state"], "CONTAINER_EXITED");
    assert_eq!(status["status"]["exitCode"], 143);
    let table = node.says(&["inspect", "-o", "table", &id]);
    assert!(table.contains("Exit Code: 143\n"), "{table}");
    let log = node.daemon.test().join("pods/one/life/0.log");
    assert!(log.exists());
    assert_eq!(node.line(&["rm", &id]), id);
    assert!(!log.exists());

    let id = node.line(&create);
    node.line(&["start", &id]);
    assert_eq!(node.line(&["stop", "--all"]), id);
    assert_eq!(node.says(&["stop", "-a"]), "No running containers found.\n");
    let other = node.line(&["create", &pods.own, &config, "/test/two.yaml"]);
    node.line(&["start", &other]);
    let said = node.says(&["rm", "-af", "--keep-logs"]);
    assert!(said.contains(&id) && said.contains(&other), "{said}");
    assert!(log.exists());
    assert_eq!(
        node.json(&["ps", "-a", "-o", "json"]),
        json!({"containers": []})
    );

    node.daemon
        .write("bad.json", r#"{"metadata": {"name": "a"}, "image": {}}"#);
    let said = node.fails(&["create", &pods.host, "/test/bad.json", &pods.host_config]);
    assert!(
        said.contains("creating container: /test/bad.json: image field is not set"),
        "{said}"
    );
    let absent = node.container_config(
        "absent",
        &json!({"image": {"image": "nodelith.test/none:1"}}),
    );
    let said = node.fails(&["create", &pods.host, &absent, &pods.host_config]);
    assert!(said.contains("creating container: rpc error: "), "{said}");
}

pub fn logs(node: &Node, pods: &Pods) {
    let script = "echo one; echo two >&2; printf half; sleep 0.1; echo ' line'; echo last";
    let run = |attempt: u32, script: &str| {
        let more = json!({
            "metadata": {"attempt": attempt},
            "command": ["/bin/sh", "-c", script],
            "log_path": format!("said/{attempt}.log"),
        });
        let config = node.container_config("said", &more);
        let id = node.line(&["create", &pods.host, &config, &pods.host_config]);
        node.line(&["start", &id]);
        id
    };
    let first = run(0, script);
    let follow = |id: &str, arguments: &[&str]| {
        common::output(&mut node.crictl(&[&["logs", "-f"], arguments, &[id]].concat()))
    };
    // Follows until the end, so the rest has a whole log.
    let all = follow(&first, &[]);
    assert!(all.status.success());
    assert_eq!(
        String::from_utf8_lossy(&all.stdout),
        "one\nhalf line\nlast\n"
    );
    assert_eq!(String::from_utf8_lossy(&all.stderr), "two\n");
    let logs = |arguments: &[&str]| node.says(&[&["logs"], arguments, &[&first]].concat());
    assert_eq!(logs(&[]), "one\nhalf line\nlast\n");
    assert_eq!(logs(&["--stream", "stdout"]), "one\nhalf line\nlast\n");
    assert_eq!(logs(&["-s", "stderr"]), "");
    assert_eq!(logs(&["--tail", "1"]), "last\n");
    assert_eq!(logs(&["--tail", "0"]), "");
    assert_eq!(logs(&["--limit-bytes", "6", "-s", "stdout"]), "one\nha");
    assert_eq!(logs(&["--since", "1h"]), "one\nhalf line\nlast\n");
    assert_eq!(logs(&["--since", "2099-01-01"]), "");
    let timed = logs(&["-t", "--tail=1"]);
    let (time, text) = timed.split_once(' ').unwrap();
    assert!(time.parse::<jiff::Timestamp>().is_ok(), "{timed}");
    assert_eq!(text, "last\n");
    let said = node.fails(&["logs", "--since", "soon", &first]);
    assert!(said.contains("neither a time nor a duration"), "{said}");
    let said = node.fails(&["logs", "-p", &first]);
    assert!(
        said.contains("previous terminated container said not found"),
        "{said}"
    );

    let second = run(1, "echo again; sleep 1000");
    let until = || node.says(&["logs", &second]) == "again\n";
    wait(until);
    assert_eq!(
        node.says(&["logs", "--previous", &second]),
        "one\nhalf line\nlast\n"
    );
    // A rotation, as kubelet makes it, in the midst of following.
    let mut following = node.crictl(&["logs", "-f", "--tail", "1", &second]);
    let following = following
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let folder = node.daemon.test().join("pods/one/said");
    std::thread::sleep(std::time::Duration::from_millis(500));
    std::fs::rename(folder.join("1.log"), folder.join("1.log.old")).unwrap();
    let reopened = common::output(&mut node.crictl(&["logs", "--reopen", &second]));
    assert!(reopened.status.success());
    let said = String::from_utf8_lossy(&reopened.stderr);
    assert!(said.contains("Container logs reopened"), "{said}");
    node.line(&["stop", &second]);
    let followed = following.wait_with_output().unwrap();
    assert!(followed.status.success());
    assert_eq!(String::from_utf8_lossy(&followed.stdout), "again\n");
    // Its rotation goes with it.
    node.says(&["rm", &first, &second]);
    // Whoever reads has seen enough: following ends, though the container goes on.
    let third = run(2, "while true; do echo tick; sleep 0.1; done");
    let mut following = node.crictl(&["logs", "-f", &third]);
    let mut following = following.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(following.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "tick\n");
    drop(output);
    wait(|| following.try_wait().unwrap().is_some());
    assert!(following.wait().unwrap().success());
    node.says(&["rm", "-f", &third]);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
}

fn wait(mut until: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !until() {
        assert!(begun.elapsed().as_secs() < 30, "it does not come");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

pub fn exec(node: &Node, pods: &Pods) {
    let config = node.container_config("commands", &json!({}));
    let id = node.line(&["create", &pods.host, &config, &pods.host_config]);
    node.line(&["start", &id]);
    let exec =
        |arguments: &[&str]| common::output(&mut node.crictl(&[&["exec"], arguments].concat()));
    let script = ["/bin/sh", "-c", "printf out; printf error >&2; exit 3"];
    for mode in [&[][..], &["-s"], &["--timeout", "20"], &["-i"]] {
        let done = exec(&[mode, &[&id], &script].concat());
        let errors = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(3), "{mode:?}: {errors}");
        assert_eq!(done.stdout, b"out", "{mode:?}");
        assert!(errors.contains("error"), "{mode:?}: {errors}");
    }
    let done = exec(&["-s", &id, "/bin/sh", "-c", "printf error >&2"]);
    assert!(done.status.success());
    assert_eq!((done.stdout, done.stderr), (vec![], b"error".to_vec()));
    // More than gRPC takes by itself.
    let large = exec(&[
        &id,
        "/bin/sh",
        "-c",
        "cat /bin/busybox /bin/busybox /bin/busybox",
    ]);
    assert!(large.status.success());
    assert!(large.stdout.len() > 5_000_000, "{}", large.stdout.len());

    let by_name = exec(&["--name", "commands", "/bin/echo", "-n", "x"]);
    assert_eq!(
        String::from_utf8_lossy(&by_name.stdout),
        format!("{id}:\nx")
    );
    let quietly = exec(&["-q", "--pod", &pods.host, "/bin/echo", "y"]);
    assert_eq!(String::from_utf8_lossy(&quietly.stdout), "y\n");
    let failing = exec(&["-q", "-e", "--latest", "/bin/false"]);
    assert!(failing.status.success());
    for (arguments, told) in [
        (&["--name", "none", "/bin/true"][..], "No containers found"),
        (&["-it", &id, "/bin/true"], "input is not a terminal"),
        (&["-t", &id, "/bin/true"], "--tty goes with --interactive"),
        (
            &["--timeout", "1", &id, "/bin/sleep", "9"],
            "DeadlineExceeded",
        ),
        (&[&id, "/bin/none"], "rpc error: "),
        (&["-i", &id, "/bin/none"], "/bin/none"),
    ] {
        let done = exec(arguments);
        let said = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains(told), "{arguments:?}: {said}");
    }

    // Input reaches the command, though not that it has ended.
    let script = "read a; echo got $a; exit 7";
    let mut command = node.crictl(&["exec", "-i", &id, "/bin/sh", "-c", script]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"hello\n").unwrap();
    let done = child.wait_with_output().unwrap();
    drop(input);
    assert_eq!(done.status.code(), Some(7), "{done:?}");
    assert_eq!(String::from_utf8_lossy(&done.stdout), "got hello\n");
    // A terminal of its own, whose size is that of ours.
    let script = "sleep 1; stty size; exit 5";
    let exec = node.crictl(&["exec", "-it", &id, "/bin/sh", "-c", script]);
    let words = std::iter::once(exec.get_program()).chain(exec.get_args());
    let words = words.map(|word| format!("'{}'", word.to_str().unwrap()));
    let line = format!(
        "stty cols 97 rows 31; CRI_CONFIG_FILE=/test/etc/crictl.yaml {}",
        words.collect::<Vec<_>>().join(" ")
    );
    let mut terminal = Command::new("script");
    terminal.args(["-qec", &line, "/dev/null"]);
    let done = common::output(terminal.stdin(Stdio::null()));
    let said = String::from_utf8_lossy(&done.stdout);
    assert_eq!(done.status.code(), Some(5), "{said}");
    assert!(said.contains("31 97"), "{said}");
    node.says(&["rm", "-f", &id]);
}
