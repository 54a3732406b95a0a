//! Looks into a file once, while it is read: of most files nothing is kept.

use std::collections::BTreeMap;
use std::io::{self, Read};

use serde::{Deserialize, Serialize};

use super::images::ImageName;
use super::program::BuildInfo;
use super::{images, program};
use crate::source::base::packages::{self, Database, LONGEST as LONGEST_DATABASE};
use crate::tree::TreePath;

/// The longest configuration file that is kept, in bytes.
const LONGEST_TEXT: u64 = 256 << 10;
/// The longest file that is searched for secrets.
const LONGEST_SECRET: u64 = 64 << 10;

/// What was seen in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// Its text.
    Text(String),
    /// Names and versions of packages.
    Packages(BTreeMap<String, String>),
    /// What Go's linker left in it.
    Program(BuildInfo),
    /// The names of the container images in it.
    Images(Vec<ImageName>),
    /// It holds a secret.
    Secret(Secret),
    /// It should have been looked into and could not be.
    Unread(String),
}

/// Sorts of secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Secret {
    /// A private key.
    PrivateKey,
    /// A token or password for some service.
    Token,
}

/// Looks at a regular file of the node. What it reads of `reader` is up to it.
///
/// # Errors
/// When reading fails.
pub fn look(
    path: &TreePath,
    size: u64,
    reader: &mut (dyn Read + Send),
) -> io::Result<Option<Seen>> {
    Ok(match sort(path.as_bytes(), size) {
        Sort::Nothing => None,
        Sort::Text => {
            let text = lossy(reader)?;
            Some(Seen::Text(text))
        }
        Sort::Database(database) => {
            let mut bytes = Vec::new();
            reader.take(LONGEST_DATABASE).read_to_end(&mut bytes)?;
            Some(match packages::installed(database, &bytes) {
                Ok(packages) => Seen::Packages(packages),
                Err(why) => Seen::Unread(why),
            })
        }
        Sort::Program => program::read(reader)?.map(Seen::Program),
        Sort::Images => Some(match images::names(reader) {
            Ok(names) => Seen::Images(names),
            Err(why) => Seen::Unread(why),
        }),
        Sort::Secret => secret(&lossy(reader)?).map(Seen::Secret),
    })
}

/// Whether there is anything to look for in a regular file.
#[must_use]
pub fn wants(path: &[u8], size: u64) -> bool {
    sort(path, size) != Sort::Nothing
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Nothing,
    Text,
    Database(Database),
    Program,
    Images,
    Secret,
}

/// Programs whose build information says what is in the node.
const PROGRAMS: [&str; 6] = [
    "containerd",
    "containerd-shim-runc-v2",
    "crictl",
    "kubelet",
    "loopback",
    "runc",
];

/// Files whose text rules read, wherever else their folder is not named below.
const TEXTS: [&str; 21] = [
    "etc/crictl.yaml",
    "etc/default/docker",
    "etc/default/kubelet",
    "etc/fstab",
    "etc/group",
    "etc/hostname",
    "etc/machine-id",
    "etc/os-release",
    "etc/passwd",
    "etc/resolv.conf",
    "etc/security/limits.conf",
    "etc/sysconfig/docker",
    "etc/sysconfig/kubelet",
    "etc/sysctl.conf",
    "etc/subuid",
    "etc/subgid",
    "usr/lib/kernel/cmdline",
    "usr/lib/os-release",
    "var/lib/dpkg/alternatives/iptables",
    "var/lib/kubelet/config.yaml",
    "var/lib/dbus/machine-id",
];

/// Folders of which all that is small is read.
const FOLDERS: [&str; 29] = [
    "boot/loader/entries",
    "etc/cmdline.d",
    "etc/cni",
    "etc/containerd",
    "etc/default/grub.d",
    "etc/docker",
    "etc/kernel",
    "etc/kubernetes",
    "etc/modprobe.d",
    "etc/modules-load.d",
    "etc/nri",
    "etc/security/limits.d",
    "etc/sysctl.d",
    "etc/systemd/system",
    "etc/tmpfiles.d",
    "nodelith",
    "usr/lib/bootc/kargs.d",
    "usr/lib/containerd",
    "usr/lib/kubernetes",
    "usr/lib/modules-load.d",
    "usr/lib/ostree",
    "usr/lib/sysctl.d",
    "usr/lib/systemd/system",
    "usr/lib/systemd/system.conf.d",
    "usr/lib/sysusers.d",
    "usr/lib/tmpfiles.d",
    "usr/local/lib/systemd/system",
    "usr/share/containerd",
    "var/lib/kubelet",
];

