//! What every system has: modules, units, files, users, certificates, proxy.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::profile::merge::{Merge, append, grow, merge_fields, replace};
use crate::profile::value::{
    AbsolutePath, CertificateText, FileMode, Id, LocalFile, ModuleName, Owner, PasswordHash,
    PlainText, SshKey, UnitName, Url, UserName,
};

/// Kernel modules.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Modules {
    /// Modules loaded at boot.
    pub load: Vec<ModuleName>,
    /// Modules that are not loaded for the devices that they name.
    pub blacklist: Vec<ModuleName>,
    /// Modules taken off both lists of extended profiles.
    pub remove: Vec<ModuleName>,
}

/// systemd units. Where extended profiles say otherwise about a unit, this one's word holds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Units {
    /// Units that start as their [Install] sections say.
    pub enable: Vec<UnitName>,
    /// Units that do not, though a package enabled them.
    pub disable: Vec<UnitName>,
    /// Units that cannot be started at all.
    pub mask: Vec<UnitName>,
    /// Units about which extended profiles' words are forgotten.
    pub remove: Vec<UnitName>,
}

/// A file, link or removal in the node. Just one of `text`, `source`, `link`
/// and `remove` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct File {
    /// Where it is in the node.
    pub path: AbsolutePath,
    /// Its content.
    pub text: Option<String>,
    /// The local file with its content, relative to this profile.
    pub source: Option<LocalFile>,
    /// The target, for a symbolic link.
    pub link: Option<String>,
    /// Whether the path is not in the node, whoever brought it.
    #[serde(default)]
    pub remove: bool,
    /// Permission bits in octal. Default: `0644`.
    pub mode: Option<FileMode>,
    /// Owner and group. Default: `root:root`.
    pub owner: Option<Owner>,
}

/// A user of the node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct User {
    /// The login name.
    pub name: UserName,
    /// The user's number. Default: the first free from 1000, or from 999 downwards for a system user.
    pub uid: Option<Id>,
    /// The number of the user's own group. Default: the user's number, where free.
    pub gid: Option<Id>,
    /// Further groups that the user is in.
    #[serde(default)]
    pub groups: Vec<UserName>,
    /// The login shell. Default: `/bin/bash`, `/usr/sbin/nologin` for a system user.
    pub shell: Option<AbsolutePath>,
    /// The home folder. Default: `/home/NAME`, `/nonexistent` for a system user.
    pub home: Option<AbsolutePath>,
    /// Public keys that may log in as this user.
    #[serde(default)]
    pub ssh_keys: Vec<SshKey>,
    /// The user's full name.
    pub gecos: Option<PlainText>,
    /// Whether it is a system account. Default: false.
    pub system: Option<bool>,
    /// Whether the password is locked, though a hash is given. Default: false.
    pub locked: Option<bool>,
    /// The hashed password; without it no password logs in.
    pub password_hash: Option<PasswordHash>,
}

/// Certificate authorities that the node trusts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Certificates {
    /// Local PEM files, or certificates in PEM form.
    pub authorities: Vec<Authority>,
}

/// A certificate authority: a local PEM file or the certificate itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Authority {
    /// A local PEM file.
    File(LocalFile),
    /// The certificate itself.
    Inline(CertificateText),
}

impl Authority {
    /// The local file, if it is one.
    #[must_use]
    pub fn file(&self) -> Option<&LocalFile> {
        match self {
            Self::File(file) => Some(file),
            Self::Inline(_) => None,
        }
    }

    pub(super) fn file_mut(&mut self) -> Option<&mut LocalFile> {
        match self {
            Self::File(file) => Some(file),
            Self::Inline(_) => None,
        }
    }
}

impl<'de> Deserialize<'de> for Authority {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Authority;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a path to a PEM file, or a certificate in PEM form")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Authority, E> {
                let deserializer = de::value::StrDeserializer::new(text);
                if text.contains("-----BEGIN") {
                    CertificateText::deserialize(deserializer).map(Authority::Inline)
                } else {
                    LocalFile::deserialize(deserializer).map(Authority::File)
                }
            }
        }

        deserializer.deserialize_str(Visitor)
    }
}

impl JsonSchema for Authority {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Authority".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let inline = generator.subschema_for::<CertificateText>();
        let file = generator.subschema_for::<LocalFile>();
        json_schema!({
            "description": "A local PEM file, or the certificate itself.",
            "anyOf": [file, inline],
        })
    }
}

/// The proxy for containerd and kubelet. Passwords do not belong into an image.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Proxy {
    /// The proxy for http:// addresses.
    pub http: Option<Url>,
    /// The proxy for https:// addresses.
    pub https: Option<Url>,
    /// Hosts, domains and networks that are reached without a proxy.
    pub no_proxy: Vec<String>,
}

replace!(Id, PasswordHash);
grow!(Authority, SshKey, UserName);

impl Merge for Modules {
    fn merge(&mut self, over: Self) {
        for list in [&mut self.load, &mut self.blacklist] {
            list.retain(|known| !over.remove.iter().any(|gone| same_module(known, gone)));
        }
        // What is loaded here is not blacklisted there, and the other way round.
        self.blacklist
            .retain(|known| !over.load.iter().any(|module| same_module(known, module)));
        self.load.retain(|known| {
            !over
                .blacklist
                .iter()
                .any(|module| same_module(known, module))
        });
        self.remove.retain(|gone| {
            !over
                .load
                .iter()
                .chain(&over.blacklist)
                .any(|module| same_module(gone, module))
        });
        append(&mut self.load, over.load, same_module);
        append(&mut self.blacklist, over.blacklist, same_module);
        append(&mut self.remove, over.remove, same_module);
    }
}

/// The kernel takes `-` and `_` in module names for the same.
pub(in crate::profile) fn same_module(a: &ModuleName, b: &ModuleName) -> bool {
    a.len() == b.len()
        && a.bytes()
            .zip(b.bytes())
            .all(|(a, b)| a == b || (b"-_".contains(&a) && b"-_".contains(&b)))
}

impl Merge for Units {
    fn merge(&mut self, over: Self) {
        let said = |unit: &UnitName| {
            [&over.enable, &over.disable, &over.mask, &over.remove]
                .iter()
                .any(|list| list.contains(unit))
        };
        for list in [
            &mut self.enable,
            &mut self.disable,
            &mut self.mask,
            &mut self.remove,
        ] {
            list.retain(|unit| !said(unit));
        }
        append(&mut self.enable, over.enable, PartialEq::eq);
        append(&mut self.disable, over.disable, PartialEq::eq);
        append(&mut self.mask, over.mask, PartialEq::eq);
        append(&mut self.remove, over.remove, PartialEq::eq);
    }
}

impl Merge for User {
    fn merge(&mut self, over: Self) {
        merge_fields!(self, over;
            uid, gid, groups, shell, home, ssh_keys, gecos, system, locked, password_hash,
        );
    }
}

impl Merge for Certificates {
    fn merge(&mut self, over: Self) {
        merge_fields!(self, over; authorities);
    }
}

impl Merge for Proxy {
    fn merge(&mut self, over: Self) {
        merge_fields!(self, over; http, https, no_proxy);
    }
}
