//! The runtime and its pods.

use serde_json::json;

use crate::node::Node;

/// A pod in the node's network and one with its own.
pub struct Pods {
    pub host: String,
    pub own: String,
    pub host_config: String,
}

pub fn runtime(node: &Node) {
    let version = node.says(&["version"]);
    let lines: Vec<_> = version.lines().collect();
    assert_eq!(lines[0], "Version:  0.1.0");
    assert_eq!(lines[1], "RuntimeName:  containerd");
    let minor = node.suite.containerd();
    assert!(
        lines[2].starts_with(&format!("RuntimeVersion:  {minor}.")),
        "{version}"
    );
    assert_eq!(lines[3], "RuntimeApiVersion:  v1");

    match minor {
        "2.1" => {
            let told = node.says(&["runtime-config"]);
            assert_eq!(told, "cgroup driver:   CGROUPFS\n");
        }
        // Before 2.0 it tells its kubelet nothing.
        _ => {
            let said = node.fails(&["runtime-config"]);
            assert!(
                said.contains("call RuntimeConfig RPC: rpc error: code = Unimplemented"),
                "{said}"
            );
        }
    }

    let info = node.json(&["info"]);
    let conditions = info["status"]["conditions"].as_array().unwrap();
    for kind in ["RuntimeReady", "NetworkReady"] {
        let condition = conditions.iter().find(|one| one["type"] == kind).unwrap();
        assert_eq!(condition["status"], true, "{info:#}");
        assert_eq!(condition["reason"], "");
    }
    assert!(info["config"].is_object(), "{info:#}");
    assert_eq!(info["lastCNILoadStatus"], "OK");
    assert_eq!(info.get("runtimeHandlers").is_some(), minor == "2.1");
    assert!(node.json(&["info", "-q"]).get("config").is_none());
    let yaml = node.says(&["info", "-o", "yaml", "-q"]);
    assert!(yaml.contains("  conditions:\n"), "{yaml}");
    let said = node.fails(&["info", "-o", "go-template"]);
    assert!(said.contains("unsupported output format"), "{said}");
}

pub fn run(node: &Node) -> Pods {
    let host = json!({"linux": {"security_context": {"namespace_options": {"network": 2}}}});
    let host_config = node.pod_config("one", &host);
    let host = node.line(&["runp", &host_config]);
    assert_eq!(host.len(), 64, "{host}");
    // YAML, and no uid: it is given one.
    let cgroup = node.daemon.cgroup();
    let yaml = format!(
        "metadata:\n  name: two\n  namespace: kube-system\n  attempt: 1\n\
        log_directory: /test/pods/two\nhostname: two\n\
        linux:\n  cgroup_parent: {cgroup}\n  security_context: {{namespace_options: {{pid: 1}}}}\n\
        labels: {{app: two}}\n"
    );
    node.daemon.write("two.yaml", yaml);
    let own = node.line(&["runp", "--cancel-timeout", "90s", "/test/two.yaml"]);
    Pods {
        host,
        own,
        host_config,
    }
}

