//! Objects in the layout in which kubectl prints them.

use serde_json::{Value, json};

/// A node as kubelet registers it.
#[derive(Clone)]
pub struct Node {
    pub name: String,
    pub labels: Vec<(String, String)>,
    pub annotations: Vec<(String, String)>,
    pub taints: Vec<Value>,
    pub cordoned: bool,
    pub ready: &'static str,
    pub os_image: &'static str,
    pub kernel: &'static str,
    pub kubelet: &'static str,
    pub runtime: &'static str,
}

impl Node {
    /// A node of 2021 in a zone.
    pub fn old(name: &str, zone: &str) -> Self {
        Self {
            name: name.into(),
            labels: vec![("topology.kubernetes.io/zone".into(), zone.into())],
            annotations: vec![(
                "kubeadm.alpha.kubernetes.io/cri-socket".into(),
                "/var/run/dockershim.sock".into(),
            )],
            taints: Vec::new(),
            cordoned: false,
            ready: "True",
            os_image: "Ubuntu 18.04.6 LTS",
            kernel: "4.15.0-213-generic",
            kubelet: "v1.23.17",
            runtime: "docker://19.3.15",
        }
    }

    /// A node that has the image.
    pub fn new(name: &str, zone: &str) -> Self {
        Self {
            annotations: vec![(
                "kubeadm.alpha.kubernetes.io/cri-socket".into(),
                "unix:///var/run/containerd/containerd.sock".into(),
            )],
            os_image: "Debian GNU/Linux 13 (trixie)",
            kernel: "6.12.57+deb13-amd64",
            runtime: "containerd://1.7.29",
            ..Self::old(name, zone)
        }
    }

    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.push((key.into(), value.into()));
        self
    }

    /// Both roles that kubeadm gave before 1.24, and the taint of one.
    pub fn control_plane(self) -> Self {
        let mut node = self
            .label("node-role.kubernetes.io/control-plane", "")
            .label("node-role.kubernetes.io/master", "");
        node.taints.push(json!({
            "effect": "NoSchedule", "key": "node-role.kubernetes.io/master",
        }));
        node
    }

    pub fn json(&self) -> Value {
        let name = &self.name;
        let mut labels = json!({
            "beta.kubernetes.io/arch": "amd64", "kubernetes.io/arch": "amd64",
            "kubernetes.io/hostname": name, "kubernetes.io/os": "linux",
        });
        for (key, value) in &self.labels {
            labels[key] = value.clone().into();
        }
        let mut annotations = json!({
            "node.alpha.kubernetes.io/ttl": "0",
            "volumes.kubernetes.io/controller-managed-attach-detach": "true",
        });
        for (key, value) in &self.annotations {
            annotations[key] = value.clone().into();
        }
        let condition = |kind: &str, status: &str, reason: &str, message: &str| {
            json!({
                "lastHeartbeatTime": "2026-11-25T09:14:07Z",
                "lastTransitionTime": "2026-11-24T21:03:44Z",
                "message": message, "reason": reason, "status": status, "type": kind,
            })
        };
        let ready = match self.ready {
            "True" => condition(
                "Ready",
                "True",
                "KubeletReady",
                "kubelet is posting ready status",
            ),
            other => condition(
                "Ready",
                other,
                "NodeStatusUnknown",
                "Kubelet stopped posting node status.",
            ),
        };
        let mut spec = json!({
            "podCIDR": "10.244.1.0/24", "podCIDRs": ["10.244.1.0/24"],
            "providerID": format!("metal://rack-7/{name}"),
        });
        if self.cordoned {
            spec["unschedulable"] = true.into();
        }
        if !self.taints.is_empty() {
            spec["taints"] = self.taints.clone().into();
        }
        json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {
                "annotations": annotations, "creationTimestamp": "2021-02-11T08:30:21Z",
                "labels": labels, "name": name, "resourceVersion": "812733",
                "uid": "0c1de4a5-7b0e-4c6f-9a53-1f6d1f2f2b11",
            },
            "spec": spec,
            "status": {
                "addresses": [
                    {"address": "192.0.2.17", "type": "InternalIP"},
                    {"address": name, "type": "Hostname"},
                ],
                "allocatable": {"cpu": "8", "memory": "32746156Ki", "pods": "110"},
                "capacity": {"cpu": "8", "memory": "32848556Ki", "pods": "110"},
                "conditions": [
                    condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
                    condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
                    ready,
                ],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
                "images": [{"names": ["registry.k8s.io/pause:3.6"], "sizeBytes": 682_696}],
                "nodeInfo": {
                    "architecture": "amd64", "bootID": "5e6f5f4e-0e6d-4b0e-8a6e-6c5b0d2f9f10",
                    "containerRuntimeVersion": self.runtime, "kernelVersion": self.kernel,
                    "kubeProxyVersion": self.kubelet, "kubeletVersion": self.kubelet,
                    "machineID": "9d4c3c1f2b4e4b0f8f0e3f6a5d2c1b0a", "operatingSystem": "linux",
                    "osImage": self.os_image, "systemUUID": "4c4c4544-0042-3510-8058-b4c04f4d3332",
                },
            },
        })
    }
}

