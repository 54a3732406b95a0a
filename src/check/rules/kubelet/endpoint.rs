//! The runtime's socket, as kubelet is told of it.

use super::minor;
use crate::check::facts::Facts;
use crate::check::rule::Found;

/// The endpoint that kubelet is given: value, text, byte.
fn endpoint(facts: &Facts<'_>) -> Option<(String, usize, usize)> {
    facts
        .kubelet
        .said("container-runtime-endpoint", "containerRuntimeEndpoint")
}

pub(super) fn endpoint_missing(facts: &Facts<'_>, found: &mut Found<'_>) {
    let Some((number, _)) = minor(facts) else {
        return;
    };
    if !facts.kubelet.present || !facts.containerd.present || number >= 27 {
        return;
    }
    // What kubeadm gives when the node joins is not in an image.
    let joins = facts.kubelet.config.is_some() && facts.kubelet.flags.is_empty();
    if joins {
        return;
    }
    let runtime = facts
        .kubelet
        .flag("container-runtime")
        .map(|flag| flag.value.as_str());
    if number < 24 && runtime != Some("remote") {
        found.nowhere(format!(
            "kubelet 1.{number} uses dockershim: there is no `--container-runtime=remote`"
        ));
    } else if endpoint(facts).is_none() {
        found.nowhere(format!(
            "kubelet 1.{number} is given no `--container-runtime-endpoint`"
        ));
    }
}

/// A socket's path without its scheme, `/var/run` by its real name.
pub(in crate::check::rules) fn socket(endpoint: &str) -> String {
    let path = endpoint.strip_prefix("unix:").unwrap_or(endpoint);
    let path = format!("/{}", path.trim_start_matches('/'));
    match path.strip_prefix("/var/run/") {
        Some(rest) => format!("/run/{rest}"),
        None => path,
    }
}

pub(super) fn endpoint_differs(facts: &Facts<'_>, found: &mut Found<'_>) {
    let Some((value, text, at)) = endpoint(facts) else {
        return;
    };
    if !facts.containerd.present || value.is_empty() {
        return;
    }
    let (theirs, _) = facts.containerd.socket();
    if socket(&value) != socket(&theirs) {
        found.in_text(
            text,
            at,
            format!("kubelet has `{value}`, and containerd `{theirs}`"),
        );
    }
}

pub(super) fn endpoint_scheme(facts: &Facts<'_>, found: &mut Found<'_>) {
    if let Some((value, text, at)) = endpoint(facts)
        && value.starts_with('/')
        && facts.minor().is_none_or(|minor| minor >= 24)
    {
        found.in_text(text, at, format!("`{value}` has no `unix://`"));
    }
}
