//! Looks into a file once, while it is read: of most files nothing is kept.

use std::collections::BTreeMap;
use std::io::{self, Read};

use serde::{Deserialize, Serialize};

use super::images::ImageName;
use super::program::BuildInfo;
use super::secret::{self, Secret};
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
        Sort::Secret => secret::secret(&lossy(reader)?).map(Seen::Secret),
        Sort::PlainSecret => secret::plain(&lossy(reader)?).map(Seen::Secret),
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
    PlainSecret,
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

/// Folders in which those are sought that cannot be anything else.
const PLANTED: [&str; 2] = ["etc", "usr/local"];

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
    let shipped =
        (within(path, "usr") && !within(path, "usr/local")) || within(path, "etc/ssl/certs");
    let sought = SECRET_FOLDERS.iter().any(|folder| within(path, folder)) || (key && !shipped);
    let planted = PLANTED.iter().any(|folder| within(path, folder)) && !shipped;
    match size <= LONGEST_SECRET {
        true if sought => Sort::Secret,
        true if planted => Sort::PlainSecret,
        _ => Sort::Nothing,
    }
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
