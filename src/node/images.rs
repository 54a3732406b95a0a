//! Images that the node carries: into containerd and pinned there, before kubelet
//! starts, at every boot.
//!
//! Each is an OCI archive of its own below [`FOLDER`], in a layer of its own. One
//! unit has a small script see to each: whatever containerd keeps of an earlier boot
//! or of an earlier image of this node, afterwards the reference leads to just the
//! manifest that this image carries, complete, and pinned against kubelet's garbage
//! collection. What is so already is left alone, so a boot costs one question.

use super::components::Components;
use super::containerd::{sandbox_image, snapshotter};
use super::draft::{Access, Draft};
use super::{Archive, pairs};
use crate::error::Result;

/// Where the archives are.
const FOLDER: &str = "usr/share/nodelith/images";
const SCRIPT: &str = "usr/lib/nodelith/preload-image";
const UNIT: &str = "nodelith-images.service";
/// The unit comes with the boot, and again with a kubelet that is started after it failed.
const WANTED_BY: [&str; 2] = ["kubelet.service", "multi-user.target"];

/// What the pause image is made from where no registry is at hand.
pub(super) const CATATONIT: &str = "usr/bin/catatonit";

const PRELOAD: [&str; 2] = ["pause", "preload"];

pub(super) fn configure(draft: &mut Draft<'_>, components: &Components) -> Result<()> {
    if draft.profile.pause.preload != Some(true) {
        return Ok(());
    }
    let Some(version) = components.containerd else {
        let message =
            "there is nothing to preload the pause image into: containerd is not in the node";
        return Err(draft
            .refuse(message, &PRELOAD, "")
            .hint("set `source = \"package\"` in `[containerd]`, or take `preload` out"));
    };
    let row = pairs::line(draft, version)?;
    let reference = sandbox_image(draft, components, row)?;
    let archive = pause(draft, &reference)?;
    let said = match &archive.stand_in {
        Some(from) => format!("{}, made from {from}", archive.manifest),
        None => archive.manifest.to_string(),
    };
    draft.set("pause.preload", said);
    let importing = Importing {
        arguments: &row.ctr_import,
        snapshotter: snapshotter(draft),
    };
    carry(draft, &importing, &[("pause", &reference, archive)]);
    Ok(())
}

fn pause(draft: &Draft<'_>, reference: &str) -> Result<Archive> {
    if reference.contains('@') {
        let message = format!("no image that is made here can have the digest of `{reference}`");
        return Err(draft
            .refuse(message, &["pause", "image"], reference)
            .hint("take the digest out, or set `preload = false`"));
    }
    if draft.facts.node(CATATONIT).is_none() {
        let message = format!(
            "the pause image is made from catatonit, and the packages have no `/{CATATONIT}`"
        );
        return Err(draft
            .refuse(message, &PRELOAD, "")
            .hint("add `catatonit` to `packages` in `[debian]`, or set `preload = false`"));
    }
    draft
        .local
        .archive(reference)
        .map_err(|error| draft.locate(error, &PRELOAD, ""))
}

/// How this node's containerd imports.
struct Importing<'a> {
    arguments: &'a [String],
    snapshotter: &'a str,
}

/// Puts archives into the node, each under a short name, and the unit that imports them.
fn carry(draft: &mut Draft<'_>, importing: &Importing<'_>, images: &[(&str, &str, Archive)]) {
    let mut commands = String::new();
    for (name, reference, archive) in images {
        let path = format!("{FOLDER}/{name}.tar");
        let component = format!("image:{name}");
        draft.part(&component, &path, archive.size, archive.content.clone());
        commands += &format!(
            "ExecStart=/{SCRIPT} /{path} {reference} {}\n",
            archive.manifest
        );
    }
    // Without systemd there is no one to start it.
    if draft.facts.node("usr/lib/systemd/systemd").is_none() {
        draft.warn("nothing imports the images that the node carries: it has no systemd");
        return;
    }
    draft.bytes(SCRIPT, script(importing).as_bytes(), Access::root(0o755));
    let wanted_by = WANTED_BY.join(" ");
    let unit = format!("{START}{commands}\n[Install]\nWantedBy={wanted_by}\n");
    let path = format!("usr/lib/systemd/system/{UNIT}");
    draft.text(&path, &unit);
    for wanting in WANTED_BY {
        let link = format!("etc/systemd/system/{wanting}.wants/{UNIT}");
        draft.link(&link, &format!("/{path}"));
    }
}

/// kubelet waits for it, but starts whatever came of it: a node that reports to its
/// cluster can be helped, and containerd may still pull what is missing.
const START: &str = "\
[Unit]
Description=Import of the container images that the node carries
Requires=containerd.service
After=containerd.service
Before=kubelet.service

[Service]
Type=oneshot
RemainAfterExit=yes
TimeoutStartSec=15min
";

/// The pin comes last: it says that all before it is done.
fn script(importing: &Importing<'_>) -> String {
    let mut import = format!("import --snapshotter {}", importing.snapshotter);
    for argument in importing.arguments {
        import += &format!(" {argument}");
    }
    format!(
        r#"#!/bin/sh
# Made by Nodelith. Has containerd keep one image of an archive, whole and pinned.
# Usage: preload-image ARCHIVE REFERENCE DIGEST
set -eu

images() {{
    ctr --namespace k8s.io images "$@"
}}

# Prints the reference if all of the image is there as it should be.
kept() {{
    images check --quiet "name==\"$1\",target.digest==\"$2\",labels.\"io.cri-containerd.pinned\"==\"pinned\""
}}

if [ "$(kept "$2" "$3")" = "$2" ]; then
    exit 0
fi
images {import} "$1"
images label "$2" io.cri-containerd.pinned=pinned
if [ "$(kept "$2" "$3")" != "$2" ]; then
    echo "$1 does not hold $2 as $3" >&2
    exit 1
fi
"#
    )
}
