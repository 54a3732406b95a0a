//! `nodelith fleet plan` of a large cluster.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::data::Data;
use crate::figures::{Aim, Measure, Tool};
use crate::{Result, run};

/// How many nodes the cluster has, and how many pods each.
const NODES: usize = 10_000;
const PODS: usize = 5;

/// Rules for it: three zones, a tenth of the nodes at a time.
const RULES: &str = r#"
name = "bench"
[image]
reference = "registry.example/node:7@sha256:7d865e959b2466918c9863afca942d0fb89d7c9ac0c99bafc3749504ded97730"
runtime = "containerd://1.7.*"
[rollout]
max-unavailable = "10%"
"#;

/// What kubectl printed → the plan as JSON.
pub fn measure(data: &Data, runs: usize) -> Result<Measure> {
    let folder = data.folder()?;
    let (cluster, rules) = (folder.path().join("cluster"), folder.path().join("rules"));
    let items: Vec<Value> = (0..NODES).flat_map(objects).collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    fs::write(&cluster, list.to_string())?;
    fs::write(&rules, RULES)?;
    let mut ours = Tool::new("nodelith");
    for number in 1..=runs {
        eprintln!("plan of {NODES} nodes {number}/{runs}");
        let mut plan = Command::new(&data.nodelith);
        plan.args(["fleet", "plan", "--json"]).arg(&cluster);
        let (seconds, said) = run::timed_output(plan.arg("--rules").arg(&rules))?;
        ours.add(seconds);
        ours.bytes = Some(said.len() as u64);
    }
    Ok(Measure {
        name: "plan of 10,000 nodes",
        unit: "s",
        ours,
        peers: Vec::new(),
        aim: Aim::Most(2.0),
    })
}

/// A node and its pods.
fn objects(number: usize) -> Vec<Value> {
    let node = format!("node-{number}");
    let zone = format!("zone-{}", number % 3);
    let mut all = vec![json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": node, "labels": {"topology.kubernetes.io/zone": zone}},
        "spec": {},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "nodeInfo": {
                "osImage": "Ubuntu 18.04.6 LTS", "kernelVersion": "4.15.0-213-generic",
                "kubeletVersion": "v1.23.17", "containerRuntimeVersion": "docker://19.3.15",
                "architecture": "amd64", "operatingSystem": "linux",
            },
        },
    })];
    all.extend((0..PODS).map(|pod| {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": format!("pod-{number}-{pod}"), "namespace": "default",
                "labels": {"app": format!("app-{pod}")},
                "ownerReferences": [{
                    "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "app",
                    "uid": "0", "controller": true,
                }],
            },
            "spec": {"nodeName": node, "containers": [{"name": "main", "image": "app:1"}]},
            "status": {"phase": "Running"},
        })
    }));
    all
}
