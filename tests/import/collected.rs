//! `import --collect`: the script that gathers a node's files, and what it leaves out.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::common::{json, nodelith, root, run, scratch};

/// The script, run in a root of its own with this machine's shell and tools.
#[test]
fn what_it_gathers_has_no_secrets() {
    if !root("gathering a node's files") {
        return;
    }
    let folder = tempfile::tempdir_in(scratch()).unwrap();
    let script = folder.path().join("collect.sh");
    fs::write(&script, run(nodelith().args(["import", "--collect"]))).unwrap();
    run(Command::new("sh").arg("-n").arg(&script));
    // The node's files lie over this machine's, for this script alone.
    let node = fs::canonicalize("tests/import/fixtures/docker-1.20").unwrap();
    let archive = folder.path().join("node.tar");
    programs(&folder.path().join("bin"), &node);
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-euc", PLACE, "sh"])
        .arg(&node)
        .arg(&script)
        .arg(&archive)
        .arg(folder.path())
        .env("PATH", paths(&folder.path().join("bin")));
    run(&mut command);
    let listed = run(Command::new("tar").arg("-tf").arg(&archive));
    let listed = String::from_utf8(listed).unwrap();
    assert!(listed.contains("etc/docker/daemon.json"), "{listed}");
    assert!(listed.contains("registry.local:5000/ca.crt"), "{listed}");
    assert!(!listed.contains("client.key"), "{listed}");
    let all = run(Command::new("tar").arg("-xOf").arg(&archive));
    let all = String::from_utf8_lossy(&all);
    assert!(!all.contains("hunter2") && !all.contains("PRIVATE KEY"));
    // Only what is a secret is blanked out.
    for kept in [
        "\"K3S_TOKEN=REMOVED\" 'AGENT_PASSWORD=REMOVED'",
        "password: REMOVED, 'token': 'REMOVED'",
        "HTTP_PROXY=REMOVED@proxy.example:3128",
        "--password='REMOVED' --token-file=/etc/agent/token --authentication-token-webhook=true",
        "\nauthentication:\n",
        // A flag and its value apart, in one line and over several.
        "--token REMOVED --basic-auth 'REMOVED' --secret \\\n    REMOVED --token-file /etc/agent/token",
        "DD_API_KEY=REMOVED DB_PASS=REMOVED",
        "--api-key REMOVED --tls-private-key-file=/etc/agent/key",
        "'HEADERS=Authorization: REMOVED' ",
        "MORE=Authorization = [\\\"REMOVED",
        "\"site.example/agent-password\": \"REMOVED\"",
    ] {
        assert!(all.contains(kept), "{kept}\n{all}");
    }

    let mut import = nodelith();
    import.arg("import").arg(&archive);
    import.args(["--kubernetes", "1.20", "--output"]);
    import.arg(folder.path().join("node.toml"));
    let document = json(&mut import);
    assert!(document["carried"].as_u64().unwrap() > 20, "{document:#}");
    let text = document.to_string();
    for whose in [
        "image nginx:1.21",
        "node label rack",
        "limits * hard nofile",
        "network 10-calico.conflist",
    ] {
        assert!(text.contains(whose), "{whose}\n{document:#}");
    }
}

/// Stand-ins for the node's own programs, which say what the fixture has.
fn programs(folder: &Path, node: &Path) {
    fs::create_dir_all(folder).unwrap();
    for (name, command, said) in [
        ("docker", "images", "docker-images.json"),
        ("kubectl", "--kubeconfig", "node.json"),
    ] {
        let said = node.join("nodelith").join(said);
        let script = format!(
            "#!/bin/sh\n[ \"$1\" != {command} ] || cat '{}'\n",
            said.display()
        );
        let path = folder.join(name);
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

fn paths(first: &Path) -> OsString {
    let mut paths = first.as_os_str().to_owned();
    paths.push(":");
    paths.push(std::env::var_os("PATH").unwrap());
    paths
}

/// Lays the node's /etc and /var/lib/kubelet over this machine's.
const PLACE: &str = r#"
for place in etc var/lib; do
    mkdir -p "$4/$place/upper" "$4/$place/work"
    cp -a "$1/$place/." "$4/$place/upper/"
    mount -t tmpfs none "$4/$place/work"
    mkdir -p "$4/$place/work/upper" "$4/$place/work/work"
    cp -a "$4/$place/upper/." "$4/$place/work/upper/"
    mount -t overlay -o "lowerdir=/$place,upperdir=$4/$place/work/upper,workdir=$4/$place/work/work" none "/$place"
done
mkdir -p /etc/kubernetes
: >/etc/kubernetes/kubelet.conf
sh "$2" "$3"
"#;
