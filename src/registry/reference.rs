//! References to images in registries: `HOST[:PORT]/NAME[:TAG][@DIGEST]`, read as
//! docker and containerd read them.

use std::fmt;
use std::str::FromStr;

use crate::digest::Digest;
use crate::error::{Error, Kind, Result};

/// Docker Hub, which is meant where no registry is named.
pub const DOCKER_HUB: &str = "docker.io";
/// The tag that is meant where neither tag nor digest is given.
const LATEST: &str = "latest";
/// The longest repository name, registry included (as in `distribution/reference`).
const LONGEST_NAME: usize = 255;
/// The longest tag (OCI distribution specification, "Pulling Manifests").
const LONGEST_TAG: usize = 128;

/// What a reference names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// The registry: a host, with its port if that is not the usual one.
    pub registry: String,
    /// The repository in it.
    pub repository: String,
    /// The tag, if one is named or nothing else is.
    pub tag: Option<String>,
    /// The digest, which counts where there is also a tag.
    pub digest: Option<Digest>,
}

impl Reference {
    /// Registry and repository, without tag and digest.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// By what a manifest is asked for: the digest, else the tag.
    #[must_use]
    pub fn manifest(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => LATEST.to_owned(),
        }
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |why: &str| {
            Error::new(
                Kind::Usage,
                format!("`{}` is no reference: {why}", text.escape_debug()),
            )
            .hint("for example: registry.example:5000/nodes/worker:1.2")
        };
        let rest = text.strip_prefix("docker://").unwrap_or(text);
        if rest.contains("://") {
            return Err(wrong("it has a scheme"));
        }
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => {
                let digest = digest.parse().map_err(|why: String| wrong(&why))?;
                (rest, Some(digest))
            }
            None => (rest, None),
        };
        // A colon after the last slash parts name and tag; one before it is a port's.
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') && !tag.ends_with(']') => (name, Some(tag)),
            _ => (rest, None),
        };
        if let Some(tag) = tag
            && !is_tag(tag)
        {
            return Err(wrong(
                "its tag may hold letters, digits, `_`, `.` and `-`, 128 at most",
            ));
        }
        let (registry, repository) = match name.split_once('/') {
            Some((host, path)) if is_host(host) => (host, path),
            _ => (DOCKER_HUB, name),
        };
        if !is_host_name(registry) {
            return Err(wrong("its registry is no host name"));
        }
        let (registry, repository) = match registry {
            DOCKER_HUB | "index.docker.io" | "registry-1.docker.io"
                if !repository.contains('/') =>
            {
                (DOCKER_HUB, format!("library/{repository}"))
            }
            "index.docker.io" | "registry-1.docker.io" => (DOCKER_HUB, repository.to_owned()),
            _ => (registry, repository.to_owned()),
        };
        if !repository.split('/').all(is_component) {
            return Err(wrong(
                "parts of its name are lower-case letters and digits, with single `.`, `_`, `__` or dashes between",
            ));
        }
        if registry.len() + 1 + repository.len() > LONGEST_NAME {
            return Err(wrong("its name is longer than 255 characters"));
        }
        let tag = tag.map(str::to_owned);
        Ok(Self {
            registry: registry.to_owned(),
            repository,
            tag: if digest.is_none() {
                tag.or_else(|| Some(LATEST.to_owned()))
            } else {
                tag
            },
            digest,
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// Whether the first part of a name is a registry and not the name's own.
fn is_host(part: &str) -> bool {
    part == "localhost"
        || part.contains(['.', ':', '['])
        || part.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn is_host_name(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) => {
                let address = address.parse::<std::net::Ipv6Addr>();
                if address.is_err() {
                    return false;
                }
                return match port.strip_prefix(':') {
                    Some(port) => port.parse::<u16>().is_ok(),
                    None => port.is_empty(),
                };
            }
            None => return false,
        },
        None => match host.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host, None),
        },
    };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    name.split('.').all(label) && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(part: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut separators = part
        .split(|letter: char| letter.is_ascii() && is_plain(letter as u8))
        .filter(|separator| !separator.is_empty());
    let ends = |byte: Option<&u8>| byte.is_some_and(|&byte| is_plain(byte));
    let bytes = part.as_bytes();
    ends(bytes.first())
        && ends(bytes.last())
        && separators.all(|separator| {
            matches!(separator, "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-')
        })
}

fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let mut bytes = tag.bytes();
    tag.len() <= LONGEST_TAG
        && bytes.next().is_some_and(is_word)
        && bytes.all(|byte| is_word(byte) || byte == b'.' || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_docker_reads_them() {
        let digest = Digest::of(b"x");
        let pinned = format!("quay.io/a/b:1@{digest}");
        let bare = format!("docker.io/library/debian@{digest}");
        for (text, full) in [
            ("debian", "docker.io/library/debian:latest"),
            ("debian:13", "docker.io/library/debian:13"),
            ("docker://debian", "docker.io/library/debian:latest"),
            ("index.docker.io/debian", "docker.io/library/debian:latest"),
            ("docker.io/me/node", "docker.io/me/node:latest"),
            ("me/node:1.2_3-x", "docker.io/me/node:1.2_3-x"),
            ("localhost/node", "localhost/node:latest"),
            ("localhost:5000/node", "localhost:5000/node:latest"),
            ("host/node", "docker.io/host/node:latest"),
            ("HOST/node", "HOST/node:latest"),
            ("host:5000/a/b/c:t", "host:5000/a/b/c:t"),
            ("[::1]:5000/node:1", "[::1]:5000/node:1"),
            ("10.0.0.1/a__b/c---d", "10.0.0.1/a__b/c---d:latest"),
            (&pinned, &pinned),
            (&format!("debian@{digest}"), &bare),
        ] {
            let reference: Reference = text.parse().unwrap();
            assert_eq!(reference.to_string(), full, "{text}");
            assert_eq!(full.parse::<Reference>().unwrap(), reference);
        }
        let reference: Reference = pinned.parse().unwrap();
        assert_eq!(reference.manifest(), digest.to_string());
        assert_eq!(reference.tag.as_deref(), Some("1"));
    }

    #[test]
    fn what_is_no_reference() {
        let long = format!("host.example/{}", "a/".repeat(150));
        let long_tag = format!("a:{}", "t".repeat(129));
        for text in [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "Debian",
            "host.example/A",
            "a:",
            "a:b/c:",
            "a:-x",
            "a@",
            "a@sha256:12",
            "a@sha512:00",
            "https://host/a",
            "host.example/a.",
            "host.example/a..b",
            "host.example/a___b",
            "host:port/a",
            "ho st.example/a",
            "[::g]/a",
            "[::1/a",
            "-x.example/a",
            "host.example:70000/a",
            "ä/b",
            "a b",
            &long,
            &long_tag,
        ] {
            let error = text.parse::<Reference>().unwrap_err();
            assert_eq!(error.kind(), Kind::Usage, "{text}");
        }
    }
}
