//! What a machine is given, and whether it took it: credentials by the firmware's tables
//! (docs/identity.md).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use base64::prelude::{BASE64_STANDARD, Engine};

use super::checks::{Boot, Found};
use crate::digest::Digest;
use crate::error::{Context, Error, Kind, Result};

/// Names and values.
pub type Credentials = BTreeMap<String, Vec<u8>>;

/// The most that systemd takes, in bytes.
const MOST: usize = 1 << 20;

/// Credentials that become files: where, and their permissions.
const FILES: &[(&str, &str, &str)] = &[
    (
        "nodelith.bootstrap-kubeconfig",
        "/etc/kubernetes/bootstrap-kubelet.conf",
        "600",
    ),
    ("nodelith.cluster-ca", "/etc/kubernetes/pki/ca.crt", "644"),
    (
        "nodelith.kubelet-config",
        "/var/lib/kubelet/config.yaml",
        "600",
    ),
    (
        "nodelith.kubelet-environment",
        "/etc/default/kubelet",
        "600",
    ),
    (
        "nodelith.registry-auth",
        "/var/lib/kubelet/config.json",
        "600",
    ),
    (
        "ssh.authorized_keys.root",
        "/root/.ssh/authorized_keys",
        "600",
    ),
];
const HOST_NAME: &str = "system.hostname";
const JOIN: &str = "nodelith.kubeadm-join";
/// What a node has that joined.
const JOINED: &str = "/etc/kubernetes/kubelet.conf";

/// Reads what was asked for as `NAME=VALUE`, or `NAME=@FILE`.
///
/// # Errors
/// When it is written otherwise, a file cannot be read, or it is too large.
pub fn read(asked: &[String]) -> Result<Credentials> {
    let mut given = Credentials::new();
    for one in asked {
        let (name, value) = one.split_once('=').unwrap_or_default();
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'/' && byte != b':';
        if name.is_empty() || !name.bytes().all(plain) {
            let message = format!("`{}` names no credential", name.escape_debug());
            return Err(Error::new(Kind::Usage, message)
                .hint("write it like `system.hostname=node-1`, or `NAME=@FILE`"));
        }
        let value = match value.strip_prefix('@') {
            Some(file) => fs::read(file)
                .io("reading", Path::new(file))
                .map_err(|error| error.with_kind(Kind::Usage))?,
            None => value.as_bytes().to_vec(),
        };
        if value.len() > MOST {
            let message = format!("the credential `{name}` is larger than systemd takes, 1 MiB");
            return Err(Error::new(Kind::Usage, message));
        }
        given.insert(name.to_owned(), value);
    }
    Ok(given)
}

/// A string of the firmware's tables that gives one.
pub fn firmware_string(name: &str, value: &[u8]) -> String {
    let value = BASE64_STANDARD.encode(value);
    format!("io.systemd.credential.binary:{name}={value}")
}

/// Whether the node is who it was told to be.
pub(super) fn identity(boot: &Boot) -> Found {
    let said = boot.said.text("identity")?;
    if boot.given.is_empty() {
        return Ok("none was given".to_owned());
    }
    let line = |first: &str| {
        let mut lines = said.lines();
        lines.find_map(|line| line.strip_prefix(first)?.strip_prefix(' '))
    };
    let mut taken = Vec::new();
    for (name, value) in &boot.given {
        let file = FILES.iter().find(|(credential, ..)| credential == name);
        if let Some((_, path, mode)) = file {
            let wanted = format!("{mode} root:root {}", Digest::of(value));
            match line(path) {
                Some(found) if found == wanted => taken.push(*path),
                Some(found) => return Err(format!("{path} is {found}, not {wanted}")),
                None => return Err(format!("`{name}` was given, and there is no {path}")),
            }
        } else if name == HOST_NAME {
            let wanted = String::from_utf8_lossy(value);
            match line("hostname") {
                Some(found) if found == wanted.trim_end() => taken.push("host name"),
                found => return Err(format!("its name is `{}`", found.unwrap_or_default())),
            }
        } else if name == JOIN {
            match line(JOINED) {
                Some(_) => taken.push("joined"),
                None => return Err(format!("it has not joined: there is no {JOINED}")),
            }
        }
    }
    match taken.is_empty() {
        true => Ok("nothing of it can be judged".to_owned()),
        false => Ok(taken.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::qemu::Outcome;

    #[test]
    fn what_was_given_is_taken_or_not() {
        let given = [
            "system.hostname=node-1",
            "nodelith.bootstrap-kubeconfig=x",
            "nodelith.kubeadm-join=y",
            "other=z",
        ];
        let given = read(&given.map(str::to_owned)).unwrap();
        let digest = Digest::of(b"x");
        let good = format!(
            "hostname node-1\n/etc/kubernetes/bootstrap-kubelet.conf 600 root:root {digest}\n\
             /etc/kubernetes/kubelet.conf 600 root:root {digest}\n"
        );
        let judged = |said: &str, given: &Credentials| {
            let results = format!("=== BEGIN identity\n{said}\n=== END identity 0\n");
            let outcome = Outcome {
                results,
                ..Outcome::default()
            };
            let mut boot = Boot::read(outcome);
            boot.given.clone_from(given);
            identity(&boot)
        };
        let taken = judged(&good, &given).unwrap();
        let wanted = "/etc/kubernetes/bootstrap-kubelet.conf, joined, host name";
        assert_eq!(taken, wanted);
        for (from, to, message) in [
            ("node-1", "localhost", "its name is `localhost`"),
            (
                "600 root:root",
                "644 root:root",
                "bootstrap-kubelet.conf is 644",
            ),
            (
                "bootstrap-kubelet",
                "other",
                "there is no /etc/kubernetes/bootstrap-kubelet.conf",
            ),
            ("/kubelet.conf", "/none", "it has not joined"),
        ] {
            let error = judged(&good.replacen(from, to, 1), &given).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
        assert_eq!(judged("", &Credentials::new()).unwrap(), "none was given");
    }

    #[test]
    fn credentials_are_read_as_they_are_written() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "secret").unwrap();
        let asked = [format!("a=@{}", file.path().display()), "b=c=d".to_owned()];
        let given = read(&asked).unwrap();
        assert_eq!((&*given["a"], &*given["b"]), (&b"secret"[..], &b"c=d"[..]));
        for (bad, message) in [
            ("a", "`` names no credential"),
            ("a/b=c", "`a/b` names no credential"),
        ] {
            assert_eq!(read(&[bad.to_owned()]).unwrap_err().message(), message);
        }
        let error = read(&["a=@/nowhere".to_owned()]).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        fs::write(file.path(), vec![0; MOST + 1]).unwrap();
        let error = read(&asked).unwrap_err();
        assert!(error.message().contains("larger than systemd takes"));
        let said = firmware_string("a", b"b");
        assert_eq!(said, "io.systemd.credential.binary:a=Yg==");
    }
}
