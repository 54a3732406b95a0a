//! Checked texts: names, paths, references and the like.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

use super::Refusal;
use super::rules::{
    absolute_path, account, all, argument, image_reference, is_letter_digit, is_lower_digit,
    kubernetes_version, package_choice, registry_host, release, span, ssh_key, starts, store_file,
    unit_name, url, user_name,
};

/// Defines a checked text: its name, what it is called, an example, the pattern
/// that the JSON schema gives, and the check.
macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident: $what:literal, $example:literal, $pattern:literal, $check:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub struct $name(String);

        impl $name {
            /// The text as it was written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Refusal;

            fn try_from(text: String) -> Result<Self, Refusal> {
                let check: fn(&str) -> bool = $check;
                if check(&text) {
                    Ok(Self(text))
                } else {
                    Err(refusal(&text, $what, $example))
                }
            }
        }

        impl std::str::FromStr for $name {
            type Err = Refusal;

            fn from_str(text: &str) -> Result<Self, Refusal> {
                Self::try_from(text.to_owned())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::ops::Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;

                impl de::Visitor<'_> for Visitor {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        write!(f, "{} as a string", $what)
                    }

                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        $name::try_from(text.to_owned()).map_err(E::custom)
                    }
                }

                deserializer.deserialize_str(Visitor)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "description": concat!("It is ", $what, "."),
                    "type": "string",
                    "pattern": $pattern,
                    "examples": [$example],
                })
            }
        }
    )*

        /// Every checked text with its pattern and check, for the test that holds them together.
        #[cfg(test)]
        const TEXTS: &[(&str, &str, &str, fn(&str) -> bool)] =
            &[$((stringify!($name), $example, $pattern, $check)),*];
    };
}