pub fn looked_at(node: &Node, pods: &Pods) {
    let all = node.json(&["pods", "-o", "json"]);
    let items = all["items"].as_array().unwrap();
    assert_eq!(items.len(), 2, "{all:#}");
    // The newest first.
    assert_eq!(items[0]["id"], pods.own.as_str());
    let first = &items[1];
    assert_eq!(first["metadata"]["name"], "one");
    assert_eq!(first["metadata"]["uid"], "uid-one");
    assert_eq!(first["metadata"]["attempt"], 0);
    assert_eq!(first["state"], "SANDBOX_READY");
    assert_eq!(first["labels"], json!({"app": "one", "number": "1"}));
    assert_eq!(first["annotations"]["note"], "of a test");
    assert_eq!(first["runtimeHandler"], "");
    let created = first["createdAt"].as_str().unwrap();
    assert!(created.parse::<u64>().is_ok(), "{created}");
    assert_eq!(items[0]["metadata"]["uid"].as_str().unwrap().len(), 36);

    let table = node.says(&["pods"]);
    let lines: Vec<_> = table.lines().collect();
    let head: Vec<_> = lines[0].split_whitespace().collect();
    assert_eq!(
        head.join(" "),
        "POD ID CREATED STATE NAME NAMESPACE ATTEMPT RUNTIME"
    );
    assert!(
        lines[1].starts_with(&format!("{} ", &pods.own[..13])),
        "{table}"
    );
    assert!(lines[1].contains(" ago "), "{table}");
    assert!(lines[1].ends_with("(default)"), "{table}");
    assert!(node.says(&["pods", "--no-trunc"]).contains(&pods.own));
    let verbose = node.says(&["pods", "-v", "--name", "one"]);
    assert!(verbose.contains("Status: Ready\n"), "{verbose}");
    assert!(verbose.contains("\tnote -> of a test\n"), "{verbose}");
    let yaml = node.says(&["pods", "-o", "yaml"]);
    assert!(yaml.starts_with("items:\n"), "{yaml}");

    let ids = |arguments: &[&str]| {
        let said = node.says(&[&["pods", "-q"], arguments].concat());
        said.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let (host, own) = (vec![pods.host.clone()], vec![pods.own.clone()]);
    assert_eq!(ids(&[]), [own.clone(), host.clone()].concat());
    assert_eq!(ids(&["--name", "^on"]), host);
    assert_eq!(ids(&["--namespace", "system$"]), own);
    assert_eq!(ids(&["--label", "app=one"]), host);
    assert_eq!(ids(&["--latest"]), own);
    assert_eq!(ids(&["--last", "1"]), own);
    assert_eq!(ids(&["--id", &pods.host[..10]]), host);
    assert_eq!(ids(&["--state", "Ready"]).len(), 2);
    assert_eq!(ids(&["-s", "notready"]), Vec::<String>::new());
    for (arguments, said) in [
        (
            ["--state", "gone"],
            "--state should be one of ready, notready",
        ),
        (["--label", "app"], "incorrectly specified label: app"),
        (["--name", "("], "invalid regular expression"),
    ] {
        let told = node.fails(&[&["pods"], &arguments[..]].concat());
        assert!(told.contains(said), "{told}");
    }

    let status = node.json(&["inspectp", &pods.own]);
    assert_eq!(status["status"]["state"], "SANDBOX_READY");
    let created = status["status"]["createdAt"].as_str().unwrap();
    assert!(
        created.starts_with("20") && created.ends_with('Z'),
        "{created}"
    );
    let address = status["status"]["network"]["ip"].as_str().unwrap();
    assert!(address.starts_with("10.88.0."), "{address}");
    let modes = &status["status"]["linux"]["namespaces"]["options"];
    assert_eq!(
        (&modes["network"], &modes["pid"]),
        (&json!("POD"), &json!("CONTAINER"))
    );
    assert!(status["info"]["runtimeSpec"].is_object(), "{status:#}");
    let host = node.json(&["inspectp", "-q", &pods.host]);
    let modes = &host["status"]["linux"]["namespaces"]["options"];
    assert_eq!(modes["network"], "NODE");
    assert!(host.get("info").is_none());
    let both = node.json(&["inspectp", "--label", "app=one", "--name", "one"]);
    assert_eq!(both["status"]["id"], pods.host.as_str());
    assert_eq!(node.json(&["inspectp"]).as_array().unwrap().len(), 2);
    let table = node.says(&["inspectp", "-o", "table", "-q", &pods.own]);
    for line in ["Name: two", "Attempt: 1", "Status: SANDBOX_READY"] {
        assert!(table.lines().any(|one| one == line), "{table}");
    }
    assert!(
        table.contains(&format!("IP Addresses: {address}\n")),
        "{table}"
    );
}

/// What does not exist, and files that say nothing sensible.
pub fn unknown(node: &Node) {
    for arguments in [
        &["inspectp", "none"][..],
        &["inspect", "none"],
        &["start", "none"],
        &["rmp", "none"],
        &["logs", "none"],
        &["exec", "none", "true"],
    ] {
        let said = node.fails(arguments);
        assert!(
            said.contains("rpc error: code = NotFound desc = "),
            "{said}"
        );
        assert!(said.contains("level=fatal"), "{said}");
    }
    let said = node.fails(&["inspecti", "none"]);
    assert!(
        said.contains("no such image \\\"none\\\" present"),
        "{said}"
    );
    let said = node.fails(&["inspectp", "--name", "none"]);
    assert!(
        said.contains("No IDs provided or nothing found per filter"),
        "{said}"
    );

    for (text, told) in [
        ("{}", "metadata is not set"),
        (
            "metadata: {name: a}",
            "name or namespace is not in metadata",
        ),
        ("metadata: [a]", "/test/bad.yaml: "),
        ("metadata: {", "yaml: "),
    ] {
        node.daemon.write("bad.yaml", text);
        let said = node.fails(&["runp", "/test/bad.yaml"]);
        assert!(said.contains("load podSandboxConfig: "), "{said}");
        assert!(said.contains(told), "{said}");
    }
    let said = node.fails(&["runp", "/test/none.yaml"]);
    assert!(
        said.contains("config at /test/none.yaml not found"),
        "{said}"
    );
    let odd = node.pod_config("odd", &json!({"logDirectory": "/x"}));
    let said = node.fails(&["runp", "--runtime", "none", &odd]);
    assert!(said.contains("has no field \\\"logDirectory\\\""), "{said}");
    assert!(said.contains("run pod sandbox: rpc error: "), "{said}");
}

pub fn ended(node: &Node, pods: &Pods) {
    let said = node.fails(&["rmp", &pods.host]);
    assert!(said.contains("is running, please stop it first"), "{said}");
    let said = node.says(&["stopp", &pods.host]);
    assert_eq!(said, format!("Stopped sandbox {}\n", pods.host));
    let stopped = node.says(&["pods", "-q", "--state", "notready"]);
    assert_eq!(stopped.trim_end(), pods.host);
    let said = node.says(&["rmp", &pods.host]);
    assert_eq!(said, format!("Removed sandbox {}\n", pods.host));
    let said = node.says(&["rmp", "--all", "--force"]);
    assert!(
        said.contains(&format!("Removed sandbox {}\n", pods.own)),
        "{said}"
    );
    assert_eq!(node.json(&["pods", "-o", "json"]), json!({"items": []}));
    assert_eq!(node.says(&["rmp", "-af"]), "");
}
