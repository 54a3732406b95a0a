//! Registries and their mirrors: certs.d/HOST/hosts.toml.

use super::super::der;
use super::super::draft::{Access, Draft};
use crate::compat::{Version, hosts};
use crate::error::Result;
use crate::profile::file::{Capability, Registry};
use crate::profile::value::{Url, credentials};

/// The one directory that containerd is told of.
pub(super) const FOLDER: &str = "etc/containerd/certs.d";
/// Beside hosts.toml, which names it without a path.
const AUTHORITY: &str = "ca.crt";

pub(super) fn configure(draft: &mut Draft<'_>, version: Version) -> Result<()> {
    let registries = &draft.profile.containerd.registries;
    for (host, registry) in registries {
        if *registry == Registry::default() {
            continue;
        }
        addresses(draft, host, registry)?;
        supported(draft, version, host, registry)?;
        client(draft, host, registry)?;
        headers(draft, host, registry)?;
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
        draft.text(&format!("{folder}/hosts.toml"), &hosts_file(registry));
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

/// Whether this containerd reads what is said. It passes over a file with a word that
/// it does not know, and asks the registry itself.
fn supported(draft: &Draft<'_>, version: Version, host: &str, registry: &Registry) -> Result<()> {
    let keys = [
        (
            "override_path",
            "override-path",
            registry.override_path.is_some(),
        ),
        (
            "dial_timeout",
            "dial-timeout",
            registry.dial_timeout.is_some(),
        ),
    ];
    let keys = keys.into_iter().filter(|(.., said)| *said);
    for (theirs, ours, _) in keys {
        if let Some(key) = hosts::key(theirs).filter(|key| version < key.from) {
            let message = format!("containerd {version} has no setting for `{ours}`");
            let keys = ["containerd", "registries", host, ours];
            return Err(draft.refuse(message, &keys, "").hint(format!(
                "it came with {}: take it out, or use that",
                key.from
            )));
        }
    }
    let keys = ["containerd", "registries", host, "capabilities"];
    let said = registry.capabilities.as_deref();
    for capability in said.unwrap_or_default() {
        let word = word(*capability);
        let known = hosts::capabilities().iter().find(|row| row.name == word);
        if let Some(row) = known.filter(|row| version < row.from) {
            let message =
                format!("containerd {version} passes over a file with the capability `{word}`");
            return Err(draft.refuse(message, &keys, &word).hint(format!(
                "it came with {}: take it out, or use that",
                row.from
            )));
        }
    }
    if said.is_some_and(<[_]>::is_empty) {
        let message = format!("the mirrors of `{host}` are asked for nothing");
        return Err(draft
            .refuse(message, &keys, "")
            .hint("name `pull`, or take it out"));
    }
    Ok(())
}

fn word(capability: Capability) -> String {
    let word = serde_json::json!(capability);
    word.as_str().unwrap_or_default().to_owned()
}

/// A client's certificate goes with its key, and neither into the image.
fn client(draft: &Draft<'_>, host: &str, registry: &Registry) -> Result<()> {
    if registry.client_certificate.is_some() == registry.client_key.is_some() {
        return Ok(());
    }
    let message = format!("a client of `{host}` needs a certificate and its key");
    let keys = ["containerd", "registries", host];
    Err(draft
        .refuse(message, &keys, "")
        .hint("set both `client-certificate` and `client-key`, or neither"))
}

/// Headers that carry secrets, by what is in their names.
const SECRETS: [&str; 6] = ["auth", "cookie", "token", "secret", "key", "password"];

fn headers(draft: &Draft<'_>, host: &str, registry: &Registry) -> Result<()> {
    for name in registry.headers.keys() {
        let keys = ["containerd", "registries", host, "headers"];
        let token = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if name.is_empty() || !name.chars().all(token) {
            let message = format!("`{name}` is not the name of a header");
            return Err(draft.refuse(message, &keys, name));
        }
        let lower = name.to_ascii_lowercase();
        if SECRETS.iter().any(|word| lower.contains(word)) {
            let message = format!(
                "the header `{name}` would hold a secret, which everyone who has the image could read"
            );
            return Err(draft
                .refuse(message, &keys, name)
                .hint("give pods a pull secret"));
        }
    }
    Ok(())
}

/// The file's text. Mirrors are tried in the order in which they stand.
fn hosts_file(registry: &Registry) -> String {
    let quoted = |text: &str| toml::Value::from(text).to_string();
    let mut text = String::new();
    let mut shared = String::new();
    if registry.ca.is_some() {
        shared += &format!("ca = {}\n", quoted(AUTHORITY));
    }
    if let (Some(certificate), Some(key)) = (&registry.client_certificate, &registry.client_key) {
        shared += &format!("client = [[{}, {}]]\n", quoted(certificate), quoted(key));
    }
    if registry.skip_verify == Some(true) {
        shared += "skip_verify = true\n";
    }
    if let Some(timeout) = &registry.dial_timeout {
        shared += &format!("dial_timeout = {}\n", quoted(timeout));
    }
    let mut of_mirrors = shared.clone();
    if registry.override_path == Some(true) {
        of_mirrors += "override_path = true\n";
    }
    // Tables of the file, or of a host, come after its keys.
    let headers = |table: &str| {
        let lines = registry.headers.iter();
        let lines =
            lines.map(|(name, value)| format!("{} = {}\n", quoted(name), quoted(value.as_str())));
        match registry.headers.is_empty() {
            true => String::new(),
            false => format!("[{table}]\n{}", lines.collect::<String>()),
        }
    };
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
    text += &headers("header");
    let asked = registry.capabilities.as_deref();
    let asked = asked.unwrap_or(&[Capability::Pull, Capability::Resolve]);
    let asked: Vec<_> = asked.iter().map(|one| quoted(&word(*one))).collect();
    let asked = asked.join(", ");
    for mirror in mirrors {
        let host = quoted(mirror);
        text += &format!("\n[host.{host}]\ncapabilities = [{asked}]\n{of_mirrors}");
        text += &headers(&format!("host.{host}.header"));
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
    if let Some(asked) = &registry.capabilities {
        let asked: Vec<_> = asked.iter().map(|one| word(*one)).collect();
        draft.set(name("capabilities"), asked.join(" "));
    }
    let texts = [
        ("client-certificate", registry.client_certificate.as_deref()),
        ("client-key", registry.client_key.as_deref()),
        ("dial-timeout", registry.dial_timeout.as_deref()),
    ];
    for (key, value) in texts {
        if let Some(value) = value {
            draft.set(name(key), value);
        }
    }
    for (header, value) in &registry.headers {
        draft.set(name(&format!("headers.{header}")), value.as_str());
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