texts! {
    /// The name of an image: also its os-release `IMAGE_ID`.
    Name: "a name (lower-case letters, digits, `.`, `_`, `-`)", "quickstart",
        r"^[a-z0-9][a-z0-9._-]{0,63}$",
        |text| text.len() <= 64 && starts(text, is_lower_digit) && all(text, is_lower_digit, "._-");
    /// The version of an image: also its os-release `IMAGE_VERSION` and its tag.
    ImageVersion: "an image version (lower-case letters, digits, `.`, `_`, `-`)", "1.4.0",
        r"^[a-z0-9][a-z0-9._-]{0,127}$",
        |text| text.len() <= 128 && starts(text, is_lower_digit) && all(text, is_lower_digit, "._-");
    /// A Kubernetes version: a minor, a patch release, or `none`.
    KubernetesVersion: "a Kubernetes version from 1.18 on, or `none`", "1.34",
        r"^(none|1\.(1[89]|[2-9][0-9]|[1-9][0-9]{2})(\.(0|[1-9][0-9]{0,3}))?)$",
        kubernetes_version;
    /// The version of an upstream release.
    Release: "a release version", "1.7.24",
        r"^[0-9]+\.[0-9]+(\.[0-9]+)?(-[0-9a-z.]+)?$",
        release;
    /// A suite of a Debian archive; a flat repository's ends in a slash.
    Suite: "a suite name", "trixie",
        r"^([a-z0-9][A-Za-z0-9.+_/-]*|\./|/)$",
        |text| text == "/" || text == "./"
            || (starts(text, is_lower_digit) && all(text, is_letter_digit, ".+_/-"));
    /// A component of a Debian archive.
    ComponentName: "a component of an archive", "main",
        r"^[a-z][a-z0-9/-]*$",
        |text| starts(text, |c| c.is_ascii_lowercase()) && all(text, is_lower_digit, "/-");
    /// A package by name, with `:architecture` or `=version` where needed;
    /// `{architecture}` stands for the image's.
    PackageChoice: "a package name", "containerd",
        r"^[a-z0-9]([a-z0-9+.-]|\{architecture\})+(:[a-z0-9]+)?(=[A-Za-z0-9.+:~-]+)?$",
        package_choice;
    /// The name of a further package repository.
    RepositoryName: "a repository name", "kubernetes",
        r"^[a-z0-9][a-z0-9._-]*$",
        |text| starts(text, is_lower_digit) && all(text, is_lower_digit, "._-");
    /// A systemd unit's full name.
    UnitName: "a unit name with its type", "containerd.service",
        r"^[A-Za-z0-9:_.\\@-]+\.(service|socket|target|mount|automount|timer|path|slice|scope|swap|device)$",
        unit_name;
    /// A kernel module's name.
    ModuleName: "a kernel module's name", "br_netfilter",
        r"^[A-Za-z0-9_-]+$",
        |text| !text.is_empty() && all(text, is_letter_digit, "_-");
    /// A kernel setting's name.
    SysctlKey: "the name of a kernel setting", "net.ipv4.ip_forward",
        r"^[A-Za-z0-9_*-]+([./][A-Za-z0-9_*-]+)+$",
        |text| text.contains(['.', '/'])
            && text.split(['.', '/']).all(|part| !part.is_empty() && all(part, is_letter_digit, "_*-"));
    /// A path in the node: absolute, without `.`, `..`, doubled or trailing slashes.
    AbsolutePath: "an absolute path without `..` or doubled slashes", "/etc/motd",
        r"^(/(?!\.{1,2}(/|$))[^/\u0000-\u001f\u007f]+)+$",
        absolute_path;
    /// Permission bits in octal.
    FileMode: "a mode of four octal digits", "0644",
        r"^[0-7]{4}$",
        |text| text.len() == 4 && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    /// Owner and group, by names or numbers.
    Owner: "an owner and group", "root:root",
        r"^([a-z_][a-z0-9_-]{0,31}|[0-9]{1,9}):([a-z_][a-z0-9_-]{0,31}|[0-9]{1,9})$",
        |text| text.split_once(':').is_some_and(|(user, group)| account(user) && account(group));
    /// A user's or group's name.
    UserName: "a user or group name", "core",
        r"^[a-z_][a-z0-9_-]{0,31}$",
        user_name;
    /// A reference to an image in a registry.
    ImageReference: "an image reference", "registry.example/pause:3.10",
        r"^[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@sha256:[0-9a-f]{64})?$",
        image_reference;
    /// A digest.
    ImageDigest: "a SHA-256 digest", "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        r"^sha256:[0-9a-f]{64}$",
        |text| text.parse::<crate::digest::Digest>().is_ok() && text.starts_with("sha256:")
            && !text.bytes().any(|byte| byte.is_ascii_uppercase());
    /// A web address.
    Url: "an address that starts with https://, http:// or file://", "https://mirror.example/debian",
        r"^(https?://[^\s/]+(/\S*)?|file:///\S*)$",
        url;
    /// A registry's host, with a port where needed.
    RegistryHost: "a registry's host name, or `_default`", "docker.io",
        r"^(_default|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?)$",
        registry_host;
    /// A span of time as Go writes it.
    TimeSpan: "a span of time", "1m30s",
        r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$",
        span;
    /// One kernel argument.
    Argument: "one kernel argument (blanks only within double quotes)", "console=ttyS0",
        r#"^([^\s"\u0000-\u001f]|"[^"\u0000-\u001f]*")+$"#,
        argument;
    /// The name of a command line flag, without dashes in front.
    FlagName: "a flag's name without leading dashes", "max-pods",
        r"^[a-z][a-z0-9-]*$",
        |text| starts(text, |c| c.is_ascii_lowercase()) && all(text, is_lower_digit, "-");
    /// A locale whose files are kept, as folders under /usr/share/locale name it.
    Locale: "a locale", "de",
        r"^[A-Za-z][A-Za-z0-9_.@-]*$",
        |text| starts(text, |c| c.is_ascii_alphabetic()) && all(text, is_letter_digit, "_.@-");
    /// A pattern of absolute paths: `*` within a name, `**` across folders.
    Glob: "an absolute path pattern", "/usr/share/games/**",
        r"^/[^\u0000-\u001f]+$",
        |text| text.len() > 1 && text.starts_with('/') && !text.contains(char::is_control)
            && globset::Glob::new(text).is_ok();
    /// A path of a Nix store.
    StoreFile: "a path of a Nix store", "/nix/store/0c6akh2ywyvnvgd3x4kyhzxnz0hh8vjb-hello-2.12",
        r"^/[^\u0000-\u001f]*/[0-9a-z]{32}-[0-9A-Za-z+_?=-][0-9A-Za-z+._?=-]*$",
        store_file;
    /// A regular expression.
    Pattern: "a regular expression", ".*/bin/.*",
        r"^[^\u0000-\u001f]+$",
        |text| !text.is_empty() && !text.contains(char::is_control) && regex_lite::Regex::new(text).is_ok();
    /// One public key as `authorized_keys` holds it.
    SshKey: "a public SSH key on one line", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB3f person",
        r"^[^\u0000-\u001f]*(ssh-|ecdsa-|sk-)[a-z0-9@.-]+ AAAA[A-Za-z0-9+/=]+( [^\u0000-\u001f]*)?$",
        ssh_key;
    /// A hashed password as /etc/shadow holds it.
    PasswordHash: "a hashed password as `mkpasswd` prints it", "$y$j9T$c2FsdA$aGFzaA",
        r"^\$[0-9a-z]+\$[^:\s\u0000-\u001f]+$",
        |text| text.strip_prefix('$').and_then(|rest| rest.split_once('$')).is_some_and(|(kind, rest)| {
            !kind.is_empty() && all(kind, is_lower_digit, "") && !rest.is_empty()
                && !rest.contains([':', ' ']) && !rest.contains(|c: char| c.is_whitespace() || c.is_control())
        });
    /// A line of plain text without colons.
    PlainText: "one line of text without `:`", "Site operator",
        r"^[^:\u0000-\u001f]*$",
        |text| !text.contains(':') && !text.contains(char::is_control);
    /// A certificate in PEM form.
    CertificateText: "a certificate in PEM form", "-----BEGIN CERTIFICATE-----\n…\n-----END CERTIFICATE-----",
        r"-----BEGIN CERTIFICATE-----",
        |text| text.contains("-----BEGIN CERTIFICATE-----");
    /// The name of a snapshotter, runtime handler or similar plug-in.
    PluginName: "a plug-in's name", "overlayfs",
        r"^[a-z][a-z0-9._-]*$",
        |text| starts(text, |c| c.is_ascii_lowercase()) && all(text, is_lower_digit, "._-");
}

