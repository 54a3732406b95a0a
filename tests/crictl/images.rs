//! Images: those at hand, and those of a registry.

use serde_json::json;

use crate::common::containerd::PAUSE;
use crate::common::{self, run};
use crate::node::{BUSYBOX, Node};

const REGISTRY: &str = "127.0.0.1:5000";

pub fn local(node: &Node) {
    let all = node.json(&["images", "-o", "json"]);
    let images = all["images"].as_array().unwrap();
    assert_eq!(images.len(), 2, "{all:#}");
    let busybox = &images[0];
    assert_eq!(busybox["repoTags"], json!([BUSYBOX]));
    assert!(busybox["id"].as_str().unwrap().starts_with("sha256:"));
    assert!(busybox["size"].as_str().unwrap().parse::<u64>().unwrap() > 500_000);
    assert_eq!(busybox["pinned"], false);
    assert_eq!(busybox["username"], "");
    assert!(busybox.get("spec").is_none() || busybox["spec"].is_object());
    assert!(images[1]["pinned"].is_boolean(), "{all:#}");

    let table = node.says(&["images"]);
    let lines: Vec<_> = table.lines().collect();
    let head: Vec<_> = lines[0].split_whitespace().collect();
    assert_eq!(head.join(" "), "IMAGE TAG IMAGE ID SIZE");
    let row: Vec<_> = lines[1].split_whitespace().collect();
    assert_eq!(&row[..2], ["nodelith.test/busybox", "1"]);
    assert_eq!(row[2].len(), 13);
    assert!(row[3].ends_with("MB"), "{table}");
    let wide = node.says(&["images", "--digests", "--pinned", "--no-trunc"]);
    let head: Vec<_> = wide.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(head.join(" "), "IMAGE TAG DIGEST IMAGE ID SIZE PINNED");
    let id = busybox["id"].as_str().unwrap();
    assert!(wide.contains(id), "{wide}");
    assert_eq!(node.line(&["images", "-q", BUSYBOX]), id);
    assert_eq!(node.says(&["image", "-q", "none"]), "");
    assert_eq!(node.line(&["images", "-q", "busybox"]), id);
    assert_eq!(node.says(&["images", "-q", "box:1"]), "");
    let verbose = node.says(&["img", "-v", BUSYBOX]);
    assert!(
        verbose.contains(&format!("RepoTags: {BUSYBOX}\n")),
        "{verbose}"
    );
    let count = |filter: &str| node.says(&["images", "-q", "-f", filter]).lines().count();
    assert_eq!(count("dangling=false"), 2);
    assert_eq!(count("dangling=true"), 0);
    let since = format!("since={PAUSE}");
    assert_eq!(count(&since), 1);
    assert_eq!(count(&format!("before={BUSYBOX}")), 1);
    let said = node.fails(&["images", "-f", "other=1"]);
    assert!(said.contains("unknown filter flag: other=1"), "{said}");

    let status = node.json(&["inspecti", BUSYBOX]);
    assert_eq!(status["status"]["id"], id);
    assert!(status["info"]["imageSpec"].is_object(), "{status:#}");
    assert_eq!(node.json(&["inspecti"]).as_array().unwrap().len(), 2);
    let short = node.json(&["inspecti", "-q", &id["sha256:".len()..][..12]]);
    assert_eq!(short["status"]["repoTags"], json!([BUSYBOX]));
    let table = node.says(&["inspecti", "-o", "table", "-q", BUSYBOX]);
    assert!(table.contains(&format!("Tag: {BUSYBOX}\n")), "{table}");
}