/// A running pod, made by a controller of this kind unless that is empty.
pub fn pod(namespace: &str, name: &str, node: &str, owner: &str) -> Value {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "creationTimestamp": "2026-11-01T10:00:00Z", "labels": {"app": name},
            "name": name, "namespace": namespace, "resourceVersion": "811002",
        },
        "spec": {
            "containers": [{"image": "registry.example/app:1", "name": "app", "resources": {}}],
            "nodeName": node, "restartPolicy": "Always",
            "tolerations": [{"effect": "NoExecute", "key": "node.kubernetes.io/not-ready", "operator": "Exists", "tolerationSeconds": 300}],
            "volumes": [],
        },
        "status": {
            "conditions": [{"lastProbeTime": null, "lastTransitionTime": "2026-11-01T10:00:09Z", "status": "True", "type": "Ready"}],
            "phase": "Running", "qosClass": "BestEffort",
        },
    });
    if !owner.is_empty() {
        pod["metadata"]["ownerReferences"] = json!([{
            "apiVersion": "apps/v1", "blockOwnerDeletion": true, "controller": true,
            "kind": owner, "name": name, "uid": "2f0c3f3e-5f8e-4a57-9d7b-0f1d2c3b4a59",
        }]);
    }
    pod
}

/// The same with a volume.
pub fn with_volume(mut pod: Value, volume: Value) -> Value {
    if let Some(volumes) = pod["spec"]["volumes"].as_array_mut() {
        volumes.push(volume);
    }
    pod
}

/// A static pod of the control plane, as the API server mirrors it.
pub fn static_pod(component: &str, image: &str, node: &str) -> Value {
    let mut pod = pod("kube-system", &format!("{component}-{node}"), node, "Node");
    pod["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "a1b2"});
    pod["spec"]["containers"] = json!([{"image": image, "name": component}]);
    pod
}

/// A budget for the pods with a label `app`.
pub fn budget(namespace: &str, app: &str, spec: &Value, allowed: i64) -> Value {
    let mut budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"name": app, "namespace": namespace, "resourceVersion": "5120"},
        "spec": {"selector": {"matchLabels": {"app": app}}},
        "status": {
            "conditions": [], "currentHealthy": 1, "desiredHealthy": 1,
            "disruptionsAllowed": allowed, "expectedPods": 1, "observedGeneration": 1,
        },
    });
    if let Some(fields) = spec.as_object() {
        for (key, value) in fields {
            budget["spec"][key] = value.clone();
        }
    }
    budget
}

/// What kubectl prints of several objects.
pub fn list(items: &[Value]) -> String {
    let list = json!({
        "apiVersion": "v1", "items": items, "kind": "List",
        "metadata": {"resourceVersion": "", "selfLink": ""},
    });
    format!("{list:#}\n")
}

/// The cluster of docs/fleet.md.
pub fn sample() -> Vec<Value> {
    let worker = |node: Node| node.label("pool", "workers");
    let mut nodes: Vec<_> = (1..=3)
        .map(|at| Node::old(&format!("cp-{at}"), ["a", "b", "c"][at - 1]).control_plane())
        .collect();
    for (name, zone) in [
        ("w-1", "a"),
        ("w-2", "b"),
        ("w-3", "c"),
        ("w-4", "a"),
        ("w-5", "b"),
    ] {
        nodes.push(worker(Node::old(name, zone)));
    }
    nodes[6].ready = "Unknown";
    nodes.push(worker(Node::new("w-6", "c")));
    let mut by_hand = Node::old("gpu-1", "a").label("accelerator", "a100");
    by_hand.runtime = "containerd://1.4.13";
    nodes.push(by_hand);
    let mut all: Vec<_> = nodes.iter().map(Node::json).collect();
    for at in 1..=3 {
        let node = format!("cp-{at}");
        all.push(static_pod(
            "kube-apiserver",
            "registry.k8s.io/kube-apiserver:v1.23.17",
            &node,
        ));
        all.push(static_pod("etcd", "registry.k8s.io/etcd:3.5.6-0", &node));
    }
    for node in &nodes {
        all.push(pod(
            "kube-system",
            &format!("agent-{}", node.name),
            &node.name,
            "DaemonSet",
        ));
    }
    let scratch = json!({"emptyDir": {}, "name": "tmp"});
    all.push(with_volume(
        pod("shop", "cart-1", "w-1", "ReplicaSet"),
        scratch,
    ));
    let socket =
        json!({"hostPath": {"path": "/var/run/docker.sock", "type": "Socket"}, "name": "docker"});
    all.push(with_volume(
        pod("ci", "builder-0", "w-5", "StatefulSet"),
        socket,
    ));
    all.push(pod("db", "postgres", "w-2", "StatefulSet"));
    all.push(budget("db", "postgres", &json!({"maxUnavailable": 0}), 0));
    all
}
