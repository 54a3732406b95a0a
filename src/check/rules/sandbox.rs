//! The sandbox (pause) image: the first that every pod needs.

use super::Rule;
use crate::check::document::Node;
use crate::check::facts::Facts;
use crate::check::rule::{Found, Severity};
use crate::compat::{containerd, kubernetes};
use crate::node::imported;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "ND-SBX-001",
        severity: Severity::Error,
        title: "the sandbox image is no full reference",
        why: "containerd 2.3.0 to 2.3.3 look the sandbox image up by the very text that is \
              configured, so that one without registry or tag is never found, and the node never \
              becomes ready.",
        fix: "write it with registry, path and tag, like `registry.k8s.io/pause:3.10`",
        sources: &["trap T3", "awslabs/amazon-eks-ami#2730", "containerd#13759"],
        check: full,
    },
    Rule {
        id: "ND-SBX-008",
        severity: Severity::Warning,
        title: "containerd has to guess what the sandbox image is",
        why: "Where registry or tag are not said, it takes `docker.io` and `latest`: another image \
              than was meant, and one that changes.",
        fix: "write it with registry, path and tag, like `registry.k8s.io/pause:3.10`",
        sources: &["trap T3", "containerd#13759"],
        check: guessed,
    },
    Rule {
        id: "ND-SBX-002",
        severity: Severity::Error,
        title: "containerd 2.3.0 to 2.3.3 and a sandbox image with tag and digest",
        why: "They do not find an image of that form: no pod starts.",
        fix: "take the digest out, or use containerd 2.3.4",
        sources: &["trap T2", "containerd#13529, #13759"],
        check: digest,
    },
    Rule {
        id: "ND-SBX-003",
        severity: Severity::Warning,
        title: "the sandbox image is not the one that this Kubernetes release expects",
        why: "Pods run with another pause image too, but kubeadm pulls and preloads the one it \
              expects: the node then needs both, and one without a registry fails. The image \
              garbage collection of kubelet knows only what it was told.",
        fix: "set the sandbox image that `kubeadm config images list` names",
        sources: &["minikube: pkg/minikube/constants/constants_kubeadm_images.go"],
        check: expected,
    },
    Rule {
        id: "ND-SBX-004",
        severity: Severity::Error,
        title: "the sandbox image is not among the preloaded ones",
        why: "The image brings container images with it, so that a node needs no registry to begin; \
              without the sandbox image, under the very name that is configured, it still does.",
        fix: "preload it under that name, or configure a name that is preloaded",
        sources: &["containerd v2.3.4: internal/cri/server/podsandbox/sandbox_run.go"],
        check: preloaded,
    },
    Rule {
        id: "ND-SBX-005",
        severity: Severity::Warning,
        title: "kubelet may remove the sandbox image",
        why: "When the disk fills, kubelet removes images that no container uses. containerd tells \
              it that the sandbox image is pinned from 1.6.22 and 1.7.3 on; before that kubelet \
              keeps only the one named by `--pod-infra-container-image`.",
        fix: "give kubelet `--pod-infra-container-image` with the same image (up to 1.34), or use a newer containerd",
        sources: &[
            "containerd v1.6.22, v1.7.3: pinned label",
            "kubernetes: pkg/kubelet/images/image_gc_manager.go",
        ],
        check: pinned,
    },
    Rule {
        id: "ND-SBX-006",
        severity: Severity::Warning,
        title: "the sandbox image comes from a registry that is frozen",
        why: "k8s.gcr.io gets no images since April 2023 and redirects to registry.k8s.io, as long \
              as it exists; networks that let only known registries through may not follow.",
        fix: "write registry.k8s.io: the images are the same, by digest",
        sources: &["kubernetes.io/blog/2023/02/06/k8s-gcr-io-freeze-announcement"],
        check: frozen,
    },
    Rule {
        id: "ND-SBX-007",
        severity: Severity::Note,
        title: "the sandbox image is containerd's default",
        why: "containerd's own default seldom is the image that kubeadm expects, and changes with \
              every minor release of containerd.",
        fix: "set it",
        sources: &["containerd, every tag: cri config defaults"],
        check: default,
    },
];

/// The image that is in effect, and whether the configuration says it.
fn image(facts: &Facts<'_>) -> Option<String> {
    if let Some(node) = facts.containerd.one("sandbox-image") {
        return node.text().map(str::to_owned);
    }
    let version = facts.containerd.version?;
    let row = containerd::line(version)?.row;
    Some(row.sandbox_image(version).to_owned())
}

/// Whether a reference has registry and tag (or digest).
fn is_full(reference: &str) -> bool {
    let (name, digest) = match reference.split_once('@') {
        Some((name, _)) => (name, true),
        None => (reference, false),
    };
    let Some((registry, path)) = name.split_once('/') else {
        return false;
    };
    let is_registry = registry.contains(['.', ':']) || registry == "localhost";
    let tag = path
        .rsplit('/')
        .next()
        .is_some_and(|last| last.contains(':'));
    is_registry && (tag || digest)
}

