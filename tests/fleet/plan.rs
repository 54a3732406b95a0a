//! `nodelith fleet plan`: what it says of the cluster of docs/fleet.md, and of wrong input.

use std::io::Write as _;
use std::process::{Command, Stdio};

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::objects::{self, Node, list};
use crate::scene::{Scene, rules, said};

fn names(value: &Value) -> Vec<&str> {
    let names = value.as_array().unwrap().iter();
    names.map(|name| name.as_str().unwrap()).collect()
}

/// A node of a plan in JSON.
fn node<'a>(plan: &'a Value, name: &str) -> &'a Value {
    let mut nodes = plan["nodes"].as_array().unwrap().iter();
    nodes.find(|node| node["name"] == name).unwrap()
}

fn obstacles(plan: &Value, name: &str) -> Vec<String> {
    let obstacles = node(plan, name)["obstacles"].as_array().unwrap();
    let ids = obstacles.iter().map(|one| one["id"].as_str().unwrap());
    ids.map(ToOwned::to_owned).collect()
}

#[test]
fn the_order_of_the_input_does_not_matter() {
    let scene = Scene::new(&objects::sample());
    let first = scene.plan(&["cluster.json", "--runbook", "a.md", "--picture", "a.svg"]);
    let first = said(&{ first }.output().unwrap());
    let mut turned = objects::sample();
    turned.reverse();
    let (nodes, others): (Vec<_>, Vec<_>) = turned
        .into_iter()
        .partition(|object| object["kind"] == "Node");
    scene.write("nodes.json", &list(&nodes));
    scene.write("others.json", &list(&others));
    let files = [
        "others.json",
        "nodes.json",
        "others.json",
        "--runbook",
        "b.md",
        "--picture",
        "b.svg",
    ];
    let second = said(&scene.plan(&files).output().unwrap());
    assert_eq!(first, second);
    assert_eq!(scene.read("a.md"), scene.read("b.md"));
    assert_eq!(scene.read("a.svg"), scene.read("b.svg"));
}

