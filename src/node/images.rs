//! Images that the node carries: into containerd and pinned there, before kubelet
//! starts, at every boot.
//!
//! Each is an OCI archive of its own below [`FOLDER`], in a layer of its own; blobs that
//! several have stand in parts beside them, once, and before each archive on its way
//! into containerd. One unit has a small script see to each reference: whatever
//! containerd keeps of an earlier boot or of an earlier image of this node, afterwards
//! the reference leads to just the digest that this image carries, complete, and pinned
//! against kubelet's garbage collection. What is so already is left alone, so a boot
//! costs one question for each.

use super::components::Components;
use super::containerd::{sandbox_image, snapshotter};
use super::draft::{Access, Draft};
use super::{Archive, Carried, pairs};
use crate::error::{Error, Result};

/// Where the archives are.
const FOLDER: &str = "usr/share/nodelith/images";
const SCRIPT: &str = "usr/lib/nodelith/preload-image";
const UNIT: &str = "nodelith-images.service";
/// The unit comes with the boot, and again with a kubelet that is started after it failed.
const WANTED_BY: [&str; 2] = ["kubelet.service", "multi-user.target"];

/// What the pause image is made from where no registry is at hand.
pub(super) const CATATONIT: &str = "usr/bin/catatonit";

const PRELOAD: [&str; 2] = ["pause", "preload"];
/// The short name of the pause image that is made from the root.
const STAND_IN: &str = "pause";

pub(super) fn configure(draft: &mut Draft<'_>, components: &Components) -> Result<()> {
    let mut images = draft.local.images();
    let preload = draft.profile.pause.preload == Some(true);
    if !preload && images.is_empty() {
        return Ok(());
    }
    let Some(version) = components.containerd else {
        return Err(nowhere_to(draft, preload));
    };
    let row = pairs::line(draft, version)?;
    let sandbox = sandbox_image(draft, components, row)?;
    for image in &images {
        for reference in &image.references {
            let digest = image.archive.manifest.to_string();
            draft.set(format!("image {reference}"), digest);
        }
    }
    // Without it no pod starts: it comes first.
    let name = imported(&sandbox);
    let is_sandbox = |image: &Carried| image.references.contains(&name);
    images.sort_by_key(|image| !is_sandbox(image));
    if preload {
        match images.first().filter(|image| is_sandbox(image)) {
            Some(image) => draft.set("pause.preload", image.archive.manifest.to_string()),
            None => images.insert(0, stand_in(draft, &sandbox, &images)?),
        }
    }
    let importing = Importing {
        arguments: &row.ctr_import,
        snapshotter: snapshotter(draft),
    };
    carry(draft, &importing, images);
    Ok(())
}

fn nowhere_to(draft: &Draft<'_>, preload: bool) -> Error {
    let (message, keys, out) = match preload {
        true => (
            "there is nothing to preload the pause image into: containerd is not in the node",
            &PRELOAD,
            "take `preload` out",
        ),
        false => (
            "there is nothing to import images into: containerd is not in the node",
            &["images", "reference"],
            "take the images out",
        ),
    };
    draft.refuse(message, keys, "").hint(format!(
        "set `source = \"package\"` in `[containerd]`, or {out}"
    ))
}

/// The pause image that is made from the root, where the profile names none.
fn stand_in(draft: &mut Draft<'_>, reference: &str, others: &[Carried]) -> Result<Carried> {
    let archive = pause(draft, reference)?;
    let said = match &archive.stand_in {
        Some(from) => {
            draft.stand_in(from);
            format!("{}, made from {from}", archive.manifest)
        }
        None => archive.manifest.to_string(),
    };
    draft.set("pause.preload", said);
    let taken = others.iter().any(|other| other.name == STAND_IN);
    let name = if taken { "pause-made" } else { STAND_IN };
    Ok(Carried {
        name: name.to_owned(),
        component: format!("image:{name}"),
        references: vec![reference.to_owned()],
        archive,
        shared: Vec::new(),
    })
}

fn pause(draft: &Draft<'_>, reference: &str) -> Result<Archive> {
    if reference.contains('@') {
        let message = format!("no image that is made here can have the digest of `{reference}`");
        return Err(draft.refuse(message, &["pause", "image"], reference).hint(
            "name the image in `[[images]]` too, take the digest out, or set `preload = false`",
        ));
    }
    if draft.facts.node(CATATONIT).is_none() {
        let over_base = draft.profile.base_image.is_some();
        let (what, hint) = match over_base {
            true => (
                "base has",
                "choose a base that has it, or set `preload = false`",
            ),
            false => (
                "packages have",
                "add `catatonit` to `packages` in `[debian]`, or set `preload = false`",
            ),
        };
        let message =
            format!("the pause image is made from catatonit, and the {what} no `/{CATATONIT}`");
        return Err(draft.refuse(message, &PRELOAD, "").hint(hint).hint(format!(
            "or take it from its registry: name `{reference}` in `[[images]]`"
        )));
    }
    draft
        .local
        .archive(reference)
        .map_err(|error| draft.locate(error, &PRELOAD, ""))
}

/// The name under which containerd's CRI plugin looks for a reference: that of a digest
/// has no tag (`distribution/reference.ParseDockerRef`); all else is word for word.
#[must_use]
pub fn imported(reference: &str) -> String {
    match reference.split_once('@') {
        Some((name, digest)) => format!("{}@{digest}", untagged(name)),
        None => reference.to_owned(),
    }
}

/// A name without its tag.
#[must_use]
pub fn untagged(name: &str) -> &str {
    match name.rsplit_once(':') {
        Some((rest, tag)) if !tag.contains('/') => rest,
        _ => name,
    }
}

/// How this node's containerd imports.
struct Importing<'a> {
    arguments: &'a [String],
    snapshotter: &'a str,
}

/// Puts archives into the node, and the unit that imports them.
fn carry(draft: &mut Draft<'_>, importing: &Importing<'_>, images: Vec<Carried>) {
    let mut commands = String::new();
    for image in images {
        let path = format!("{FOLDER}/{}.tar", image.name);
        let Archive { size, content, .. } = image.archive;
        draft.part(&image.component, &path, size, content);
        let mut shared = String::new();
        for part in image.shared {
            let path = format!("{FOLDER}/shared.{}.part", part.name);
            shared += &format!(" /{path}");
            draft.part(&part.component, &path, part.size, part.content);
        }
        // A comma is in no reference.
        let references = image.references.join(",");
        let digest = image.archive.manifest;
        commands += &format!("ExecStart=/{SCRIPT} /{path} {references} {digest}{shared}\n");
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
# Usage: preload-image ARCHIVE REFERENCE[,REFERENCE...] DIGEST [PART...]
# Parts have the blobs that the archive shares with others, and come before it.
set -eu
archive=$1 references=$(echo "$2" | tr , ' ') digest=$3
shift 3

images() {{
    ctr --namespace k8s.io images "$@"
}}

# Whether every reference leads to the whole image, and is pinned.
kept() {{
    for reference in $references; do
        condition="name==\"$reference\",target.digest==\"$digest\""
        condition="$condition,labels.\"io.cri-containerd.pinned\"==\"pinned\""
        [ "$(images check --quiet "$condition")" = "$reference" ] || return 1
    done
}}

if kept; then
    exit 0
fi
cat -- "$@" "$archive" | images {import} -
for reference in $references; do
    images label "$reference" io.cri-containerd.pinned=pinned
done
if ! kept; then
    echo "$archive does not hold $references as $digest" >&2
    exit 1
fi
"#
    )
}
