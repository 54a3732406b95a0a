//! Traps of config.toml itself: its version, and the names of its tables.

use super::super::common::containerd::{PAUSE, Suite};
use super::super::node::node;

const CRI: &str = "[plugins.\"io.containerd.grpc.v1.cri\"]\n";
const IMAGES: &str = "[plugins.\"io.containerd.cri.v1.images\"]\n";
/// Without which no pod runs in a container that is not all-powerful.
const HERE: &str = "restrict_oom_score_adj = true\n";

/// T6: 2.0 to 2.2 lose what a file without a version says of CRI.
pub fn version_1(suite: Suite) {
    let settings = format!("sandbox_image = \"{PAUSE}\"\n{HERE}");
    let old = node(&format!("[plugins.cri]\n{settings}"));
    let fixed = node(&format!("version = 2\n{CRI}{settings}"));
    let running = old.runs(suite);
    running.pause();
    if suite == Suite::Forky {
        old.is_told(suite, "ND-CRI-006");
        let said = running.runs_no_pod();
        assert!(
            said.contains("sandbox image \\\"registry.k8s.io/pause:3.10\\\""),
            "{said}"
        );
        let log = running.0.log();
        assert!(
            log.contains("Ignoring unknown key") && log.contains("key=sandbox_image"),
            "{log}"
        );
    } else {
        old.passes(suite, "ND-CRI-006");
        running.runs_a_pod();
    }
    fixed.passes(suite, "ND-CRI-006");
    let running = fixed.runs(suite);
    running.pause();
    running.runs_a_pod();
}

/// T7: what stands in the table of the streaming server's plug-in is not CRI's.
pub fn streaming_table(suite: Suite) {
    let bad = node(&format!("version = 3\n{CRI}sandbox_image = \"{PAUSE}\"\n"));
    bad.is_told(suite, "ND-CRI-007");
    let running = bad.runs(suite);
    running.pause();
    let said = running.runs_no_pod();
    assert!(
        said.contains("sandbox image \\\"registry.k8s.io/pause:3.10\\\""),
        "{said}"
    );
    let log = running.0.log();
    assert!(
        log.contains("Ignoring unknown key") && log.contains("key=sandbox_image"),
        "{log}"
    );

    let fixed = node(&format!(
        "version = 3\n{IMAGES}pinned_images.sandbox = \"{PAUSE}\"\n\
         {CRI}stream_server_port = \"10010\"\n[plugins.\"io.containerd.cri.v1.runtime\"]\n{HERE}"
    ));
    fixed.passes(suite, "ND-CRI-007");
    let running = fixed.runs(suite);
    running.pause();
    running.runs_a_pod();
    assert!(!running.0.log().contains("Ignoring unknown key"));
}

/// T8: containerd 1.x passes over the tables of version 3 in silence.
pub fn newer_tables(suite: Suite) {
    let bad = node(&format!("version = 2\n{IMAGES}snapshotter = \"native\"\n"));
    bad.is_told(suite, "ND-CRI-005");
    let running = bad.runs(suite);
    assert_eq!(running.config()["containerd"]["snapshotter"], "overlayfs");
    assert!(
        !running.0.log().contains("cri.v1.images"),
        "{}",
        running.0.log()
    );

    let fixed = node(&format!(
        "version = 2\n{CRI}containerd.snapshotter = \"native\"\n"
    ));
    fixed.passes(suite, "ND-CRI-005");
    assert_eq!(
        fixed.runs(suite).config()["containerd"]["snapshotter"],
        "native"
    );
}

/// T9: a version too high is refused since 1.6.32 and 1.7.17, and passed over before.
pub fn version_3(suite: Suite) {
    let bad = node(&format!("version = 3\n{IMAGES}snapshotter = \"native\"\n"));
    bad.is_told(suite, "ND-CRI-002");
    if suite == Suite::Trixie {
        let log = bad.fails(suite);
        assert!(log.contains("unsupported config version `3`"), "{log}");
    } else {
        let config = bad.runs(suite).config();
        assert_eq!(config["containerd"]["snapshotter"], "overlayfs");
    }
    let fixed = node("version = 2\n");
    fixed.passes(suite, "ND-CRI-002").runs(suite).config();
}

/// T10: and so is version 4 before 2.3.
pub fn version_4(suite: Suite) {
    let bad = node("version = 4\n");
    let log = bad.is_told(suite, "ND-CRI-002").fails(suite);
    assert!(log.contains("equal to or less than `3`, got `4`"), "{log}");
    let fixed = node("version = 3\n");
    fixed.passes(suite, "ND-CRI-002").runs(suite).config();
}

/// T11: a short name of a plug-in in a file with a version.
pub fn short_names(suite: Suite) {
    let bad = node("version = 2\ndisabled_plugins = [\"aufs\"]\n");
    let log = bad.is_told(suite, "ND-CRI-004").fails(suite);
    assert!(
        log.contains("invalid disabled plugin URI \"aufs\""),
        "{log}"
    );
    for fixed in [
        "disabled_plugins = [\"aufs\"]\n",
        "version = 2\ndisabled_plugins = [\"io.containerd.snapshotter.v1.aufs\"]\n",
    ] {
        let fixed = node(fixed);
        fixed.passes(suite, "ND-CRI-004").runs(suite).config();
    }
}

/// T12: CRI turned off, by Docker's package and by hand.
pub fn disabled(suite: Suite) {
    let mut files = vec![
        "disabled_plugins = [\"cri\"]\n",
        "version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n",
    ];
    if suite == Suite::Forky {
        files.extend([
            "version = 3\ndisabled_plugins = [\"io.containerd.cri.v1.images\"]\n",
            "version = 3\ndisabled_plugins = [\"io.containerd.cri.v1.runtime\"]\n",
        ]);
    }
    for file in files {
        let bad = node(file);
        let running = bad.is_told(suite, "ND-CRI-001").runs(suite);
        let said = running.refuses(&["version"]);
        assert!(said.contains("code = Unimplemented"), "{file}{said}");
        // Where it is required, it does not go unnoticed.
        let required = "required_plugins = [\"io.containerd.grpc.v1.cri\"]\n";
        if file.starts_with("version") {
            let log = node(&format!("{file}{required}")).fails(suite);
            assert!(log.contains("io.containerd.grpc.v1.cri"), "{log}");
        }
    }
    let fixed = node("version = 2\ndisabled_plugins = []\n");
    let running = fixed.passes(suite, "ND-CRI-001").runs(suite);
    assert!(
        running
            .says(&["version"])
            .contains("RuntimeApiVersion:  v1\n")
    );
}