#[test]
fn yaml_and_standard_input_are_read_too() {
    let scene = Scene::new(&objects::sample());
    let expected = scene.plan(&["cluster.json"]).output().unwrap();
    // Documents one after the other, as several commands into one file give them.
    let yaml: String = objects::sample()
        .iter()
        .map(|object| format!("---\n{object:#}\n"))
        .collect();
    scene.write("cluster.yaml", &yaml);
    assert_eq!(
        said(&expected),
        said(&scene.plan(&["cluster.yaml"]).output().unwrap())
    );
    let mut child = scene
        .plan(&["-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let json = scene.read("cluster.json");
    child
        .stdin
        .take()
        .unwrap()
        .write_all(json.as_bytes())
        .unwrap();
    assert_eq!(said(&expected), said(&child.wait_with_output().unwrap()));
}

#[test]
fn what_is_in_the_way_is_named() {
    let few = rules().replace("canary = 1", "canary = 2");
    let scene = Scene::with(&few, &objects::sample());
    let plan = scene.json(&["plan", "--rules", "fleet.toml", "cluster.json"]);
    assert_eq!(plan["schema"], "nodelith.fleet-plan");
    assert_eq!(plan["pods-known"], true);
    assert_eq!(obstacles(&plan, "w-5"), ["docker-socket"]);
    assert_eq!(obstacles(&plan, "w-2"), ["disruption-budget"]);
    assert_eq!(obstacles(&plan, "gpu-1"), ["hold"]);
    assert_eq!(node(&plan, "w-6")["state"], "done");
    // The one that is down goes first, and counts against its zone until then.
    assert_eq!(names(&plan["waves"][0]["nodes"]), ["w-3", "w-4"]);
    assert_eq!(plan["waves"][0]["canary"], true);
    // All of the control plane comes last, one at a time.
    let waves = plan["waves"].as_array().unwrap();
    let last: Vec<_> = waves[waves.len() - 3..]
        .iter()
        .map(|wave| names(&wave["nodes"]))
        .collect();
    assert_eq!(last, [["cp-1"], ["cp-2"], ["cp-3"]]);
}

/// A rule of the file that is allowed is none, and draining does what it needs.
#[test]
fn each_obstacle_has_its_case() {
    let worker = |name: &str| Node::old(name, "a").label("pool", "workers");
    let mut leaving = worker("leaving");
    leaving.taints.push(
        json!({"effect": "NoSchedule", "key": "ToBeDeletedByClusterAutoscaler", "value": "1"}),
    );
    let mut kept = worker("kept");
    kept.taints
        .push(json!({"effect": "NoSchedule", "key": "example.org/keep"}));
    let claim = json!({"name": "data", "persistentVolumeClaim": {"claimName": "data"}});
    let scratch = json!({"name": "tmp", "emptyDir": {}});
    let finished = |mut pod: Value| {
        pod["status"]["phase"] = "Succeeded".into();
        pod
    };
    let unready = |mut pod: Value| {
        pod["status"]["conditions"][0]["status"] = "False".into();
        pod
    };
    let mut volume = json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "disk-7"},
        "spec": {"claimRef": {"kind": "PersistentVolumeClaim", "name": "data", "namespace": "x"},
            "local": {"path": "/mnt/disk-7"}},
    });
    let mut all: Vec<Value> = ["data", "tmp", "alone", "strict", "unready", "job", "agent"]
        .iter()
        .map(|name| worker(name).json())
        .collect();
    all.extend([leaving.json(), kept.json(), Node::old("other", "a").json()]);
    all.extend([
        objects::with_volume(
            objects::pod("x", "db", "data", "StatefulSet"),
            claim.clone(),
        ),
        objects::with_volume(
            objects::pod("x", "cache", "tmp", "ReplicaSet"),
            scratch.clone(),
        ),
        objects::pod("x", "once", "alone", ""),
        objects::pod("x", "strict", "strict", "ReplicaSet"),
        objects::budget("x", "strict", &json!({"minAvailable": 1}), 0),
        unready(objects::pod("x", "unready", "unready", "ReplicaSet")),
        objects::budget("x", "unready", &json!({"minAvailable": 1}), 0),
        finished(objects::with_volume(
            objects::pod("x", "job", "job", ""),
            scratch.clone(),
        )),
        objects::with_volume(objects::pod("x", "agent", "agent", "DaemonSet"), scratch),
        volume.clone(),
    ]);
    let rules = rules().replace(
        "allow = [\"empty-dir\"]",
        "hold-taints = [\"example.org/keep\"]",
    );
    let scene = Scene::with(&rules, &all);
    let plan = scene.json(&["plan", "--rules", "fleet.toml", "cluster.json"]);
    let of = |name: &str| obstacles(&plan, name);
    assert_eq!(of("data"), ["local-volume"]);
    assert_eq!(of("tmp"), ["empty-dir"]);
    assert_eq!(of("alone"), ["no-controller"]);
    assert_eq!(of("strict"), ["disruption-budget"]);
    assert_eq!(
        (of("leaving"), of("kept")),
        (vec!["taint".to_owned()], vec!["taint".to_owned()])
    );
    assert_eq!(of("other"), ["no-pool"]);
    for free in ["unready", "job", "agent"] {
        assert!(of(free).is_empty(), "{free}: {:?}", of(free));
    }

    // A volume from elsewhere does not hold its pod.
    volume["spec"].as_object_mut().unwrap().remove("local");
    volume["spec"]["nfs"] = json!({"path": "/x", "server": "nfs.example"});
    volume["metadata"]["resourceVersion"] = "9".into();
    let count = all.len() - 1;
    all[count] = volume;
    let allowing = rules.replace(
        "hold-taints",
        "allow = [\"empty-dir\", \"no-controller\", \"disruption-budget\"]\nhold-taints",
    );
    let scene = Scene::with(&allowing, &all);
    let plan = scene
        .plan(&["cluster.json", "--runbook", "book.md", "--json"])
        .output()
        .unwrap();
    let plan: Value = serde_json::from_slice(&plan.stdout).unwrap();
    assert!(obstacles(&plan, "data").is_empty());
    let book = scene.read("book.md");
    for line in [
        "kubectl drain tmp --ignore-daemonsets --delete-emptydir-data --timeout=15m",
        "kubectl drain alone --ignore-daemonsets --force --timeout=15m",
        "kubectl drain strict --ignore-daemonsets --disable-eviction --timeout=15m",
        "kubectl drain data --ignore-daemonsets --timeout=15m",
    ] {
        assert!(book.contains(line), "{line}\n{book}");
    }
}

