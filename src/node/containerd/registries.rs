//! Registries and their mirrors: certs.d/HOST/hosts.toml.

use super::super::der;
use super::super::draft::{Access, Draft};
use crate::error::Result;
use crate::profile::file::Registry;
use crate::profile::value::{Url, credentials};

/// The one directory that containerd is told of.
pub(super) const FOLDER: &str = "etc/containerd/certs.d";
/// Beside hosts.toml, which names it without a path.
const AUTHORITY: &str = "ca.crt";

pub(super) fn configure(draft: &mut Draft<'_>) -> Result<()> {
    let registries = &draft.profile.containerd.registries;
    for (host, registry) in registries {
        if *registry == Registry::default() {
            continue;
        }
        addresses(draft, host, registry)?;
        let folder = format!("{FOLDER}/{host}");
        if let Some(file) = &registry.ca {
            let keys = ["containerd", "registries", host, "ca"];
            let bytes = draft.local.read(file);
            let bytes = bytes.map_err(|error| draft.locate(error, &keys, ""))?;
            let text = String::from_utf8_lossy(&bytes);
            if let Err(why) = der::certificates(&text) {
                let message = format!("`{file}` cannot be an authority: {why}");
                return Err(draft
                    .refuse(message, &keys, "")
                    .hint("give certificates in PEM form"));
            }
            draft.bytes(
                &format!("{folder}/{AUTHORITY}"),
                &bytes,
                Access::root(0o644),
            );
        }
        draft.text(&format!("{folder}/hosts.toml"), &hosts(registry));
        note(draft, host, registry);
    }
    Ok(())
}

fn addresses(draft: &Draft<'_>, host: &str, registry: &Registry) -> Result<()> {
    let mirrors = registry.mirrors.as_deref().unwrap_or_default();
    if registry.only_mirrors == Some(true) && mirrors.is_empty() {
        let message = format!("`{host}` is reached by its mirrors alone, and has none");
        let keys = ["containerd", "registries", host, "only-mirrors"];
        return Err(draft.refuse(message, &keys, "").hint("set `mirrors`"));
    }
    for (key, url) in mirrors
        .iter()
        .map(|url| ("mirrors", url))
        .chain(registry.server.iter().map(|url| ("server", url)))
    {
        let keys = ["containerd", "registries", host, key];
        if url.starts_with("file:") {
            let message = format!("`{url}` is not a registry");
            return Err(draft
                .refuse(message, &keys, url)
                .hint("write it like `https://mirror.example`"));
        }
        if credentials(url) {
            let message = format!(
                "the address of a registry for `{host}` holds a password, which everyone who has the image could read"
            );
            return Err(draft
                .refuse(message, &keys, url)
                .hint("give pods a pull secret"));
        }
    }
    Ok(())
}

/// The file's text. Mirrors are tried in the order in which they stand.
fn hosts(registry: &Registry) -> String {
    let quoted = |text: &str| toml::Value::from(text).to_string();
    let mut text = String::new();
    let mut shared = String::new();
    if registry.ca.is_some() {
        shared += &format!("ca = {}\n", quoted(AUTHORITY));
    }
    if registry.skip_verify == Some(true) {
        shared += "skip_verify = true\n";
    }
    let mut of_mirrors = shared.clone();
    if registry.override_path == Some(true) {
        of_mirrors += "override_path = true\n";
    }
    let mirrors = registry.mirrors.as_deref().unwrap_or_default();
    match (registry.only_mirrors, mirrors.first()) {
        // What is named last is asked last: a mirror again, and nobody else.
        (Some(true), Some(first)) => text += &format!("server = {}\n{of_mirrors}", quoted(first)),
        _ => {
            if let Some(server) = &registry.server {
                text += &format!("server = {}\n", quoted(server));
            }
            text += &shared;
        }
    }
    for mirror in mirrors {
        let host = quoted(mirror);
        text += &format!("\n[host.{host}]\ncapabilities = [\"pull\", \"resolve\"]\n{of_mirrors}");
    }
    text.trim_start().to_owned()
}

fn note(draft: &mut Draft<'_>, host: &str, registry: &Registry) {
    let name = |key: &str| format!("containerd.registries.{host}.{key}");
    if let Some(mirrors) = &registry.mirrors {
        let mirrors: Vec<_> = mirrors.iter().map(Url::as_str).collect();
        draft.set(name("mirrors"), mirrors.join(" "));
    }
    if let Some(server) = &registry.server {
        draft.set(name("server"), server.to_string());
    }
    if let Some(file) = &registry.ca {
        draft.set(name("ca"), file.to_string());
    }
    for (key, value) in [
        ("only-mirrors", registry.only_mirrors),
        ("skip-verify", registry.skip_verify),
        ("override-path", registry.override_path),
    ] {
        if let Some(value) = value {
            draft.set(name(key), value.to_string());
        }
    }
}
