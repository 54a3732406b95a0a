//! Images that the node carries: the unit and the script that import them, and
//! what is said where there is nothing to import or nobody to do it.

use insta::assert_snapshot;

use super::{configured, refused, shown};
use crate::digest::Digest;
use crate::error::Result;
use crate::node::{Archive, LocalFiles, OnDisk, imported};
use crate::profile::value::LocalFile;
use crate::tree::Content;

/// Local files on disk, and for every image an archive.
pub(super) struct WithArchives;

impl LocalFiles for WithArchives {
    fn content(&self, file: &LocalFile) -> Result<(u64, Content)> {
        OnDisk.content(file)
    }

    fn read(&self, file: &LocalFile) -> Result<Vec<u8>> {
        OnDisk.read(file)
    }

    fn archive(&self, reference: &str) -> Result<Archive> {
        let digest = Digest::of(reference.as_bytes());
        Ok(Archive {
            size: 7,
            content: Content::Blob(digest),
            manifest: digest,
            stand_in: Some("catatonit".into()),
        })
    }
}

const PRELOAD: &str = "[containerd]\nsource = \"package\"\n[pause]\npreload = true\n";
const CATATONIT: (&str, &str) = ("usr/bin/catatonit", "x");
const SYSTEMD: (&str, &str) = ("usr/lib/systemd/systemd", "x");

/// What is made for images alone.
fn made(rest: &str, containerd: &str, more: &[(&str, &str)]) -> String {
    let mut paths = vec![("package:containerd", containerd), CATATONIT];
    paths.extend(more);
    let mut made = configured(rest, &paths).unwrap_or_else(|error| panic!("{error}"));
    made.entries.retain(|path, _| {
        let path = path.to_string();
        path.contains("images") || path.contains("nodelith/") || path.contains("preset")
    });
    let mut text = shown(&made);
    for (path, entry) in &made.entries {
        if &*entry.component != "configuration" {
            text += &format!("{path} is of {}\n", entry.component);
        }
    }
    for (name, value) in &made.settings {
        if name.contains("pause") || name.contains("sandbox") || name.starts_with("unit") {
            text += &format!("{name} = {value}\n");
        }
    }
    for warning in &made.warnings {
        text += &format!("warning: {warning}\n");
    }
    text
}

#[test]
fn a_pause_image_is_imported_and_pinned() {
    assert_snapshot!(made(PRELOAD, "1.7.24~ds1", &[SYSTEMD]));
}

#[test]
fn each_containerd_imports_its_own_way() {
    let command = |containerd, rest: &str| {
        let made = made(&format!("{PRELOAD}{rest}"), containerd, &[SYSTEMD]);
        let mut lines = made.lines().filter(|line| line.contains("images import"));
        lines.next().unwrap().trim().to_owned()
    };
    let plain = "cat -- \"$@\" \"$archive\" | images import --snapshotter overlayfs";
    assert_eq!(command("1.6.20~ds1", ""), format!("{plain} -"));
    assert_eq!(command("2.1.9", ""), format!("{plain} --local -"));
    let other = PRELOAD.replace("[pause]", "snapshotter = \"native\"\n[pause]");
    let other = made(&other, "2.3.4", &[SYSTEMD]);
    assert!(
        other.contains("import --snapshotter native --local"),
        "{other}"
    );
}

#[test]
fn any_full_reference_is_kept_word_for_word() {
    for reference in ["localhost:5000/Pause_3.9", "r.example/a/b/pause:V1-x"] {
        let reference = reference.replace("Pause_", "pause:");
        let rest = PRELOAD.replace("[pause]", &format!("[pause]\nimage = \"{reference}\""));
        let made = made(&rest, "1.7.24", &[SYSTEMD]);
        let wanted = format!(" {reference} {}", Digest::of(reference.as_bytes()));
        assert!(made.contains(&wanted), "{made}");
    }
    // What the Kubernetes minor expects, though containerd's own is another.
    let rest = format!("[kubernetes]\nversion = \"1.20\"\n{PRELOAD}");
    let made = made(&rest, "1.6.20~ds1", &[SYSTEMD]);
    assert!(
        made.contains(" registry.k8s.io/pause:3.2 sha256:"),
        "{made}"
    );
}

#[test]
fn a_profile_may_keep_the_unit_from_starting() {
    let rest = format!("{PRELOAD}[units]\ndisable = [\"nodelith-images.service\"]\n");
    let disabled = made(&rest, "1.7.24", &[SYSTEMD]);
    assert!(!disabled.contains(".service -> "), "{disabled}");
    assert!(disabled.contains("unit nodelith-images.service = disabled"));
}