#[test]
fn kubelet_must_go_with_the_api_server() {
    let skew = |kubelet: &str| {
        let rules = rules().replace("kubelet = \"v1.23.*\"", &format!("kubelet = \"{kubelet}\""));
        let scene = Scene::with(&rules, &objects::sample());
        let plan = scene.json(&["plan", "--rules", "fleet.toml", "cluster.json"]);
        let all = node(&plan, "w-1")["obstacles"].as_array().unwrap().clone();
        let mut messages = all
            .iter()
            .map(|one| one["message"].as_str().unwrap().to_owned());
        messages.next().unwrap_or_default()
    };
    assert_eq!(
        skew("v1.24.*"),
        "kubelet 1.24 of the image would be newer than the API server 1.23.17"
    );
    assert_eq!(skew("v1.21.*"), "");
    assert_eq!(
        skew("v1.20.15"),
        "kubelet 1.20 of the image would be more than 2 minors behind the API server 1.23.17"
    );
    // A pattern that names no minor says nothing.
    for pattern in ["v1.*", "v1.3*", "v1.2{3,4}.*", "v1.3[0-2].*"] {
        assert_eq!(skew(pattern), "", "{pattern}");
    }
}

/// The rules' version counts where no pod of an API server says another.
#[test]
fn api_servers_are_asked_before_the_rules() {
    let objects = |with_pods: bool| {
        let mut all = objects::sample();
        all.retain(|object| with_pods || object["kind"] != "Pod");
        all
    };
    let skew = |with_pods: bool, version: &str| {
        let rules = rules().replace("[control-plane]", &format!("[control-plane]\n{version}"));
        let scene = Scene::with(&rules, &objects(with_pods));
        let plan = scene.json(&["plan", "--rules", "fleet.toml", "cluster.json"]);
        obstacles(&plan, "w-1").join(" ")
    };
    // The pods' and the kubelets' version is 1.23, as the image's.
    assert_eq!(skew(true, "version = \"1.22\""), "");
    assert_eq!(skew(false, "version = \"1.22\""), "version-skew");
    assert_eq!(skew(false, ""), "");
}

#[test]
fn etcd_keeps_its_quorum() {
    let plan = |members: usize, down: usize, more: &str| {
        let nodes = (0..members).map(|at| {
            let mut node = Node::old(&format!("cp-{at}"), "a").control_plane();
            if at < down {
                node.ready = "Unknown";
            }
            node.json()
        });
        let rules = rules().replace("[control-plane]", &format!("[control-plane]\n{more}"));
        let scene = Scene::with(&rules, &nodes.collect::<Vec<_>>());
        let plan = scene.json(&["plan", "--rules", "fleet.toml", "cluster.json"]);
        let waves: Vec<_> = plan["waves"]
            .as_array()
            .unwrap()
            .iter()
            .map(|wave| names(&wave["nodes"]).join(" "))
            .collect();
        (
            waves.join(", "),
            obstacles(&plan, &format!("cp-{}", members - 1)).join(" "),
        )
    };
    let of = |waves: &str, why: &str| (waves.to_owned(), why.to_owned());
    assert_eq!(plan(1, 0, ""), of("", "etcd-quorum"));
    assert_eq!(plan(1, 0, "etcd = \"external\""), of("cp-0", ""));
    assert_eq!(plan(2, 0, ""), of("", "etcd-quorum"));
    assert_eq!(plan(3, 0, ""), of("cp-0, cp-1, cp-2", ""));
    // The one that is down comes first, and then the others can go.
    assert_eq!(plan(3, 1, ""), of("cp-0, cp-1, cp-2", ""));
    assert_eq!(plan(3, 2, ""), of("", "etcd-quorum"));
    assert_eq!(plan(5, 2, ""), of("cp-0, cp-1, cp-2, cp-3, cp-4", ""));
}