/// Folders in which secrets are sought in what is small.
const SECRET_FOLDERS: [&str; 14] = [
    "etc/kubernetes",
    "etc/rancher",
    "etc/ssh",
    "etc/ssl/private",
    "etc/pki/tls/private",
    "etc/wireguard",
    "home",
    "opt",
    "root",
    "srv",
    "tmp",
    "var/lib/cloud",
    "var/lib/kubelet",
    "var/tmp",
];

/// Endings of configuration files that are read wherever a name above them is of interest.
const ENDINGS: [&str; 7] = [
    ".toml",
    ".yaml",
    ".yml",
    ".conf",
    ".env",
    ".json",
    ".conflist",
];
const NAMES: [&[u8]; 6] = [
    b"kubelet",
    b"kubernetes",
    b"kubeadm",
    b"containerd",
    b"crictl",
    b"docker",
];

fn sort(path: &[u8], size: u64) -> Sort {
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
    if let Some(database) = packages::database(path)
        && (size <= LONGEST_DATABASE || database == Database::Other)
    {
        return Sort::Database(database);
    }
    let program = PROGRAMS.iter().any(|program| program.as_bytes() == name);
    if program && size > LONGEST_TEXT && !within(path, "usr/share") {
        return Sort::Program;
    }
    if images::is_archive(path) {
        return Sort::Images;
    }
    if size <= LONGEST_TEXT && is_text(path, name) {
        return Sort::Text;
    }
    let key = [".key", ".pem", "_rsa", "_ed25519", "_ecdsa", "_dsa"];
    let key = key.iter().any(|end| name.ends_with(end.as_bytes()));
    let shipped = within(path, "usr") || within(path, "etc/ssl/certs");
    let sought = SECRET_FOLDERS.iter().any(|folder| within(path, folder)) || (key && !shipped);
    if size <= LONGEST_SECRET && sought {
        return Sort::Secret;
    }
    Sort::Nothing
}

/// Whether a path's text is one that rules read.
#[must_use]
pub fn wanted(path: &[u8]) -> bool {
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
    is_text(path, name)
}

fn is_text(path: &[u8], name: &[u8]) -> bool {
    if name == b"modules.builtin" {
        return true;
    }
    if TEXTS.iter().any(|text| text.as_bytes() == path) {
        return true;
    }
    if FOLDERS.iter().any(|folder| within(path, folder)) {
        return true;
    }
    let ending = ENDINGS.iter().any(|end| name.ends_with(end.as_bytes()));
    let of_interest = || {
        NAMES
            .iter()
            .any(|name| memchr::memmem::find(path, name).is_some())
    };
    ending && !within(path, "usr/share/doc") && of_interest()
}

fn within(path: &[u8], folder: &str) -> bool {
    path.strip_prefix(folder.as_bytes())
        .is_some_and(|rest| rest.first() == Some(&b'/'))
}

fn lossy(reader: &mut dyn Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    reader.take(LONGEST_DATABASE).read_to_end(&mut bytes)?;
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// The secret in a text, if there is one that can be told.
#[must_use]
pub fn secret(text: &str) -> Option<Secret> {
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
    let token = text.lines().any(|line| {
        let line = line.trim_start_matches([' ', '\t', '-']);
        if line.starts_with('#') {
            return false;
        }
        let Some((key, value)) = line.split_once([':', '=']) else {
            return false;
        };
        let key = key.trim_matches(['"', '\'', ' ']);
        let value = value.trim().trim_matches(['"', '\'', ',']);
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
        NAMES.contains(&key) && value.len() >= 6 && !value.starts_with(['$', '<', '{', '/'])
    });
    token.then_some(Secret::Token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_told() {
        for (text, found) in [
            (
                "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n",
                Some(Secret::PrivateKey),
            ),
            ("-----BEGIN CERTIFICATE-----\n", None),
            (
                "users:\n- user:\n    token: abcdef.0123456789abcdef\n",
                Some(Secret::Token),
            ),
            (
                "{\"auths\": {\"r\": {\n\"auth\": \"dXNlcjpwYXNz\"}}}",
                Some(Secret::Token),
            ),
            ("# token: abcdef.0123456789abcdef\n", None),
            ("token: <your token>\npassword: $PASSWORD\n", None),
            ("tokenFile: /var/run/token\n", None),
        ] {
            assert_eq!(secret(text), found, "{text}");
        }
    }
}