/// The sandbox image, where it is no full reference.
fn short<'f>(facts: &'f Facts<'_>) -> Option<(&'f Node, &'f str)> {
    let node = facts.containerd.one("sandbox-image")?;
    let image = node.text().filter(|image| !is_full(image))?;
    Some((node, image))
}

fn full(facts: &Facts<'_>, found: &mut Found<'_>) {
    if let Some((node, image)) = short(facts)
        && facts.containerd.has("short-sandbox-image").is_some()
    {
        found.at_value(node, format!("`{image}` has no registry or no tag"));
    }
}

fn guessed(facts: &Facts<'_>, found: &mut Found<'_>) {
    if let Some((node, image)) = short(facts)
        && facts.containerd.has("short-sandbox-image").is_none()
    {
        found.at_value(node, format!("`{image}` has no registry or no tag"));
    }
}

fn digest(facts: &Facts<'_>, found: &mut Found<'_>) {
    if let Some(node) = facts.containerd.one("sandbox-image")
        && let Some(image) = node.text()
        && let Some((name, _)) = image.split_once('@')
        && let Some(fault) = facts.containerd.has("sandbox-image-with-digest")
        && name
            .rsplit('/')
            .next()
            .is_some_and(|last| last.contains(':'))
    {
        let fixed = fault
            .below
            .map(|fixed| format!("; {fixed} does"))
            .unwrap_or_default();
        found.at_value(
            node,
            format!("this containerd does not find `{image}`{fixed}"),
        );
    }
}

fn expected(facts: &Facts<'_>, found: &mut Found<'_>) {
    let Some(minor) = facts.minor().and_then(kubernetes::minor) else {
        return;
    };
    let wanted = minor.row.pause();
    let wanted_name = name_and_tag(&wanted);
    if let Some(node) = facts.containerd.one("sandbox-image")
        && let Some(image) = node.text()
        && name_and_tag(image).0 == wanted_name.0
        && name_and_tag(image) != wanted_name
        && !minor.newer
    {
        let minor = minor.row.minor;
        found.at_value(
            node,
            format!("`{image}`, and Kubernetes 1.{minor} expects {wanted}"),
        );
    }
}

/// Of `registry/path/pause:3.9@sha256:…` the words `pause` and `3.9`.
fn name_and_tag(reference: &str) -> (&str, &str) {
    let name = reference.split('@').next().unwrap_or_default();
    let last = name.rsplit('/').next().unwrap_or_default();
    last.split_once(':').unwrap_or((last, ""))
}

fn preloaded(facts: &Facts<'_>, found: &mut Found<'_>) {
    let images = &facts.subject.images;
    let Some(image) = image(facts) else { return };
    let plain = image.split('@').next().unwrap_or_default();
    // With a digest, containerd leaves the tag out.
    let short = imported(&image);
    let mut names = images.values().flatten().map(|image| &image.name);
    if images.is_empty() || names.any(|name| [&*image, plain, &short].contains(&&**name)) {
        return;
    }
    let list: Vec<_> = images
        .values()
        .flatten()
        .take(4)
        .map(|image| format!("`{}`", image.name))
        .collect();
    let list = match list.is_empty() {
        true => "none has a name".to_owned(),
        false => format!("there are {}", list.join(", ")),
    };
    match facts.containerd.one("sandbox-image") {
        Some(node) => found.at_value(node, format!("`{image}` is not preloaded; {list}")),
        None => found.nowhere(format!("`{image}` is not preloaded; {list}")),
    }
}

fn pinned(facts: &Facts<'_>, found: &mut Found<'_>) {
    let Some(version) = facts.containerd.version else {
        return;
    };
    let (Some(row), Some(minor)) = (containerd::line(version), facts.minor()) else {
        return;
    };
    if row.row.pins(version) || !facts.kubelet.present {
        return;
    }
    let image = image(facts);
    let kept = facts
        .kubelet
        .flag("pod-infra-container-image")
        .map(|flag| flag.value.clone());
    if kept.is_none() || kept != image {
        let image = image.unwrap_or_default();
        found.nowhere(format!(
            "containerd {version} does not pin `{image}`, and kubelet 1.{minor} is not told to keep it"
        ));
    }
}

fn frozen(facts: &Facts<'_>, found: &mut Found<'_>) {
    if let Some(node) = facts.containerd.one("sandbox-image")
        && let Some(image) = node.text()
        && image.starts_with("k8s.gcr.io/")
    {
        found.at_value(node, format!("`{image}`"));
    }
}

fn default(facts: &Facts<'_>, found: &mut Found<'_>) {
    let config = &facts.containerd;
    if let (Some(file), None, Some(image)) = (
        config.files.first(),
        config.one("sandbox-image"),
        image(facts),
    ) && file.parsed.root().is_some()
    {
        found.text(
            file.parsed.text,
            format!("no sandbox image is set: containerd takes `{image}`"),
        );
    }
}