/// A member that is only cordoned does not stand before the one that it must wait for.
#[test]
fn members_that_are_down_come_before_cordoned_ones() {
    let mut nodes = ["cp-0", "cp-1", "cp-2"].map(|name| Node::old(name, "a").control_plane());
    nodes[0].cordoned = true;
    nodes[1].ready = "Unknown";
    let scene = Scene::new(&nodes.iter().map(Node::json).collect::<Vec<_>>());
    let plan = scene.json(&["plan", "--rules", "fleet.toml", "cluster.json"]);
    let waves = plan["waves"].as_array().unwrap().iter();
    let waves: Vec<_> = waves.map(|wave| names(&wave["nodes"])).collect();
    assert_eq!(waves, [["cp-1"], ["cp-0"], ["cp-2"]]);
}

#[test]
fn nodes_that_stay_unavailable_use_up_the_budget() {
    let mut nodes: Vec<_> = ["a", "b", "c"]
        .iter()
        .map(|name| Node::old(name, "z").label("pool", "workers"))
        .collect();
    nodes[1].cordoned = true;
    nodes[1]
        .taints
        .push(json!({"effect": "NoSchedule", "key": "karpenter.sh/disrupted"}));
    let nodes: Vec<_> = nodes.iter().map(Node::json).collect();
    let scene = Scene::new(&nodes);
    let output = scene.plan(&["cluster.json"]).output().unwrap();
    assert_snapshot!(said(&output), @r###"
    status 1
    POOL     NODES  DONE  REIMAGE  BLOCKED  UNAVAILABLE  ALLOWED  IMAGE
    workers      3     0        0        3            1  40 %     sha256:7d865e959b24…

    POOL     NODES  IMAGE  KUBELET   RUNTIME           OS-IMAGE            KERNEL
    workers      3  no     v1.23.17  docker://19.3.15  Ubuntu 18.04.6 LTS  4.15.0-213-generic

    BLOCKED  ID           WHY
    a        unavailable  nodes that stay unavailable use up the budget of pool `workers`: `b`
    b        taint        it has the taint `karpenter.sh/disrupted`: Karpenter is replacing it
    c        unavailable  nodes that stay unavailable use up the budget of pool `workers`: `b`

    3 nodes: 0 on the image, 0 to reimage in 0 waves, 3 blocked
    ---
    warning: there are no pods in the input: nothing is known of local volumes, disruption budgets and Docker's socket
    "###);
}

#[test]
fn wrong_rules_are_told_with_their_place() {
    let refused = |from: &str, to: &str| {
        let rules = rules();
        assert!(rules.contains(from), "{from}");
        let scene = Scene::with(&rules.replace(from, to), &objects::sample());
        let output = scene.plan(&["cluster.json"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{to}");
        assert!(output.stdout.is_empty());
        String::from_utf8(output.stderr).unwrap()
    };
    let digest = rules();
    let digest = digest
        .split('"')
        .find(|text| text.contains("node:7@"))
        .unwrap();
    let all = [
        (digest, "registry.example/node:7"),
        ("max-unavailable = \"40%\"", "max-unavailable = 0"),
        ("max-unavailable = \"40%\"", "max-unavailable = \"many\""),
        ("canary = 1", "canery = 1"),
        ("\"pool=workers\"", "\"pool in workers\""),
        ("[\"empty-dir\"]", "[\"empty-dirs\"]"),
        ("provider = \"metal\"", "provider = \"metall\""),
        ("{provider-id}", "{name}"),
        ("{provider-id}", "'{node}'"),
        ("\"15m\"", "\"15 bananas\""),
        ("name = \"gpu\"", "name = \"workers\""),
        ("name = \"gpu\"", "name = \"control-plane\""),
        (
            "os-image = \"Debian GNU/Linux 13*\"\nkubelet = \"v1.23.*\"\nruntime = \"containerd://1.7.*\"\n",
            "",
        ),
        ("\"./smoke-test.sh\"", "\"a\\nb\""),
    ];
    let said: Vec<_> = all.iter().map(|(from, to)| refused(from, to)).collect();
    assert_snapshot!(said.join("\n"), @r###"
    error: `registry.example/node:7` has no digest
     --> fleet.toml:4:13
      |
    4 | reference = "registry.example/node:7"
      |             ^^^^^^^^^^^^^^^^^^^^^^^^^
    hint: a tag can move: write `NAME@sha256:…`, as `nodelith push` prints it

    error: no node could ever be reimaged
      --> fleet.toml:28:19
       |
    28 | max-unavailable = 0
       |                   ^
    hint: write at least 1; `hold = "REASON"` keeps a pool as it is

    error: `many` is no number of nodes
      --> fleet.toml:28:19
       |
    28 | max-unavailable = "many"
       |                   ^^^^^^
    hint: write a number like 2, or a percentage like "10%"

    error: unknown key `canery`
      --> fleet.toml:29:1
       |
    29 | canery = 1
       | ^^^^^^
    hint: did you mean `canary`?

    error: `pool in workers` is no requirement of a label
      --> fleet.toml:27:12
       |
    27 | selector = "pool in workers"
       |            ^^^^^^^^^^^^^^^^^
    hint: write it as for `kubectl -l`: `pool=workers,tier!=db,!gpu`

    error: unknown value `empty-dirs`
      --> fleet.toml:14:10
       |
    14 | allow = ["empty-dirs"]
       |          ^^^^^^^^^^^^
    hint: did you mean `empty-dir`?

    error: there is no provider `metall`
      --> fleet.toml:15:12
       |
    15 | provider = "metall"
       |            ^^^^^^^^
    hint: did you mean `metal`?

    error: a command cannot name `{name}`
      --> fleet.toml:18:12
       |
    18 | reimage = ["metalctl reimage {name} --image {image}"]
       |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    hint: there are `{node}`, `{image}`, `{digest}`, `{pool}`, `{zone}`, `{provider-id}`; write `{{` for a brace

    error: `{node}` stands within quotes
      --> fleet.toml:18:12
       |
    18 | reimage = ["metalctl reimage '{node}' --image {image}"]
       |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    hint: leave the quotes out: values are quoted as they are put in

    error: `15 bananas` is no time to wait
      --> fleet.toml:12:8
       |
    12 | soak = "15 bananas"
       |        ^^^^^^^^^^^^
    hint: write it like `90s`, `15m` or `1h 30m`

    error: there are two pools `workers`
      --> fleet.toml:32:8
       |
    32 | name = "workers"
       |        ^^^^^^^^^

    error: the control plane is a pool of its own
      --> fleet.toml:32:8
       |
    32 | name = "control-plane"
       |        ^^^^^^^^^^^^^^^
    hint: write its rules under `[control-plane]`

    error: nothing says what a node of this image looks like
     --> fleet.toml:3:1
      |
    3 | [image]
      | ^^^^^^^
    hint: give one of `os-image`, `kubelet`, `runtime`, `kernel`, `labels`, `annotations`

    error: this must be one line
      --> fleet.toml:13:10
       |
    13 | gates = ["a\nb"]
       |          ^^^^^^
    hint: put longer commands into a script, and name that
    "###);
}

#[test]
fn wrong_objects_are_told() {
    let refused = |text: &str| {
        let scene = Scene::new(&[]);
        scene.write("cluster.json", text);
        let output = scene.plan(&["cluster.json"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{text}");
        String::from_utf8(output.stderr).unwrap()
    };
    let all = [
        "",
        "{\"kind\": \"List\", \"items\": [",
        "{\"kind\": \"Node\", \"metadata\": {\"name\": \"a; rm -rf /\"}}",
        "{\"kind\": \"Node\", \"metadata\": {}}",
        "{\"kind\": \"Node\", \"metadata\": {\"name\": 7}}",
        "{\"items\": []}",
        "{\"kind\": \"List\", \"items\": []}",
        "NAME  STATUS\nw-1   Ready\n",
    ];
    let said: Vec<_> = all.iter().map(|text| refused(text)).collect();
    assert_snapshot!(said.join("\n"), @r###"
    error: reading `cluster.json`: there is nothing in it
    hint: it should be what `kubectl get nodes,pods,pdb,pv -A -o json` prints

    error: reading `cluster.json`: EOF while parsing a list at line 1 column 27
    hint: it should be what `kubectl get nodes,pods,pdb,pv -A -o json` prints

    error: reading `cluster.json`: a node cannot be called `a; rm -rf /`
    hint: it should be what `kubectl get nodes,pods,pdb,pv -A -o json` prints

    error: reading `cluster.json`: a node has no name
    hint: it should be what `kubectl get nodes,pods,pdb,pv -A -o json` prints

    error: reading `cluster.json`: invalid type: integer `7`, expected a string at line 1 column 39
    hint: it should be what `kubectl get nodes,pods,pdb,pv -A -o json` prints

    error: reading `cluster.json`: an object has no `kind`
    hint: it should be what `kubectl get nodes,pods,pdb,pv -A -o json` prints

    error: there are no nodes in the input
    hint: give what `kubectl get nodes,pods,pdb,pv -A -o json` prints

    error: reading `cluster.json`: error: line 1 column 1: expected mapping start
    hint: it should be what `kubectl get nodes,pods,pdb,pv -A -o json` prints
    "###);
}

/// Without the command that reimages, a run book would be none; nothing is written.
#[test]
fn a_run_book_needs_a_provider() {
    let rules = rules().replace("provider = \"metal\"\n", "");
    let scene = Scene::with(&rules, &objects::sample());
    let more = [
        "cluster.json",
        "--runbook",
        "book.md",
        "--picture",
        "plan.svg",
    ];
    let output = scene.plan(&more).output().unwrap();
    assert_snapshot!(said(&output), @r###"
    status 2
    ---
    error: a run book needs the command that reimages nodes of pool `workers`
    hint: describe it under `[providers.NAME]`, and name that as `provider` under `[rollout]` or in the pool
    "###);
    assert!(!scene.path("book.md").exists() && !scene.path("plan.svg").exists());
}

/// Every block is shell that parses.
#[test]
fn the_run_book_is_shell() {
    let scene = Scene::new(&objects::sample());
    let made = scene
        .plan(&["cluster.json", "--runbook", "book.md"])
        .output()
        .unwrap();
    assert_eq!(made.status.code(), Some(1), "blocked nodes are findings");
    let book = scene.read("book.md");
    let blocks: Vec<_> = book
        .split("```sh\n")
        .skip(1)
        .map(|rest| rest.split_once("```").unwrap().0)
        .collect();
    assert!(blocks.len() > 8, "{book}");
    for block in blocks {
        let status = Command::new("sh")
            .args(["-n", "-c", block])
            .status()
            .unwrap();
        assert!(status.success(), "{block}");
    }
}