#[test]
fn without_systemd_nobody_imports() {
    assert_snapshot!(made(PRELOAD, "1.7.24~ds1", &[]), @r#"
        usr/lib/systemd/system-preset/00-nodelith.preset 0644 0:0
          # What is enabled in this image stays so, and nothing else becomes so.
          disable *
        usr/share/nodelith/images/pause.tar 0644 0:0 7 bytes on disk
        usr/share/nodelith/images/pause.tar is of image:pause
        containerd.sandbox-image = registry.k8s.io/pause:3.8
        pause.preload = sha256:68feee62cc395c29a80f2e5691a3843abab554d9b9502cc74af9202d66479b1f, made from catatonit
        warning: nothing imports the images that the node carries: it has no systemd
        "#);
}

#[test]
fn nothing_is_made_unless_it_is_asked_for() {
    let containerd = "[containerd]\nsource = \"package\"\n";
    for rest in ["", "[pause]\npreload = false\n"] {
        let rest = format!("{containerd}{rest}");
        assert!(!made(&rest, "1.7.24", &[SYSTEMD]).contains("images"));
    }
}

#[test]
fn preloads_that_cannot_be() {
    let containerd = ("package:containerd", "1.7.24");
    assert_snapshot!(refused(PRELOAD, &[containerd]), @r#"
        the pause image is made from catatonit, and the packages have no `/usr/bin/catatonit`
        9:11: true
        hint: add `catatonit` to `packages` in `[debian]`, or set `preload = false`
        hint: or take it from its registry: name `registry.k8s.io/pause:3.8` in `[[images]]`
        "#);
    assert_snapshot!(refused("[pause]\npreload = true\n", &[CATATONIT]), @r#"
        there is nothing to preload the pause image into: containerd is not in the node
        7:11: true
        hint: set `source = "package"` in `[containerd]`, or take `preload` out
        "#);
    let digest = "0".repeat(64);
    let image = format!("[pause]\nimage = \"r.example/pause:3.10@sha256:{digest}\"");
    let rest = PRELOAD.replace("[pause]", &image);
    assert_snapshot!(refused(&rest, &[containerd, CATATONIT]), @r#"
        no image that is made here can have the digest of `r.example/pause:3.10@sha256:0000000000000000000000000000000000000000000000000000000000000000`
        9:9: "r.example/pause:3.10@sha256:0000000000000000000000000000000000000000000000000000000000000000"
        hint: name the image in `[[images]]` too, take the digest out, or set `preload = false`
        "#);
    let rest = format!(
        "{PRELOAD}[[files]]\npath = \"/usr/share/nodelith/images/pause.tar\"\ntext = \"x\"\n"
    );
    assert_snapshot!(refused(&rest, &[containerd, CATATONIT]), @r#"
        `/usr/share/nodelith/images/pause.tar` is made from other settings of the profile
        11:8: "/usr/share/nodelith/images/pause.tar"
        hint: take the file out, or the settings that it comes from
        "#);
}

/// What containerd is told and what is imported for it cannot come apart.
#[test]
fn the_sandbox_image_has_one_setting() {
    let extra =
        "[containerd.extra.plugins.\"io.containerd.grpc.v1.cri\"]\nsandbox_image = \"a.b/c:d\"\n";
    let packages = [("package:containerd", "1.7.24")];
    let rest = format!("[containerd]\nsource = \"package\"\n{extra}");
    assert_snapshot!(refused(&rest, &packages), @r#"
        `sandbox_image` cannot be set in `extra`: other parts of the node follow it
        9:1: sandbox_image
        hint: set `image` in `[pause]`
        "#);
    let extra =
        "[containerd.extra.plugins.\"io.containerd.cri.v1.images\"]\nsnapshotter = \"native\"\n";
    let packages = [("package:containerd", "2.1.9")];
    let rest = format!("[containerd]\nsource = \"package\"\n{extra}");
    assert_snapshot!(refused(&rest, &packages), @r#"
        `snapshotter` cannot be set in `extra`: other parts of the node follow it
        9:1: snapshotter
        hint: set `snapshotter` in `[containerd]`
        "#);
    // The same again says nothing else.
    let same = extra.replace("native", "overlayfs");
    let rest = format!("[containerd]\nsource = \"package\"\n{same}");
    configured(&rest, &packages).unwrap();
}

#[test]
fn a_digest_leaves_no_tag() {
    for (reference, name) in [
        ("r:5/app:1", "r:5/app:1"),
        ("r:5/app:1@sha256:00", "r:5/app@sha256:00"),
        ("r:5/app@sha256:00", "r:5/app@sha256:00"),
    ] {
        assert_eq!(imported(reference), name);
    }
}