fn refusal(text: &str, what: &str, example: &str) -> Refusal {
    let message = match text {
        "" => format!("an empty text is not {what}"),
        text => format!("`{}` is not {what}", text.escape_debug()),
    };
    Refusal::new(message, format!("write it like `{example}`"))
}

impl ImageReference {
    /// Whether it names a registry, and a tag or digest, so that it means the same to
    /// everyone who compares it word for word.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let (name, digest) = match self.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (self.as_str(), None),
        };
        let (host, rest) = name.split_once('/').unwrap_or(("", name));
        (host.contains(['.', ':']) || host == "localhost")
            && (rest.contains(':') || digest.is_some())
    }
}

/// Whether an address holds a user name or password.
#[must_use]
pub fn credentials(url: &str) -> bool {
    url.split_once("://")
        .and_then(|(_, rest)| rest.split(['/', '?', '#']).next())
        .is_some_and(|authority| authority.contains('@'))
}

impl FileMode {
    /// The permission bits.
    #[must_use]
    pub fn bits(&self) -> u32 {
        u32::from_str_radix(&self.0, 8).unwrap_or(0o644)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_pass() {
        for (name, example, _, check) in TEXTS {
            let example = example.replace("\\n", "\n");
            assert!(check(&example), "{name}: {example}");
        }
    }
}
