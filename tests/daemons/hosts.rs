//! Files of the root that every pod is given a copy of.

use crate::common::containerd::{PAUSE, Suite};
use crate::common::{all, root, run};
use crate::node::node;

/// No containerd runs a pod where there is no /etc/hosts.
#[test]
fn no_pod_without_a_hosts_file() {
    if !root("containerd runs as root") {
        return;
    }
    for suite in [Suite::Forky, Suite::Trixie, Suite::Bookworm] {
        let what = format!("a node without /etc/hosts on {}", suite.name());
        if suite != Suite::Forky && !all(&what) {
            continue;
        }
        let bad = node(&format!(
            "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\"]\nsandbox_image = \"{PAUSE}\"\n\
             restrict_oom_score_adj = true\n"
        ));
        bad.is_told(suite, "ND-NODE-017");
        let running = bad.runs(suite);
        running.pause();
        run(running.0.inside("rm").arg("/etc/hosts"));
        let said = running.runs_no_pod();
        assert!(said.contains("open /etc/hosts: no such file"), "{said}");

        let fixed = bad.file("etc/hosts", "127.0.0.1\tlocalhost\n");
        fixed.passes(suite, "ND-NODE-017");
        run(running.0.inside("touch").arg("/etc/hosts"));
        running.runs_a_pod();
    }
}
