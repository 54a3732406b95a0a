//! Secrets in texts.

use std::sync::OnceLock;

use regex_lite::Regex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Sorts of secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Secret {
    /// A private key.
    PrivateKey,
    /// A token or password for some service.
    Token,
    /// A kubeconfig with what it logs in by.
    Kubeconfig,
    /// A token by which nodes join a cluster.
    Join,
    /// What registries are logged in to with, as docker keeps it.
    RegistryAuth,
}

impl Secret {
    /// The credential by which a node is given the same at boot, if there is one.
    #[must_use]
    pub fn credential(self) -> Option<&'static str> {
        match self {
            Self::Kubeconfig => Some("nodelith.bootstrap-kubeconfig"),
            Self::Join => Some("nodelith.kubeadm-join"),
            Self::RegistryAuth => Some("nodelith.registry-auth"),
            Self::PrivateKey | Self::Token => None,
        }
    }
}

/// The secret in a text, if there is one that can be told.
#[must_use]
pub fn secret(text: &str) -> Option<Secret> {
    plain(text).or_else(|| has_login(text).then_some(Secret::Token))
}

/// The same, but for what may as well be some program's setting: for places where
/// secrets are not expected.
#[must_use]
pub fn plain(text: &str) -> Option<Secret> {
    const KEYS: [&str; 6] = [
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----",
        "-----BEGIN EC PRIVATE KEY-----",
        "-----BEGIN DSA PRIVATE KEY-----",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----",
    ];
    if KEYS.iter().any(|key| text.contains(key)) {
        return Some(Secret::PrivateKey);
    }
    if text.contains("\"auths\"") && has_registry_login(text) {
        return Some(Secret::RegistryAuth);
    }
    if has_bootstrap_token(text) {
        let kubeconfig = text.contains("current-context") || text.contains("clusters:");
        return Some(if kubeconfig {
            Secret::Kubeconfig
        } else {
            Secret::Join
        });
    }
    let kubeconfig = text.contains("clusters") && text.contains("users");
    (kubeconfig && has_login(text)).then_some(Secret::Kubeconfig)
}

/// `{"auths": {"HOST": {"auth": …}}}`.
fn has_registry_login(text: &str) -> bool {
    const NAMES: [&str; 4] = ["auth", "identitytoken", "password", "registrytoken"];
    let Ok(parsed) = serde_json::from_str::<Value>(text) else {
        return has_login(text);
    };
    let hosts = parsed["auths"].as_object().into_iter().flatten();
    let mut values = hosts.flat_map(|(_, host)| NAMES.map(|name| &host[name]));
    values.any(|value| value.as_str().is_some_and(|value| !value.is_empty()))
}

/// A token of kubeadm's (kubernetes.io: "Authenticating with Bootstrap Tokens"), called one
/// in its line.
fn has_bootstrap_token(text: &str) -> bool {
    static TOKEN: OnceLock<Option<Regex>> = OnceLock::new();
    let token = TOKEN.get_or_init(|| Regex::new(r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b").ok());
    let is_one = |line: &str| {
        let line = line.trim_start();
        !line.starts_with('#')
            && line.to_ascii_lowercase().contains("token")
            && token.as_ref().is_some_and(|token| token.is_match(line))
    };
    text.contains('.') && text.lines().any(is_one)
}

/// A line that gives a token or password, or an entry of one (JSON, YAML's flow style).
fn has_login(text: &str) -> bool {
    text.lines().any(|line| {
        let line = line.trim_start_matches([' ', '\t', '-']);
        if line.starts_with('#') {
            return false;
        }
        let mut entries = line.split(['{', ',']).skip(1);
        is_login(line, &[':', '=']) || entries.any(|entry| is_login(entry, &[':']))
    })
}

/// Whether a name, one of these letters and a value are a login.
fn is_login(entry: &str, between: &[char]) -> bool {
    const NAMES: [&str; 9] = [
        "token",
        "auth",
        "identitytoken",
        "client-key-data",
        "password",
        "bootstrap-token",
        "aws_secret_access_key",
        "tlsBootstrapToken",
        "secretAccessKey",
    ];
    let Some((key, value)) = entry.split_once(between) else {
        return false;
    };
    let key = key.trim_matches(['"', '\'', ' ', '\t']);
    let value = value.trim_matches([' ', '\t', '"', '\'', ',', '}', ']']);
    NAMES.contains(&key) && value.len() >= 6 && !value.starts_with(['$', '<', '{', '[', '/'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_told() {
        const TOKEN: &str = "abcdef.0123456789abcdef";
        let kubeconfig = format!("clusters:\n- name: a\nusers:\n- user:\n    token: {TOKEN}\n");
        let join = format!(
            "kind: JoinConfiguration\ndiscovery:\n  bootstrapToken:\n    token: \"{TOKEN}\"\n"
        );
        for (text, found) in [
            (
                "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n",
                Some(Secret::PrivateKey),
            ),
            ("-----BEGIN CERTIFICATE-----\n", None),
            (&kubeconfig, Some(Secret::Kubeconfig)),
            (
                "clusters: []\nusers:\n- user:\n    client-key-data: LS0tLS1\n",
                Some(Secret::Kubeconfig),
            ),
            (
                "clusters: []\nusers:\n- user:\n    tokenFile: /run/token\n",
                None,
            ),
            (&join, Some(Secret::Join)),
            (
                "kubeadm join 10.0.0.1:6443 --token abcdef.0123456789abcdef\n",
                Some(Secret::Join),
            ),
            ("# token: abcdef.0123456789abcdef\n", None),
            ("# see\nversion: abcdef.0123456789abcdef\n", None),
            ("token: abcdef.0123456789abcdefg\n", Some(Secret::Token)),
            (
                "{\"auths\": {\"r\": {\"auth\": \"dXNlcjpwYXNz\"}}}",
                Some(Secret::RegistryAuth),
            ),
            ("{\"auths\": {\"r\": {}}, \"credsStore\": \"x\"}", None),
            (
                "{\"auths\": {\"r\": {\n\"auth\": \"dXNlcjpwYXNz\"",
                Some(Secret::RegistryAuth),
            ),
            ("token: <your token>\npassword: $PASSWORD\n", None),
            ("tokenFile: /var/run/token\n", None),
            ("password = hopper1906\n", Some(Secret::Token)),
            ("password = hopper,1906\n", Some(Secret::Token)),
            // Several entries in a line: YAML's flow style, and JSON.
            (
                "clusters: []\nusers: [{user: {token: abcdefgh}}]\n",
                Some(Secret::Kubeconfig),
            ),
            (
                "{\"clusters\":[],\"users\":[{\"name\":\"a\",\"user\":{\"token\":\"abcdefgh\"}}]}",
                Some(Secret::Kubeconfig),
            ),
            ("{name: a, password: hopper1906}\n", Some(Secret::Token)),
            (
                "{\"clusters\":[],\"users\":[{\"user\":{\"tokenFile\":\"/run/token\"}}]}",
                None,
            ),
            (
                "{\"user\":{\"token\":\"\"},\"auth\":[\"one\",\"other\"]}\n",
                None,
            ),
            ("login(user, password=password_of(user))\n", None),
            ("# {token: abcdefgh}\n", None),
        ] {
            assert_eq!(secret(text), found, "{text}");
            let plainly = found.filter(|found| *found != Secret::Token);
            assert_eq!(plain(text), plainly, "{text}");
        }
    }
}
