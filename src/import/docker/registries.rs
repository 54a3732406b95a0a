//! Registries: mirrors, those without TLS, and certificates of docker's folder.

use super::super::work::{Where, Work};
use super::WHOSE;
use crate::check::document::Node;
use crate::profile::value::credentials;

/// The registry that Docker's mirrors are of.
const HUB: &str = "docker.io";
const CERTIFICATES: &str = "etc/docker/certs.d/";
const PASSWORD: &str =
    "the address holds a password, which must not be in an image: give pods a pull secret";

/// `registry-mirrors`: of Docker Hub alone.
pub(super) fn mirrors(work: &mut Work<'_>, node: &Node) {
    for item in node.items() {
        let found = work.found(WHOSE, "registry-mirrors", item, Some(item));
        match item.text() {
            Some(url) if credentials(url) => work.lost(&found, PASSWORD),
            Some(url) => {
                let path = ["containerd", "registries", HUB, "mirrors"];
                work.draft
                    .add(&path, url.trim_end_matches('/'), &found.from());
                work.push(&found, super::super::Part::Carried, &path, None);
            }
            None => work.lost(&found, "it is no address"),
        }
    }
}

/// `insecure-registries`: Docker tries TLS first and checks no certificate, then goes without.
pub(super) fn insecure(work: &mut Work<'_>, node: &Node) {
    for item in node.items() {
        let found = work.found(WHOSE, "insecure-registries", item, Some(item));
        let host = item.text().unwrap_or_default();
        if host.contains('/') {
            work.lost(
                &found,
                "ranges of addresses have no like: name each registry in `[containerd.registries]`",
            );
            continue;
        }
        let path = ["containerd", "registries", host, "server"];
        let why = "it is asked without TLS; if it has TLS with a certificate that nobody knows, write `skip-verify = true` instead, or better its `ca`";
        work.changed(&found, &path, format!("http://{host}"), why);
    }
}

/// /etc/docker/certs.d/HOST: authorities are copied, keys are not.
pub(super) fn certificates(work: &mut Work<'_>) {
    let subject = work.subject;
    let mut authorities: Vec<(String, String)> = Vec::new();
    for text in subject.texts_below(CERTIFICATES) {
        let file = &subject.texts[text];
        let path = file.path.to_string();
        let Some((host, name)) = path[CERTIFICATES.len()..].split_once('/') else {
            continue;
        };
        let found = work.found(
            WHOSE,
            &format!("certs.d/{host}/{name}"),
            Where { text, at: 0 },
            None,
        );
        let is_key = file.text.contains("PRIVATE KEY");
        if name.ends_with(".crt") && !is_key {
            let known = authorities.iter_mut().find(|(known, _)| known == host);
            match known {
                Some((_, all)) => all.push_str(&file.text),
                None => authorities.push((host.to_owned(), file.text.clone())),
            }
            let beside = beside(work, host);
            let path = ["containerd", "registries", host, "ca"];
            work.carried(&found, &path, beside);
        } else {
            work.lost(
                &found,
                "a client's key must not be in an image: bring it to the node when it boots, and name it in `client-certificate` and `client-key`",
            );
        }
    }
    for (host, text) in authorities {
        let path = beside(work, &host);
        work.files.push((path, text));
    }
}

/// Where the profile has a host's authorities, beside it.
fn beside(work: &Work<'_>, host: &str) -> String {
    format!(
        "{}.files/certificates/{}.pem",
        work.name,
        host.replace(':', "_")
    )
}
