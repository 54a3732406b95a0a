//! `nodelith fleet status`.

use std::fs;

use insta::assert_snapshot;
use serde_json::Value;

use crate::objects::{self, Node, list};
use crate::scene::{Scene, said};

fn done() -> Vec<Value> {
    let nodes = ["w-1", "w-2"].map(|name| Node::new(name, "a").label("pool", "workers"));
    nodes.iter().map(Node::json).collect()
}

#[test]
fn all_is_done() {
    let scene = Scene::new(&done());
    let output = scene
        .fleet(&["status", "--rules", "fleet.toml", "cluster.json"])
        .output()
        .unwrap();
    assert_snapshot!(said(&output), @r###"
    status 0
    NAME  STATUS  ROLES   VERSION   OS-IMAGE                      KERNEL-VERSION       CONTAINER-RUNTIME    WRONG
    w-1   Ready   <none>  v1.23.17  Debian GNU/Linux 13 (trixie)  6.12.57+deb13-amd64  containerd://1.7.29
    w-2   Ready   <none>  v1.23.17  Debian GNU/Linux 13 (trixie)  6.12.57+deb13-amd64  containerd://1.7.29

    POOL     DONE  NODES                        HELD
    workers     2      2  ####################

    2 of 2 nodes done
    ---
    "###);
}

/// Labels come from whoever may register nodes, and reach the terminal.
#[test]
fn labels_have_no_control_characters() {
    let node = Node::new("w-1", "a\u{1b}[2J\nb")
        .label("node-role.kubernetes.io/\u{1b}[31m", "")
        .label("kubernetes.io/role", "\u{9b}31m\r");
    let scene = Scene::new(&[node.json()]);
    let output = scene.fleet(&["status", "cluster.json"]).output().unwrap();
    let said = said(&output);
    assert!(said.contains("\u{fffd}31m\u{fffd},\u{fffd}[31m"), "{said}");
    assert!(!said.contains(|c: char| c.is_control() && c != '\n'));
    let output = scene.plan(&["cluster.json", "--json"]).output().unwrap();
    let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(plan["nodes"][0]["zone"], "a\u{fffd}[2J\u{fffd}b");
}

#[test]
fn without_rules_docker_must_go() {
    let scene = Scene::new(&objects::sample());
    let status = |more: &[&str]| {
        let output = scene
            .fleet(&["status", "cluster.json"])
            .args(more)
            .output()
            .unwrap();
        said(&output)
    };
    assert_snapshot!(status(&[]), @r###"
    status 1
    NAME   STATUS    ROLES                 VERSION   OS-IMAGE                      KERNEL-VERSION       CONTAINER-RUNTIME    WRONG
    cp-1   Ready     control-plane,master  v1.23.17  Ubuntu 18.04.6 LTS            4.15.0-213-generic   docker://19.3.15     still docker 19.3.15
    cp-2   Ready     control-plane,master  v1.23.17  Ubuntu 18.04.6 LTS            4.15.0-213-generic   docker://19.3.15     still docker 19.3.15
    cp-3   Ready     control-plane,master  v1.23.17  Ubuntu 18.04.6 LTS            4.15.0-213-generic   docker://19.3.15     still docker 19.3.15
    gpu-1  Ready     <none>                v1.23.17  Ubuntu 18.04.6 LTS            4.15.0-213-generic   containerd://1.4.13  stale annotation kubeadm.alpha.kubernetes.io/cri-socket
    w-1    Ready     <none>                v1.23.17  Ubuntu 18.04.6 LTS            4.15.0-213-generic   docker://19.3.15     still docker 19.3.15
    w-2    Ready     <none>                v1.23.17  Ubuntu 18.04.6 LTS            4.15.0-213-generic   docker://19.3.15     still docker 19.3.15
    w-3    Ready     <none>                v1.23.17  Ubuntu 18.04.6 LTS            4.15.0-213-generic   docker://19.3.15     still docker 19.3.15
    w-4    NotReady  <none>                v1.23.17  Ubuntu 18.04.6 LTS            4.15.0-213-generic   docker://19.3.15     still docker 19.3.15; NotReady since 2026-11-24T21:03:44Z
    w-5    Ready     <none>                v1.23.17  Ubuntu 18.04.6 LTS            4.15.0-213-generic   docker://19.3.15     still docker 19.3.15
    w-6    Ready     <none>                v1.23.17  Debian GNU/Linux 13 (trixie)  6.12.57+deb13-amd64  containerd://1.7.29

    1 of 10 nodes done
    ---
    "###);
}

#[test]
fn each_problem_has_its_case() {
    let mut nodes = vec![
        Node::old("docker", "a"),
        Node::new("other-kernel", "a"),
        Node::new("other-containerd", "a"),
        Node::new("stale", "a"),
        Node::new("down", "a"),
        Node::new("cordoned", "a"),
        Node::new("lost", "a"),
    ];
    nodes[1].os_image = "Debian GNU/Linux 12 (bookworm)";
    nodes[2].runtime = "containerd://1.4.13";
    nodes[3].annotations[0].1 = "unix:///run/cri-dockerd.sock".into();
    nodes[4].ready = "Unknown";
    nodes[5].cordoned = true;
    let mut nodes: Vec<_> = nodes
        .into_iter()
        .map(|node| {
            if node.name == "lost" {
                node
            } else {
                node.label("pool", "workers")
            }
        })
        .map(|node| node.json())
        .collect();
    nodes[6]["status"]["conditions"] = Value::Null;
    let scene = Scene::new(&nodes);
    let status = scene.json(&["status", "--rules", "fleet.toml", "cluster.json"]);
    let rows = status["nodes"].as_array().unwrap().iter();
    let found: Vec<_> = rows
        .map(|row| {
            let problems = row["problems"].as_array().unwrap().iter();
            let ids: Vec<_> = problems.map(|one| one["id"].as_str().unwrap()).collect();
            format!("{}: {}", row["name"].as_str().unwrap(), ids.join(" "))
        })
        .collect();
    assert_snapshot!(found.join("\n"), @"
    cordoned: cordoned
    docker: docker image
    down: not-ready
    lost: not-ready no-pool
    other-containerd: runtime
    other-kernel: image
    stale: cri-socket
    ");
    assert_eq!(status["done"], false);
    scene.write("one.json", &list(&[nodes[5].clone()]));
    let one = |more: &[&str]| {
        let mut command = scene.fleet(&["status", "--rules", "fleet.toml", "one.json"]);
        command.args(more).output().unwrap().status.code()
    };
    assert_eq!((one(&[]), one(&["--ignore-cordon"])), (Some(1), Some(0)));
}

#[test]
fn the_page_needs_nothing_else() {
    let mut node = Node::old("w-1", "a");
    node.os_image = "<script>alert(1)</script>";
    let scene = Scene::new(&[node.json()]);
    let output = scene
        .fleet(&["status", "cluster.json", "--html", "page.html"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let page = scene.read("page.html");
    assert!(
        page.contains("<td>&lt;script&gt;alert(1)&lt;/script&gt;"),
        "{page}"
    );
    for outside in ["<script", "http:", "https:", "src=", "url(", "refresh"] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn watching_ends_when_all_is_done() {
    let scene = Scene::new(&objects::sample());
    scene.write("done.json", &list(&done()));
    // The third look finds that all is done; the second finds a file half written.
    scene.write(
        "look.sh",
        "n=$(cat n 2>/dev/null || echo 0); echo $((n + 1)) >n\n\
         case $n in 0) cat cluster.json ;; 1) head -c 1000 cluster.json ;; *) cat done.json ;; esac\n",
    );
    let arguments = ["status", "--rules", "fleet.toml", "--command", "sh look.sh"];
    let mut command = scene.fleet(&arguments);
    command.args([
        "--watch",
        "--interval",
        "10ms",
        "--timeout",
        "60s",
        "--html",
        "page.html",
        "--json",
    ]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let states: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let done: Vec<_> = states.iter().map(|state| &state["done"]).collect();
    assert_eq!(done, [false, true]);
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("\"warning\"")
    );
    assert!(!scene.read("page.html").contains("refresh"));
}

#[test]
fn watching_can_run_out_of_time() {
    let scene = Scene::new(&objects::sample());
    let more = ["--watch", "--interval", "10ms", "--timeout", "100ms"];
    let output = scene
        .fleet(&["status", "cluster.json"])
        .args(more)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        text.matches("NAME").count(),
        1,
        "what did not change is not printed again"
    );
    let output = scene.fleet(&["status", "-", "--watch"]).output().unwrap();
    assert_snapshot!(said(&output), @"
    status 2
    ---
    error: standard input cannot be watched
    hint: give `--command 'kubectl get nodes -o json'`, or files
    ");
    let output = scene
        .fleet(&["status", "--command", "exit 3"])
        .output()
        .unwrap();
    assert_snapshot!(said(&output), @"
    status 7
    ---
    error: `exit 3` failed: exit status: 3
    ");
    assert!(fs::read_dir(scene.path(".")).unwrap().count() == 2);
}
