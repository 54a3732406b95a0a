//! Images that a node carries, and what imports them.

use super::scene::{Scene, root};

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const ARCHIVE: &str = "usr/share/nodelith/images/app.tar";
const PART: &str = "usr/share/nodelith/images/shared.0123.part";
const UNIT: &str = "usr/lib/systemd/system/nodelith-images.service";

/// A node whose unit imports the application under these names.
fn node(references: &str) -> Scene {
    let command =
        format!("/usr/lib/nodelith/preload-image /{ARCHIVE} {references} {DIGEST} /{PART}");
    root()
        .file(UNIT, &format!("[Service]\nExecStart={command}\n"))
        .file(PART, "")
}

fn enabled(scene: Scene) -> Scene {
    let link = "etc/systemd/system/multi-user.target.wants/nodelith-images.service";
    scene.link(link, &format!("/{UNIT}"))
}

#[test]
fn the_archive_must_hold_what_is_imported() {
    let id = "ND-IMG-001";
    let both = "r.example/app:1,r.example/other:1";
    let names = [("r.example/app:1", DIGEST), ("r.example/other:1", DIGEST)];
    let right = node(both).archive(ARCHIVE, &names);
    assert!(!right.finds(id), "{}", right.told());
    // Word for word.
    let other = node("docker.io/library/app:1").archive(ARCHIVE, &[("app/app:1", DIGEST)]);
    assert!(
        other
            .told()
            .contains("has no image `docker.io/library/app:1`"),
        "{}",
        other.told()
    );
    assert!(node(both).archive(ARCHIVE, &names[..1]).finds(id));
    let old = format!("sha256:{}", "0".repeat(64));
    let digest = node("r.example/app:1").archive(ARCHIVE, &[("r.example/app:1", &old)]);
    assert!(
        digest.told().contains(&format!("{DIGEST} is wanted")),
        "{}",
        digest.told()
    );
    let nothing = node(both);
    assert!(
        nothing
            .told()
            .contains(&format!("there is no `/{ARCHIVE}`")),
        "{}",
        nothing.told()
    );
}

#[test]
fn somebody_must_import() {
    let id = "ND-IMG-002";
    let names = [("r.example/app:1", DIGEST)];
    let node = || node("r.example/app:1").archive(ARCHIVE, &names);
    assert!(node().finds(id));
    let right = enabled(node());
    assert!(!right.finds(id), "{}", right.told());
    let more = enabled(node()).archive("usr/share/nodelith/images/more.tar", &[]);
    assert!(more.finds(id));
    let masked = enabled(node()).link("etc/systemd/system/nodelith-images.service", "/dev/null");
    assert!(masked.finds(id));
}

#[test]
fn the_sandbox_image_is_found_as_containerd_finds_it() {
    let id = "ND-SBX-004";
    let sandbox = |image: &str, preloaded: &str| {
        let config = format!(
            "version = 3\n[plugins.\"io.containerd.cri.v1.images\"]\npinned_images.sandbox = \"{image}\"\n"
        );
        let scene = root().containerd("2.2.1").config(&config);
        scene.archive(ARCHIVE, &[(preloaded, DIGEST)]).finds(id)
    };
    assert!(!sandbox("r.example/pause:3.10", "r.example/pause:3.10"));
    assert!(sandbox("r.example/pause:3.10", "r.example/pause:3.9"));
    assert!(sandbox("docker.io/library/pause:1", "docker.io/pause:1"));
    let both = format!("r.example/pause:3.10@{DIGEST}");
    assert!(!sandbox(&both, &format!("r.example/pause@{DIGEST}")));
}