/// Debian's registry beside the daemon, filled by skopeo.
fn registry(node: &mut Node) {
    let test = node.daemon.test();
    let config = format!(
        "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: {REGISTRY}}}\n",
        test.join("registry").display()
    );
    node.daemon.write("etc/registry.yml", config);
    let hosts = format!(
        "server = \"http://{REGISTRY}\"\n[host.\"http://{REGISTRY}\"]\ncapabilities = [\"pull\", \"resolve\"]\n"
    );
    let path = format!("etc/certs.d/{REGISTRY}/hosts.toml");
    node.daemon.write(&path, hosts);
    let mut serve = node.daemon.beside("docker-registry");
    serve.arg("serve").arg(test.join("etc/registry.yml"));
    node.daemon.spawn("registry", &mut serve);
    let begun = std::time::Instant::now();
    loop {
        let mut copy = node.daemon.beside("skopeo");
        copy.args(["copy", "--insecure-policy", "--dest-tls-verify=false"])
            .arg(format!(
                "oci-archive:{}",
                test.join("busybox.tar").display()
            ))
            .arg(format!("docker://{REGISTRY}/test/busybox:2"));
        if common::output(&mut copy).status.success() {
            break;
        }
        if begun.elapsed().as_secs() > 30 {
            run(&mut copy);
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
}

pub fn pulled(node: &mut Node) {
    registry(node);
    let node = &*node;
    let name = format!("{REGISTRY}/test/busybox:2");
    let said = node.line(&["pull", &name]);
    assert!(
        said.starts_with("Image is up to date for sha256:"),
        "{said}"
    );
    let status = node.json(&["inspecti", "-q", &name]);
    let digest = status["status"]["repoDigests"][0].as_str().unwrap();
    assert!(digest.starts_with(&format!("{REGISTRY}/test/busybox@sha256:")));
    let said = node.line(&[
        "pull",
        "--creds",
        "user:secret",
        "--pull-timeout",
        "60s",
        digest,
    ]);
    assert!(said.starts_with("Image is up to date for "), "{said}");
    // What a registry is told does not show.
    let mut debug = node.crictl(&["-D", "pull", "--creds", "user:secret", &name]);
    let said = common::output(&mut debug);
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("level=debug"), "{said}");
    assert!(!said.contains("secret"), "{said}");

    let said = node.fails(&["pull", &format!("{REGISTRY}/test/none:1")]);
    assert!(said.contains("pulling image: rpc error: code = "), "{said}");
    assert!(said.contains("test/none:1"), "{said}");
    let said = node.fails(&["pull", "--creds", ":x", &name]);
    assert!(said.contains("username can't be empty"), "{said}");
    let said = node.fails(&["pull", "--creds", "a:b", "--auth", "x", &name]);
    assert!(
        said.contains("both `--creds` and `--auth` are specified"),
        "{said}"
    );

    let said = node.says(&["rmi", &name]);
    assert!(said.contains(&format!("Deleted: {name}\n")), "{said}");
    let said = node.fails(&["rmi", &name, "none"]);
    assert!(said.contains("no such image none"), "{said}");

    // With a pod: pulls by itself, and what is used is not pruned.
    let host = json!({"linux": {"security_context": {"namespace_options": {"network": 2}}}});
    let pod = node.pod_config("pulling", &host);
    let container = node.container_config("pulled", &json!({"image": {"image": name}}));
    let id = node.line(&["run", &container, &pod]);
    assert_eq!(node.line(&["ps", "-q"]), id);
    let said = node.says(&["rmi", "--prune"]);
    assert!(!said.contains(&name), "{said}");
    assert_eq!(
        node.json(&["inspecti", "-q", &name])["status"]["repoTags"][0],
        name.as_str()
    );
    node.says(&["rm", "-f", &id]);
    let said = node.says(&["rmi", &name]);
    assert!(said.contains(&name), "{said}");
    let pod_id = node.line(&["pods", "-q", "--name", "pulling"]);
    let said = node.fails(&["create", "--no-pull", &pod_id, &container, &pod]);
    assert!(said.contains("creating container: rpc error: "), "{said}");
    let id = node.line(&["create", "--with-pull", &pod_id, &container, &pod]);
    node.says(&["rm", &id]);
    node.says(&["rmp", "-f", &pod_id]);
}
